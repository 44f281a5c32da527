"""Server-sent events (section 12): who listens, and what each still has to read."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

import orjson

from ..messages import Publish
from ..render import event_value
from ..timestamps import format_s

HEARTBEAT_S: Final = 10.0
UNDELIVERED_MAX: Final = 1024
_HEARTBEAT: Final = b"\r\n"
# Some clients end at a type that they don't know: these are for those who ask for them.
_ON_DEMAND_PREFIX: Final = "scheduler_"


class Stream:
    """One listener. Its reader is a thread of its own; a slow one is cut off."""

    def __init__(self, types: frozenset[str], remote: str) -> None:
        self.remote = remote
        self._types = types
        self._frames: deque[bytes] = deque()
        self._open = True
        self._changed = threading.Condition()

    def wants(self, kind: str) -> bool:
        if self._types:
            return kind in self._types
        return not kind.startswith(_ON_DEMAND_PREFIX)

    def push(self, frame: bytes) -> None:
        with self._changed:
            if len(self._frames) >= UNDELIVERED_MAX:
                self._open = False
                self._frames.clear()
            elif self._open:
                self._frames.append(frame)
            self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._open = False
            self._changed.notify()

    def frames(self) -> Iterator[bytes]:
        """What there is to send, with heartbeats between, until the stream is closed."""
        yield _HEARTBEAT  # lets the headers go out
        while True:
            with self._changed:
                if not self._frames and self._open:
                    self._changed.wait(HEARTBEAT_S)
                frames, open_ = list(self._frames), self._open
                self._frames.clear()
            if frames:
                yield b"".join(frames)
            elif not open_:
                return
            else:
                yield _HEARTBEAT


class EventHub:
    """Hands each event to those who want it. `publish` may be called by any thread."""

    def __init__(self, limit: int) -> None:
        """limit: of streams at a time."""
        self._limit = limit
        self._lock = threading.Lock()
        self._streams: tuple[Stream, ...] = ()
        self._closed = False

    @property
    def count(self) -> int:
        return len(self._streams)

    def publish(self, event: Publish) -> None:
        wanted = [stream for stream in self._streams if stream.wants(event.type)]
        if wanted:
            frame = _frame(event.type, event.at, event.fields)
            for stream in wanted:
                stream.push(frame)

    def attach(self, types: frozenset[str], remote: str) -> Stream | None:
        """None if there are too many."""
        stream = Stream(types, remote)
        with self._lock:
            if self._closed or len(self._streams) >= self._limit:
                return None
            others, self._streams = self._streams, (*self._streams, stream)
        self._tell(others, "event_stream_attached", remote)
        return stream

    def detach(self, stream: Stream) -> None:
        stream.close()
        with self._lock:
            self._streams = tuple(other for other in self._streams if other is not stream)
        self._tell(self._streams, "event_stream_detached", stream.remote)

    def close(self) -> None:
        """The term is over: end all streams."""
        with self._lock:
            self._closed = True
            streams, self._streams = self._streams, ()
        for stream in streams:
            stream.close()

    def _tell(self, streams: tuple[Stream, ...], kind: str, remote: str) -> None:
        frame = _frame(kind, time.time(), {"remoteAddress": remote})
        for stream in streams:
            if stream.wants(kind):
                stream.push(frame)


def _frame(kind: str, at: float, fields: dict[str, Any]) -> bytes:
    data = orjson.dumps(
        {"eventType": kind, "timestamp": format_s(at), **fields}, default=event_value
    )
    return b"event: " + kind.encode() + b"\r\ndata: " + data + b"\r\n\r\n"
