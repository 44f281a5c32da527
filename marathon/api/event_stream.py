"""Server-sent events (section 12): who listens, and what each of them wants."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

import orjson

from mezzo.http.endless_answer import Stream
from mezzo.record import Record

from ..model.timestamps import format_s

HEARTBEAT_S: Final = 10.0
_HEARTBEAT: Final = b"\r\n"
# Some clients end at a type that they don't know: these are for those who ask for them.
_ON_DEMAND_PREFIX: Final = "scheduler_"

Streams = dict[Stream, frozenset[str]]  # and the types that each wants; none: the usual


class StreamEvent(Record):
    """fields: asked for only if somebody wants the event."""

    type: str
    fields: Callable[[], dict[str, Any]]


class EventHub:
    """Hands each event to those who want it. `publish` may be called by any thread."""

    def __init__(self, limit: int) -> None:
        """limit: of streams at a time."""
        self._limit = limit
        self._lock = threading.Lock()
        self._streams: Streams = {}  # replaced, never changed
        self._closed = False

    @property
    def count(self) -> int:
        return len(self._streams)

    def publish(self, event: StreamEvent, at_s: float) -> None:
        """at_s: wall seconds. What making its JSON raises comes through; nobody has got it then."""
        _push(self._streams, event, at_s)

    def attach(self, types: frozenset[str], remote: str) -> Stream | None:
        """A new listener, or None if there are too many.

        The first event that it gets is the one of its own coming, and it misses no later one.
        """
        stream = Stream(_HEARTBEAT, HEARTBEAT_S, lambda: self._detach(stream, remote))
        told = _of_stream("event_stream_attached", remote), time.time()
        with self._lock:
            if self._closed or len(self._streams) >= self._limit:
                return None
            _push({stream: types}, *told)
            others, self._streams = self._streams, {**self._streams, stream: types}
        _push(others, *told)
        return stream

    def _detach(self, stream: Stream, remote: str) -> None:
        with self._lock:
            self._streams = {key: types for key, types in self._streams.items() if key != stream}
        _push(self._streams, _of_stream("event_stream_detached", remote), time.time())

    def close(self) -> None:
        """The term is over: end all streams."""
        with self._lock:
            self._closed = True
            streams, self._streams = self._streams, {}
        for stream in streams:
            stream.close()


def _of_stream(kind: str, remote: str) -> StreamEvent:
    return StreamEvent(kind, lambda: {"remoteAddress": remote})


def _push(streams: Streams, event: StreamEvent, at_s: float) -> None:
    frame, kind = b"", event.type  # the frame is made only if somebody wants it
    for stream, types in streams.items():
        if kind in types or (not types and not kind.startswith(_ON_DEMAND_PREFIX)):
            frame = frame or _frame(event, at_s)
            stream.push(frame)


def _frame(event: StreamEvent, at_s: float) -> bytes:
    data = orjson.dumps({"eventType": event.type, "timestamp": format_s(at_s), **event.fields()})
    return b"event: " + event.type.encode() + b"\r\ndata: " + data + b"\r\n\r\n"
