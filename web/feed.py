"""Server-sent events for the page: one thread computes each change once, for all open pages.

event: snapshot   data: the whole of `live.change(EMPTY, now)`
event: change     data: a `live.change`, at most five a second
event: status     data: {"problem": null or why the data is not up to date}
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any, Final

import orjson

from .follower import Follower, NoLeader
from .live import EMPTY, Documents, change, documents

_GAP_S: Final = 0.2
_HEARTBEAT_S: Final = 10.0
_UNDELIVERED_MAX: Final = 100
_IDLE_S: Final = 3600.0

Frames = queue.Queue[bytes | None]  # None: it is over


class TooMany(Exception):
    """All threads that may serve pages are taken."""


class Feed:
    """`start` it; every page iterates over `stream()`."""

    def __init__(self, follower: Follower, *, streams_max: int) -> None:
        self._follower = follower
        self._streams_max = streams_max
        self._lock = threading.Lock()  # guards all that follows
        self._shown: Documents = EMPTY
        self._problem: str | None = None
        self._pages: list[Frames] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._publish, name="feed", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End all streams. The follower must be stopped first or soon: it wakes the thread."""
        self._stopping.set()
        with self._lock:
            for page in self._pages:
                page.put(None)
            self._pages = []

    @property
    def open_streams(self) -> int:
        with self._lock:
            return len(self._pages)

    def stream(self) -> Iterator[bytes]:
        """The frames of one page. Raises TooMany at once, not when the iteration starts."""
        frames: Frames = queue.Queue()
        with self._lock:
            if len(self._pages) >= self._streams_max or self._stopping.is_set():
                raise TooMany(
                    f"{len(self._pages)} pages are open, which is the most this gateway serves: "
                    "close some, or start it with more --threads"
                )
            self._refresh()
            frames.put(_frame("snapshot", change(EMPTY, self._shown)))
            frames.put(_frame("status", {"problem": self._problem}))
            self._pages.append(frames)
        return self._iterate(frames)

    def _iterate(self, frames: Frames) -> Iterator[bytes]:
        try:
            while True:
                try:
                    frame = frames.get(timeout=_HEARTBEAT_S)
                except queue.Empty:
                    frame = b": still here\n\n"  # fails when the page has gone
                if frame is None:
                    return
                yield frame
        finally:
            with self._lock:
                if frames in self._pages:
                    self._pages.remove(frames)

    def _publish(self) -> None:
        version = 0
        while not self._stopping.is_set():
            version = self._follower.wait(version, _IDLE_S)
            with self._lock:
                if self._pages:
                    self._refresh()
            self._stopping.wait(_GAP_S)

    def _refresh(self) -> None:
        """Bring what is shown up to date and tell the open pages. Under the lock."""
        problem = self._follower.problem
        try:
            shown = documents(self._follower.read()[0])
        except NoLeader:
            shown = self._shown  # pages go on showing the last that was known
        delta = change(self._shown, shown)
        self._shown = shown
        if delta:
            self._send(_frame("change", delta))
        if problem != self._problem:
            self._problem = problem
            self._send(_frame("status", {"problem": problem}))

    def _send(self, frame: bytes) -> None:
        for page in tuple(self._pages):
            if page.qsize() >= _UNDELIVERED_MAX:
                page.put(None)  # it reads too slowly: it may come again, and starts anew
                self._pages.remove(page)
            else:
                page.put(frame)


def _frame(event: str, data: dict[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (event.encode(), orjson.dumps(data))
