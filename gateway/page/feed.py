"""Server-sent events for the page: one thread computes each change once, for all open pages.

event: snapshot   data: the whole of `live.change(EMPTY, now)`
event: change     data: a `live.change`, at most five a second
event: status     data: {"problem": null or why the data is not up to date}
"""

from __future__ import annotations

import threading
from typing import Any, Final

import orjson

from mezzo.http.endless_answer import Stream
from mezzo.http.event_hub import EventHub

from ..errors import ClusterUnknown
from ..replica.follower import Follower
from .live import EMPTY, Documents, change, documents

_GAP_S: Final = 0.2
_HEARTBEAT: Final = b": still here\n\n"
_IDLE_S: Final = 3600.0


class Feed:
    """`start` it; every page gets a `stream()`."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._pages: EventHub[None] = EventHub(_HEARTBEAT)
        self._lock = threading.Lock()  # guards all that follows
        self._shown: Documents = EMPTY
        self._problem: str | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._publish, name="feed", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End all streams. The follower must be stopped first or soon: it wakes the thread."""
        self._stopping.set()
        self._pages.close()

    @property
    def open_streams(self) -> int:
        return len(self._pages.streams)

    def stream(self) -> Stream | None:
        """The events of one page, which sees all first and then changes. None: the feed is over."""
        with self._lock:
            self._refresh()
            snapshot = _frame("snapshot", change(EMPTY, self._shown))
            status = _frame("status", {"problem": self._problem})
            return self._pages.attach(None, first=(snapshot, status))

    def _publish(self) -> None:
        version = 0
        while not self._stopping.is_set():
            version = self._follower.wait(version, _IDLE_S)
            with self._lock:
                if self._pages.streams:
                    self._refresh()
            self._stopping.wait(_GAP_S)

    def _refresh(self) -> None:
        """Bring the shown documents up to date and tell the open pages. Under the lock."""
        problem = self._follower.problem
        try:
            shown = documents(self._follower.read()[0])
        except ClusterUnknown:
            shown = self._shown  # pages go on showing the last that was known
        delta = change(self._shown, shown)
        self._shown = shown
        if delta:
            self._send(_frame("change", delta))
        if problem != self._problem:
            self._problem = problem
            self._send(_frame("status", {"problem": problem}))

    def _send(self, frame: bytes) -> None:
        for page in self._pages.streams:
            page.push(frame)  # who reads too slowly is cut off, may come again and starts anew


def _frame(event: str, data: dict[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (event.encode(), orjson.dumps(data))
