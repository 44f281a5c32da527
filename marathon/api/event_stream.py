"""Server-sent events (section 12): the listeners, and what each of them wants."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from mezzo.http.endless_answer import Stream
from mezzo.http.event_hub import EventHub
from mezzo.record import Record

from ..model.timestamps import format_s

_HEARTBEAT: Final = b"\r\n"
# Some clients end at a type that they don't know: these are only for clients that ask.
_ON_DEMAND_PREFIX: Final = "scheduler_"

Types = frozenset[str]  # that a listener wants; none: the usual


class StreamEvent(Record):
    """fields: asked for only if somebody wants the event."""

    type: str
    fields: Callable[[], dict[str, Any]]


class EventStream:
    """Hands each event to those who want it. `publish` may be called by any thread."""

    def __init__(self, limit: int) -> None:
        """limit: of listeners at a time."""
        self._hub: EventHub[Types] = EventHub(_HEARTBEAT, limit)

    @property
    def count(self) -> int:
        return len(self._hub.streams)

    def publish(self, event: StreamEvent, at_s: float) -> None:
        """at_s: wall time. Raises what its JSON raises; then nobody has got the event."""
        _push(self._hub.streams, event, at_s)

    def attach(self, types: Types, remote: str) -> Stream | None:
        """A new listener, or None if there are too many.

        The first event that it gets is the one of its own coming, and it misses no later one.
        """
        told = _of_stream("event_stream_attached", remote), time.time()
        stream = self._hub.attach(
            types,
            first=[_frame(*told)] if _wants(types, told[0].type) else [],
            on_gone=lambda: self.publish(_of_stream("event_stream_detached", remote), time.time()),
        )
        if stream is not None:
            _push({key: t for key, t in self._hub.streams.items() if key != stream}, *told)
        return stream

    def close(self) -> None:
        """The term is over: end all streams."""
        self._hub.close()


def _of_stream(kind: str, remote: str) -> StreamEvent:
    return StreamEvent(kind, lambda: {"remoteAddress": remote})


def _push(streams: Mapping[Stream, Types], event: StreamEvent, at_s: float) -> None:
    frame = b""  # made only if somebody wants it
    for stream, types in streams.items():
        if _wants(types, event.type):
            frame = frame or _frame(event, at_s)
            stream.push(frame)


def _wants(types: Types, kind: str) -> bool:
    return kind in types or (not types and not kind.startswith(_ON_DEMAND_PREFIX))


def _frame(event: StreamEvent, at_s: float) -> bytes:
    data = orjson.dumps({"eventType": event.type, "timestamp": format_s(at_s), **event.fields()})
    return b"event: " + event.type.encode() + b"\r\ndata: " + data + b"\r\n\r\n"
