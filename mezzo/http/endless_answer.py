"""An answer without an end: threads that have news push them, and none waits for any.

A WSGI application returns a Stream as the body of its answer (with Flask:
`Response(stream, direct_passthrough=True)`, which keeps its hands off it).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from .limits import BURST_MAX_FRAMES, PIECE_BYTES, STREAM_MAX_BYTES, STREAM_MAX_FRAMES

_NOTHING: Final = b""


class Stream:
    """One listener. `push` and `close` may be called by any thread and never block.

    A client that does not read falls behind: beyond `STREAM_MAX_FRAMES` the stream is `cut`, and
    its connection with it. Of a burst that only has not been sent yet there may be more, up to
    `BURST_MAX_FRAMES`; and in either case `STREAM_MAX_BYTES`, or one frame of any size. Frames are
    shared between streams.
    """

    __slots__ = (
        "_bytes",
        "_ended",
        "_frames",
        "_lock",
        "_on_close",
        "_open",
        "_wake",
        "cut",
        "heartbeat",
        "heartbeat_s",
        "stalled",
    )

    def __init__(
        self, heartbeat: bytes, heartbeat_s: float, on_close: Callable[[], None] = lambda: None
    ) -> None:
        """heartbeat: sent at once, so that the head of the answer goes out, and whenever nothing
        else was for `heartbeat_s`. on_close: called once, by a worker, when the client has gone or
        the stream has ended."""
        self.heartbeat = heartbeat
        self.heartbeat_s = heartbeat_s
        self.cut = False
        self.stalled = False  # the server says so: the client does not read
        self._on_close = on_close
        self._lock = threading.Lock()
        self._frames: deque[bytes] = deque()
        self._bytes = 0
        self._open = True
        self._ended = False
        self._wake: Callable[[], None] | None = None

    def push(self, frame: bytes) -> None:
        with self._lock:
            if not self._open:
                return
            waiting = len(self._frames)
            most = STREAM_MAX_FRAMES if self.stalled else BURST_MAX_FRAMES
            if waiting and (waiting >= most or self._bytes + len(frame) > STREAM_MAX_BYTES):
                self._frames.clear()
                self._open, self.cut = False, True
            else:
                self._frames.append(frame)
                self._bytes += len(frame)
            wake = self._wake if waiting == 0 or self.cut else None  # it is awake already
        if wake is not None:
            wake()

    def close(self) -> None:
        """End the stream after what was pushed. WSGI calls this, too, when a client has gone."""
        with self._lock:
            self._open = False
            wake = self._wake
        if wake is not None:
            wake()

    def __iter__(self) -> Iterator[bytes]:
        raise TypeError("a Stream is no iterable: it needs the server of mezzo.http")

    # ---- for the server

    def attach(self, wake: Callable[[], None]) -> None:
        """wake: to be called when there is something to `take`, from any thread."""
        with self._lock:
            self._wake = wake
        wake()

    def take(self) -> tuple[bytes, bool]:
        """What is to be sent next, a piece or a frame at least; and whether that was the last."""
        with self._lock:
            frames: list[bytes] = []
            size = 0
            while self._frames and (not frames or size + len(self._frames[0]) <= PIECE_BYTES):
                frames.append(self._frames.popleft())
                size += len(frames[-1])
            self._bytes -= size
            return b"".join(frames), not self._open and not self._frames

    def ended(self) -> None:
        """Nobody reads any more."""
        with self._lock:
            self._open = False
            self._frames.clear()
            self._wake = None
            told, self._ended = self._ended, True
        if not told:
            self._on_close()
