"""The folder of a task on the host, and the output files in it."""

from __future__ import annotations

import os
import pwd
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

_CHUNK_BYTES: Final = 64 * 1024
_FOLLOW_EVERY_S: Final = 0.2  # somebody is watching a file; nothing tells us when it grows


def make_sandbox(path: str, user: str | None) -> None:
    """Make the folder, owned by `user` if we may give it away, and its sibling link `latest`.

    Raises OSError, and KeyError for a user that this machine does not know.
    """
    folder = Path(path)
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    if user is not None and os.geteuid() == 0:
        entry = pwd.getpwnam(user)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
    link = folder.with_name("latest")
    fresh = folder.with_name(f".latest-{folder.name}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(folder.name)
    fresh.rename(link)


def remove_sandbox(path: str) -> None:
    """Remove it, and the folders above that it leaves empty, up to the framework's. No error."""
    folder = Path(path)
    shutil.rmtree(folder, ignore_errors=True)
    link = folder.with_name("latest")
    if link.is_symlink() and not link.exists():
        link.unlink(missing_ok=True)
    for parent in list(folder.parents)[:4]:  # runs, the executor, executors, the framework
        try:
            parent.rmdir()
        except OSError:
            return  # other tasks are in there


def read_file(path: Path, offset: int, follow: Callable[[], bool]) -> Iterator[bytes]:
    """A file's bytes from `offset` on, in chunks; more as it grows, as long as `follow()`.

    Empty if there is no such file.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        file.seek(offset)
        while True:
            last = not follow()  # asked before reading: what it wrote until then is not missed
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk
            if last:
                return
            time.sleep(_FOLLOW_EVERY_S)
