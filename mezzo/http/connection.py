"""One client's connection: its request, and the answer that it reads. On the server's loop alone.

    READING --head--> BODY --whole--> ANSWERING --written--> READING (or CLOSING)
       |                |                |
       +---refused------+                +-- a Stream --> STREAMING --ended--> CLOSING
                |
             CLOSING: what the client still sends is let go, until it has read our answer

Each state has its deadline, and the server's sweep looks at it. No worker is taken before a whole
request is there, and none waits for a client.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum, auto
from typing import Final, Protocol, cast

from . import limits
from .endless_answer import Stream
from .errors import RequestRefused
from .request import Body, Head, has_bare_line_feed, read_head
from .web_guard import Hosts, judge
from .wsgi import Answer, Begun, Fields, Peer, Piece, Pushed, Rest, Whole, problem, reason

_BLANK: Final = b"\r\n\r\n"
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_LAST_CHUNK: Final = b"0\r\n\r\n"
_BODILESS: Final = frozenset({204, 304})
_METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"


class State(Enum):
    READING = auto()  # a head, or nothing yet
    BODY = auto()
    ANSWERING = auto()  # a worker has it
    WRITING = auto()  # the client has to read
    STREAMING = auto()
    CLOSING = auto()
    CLOSED = auto()


# States in which we wait for the client.
EVICTABLE: Final = frozenset({State.READING, State.BODY, State.WRITING, State.CLOSING})


class Server(Protocol):
    """What a connection asks of the server that it belongs to."""

    hosts: Hosts
    body_max_bytes: int

    def now_s(self) -> float: ...
    def date(self) -> str: ...
    def opened(self, connection: Connection) -> None: ...
    def closed(self, connection: Connection) -> None: ...
    def held(self, change_bytes: int) -> None: ...
    def answer(
        self, head: Head, body: bytes, peer: Peer, done: Callable[[Answer], None], *, hasty: bool
    ) -> bool: ...
    def go_on(self, rest: Rest, done: Callable[[Piece | None], None]) -> None: ...
    def let_go(self, job: Callable[[], None]) -> None: ...
    def crowded(self) -> bool: ...
    def may_stream(self) -> bool: ...
    def waker(self, wake: Callable[[], None]) -> Callable[[], None]: ...
    def later(self, delay_s: float, action: Callable[[], None]) -> None: ...


class Connection(asyncio.Protocol):
    __slots__ = (
        "_body",
        "_buffer",
        "_chunked",
        "_drained",
        "_eof",
        "_hasty",
        "_head",
        "_idle",
        "_keep_alive",
        "_left",
        "_quiet_since_s",
        "_rest",
        "_scanned",
        "_server",
        "_stream",
        "_transport",
        "deadline_s",
        "held_bytes",
        "peer",
        "since_s",
        "state",
    )

    def __init__(self, server: Server) -> None:
        self._server = server
        self._buffer = bytearray()
        self._scanned = 0  # so much of the buffer has been looked at for the end of a head
        self._head: Head | None = None
        self._body: Body | None = None
        self._rest: Rest | None = None
        self._stream: Stream | None = None
        self._left: int | None = None  # of an answer whose length was told: bytes to come
        self._chunked = self._eof = self._idle = False
        self._hasty = False  # the request was there before the last one was answered
        self._drained = self._keep_alive = True
        self._quiet_since_s = 0.0
        self.state = State.READING
        self.since_s = self.deadline_s = 0.0
        self.held_bytes = 0

    # ---- what the transport says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        # Told at once when a client does not read, and when it has read all.
        self._transport.set_write_buffer_limits(0)
        ip, port = (transport.get_extra_info("peername") or ("", 0))[:2]
        local_ip, local_port = (transport.get_extra_info("sockname") or ("", 0))[:2]
        self.peer = Peer(ip, port, local_ip, local_port)
        self._enter(State.READING, limits.HEAD_S)
        self._server.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        before, self.state = self.state, State.CLOSED
        self._hold(0)
        self._buffer.clear()
        self._body = None
        if self._stream is not None:
            self._server.let_go(self._stream.ended)
        if before is not State.ANSWERING:  # else it is let go when its worker comes back
            self._release()
        self._server.closed(self)

    def pause_writing(self) -> None:
        self._drained = False
        if self._stream is not None:
            self._stream.stalled = True

    def resume_writing(self) -> None:
        self._drained = True
        if self._stream is not None:
            self._stream.stalled = False
        if self.state is State.STREAMING:
            self._pump_stream()
        elif self.state is State.WRITING:
            self._written()
        elif self.state is State.CLOSING:
            self._linger()

    def eof_received(self) -> bool:
        self._eof = True
        # A client that has sent a whole request may close its side and still read the answer.
        return self.state in (State.ANSWERING, State.WRITING)

    def data_received(self, data: bytes) -> None:
        if self.state in (State.READING, State.BODY):
            self._buffer += data
            self._advance()
        elif self.state in (State.ANSWERING, State.WRITING):
            self._buffer += data  # the next request: its turn comes
            self._hold(self.held_bytes + len(data))
            if len(self._buffer) > limits.HEAD_MAX_BYTES:
                self._transport.pause_reading()

    # ---- reading

    def _advance(self) -> None:
        try:
            while self.state is State.READING and self._buffer:
                if not self._read_head():
                    return
            if self.state is State.BODY:
                self._read_body()
        except RequestRefused as refused:
            self.refuse(refused)
        except Exception:
            self._abort()  # a bug, which the loop logs: nobody else would ever end this
            raise

    def _read_head(self) -> bool:
        """Go on to the body or the answer; False: there is more to come."""
        buffer = self._buffer
        if self._idle:
            self._idle = False
            self._enter(State.READING, limits.HEAD_S)
        if buffer.startswith(b"\r\n") and self._scanned == 0:
            del buffer[:2]  # a line between two requests (section 2.2)
            if not buffer:
                return False
        end = buffer.find(_BLANK, max(0, self._scanned - 3), limits.HEAD_MAX_BYTES)
        if end < 0:
            if len(buffer) >= limits.HEAD_MAX_BYTES:
                line = buffer.find(b"\r\n", 0, limits.HEAD_MAX_BYTES) < 0
                raise RequestRefused(
                    414 if line else 431,
                    f"the {'request line' if line else 'header'} has more than "
                    f"{limits.HEAD_MAX_BYTES} bytes, which is the most",
                )
            if has_bare_line_feed(buffer, self._scanned):
                raise RequestRefused(400, "a line of the header ends without a carriage return")
            self._scanned = len(buffer)
            self._hold(len(buffer))
            if self._server.crowded():
                raise _crowded()
            return False
        raw = bytes(buffer[:end])
        del buffer[: end + len(_BLANK)]
        self._scanned = 0
        head = self._head = read_head(raw)
        self._keep_alive = head.keep_alive
        judge(head, self._server.hosts, self.peer.local_ip)
        self._body = Body(head, self._server.body_max_bytes)
        if head.expects_continue and head.has_body and not buffer:
            self._transport.write(_CONTINUE)
        self._enter(State.BODY, limits.BODY_S)
        self._read_body()
        return True

    def _read_body(self) -> None:
        body, head = self._body, self._head
        assert body is not None
        assert head is not None
        body.feed(self._buffer)
        if not body.whole:
            size = len(body.data)
            self._hold(size)
            if self._server.crowded():
                raise _crowded()
            self.deadline_s = self.since_s + limits.BODY_S + size / limits.BODY_RATE_BYTES
            return
        data = bytes(body.data)
        self._body = None
        self._hold(len(data) + len(self._buffer))
        self._enter(State.ANSWERING, float("inf"))
        if head.path == "*":
            self._answered(Whole(204, [("Allow", _METHODS)], b""))
        elif not self._server.answer(head, data, self.peer, self._answered, hasty=self._hasty):
            busy = "this server has more requests than it can answer: retry in a moment"
            self._answered(problem(503, busy, ("Retry-After", str(limits.RETRY_AFTER_S))))

    # ---- answering

    def _answered(self, answer: Answer) -> None:
        if self._gone():
            _drop(answer, self._server)
            return
        assert self._head is not None
        if self._head.method == "HEAD":
            _drop(answer, self._server)
            self._send(self._top(answer.status, _with_length(answer)))
            return
        match answer:
            case Whole(status, _, body):
                silent = status in _BODILESS
                self._send(self._top(status, _with_length(answer)) + (b"" if silent else body))
            case Begun(status, fields, piece, rest):
                self._rest = rest
                self._begin(status, fields)
                self._piece(piece)
            case Pushed(status, fields, stream):
                self._begin_stream(status, fields, stream)

    def _begin(self, status: int, fields: Fields) -> None:
        """The head of an answer whose end is not known yet."""
        assert self._head is not None
        told = _told_length(fields)
        self._left = told
        self._chunked = told is None and self._head.http11
        fields = _without_ours(fields)
        if told is not None:
            fields.append(("Content-Length", str(told)))
        elif self._chunked:
            fields.append(("Transfer-Encoding", "chunked"))
        else:
            self._keep_alive = False  # its end is the end of the connection
        self._transport.write(self._top(status, fields))

    def _top(self, status: int, fields: Fields) -> bytes:
        head = self._head
        http11 = head is None or head.http11
        lines = [f"HTTP/1.1 {status} {reason(status)}"]
        lines += [f"{name}: {value}" for name, value in fields]
        lines.append(f"Date: {self._server.date()}")
        if not any(name.lower() == "x-content-type-options" for name, _ in fields):
            lines.append("X-Content-Type-Options: nosniff")
        if not self._keep_alive or self._eof:
            lines.append("Connection: close")
        elif not http11:
            lines.append("Connection: keep-alive")
        return "\r\n".join((*lines, "", "")).encode("latin-1", "replace")

    def _send(self, data: bytes) -> None:
        self._enter(State.WRITING, limits.WRITE_S + len(data) / limits.WRITE_RATE_BYTES)
        self._transport.write(data)
        self._hold(self._transport.get_write_buffer_size() + len(self._buffer))
        if self._drained:
            self._written()

    def _written(self) -> None:
        """The client has read all that there is for now."""
        if self._rest is not None:
            self._enter(State.ANSWERING, float("inf"))
            self._server.go_on(self._rest, self._more)
            return
        self._hold(len(self._buffer))
        if not self._keep_alive or self._eof:
            self._end()
            return
        self._head = None
        self._idle = not self._buffer
        self._hasty = not self._idle
        self._enter(State.READING, limits.IDLE_S if self._idle else limits.HEAD_S)
        self._transport.resume_reading()
        if self._buffer:
            # Not from here: a client that sends a thousand requests at once is no recursion.
            self._server.later(0, self._advance)

    def _more(self, piece: Piece | None) -> None:
        if self._gone():
            self._release()
        elif piece is None:
            self._abort()  # the application failed: this is no end
        else:
            self._piece(piece)

    def _piece(self, piece: Piece) -> None:
        data = piece.data
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0 or (piece.last and self._left):
                self._abort()  # not as long as it was told to be
                return
        if self._chunked:
            data = _chunk(data) + (_LAST_CHUNK if piece.last else b"")
        if piece.last:
            self._release()
        elif not data:
            self._enter(State.ANSWERING, float("inf"))
            self._server.later(limits.POLL_S, self._poll)
            return
        self._send(data)

    def _poll(self) -> None:
        if self._eof or self._gone():
            self._abort()
        elif self._rest is not None:
            self._server.go_on(self._rest, self._more)

    def _release(self) -> None:
        rest, self._rest = self._rest, None
        if rest is not None:
            self._server.let_go(rest.close)

    def _gone(self) -> bool:
        return self.state is State.CLOSED or self._transport.is_closing()

    def _abort(self) -> None:
        self._release()
        self._hold(0)
        self._transport.abort()

    # ---- streams

    def _begin_stream(self, status: int, fields: Fields, stream: Stream) -> None:
        if self._eof:
            self._server.let_go(stream.ended)
            self._abort()  # nobody would read it
            return
        if not self._server.may_stream():
            self._server.let_go(stream.ended)
            text = "this server has as many open streams as it can: close some, or retry later"
            self._answered(problem(503, text, ("Retry-After", str(limits.RETRY_AFTER_S))))
            return
        self._keep_alive = False
        self._hold(0)
        self._begin(status, fields)
        self._stream = stream
        self._buffer.clear()
        self._transport.resume_reading()  # or its end would go unnoticed
        self._enter(State.STREAMING, float("inf"))
        self._quiet_since_s = self._server.now_s()
        self._write_frames(stream.heartbeat)
        stream.attach(self._server.waker(self._pump_stream))

    def _pump_stream(self) -> None:
        stream = self._stream
        while self.state is State.STREAMING and self._drained and not self._gone():
            assert stream is not None
            frames, last = stream.take()
            if stream.cut:
                self._transport.abort()  # it reads too slowly: it may come again
            elif last:
                end = _LAST_CHUNK if self._chunked else b""
                self._transport.write((self._framed(frames) if frames else b"") + end)
                self._end()
            elif frames:
                self._write_frames(frames)
            else:
                return

    def _write_frames(self, frames: bytes) -> None:
        now_s = self._quiet_since_s = self._server.now_s()
        self._transport.write(self._framed(frames))
        self.deadline_s = now_s + limits.WRITE_S  # looked at only while it does not read

    def _framed(self, frames: bytes) -> bytes:
        return _chunk(frames) if self._chunked else frames

    # ---- ends

    def refuse(self, refused: RequestRefused) -> None:
        self._keep_alive = False
        self._body = None
        answer = problem(refused.status, str(refused), *refused.fields)
        silent = self._head is not None and self._head.method == "HEAD"
        self._transport.write(
            self._top(answer.status, _with_length(answer)) + (b"" if silent else answer.body)
        )
        self._end()

    def _end(self) -> None:
        self._hold(0)
        self._buffer.clear()
        self._enter(State.CLOSING, limits.WRITE_S)
        self._transport.resume_reading()
        if self._drained:
            self._linger()

    def _linger(self) -> None:
        """The answer is written. A reset would take it from a client that is still sending."""
        if self._eof or not self._transport.can_write_eof():
            self._transport.close()
            return
        self._transport.write_eof()
        self.deadline_s = self._server.now_s() + limits.LINGER_S

    def evict(self) -> None:
        """Close the connection: its place is needed."""
        self._abort()

    def expire(self, now_s: float) -> None:
        """Called when the deadline is over."""
        match self.state:
            case State.READING if self._buffer:
                self.refuse(RequestRefused(408, f"the header took longer than {limits.HEAD_S:g} s"))
            case State.BODY:
                self.refuse(RequestRefused(408, "the body came too slowly"))
            case State.STREAMING if self._drained:
                self.deadline_s = now_s + limits.WRITE_S
            case State.READING:
                self._transport.close()
            case State.WRITING | State.STREAMING | State.CLOSING:
                self._abort()

    def beat(self, now_s: float) -> None:
        """Called by each sweep while it streams."""
        stream = self._stream
        if stream is None or not self._drained or self._gone():
            return
        if now_s - self._quiet_since_s >= stream.heartbeat_s:
            self._write_frames(stream.heartbeat)

    def _enter(self, state: State, within_s: float) -> None:
        self.state = state
        self.since_s = self._server.now_s()
        self.deadline_s = self.since_s + within_s

    def _hold(self, size_bytes: int) -> None:
        if size_bytes != self.held_bytes:
            change_bytes, self.held_bytes = size_bytes - self.held_bytes, size_bytes
            self._server.held(change_bytes)


def _crowded() -> RequestRefused:
    return RequestRefused(503, "this server holds more than it can at the moment: retry later")


# The server says these itself.
_OURS: Final = frozenset({"content-length", "transfer-encoding", "connection", "date"})


def _without_ours(fields: Fields) -> Fields:
    return [each for each in fields if each[0].lower() not in _OURS]


def _told_length(fields: Fields) -> int | None:
    return next((int(v) for name, v in fields if name.lower() == "content-length"), None)


def _with_length(answer: Answer) -> Fields:
    """HEAD: an application answers with the body of GET, or with none and its length."""
    fields = _without_ours(answer.fields)
    length = _told_length(answer.fields)
    if isinstance(answer, Whole) and (answer.body or length is None):
        length = len(answer.body)
    if length is not None and answer.status not in _BODILESS:
        fields.append(("Content-Length", str(length)))
    return fields


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def _drop(answer: Answer, server: Server) -> None:
    match answer:
        case Begun(rest=rest):
            server.let_go(rest.close)
        case Pushed(stream=stream):
            server.let_go(stream.ended)
