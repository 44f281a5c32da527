"""One open stream at the end that serves it: an outbox, and a reader beside the writer.

A fault of one stream is told in one line of the log and to its peer, and to nobody else: gRPC
would print a traceback for anything that a stranger can send.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from mezzo.errors import BadRequest
from mezzo.ids import ConnId

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

M = TypeVar("M", bound=Message)
R = TypeVar("R")

# A peer that reads so slowly that this many messages wait is cut off: it comes back and catches up.
OUTBOX_MAX: Final = 100_000
# The details of a status are a header, in which a byte may take three, and of all headers a peer
# takes 8 KiB.
_DETAILS_MAX_BYTES: Final = 2000


def details(text: str) -> str:
    """The text that tells a peer about the end of its call, cut to what a header may hold."""
    if len(text.encode(errors="replace")) <= _DETAILS_MAX_BYTES:
        return text
    return f"{text[: _DETAILS_MAX_BYTES // 4]}…"


def received(kind: type[M], data: bytes, read: Callable[[M], R]) -> R:
    """The messages that a peer sent. Raises BadRequest for bytes that are no such message, and for
    a message that can't be read for whatever reason."""
    try:
        return read(kind.FromString(data))
    except BadRequest:
        raise
    except Exception as error:  # a stranger's bytes, and what surprised us in them
        raise BadRequest(
            f"these bytes are no {kind.__name__} that can be read ({type(error).__name__}): send "
            "the protobuf message"
        ) from error


class Outbox(Protocol):
    """What `put_or_cut` asks of a `Stream`, or of one behind a relay."""

    outbox: list[Any]

    def put(self, message: Any) -> None: ...
    def abort(self, why: str) -> None: ...


def put_or_cut(stream: Outbox, message: Any) -> bool:
    """False: the peer reads so slowly, if at all, that too much waits for it. The stream is
    aborted, and its end must not be waited for: it comes when the peer reads again."""
    if len(stream.outbox) >= OUTBOX_MAX:
        stream.abort("this stream is read too slowly: come again")
        return False
    stream.put(message)
    return True


class Stream:
    """Messages put into the outbox within one turn of the loop are packed and leave together."""

    __slots__ = ("_filled", "_reader", "_why", "closing", "conn", "outbox", "pack")

    def __init__(self, conn: ConnId, pack: Callable[[list[Any]], Iterable[Any]]) -> None:
        """`pack` makes wire messages of what is in the outbox."""
        self.conn = conn
        self.pack = pack
        self.outbox: list[Any] = []
        self.closing = False
        self._why: str | None = None  # it was aborted
        self._filled = asyncio.Event()
        self._reader: asyncio.Future[Any] | None = None

    def put(self, message: Any) -> None:
        self.outbox.append(message)
        self._filled.set()

    def close(self) -> None:
        """End the stream after what was put before."""
        self.closing = True
        self._filled.set()
        if self._reader is not None:
            self._reader.cancel()  # what the peer still says is of no interest

    def abort(self, why: str) -> None:
        """End the stream without what was put before. The peer is told why once it reads: a message
        that is on its way cannot be called back."""
        self._why = why
        self.outbox = []
        self.close()

    async def serve(
        self,
        context: Any,
        read: Coroutine[Any, Any, None],
        log: FilteringBoundLogger,
    ) -> None:
        """Serve from begin to end, as the call's handler: `read` consumes what the peer says."""
        reader = self._reader = asyncio.ensure_future(read)
        reader.add_done_callback(self._reader_ended)
        try:
            try:
                async for message in self._outgoing():
                    await context.write(message)
                failure = reader.exception() if reader.done() and not reader.cancelled() else None
            except Exception as error:  # noqa: BLE001 - a bug in what packs: this stream's end alone
                failure = error
            if self._why is not None:
                await context.abort(grpc.StatusCode.UNAVAILABLE, self._why)
            if isinstance(failure, BadRequest):
                log.warning("stream.unreadable", conn=self.conn, error=details(str(failure)))
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, details(str(failure)))
            elif failure is not None:
                log.error("stream.failed", conn=self.conn, error=repr(failure))
                await context.abort(
                    grpc.StatusCode.UNKNOWN, f"a mistake of ours: {type(failure).__name__}"
                )
        finally:
            reader.cancel()

    async def _outgoing(self) -> AsyncIterator[Any]:
        while True:
            await self._filled.wait()
            self._filled.clear()
            waiting, self.outbox = self.outbox, []
            for message in self.pack(waiting):
                if self._why is not None:
                    return
                yield message
            if self.closing and not self.outbox:
                return

    def _reader_ended(self, done: asyncio.Future[Any]) -> None:
        """The peer has nothing more to say, or said something wrong: end the stream."""
        if not done.cancelled():
            self.closing = True
            self._filled.set()
