"""Output that can only be waited for, for readers that must not wait."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Final

_CHUNKS_MAX: Final = 16  # read ahead of the reader
_LOOK_EVERY_S: Final = 1.0  # a reader that has gone is noticed within


class Followers:
    """Each has a thread of its own, so there may be only so many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._count = 0

    @property
    def full(self) -> bool:
        return self._count >= self._most

    def follow(self, chunks: Iterator[bytes], stop: Callable[[], None]) -> Iterator[bytes]:
        """The chunks as they come, with empty ones between: there is nothing now.

        stop: makes a `chunks` that blocks in another thread end.
        """
        ahead: queue.Queue[bytes | None] = queue.Queue(_CHUNKS_MAX)
        over = threading.Event()
        self._changed(+1)
        thread = threading.Thread(
            target=self._read, args=(chunks, ahead, over), name="follow", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the system has no thread more to give
            self._changed(-1)
            raise
        try:
            while True:
                try:
                    chunk = ahead.get_nowait()
                except queue.Empty:
                    chunk = b""
                if chunk is None:
                    return
                yield chunk
        finally:
            over.set()
            stop()

    def _read(
        self, chunks: Iterator[bytes], ahead: queue.Queue[bytes | None], over: threading.Event
    ) -> None:
        def put(chunk: bytes | None) -> None:
            while not over.is_set():
                with contextlib.suppress(queue.Full):
                    ahead.put(chunk, timeout=_LOOK_EVERY_S)
                    return

        try:
            for chunk in chunks:
                if chunk:
                    put(chunk)
                if over.is_set():
                    return
        finally:
            put(None)
            self._changed(-1)

    def _changed(self, by: int) -> None:
        with self._lock:
            self._count += by
