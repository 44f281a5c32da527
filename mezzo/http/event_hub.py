"""The listeners to a stream of server-sent events, and what each of them wants."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Generic, TypeVar

from .endless_answer import Stream

HEARTBEAT_S: Final = 10.0

W = TypeVar("W")


class EventHub(Generic[W]):
    """Keeps the open streams. Every method may be called by any thread, and blocks for none."""

    def __init__(self, heartbeat: bytes, limit: int | None = None) -> None:
        """heartbeat: what says "still here", bytes that clients ignore. limit: of streams."""
        self._heartbeat = heartbeat
        self._limit = limit
        self._lock = threading.Lock()
        self._streams: Mapping[Stream, W] = {}  # replaced, never changed
        self._closed = False

    @property
    def streams(self) -> Mapping[Stream, W]:
        """The streams that are open now, and what each wants."""
        return self._streams

    def attach(
        self, wants: W, *, first: Iterable[bytes] = (), on_gone: Callable[[], None] = lambda: None
    ) -> Stream | None:
        """A new listener, or None if there are too many or all is over.

        first: the frames that it gets before any other; it misses none that is pushed to `streams`
        after them. on_gone: called once, after the listener has gone.
        """

        def gone() -> None:
            with self._lock:
                self._streams = {key: each for key, each in self._streams.items() if key != stream}
            on_gone()

        stream = Stream(self._heartbeat, HEARTBEAT_S, gone)
        with self._lock:
            if self._closed or (self._limit is not None and len(self._streams) >= self._limit):
                return None
            for frame in first:
                stream.push(frame)
            self._streams = {**self._streams, stream: wants}
        return stream

    def close(self) -> None:
        """End all streams; none comes after them."""
        with self._lock:
            self._closed = True
            streams, self._streams = self._streams, {}
        for stream in streams:
            stream.close()
