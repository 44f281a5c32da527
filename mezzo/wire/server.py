"""A master's gRPC server, in records: streams of agents, frameworks and operators.

The owner gets every message on the loop and sends by connection id. What is sent within one turn of
the loop leaves together: agents get one batch, the others one message each.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import resource
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, Protocol

import grpc
import grpc.aio

from mezzo.errors import BadConfig, BadRequest, NotLeader
from mezzo.ids import ConnId, FrameworkId
from mezzo.log import get_logger
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.wire.v1 import agent_pb2_grpc, operator_pb2_grpc, scheduler_pb2_grpc
from mezzo.wire.v1 import operator_pb2 as operator_pb

from . import agent as agent_wire
from . import operator as operator_wire
from . import scheduler as scheduler_wire
from .link import SERVER_OPTIONS

# A peer that reads so slowly that this many messages wait is cut off: it comes back and catches up.
OUTBOX_MAX: Final = 100_000
_ANSWER_S: Final = 30.0


class Handler(Protocol):
    """The owner of the server. All calls come on the loop."""

    def agent_said(self, conn: ConnId, messages: list[am.AgentMessage]) -> None: ...

    def framework_said(
        self, conn: ConnId, framework_id: FrameworkId | None, call: sm.Call
    ) -> None: ...

    def operator_joined(self, conn: ConnId, resume: om.Resume | None) -> None: ...

    def operator_asked(self, request: int, call: om.OperatorCall) -> None: ...

    def closed(self, conn: ConnId) -> None: ...


class _Stream:
    """One open stream: its outbox, and how what is in it becomes wire messages."""

    __slots__ = ("closing", "conn", "filled", "outbox", "pack", "reader", "task")

    def __init__(self, conn: ConnId, pack: Callable[[list[Any]], list[Any]]) -> None:
        self.conn = conn
        self.pack = pack
        self.outbox: list[Any] = []
        self.filled = asyncio.Event()
        self.closing = False
        self.task = asyncio.current_task()
        self.reader: asyncio.Future[Any] | None = None

    async def outgoing(self) -> AsyncIterator[Any]:
        while True:
            await self.filled.wait()
            self.filled.clear()
            waiting, self.outbox = self.outbox, []
            for message in self.pack(waiting):
                yield message
            if self.closing and not self.outbox:
                return


class MasterServer:
    """Serves while its owner leads: before `lead` every call is refused with the leader's address.

    `epoch` goes into everything that is sent.
    """

    def __init__(self, *, leader: Callable[[], str | None]) -> None:
        """`leader` tells, for the hint of a standby, where the leader is."""
        self._leader = leader
        self._handler: Handler | None = None
        self._epoch = 0
        self._conns = itertools.count(1)
        self._streams: dict[ConnId, _Stream] = {}
        self._operators: dict[ConnId, None] = {}  # those that have their snapshot
        self._requests = itertools.count(1)
        self._answers: dict[int, asyncio.Future[tuple[int, om.OperatorResponse]]] = {}
        self._log = get_logger("master")
        self._server = grpc.aio.server(options=SERVER_OPTIONS)
        agent_pb2_grpc.add_AgentServicer_to_server(_Agents(self), self._server)  # type: ignore[no-untyped-call]
        scheduler_pb2_grpc.add_SchedulerServicer_to_server(_Schedulers(self), self._server)  # type: ignore[no-untyped-call]
        operator_pb2_grpc.add_OperatorServicer_to_server(_Operators(self), self._server)  # type: ignore[no-untyped-call]

    async def start(self, ip: str, port: int) -> int:
        """Listen; returns the port (of use with port 0). Raises BadConfig if it is taken."""
        allow_many_connections()
        try:
            bound = self._server.add_insecure_port(f"{ip}:{port}")
        except RuntimeError as error:
            raise BadConfig(
                f"cannot listen on {ip}:{port}: is it in use? give another --port"
            ) from error
        await self._server.start()
        return bound

    def lead(self, handler: Handler, epoch: int) -> None:
        self._handler = handler
        self._epoch = epoch

    async def stop(self) -> None:
        self._handler = None
        await self._server.stop(grace=None)

    # ---- sending

    def send(self, conn: ConnId, message: Any) -> None:  # noqa: ANN401 - a record of the stream
        """Dropped if the stream is over."""
        stream = self._streams.get(conn)
        if stream is None or stream.closing:
            return
        if len(stream.outbox) >= OUTBOX_MAX:
            self._log.warning("stream.too_slow", conn=conn)
            self._abort(stream)
            return
        stream.outbox.append(message)
        stream.filled.set()

    def send_snapshot(self, conn: ConnId, sequence: int, event: om.OperatorEvent) -> None:
        if conn in self._streams:
            self.send(conn, (sequence, event))
            self._operators[conn] = None

    def publish(self, sequence: int, event: om.OperatorEvent) -> None:
        for conn in list(self._operators):
            self.send(conn, (sequence, event))

    def answer(self, request: int, sequence: int, response: om.OperatorResponse) -> None:
        future = self._answers.pop(request, None)
        if future is not None and not future.done():
            future.set_result((sequence, response))

    def close(self, conn: ConnId) -> None:
        """End the stream after what was sent before."""
        stream = self._streams.get(conn)
        if stream is not None:
            stream.closing = True
            stream.filled.set()
            if stream.reader is not None:
                stream.reader.cancel()  # what the peer still says is of no interest

    # ---- serving

    def _require_lead(self) -> Handler:
        if self._handler is None:
            raise NotLeader(self._leader())
        return self._handler

    def _open(self, pack: Callable[[list[Any]], list[Any]]) -> _Stream:
        stream = _Stream(ConnId(next(self._conns)), pack)
        self._streams[stream.conn] = stream
        return stream

    def _abort(self, stream: _Stream) -> None:
        if stream.task is not None:
            stream.task.cancel()

    def _closed(self, stream: _Stream) -> None:
        del self._streams[stream.conn]
        self._operators.pop(stream.conn, None)
        if self._handler is not None:
            self._handler.closed(stream.conn)

    async def _serve(
        self,
        context: Any,  # noqa: ANN401 - grpc.aio has no type for it
        pack: Callable[[list[Any]], list[Any]],
        read: Callable[[Handler, ConnId], Any],
    ) -> None:
        """One stream from begin to end: `read` consumes the requests beside the answers."""
        try:
            handler = self._require_lead()
        except NotLeader as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
            return
        stream = self._open(pack)
        reader = stream.reader = asyncio.ensure_future(read(handler, stream.conn))
        reader.add_done_callback(lambda done: self._reader_ended(stream, done))
        try:
            async for message in stream.outgoing():
                await context.write(message)
            if reader.done() and not reader.cancelled():
                try:
                    reader.result()
                except BadRequest as refusal:
                    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(refusal))
        finally:
            reader.cancel()
            self._closed(stream)

    def _reader_ended(self, stream: _Stream, done: asyncio.Future[Any]) -> None:
        """The peer has nothing more to say, or said something wrong: end the stream."""
        if not done.cancelled():
            stream.closing = True
            stream.filled.set()

    async def _ask(self, call: om.OperatorCall) -> tuple[int, om.OperatorResponse]:
        handler = self._require_lead()
        request = next(self._requests)
        future = asyncio.get_running_loop().create_future()
        self._answers[request] = future
        handler.operator_asked(request, call)
        try:
            return await asyncio.wait_for(future, _ANSWER_S)
        finally:
            self._answers.pop(request, None)


def allow_many_connections() -> None:
    """Each peer takes a file descriptor, and the usual soft limit is 1,024: use the hard limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # some systems refuse what they say they allow
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class _Agents(agent_pb2_grpc.AgentServicer):
    def __init__(self, server: MasterServer) -> None:
        self._server = server

    async def Connect(self, request_iterator: Any, context: Any) -> None:  # noqa: ANN401
        async def read(handler: Handler, conn: ConnId) -> None:
            async for batch in request_iterator:
                handler.agent_said(conn, agent_wire.agent_batch_from_wire(batch))

        server = self._server
        await server._serve(
            context,
            lambda messages: (
                [agent_wire.master_batch_to_wire(messages, server._epoch)] if messages else []
            ),
            read,
        )


class _Schedulers(scheduler_pb2_grpc.SchedulerServicer):
    def __init__(self, server: MasterServer) -> None:
        self._server = server

    async def Subscribe(self, request_iterator: Any, context: Any) -> None:  # noqa: ANN401
        async def read(handler: Handler, conn: ConnId) -> None:
            async for message in request_iterator:
                handler.framework_said(conn, *scheduler_wire.call_from_wire(message))

        server = self._server
        await server._serve(
            context,
            lambda events: [scheduler_wire.event_to_wire(e, server._epoch) for e in events],
            read,
        )


class _Operators(operator_pb2_grpc.OperatorServicer):
    def __init__(self, server: MasterServer) -> None:
        self._server = server

    async def Call(self, request: operator_pb.Call, context: Any) -> Any:  # noqa: ANN401
        try:
            sequence, response = await self._server._ask(operator_wire.call_from_wire(request))
        except NotLeader as error:
            return await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        except BadRequest as error:
            return await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except TimeoutError:
            return await context.abort(
                grpc.StatusCode.UNAVAILABLE, "the master's store does not answer: retry"
            )
        if isinstance(response, om.Refused):
            return await context.abort(grpc.StatusCode.INVALID_ARGUMENT, response.message)
        if isinstance(response, om.Conflict):
            return await context.abort(grpc.StatusCode.FAILED_PRECONDITION, response.message)
        return operator_wire.response_to_wire(response, sequence)

    async def Subscribe(self, request: operator_pb.Call, context: Any) -> None:  # noqa: ANN401
        async def read(handler: Handler, conn: ConnId) -> None:
            handler.operator_joined(conn, operator_wire.resume_from_wire(request))
            await asyncio.Event().wait()  # it says nothing more; cancelled with the stream

        server = self._server
        await server._serve(
            context,
            lambda pairs: [
                operator_wire.event_to_wire(event, sequence, server._epoch)
                for sequence, event in pairs
            ],
            read,
        )
