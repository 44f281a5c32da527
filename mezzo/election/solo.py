"""Election on one machine, without ZooKeeper: a lock file.

The kernel lets go of the lock when its holder dies, however it dies. What the leader publishes is
in a file beside the lock; it counts only while the lock is held.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ..errors import BadConfig
from ..process.log import get_logger
from .base import Elected, ElectionEvent, LeaderChanged

_POLL_S: Final = 0.2
_PUBLISH_AGAIN_S: Final = 1.0

log = get_logger("election")


class SoloElection:
    """See `mezzo.election.base.Election`. Leadership that was won is never in doubt nor lost."""

    def __init__(self, lock: Path, data: bytes) -> None:
        self._lock = lock
        self._data = data
        self._draft = lock.with_name(f"{lock.name}.{secrets.token_hex(4)}")
        self._stopping = threading.Event()
        self._fd = -1
        self._thread: threading.Thread | None = None

    def start(self, listener: Callable[[ElectionEvent], None]) -> None:
        try:
            self._lock.parent.mkdir(parents=True, exist_ok=True)
            self._draft.write_bytes(self._data)
            self._fd = os.open(self._lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        except OSError as e:
            raise BadConfig(
                f"cannot use {self._lock} as the lock of the election: {e.strerror}: name a file "
                "in a directory that this user may write to"
            ) from e
        self._thread = threading.Thread(
            target=self._campaign, args=(listener,), name="solo election", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            os.close(self._fd)  # lets go of the lock

    def _campaign(self, listener: Callable[[ElectionEvent], None]) -> None:
        while not _try_lock(self._fd, fcntl.LOCK_EX):
            if self._stopping.wait(_POLL_S):
                with contextlib.suppress(OSError):
                    self._draft.unlink()
                return
        published = _published(self._lock)
        while not self._publish(published):
            if self._stopping.wait(_PUBLISH_AGAIN_S):
                return
        listener(Elected(token=None))
        self._stopping.wait()
        with contextlib.suppress(OSError):  # it counts no more: the lock is let go
            published.unlink()

    def _publish(self, published: Path) -> bool:
        """False if the disk does not let us, full as it may be: to be tried again."""
        try:
            if not self._draft.exists():  # somebody has tidied up
                self._draft.write_bytes(self._data)
            self._draft.replace(published)  # at once: nobody reads half of it
        except OSError as error:
            log.warning("election.not_published", lock=str(self._lock), error=str(error))
            return False
        return True


class SoloDetector:
    """See `mezzo.election.base.LeaderDetector`."""

    def __init__(self, lock: Path) -> None:
        self._lock = lock
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, listener: Callable[[LeaderChanged], None]) -> None:
        self._thread = threading.Thread(
            target=self._follow, args=(listener,), name="solo detector", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _follow(self, listener: Callable[[LeaderChanged], None]) -> None:
        reported: LeaderChanged | None = None
        while True:
            seen = LeaderChanged(self._leader())
            if seen != reported:
                reported = seen
                listener(seen)
            if self._stopping.wait(_POLL_S):
                return

    def _leader(self) -> bytes | None:
        try:
            fd = os.open(self._lock, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            # Holding it shared for a moment delays a candidate by one poll at most.
            if _try_lock(fd, fcntl.LOCK_SH):
                return None
            return _published(self._lock).read_bytes()
        except OSError:
            return None  # elected, and about to publish; or its disk fails, for now
        finally:
            os.close(fd)


def _published(lock: Path) -> Path:
    return lock.with_name(lock.name + ".leader")


def _try_lock(fd: int, how: int) -> bool:
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
