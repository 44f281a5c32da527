"""A master's gRPC server, in records: streams of agents, frameworks and operators.

The owner gets every message on the loop and sends by connection id. What is sent within one turn of
the loop leaves together, in one batch; operators get one message for each event.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import resource
from collections.abc import AsyncIterator, Callable, Coroutine, Hashable, Iterable, Iterator
from typing import Any, Final, Protocol

import grpc
import grpc.aio
import psutil

from mezzo.errors import BadConfig, BadRequest, NotLeader, Unencodable
from mezzo.ids import ConnId, FrameworkId
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.process.log import Sparing, get_logger
from mezzo.record import Record
from mezzo.wire.v1 import agent_pb2 as agent_pb
from mezzo.wire.v1 import operator_pb2 as operator_pb
from mezzo.wire.v1 import relay_pb2 as relay_pb
from mezzo.wire.v1 import scheduler_pb2 as scheduler_pb

from . import agent as agent_wire
from . import operator as operator_wire
from . import scheduler as scheduler_wire
from .batches import STATE_MAX_BYTES, Refused
from .convert import told_of
from .link import SERVER_OPTIONS
from .relay import Member, read_batch, to_agents
from .served_stream import Stream, details, put_or_cut, received
from .turnstile import Admission

_ANSWER_S: Final = 30.0
# From the election to the lead: reading the store, above all.
_ELECTED_S: Final = 10.0
_NO_STREAM: Final = ConnId(0)  # of a call that is answered once
_GRPC_LOGGER: Final = "grpc._cython.cygrpc"
_EVERYWHERE: Final = ("0.0.0.0", "::", "[::]")


def _is_news(record: logging.LogRecord) -> bool:
    """Is a line of grpc's log news? A peer that has hung up before its call was taken up is none,
    and would come with a traceback."""
    kind = record.exc_info[0] if record.exc_info else None
    return kind is None or not issubclass(kind, asyncio.CancelledError)


class Handler(Protocol):
    """The owner of the server. All calls come on the loop."""

    def agent_said(self, conn: ConnId, messages: list[am.AgentMessage]) -> None: ...

    def framework_said(
        self, conn: ConnId, framework_id: FrameworkId | None, call: sm.Call
    ) -> None: ...

    def operator_joined(self, conn: ConnId, resume: om.Resume | None) -> None: ...

    def operator_asked(self, request: int, call: om.OperatorCall) -> None: ...

    def closed(self, conn: ConnId) -> None: ...

    def unsent(self, conn: ConnId, message: Record, why: str) -> None:
        """A message to this stream could not be sent. It is logged; its sender has to be told."""


class MasterServer:
    """Serves while its owner leads: before `lead` every call is refused with the leader's address.

    `epoch` goes into everything that is sent.
    """

    def __init__(self, *, leader: Callable[[], str | None]) -> None:
        """`leader` tells, for the hint of a standby, where the leader is."""
        self._leader = leader
        self._handler: Handler | None = None
        self._leading = asyncio.Event()
        self._address = ("", 0)  # that it listens on
        self._epoch = 0
        self._conns = itertools.count(1)
        self._streams: dict[ConnId, Stream | Member] = {}
        self._operators: dict[ConnId, None] = {}  # those that have their snapshot
        self._requests = itertools.count(1)
        self._answers: dict[int, asyncio.Future[tuple[int, om.OperatorResponse]]] = {}
        self.unsent = 0  # messages, or parts of them, that could not be sent
        self._log = get_logger("master")
        self._sparing = Sparing(self._log)
        self._server = grpc.aio.server(options=SERVER_OPTIONS)
        operators = _Operators(self)
        # Bytes in, bytes out: what is no message is ours to tell, in a line and not in a traceback.
        self._server.add_generic_rpc_handlers(
            (
                _service("agent.Agent", Connect=_Agents(self).connect),
                _service("relay.Relay", Connect=_Relays(self).connect),
                _service("scheduler.Scheduler", Subscribe=_Schedulers(self).subscribe),
                grpc.method_handlers_generic_handler(
                    "mezzo.v1.operator.Operator",
                    {
                        "Call": grpc.unary_unary_rpc_method_handler(operators.call),
                        "Subscribe": grpc.unary_stream_rpc_method_handler(operators.subscribe),
                    },
                ),
            )
        )

    async def start(self, ip: str, port: int) -> int:
        """Listen; returns the port (of use with port 0). Raises BadConfig if it is taken."""
        allow_many_connections()
        logging.getLogger(_GRPC_LOGGER).addFilter(_is_news)
        try:
            bound = self._server.add_insecure_port(f"{ip}:{port}")
        except RuntimeError as error:
            raise BadConfig(
                f"cannot listen on {ip}:{port}: is it in use, or no address of this machine?"
            ) from error
        await self._server.start()
        self._address = (ip, bound)
        return bound

    def lead(self, handler: Handler, epoch: int) -> None:
        self._handler = handler
        self._epoch = epoch
        self._leading.set()

    async def stop(self) -> None:
        self._handler = None
        await self._server.stop(grace=None)

    # ---- sending

    def send(self, conn: ConnId, message: Any) -> None:
        """Send a message. Dropped if the stream is over."""
        stream = self._streams.get(conn)
        if stream is None or stream.closing:
            return
        if not put_or_cut(stream, message):
            self._sparing.warning("stream.too_slow", conn=conn)
            self._closed(stream)

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
            stream.close()

    # ---- serving

    def _require_lead(self) -> Handler:
        if self._handler is None:
            raise NotLeader(self._leader())
        return self._handler

    async def _soon_lead(self) -> Handler:
        """Wait while we are elected but have not read our store yet: a peer that is refused comes
        again and again, and late in the end. Raises NotLeader."""
        if self._handler is None and self._is_us(self._leader()):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ELECTED_S):
                    await self._leading.wait()
        return self._require_lead()

    def _is_us(self, leader: str | None) -> bool:
        host, _, port = (leader or "").rpartition(":")
        ip, bound = self._address
        if port != str(bound):
            return False
        return host == ip or (ip in _EVERYWHERE and host in _own_addresses())

    def _opened(self, stream: Stream | Member) -> None:
        self._streams[stream.conn] = stream

    def _closed(self, stream: Stream | Member) -> None:
        if self._streams.pop(stream.conn, None) is None:
            return  # it was cut off before
        self._operators.pop(stream.conn, None)
        if self._handler is not None:
            self._handler.closed(stream.conn)

    def _agent_batches(self, conn: ConnId, messages: list[am.MasterMessage]) -> Iterator[bytes]:
        batches = agent_wire.master_batches_to_wire(
            messages, self._epoch, len(self._streams), self._refused(conn)
        )
        return (batch.SerializeToString() for batch in batches)

    def _refused(self, conn: ConnId) -> Refused:
        """The handler of messages that can't be sent to the stream."""

        def refused(message: Record, error: Unencodable) -> None:
            self.unsent += 1
            self._sparing.error(
                "message.unsent", conn=conn, message=told_of(message), error=str(error)
            )
            if self._handler is not None:
                self._handler.unsent(conn, message, str(error))

        return refused

    async def _serve(
        self,
        context: Any,
        pack: Callable[[ConnId, list[Any]], Iterable[bytes]],
        read: Callable[[Handler, Stream], Coroutine[Any, Any, None]],
    ) -> None:
        """One stream from begin to end: `read` consumes the requests beside the answers."""
        try:
            handler = await self._soon_lead()
        except NotLeader as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
            return
        conn = ConnId(next(self._conns))
        stream = Stream(conn, lambda messages: pack(conn, messages))
        self._opened(stream)
        try:
            await stream.serve(context, read(handler, stream), self._log)
        finally:
            self._closed(stream)

    async def _ask(self, call: om.OperatorCall) -> tuple[int, om.OperatorResponse]:
        handler = self._require_lead()
        request = next(self._requests)
        future: asyncio.Future[tuple[int, om.OperatorResponse]]
        future = asyncio.get_running_loop().create_future()
        self._answers[request] = future
        try:
            handler.operator_asked(request, call)
            async with asyncio.timeout(_ANSWER_S):
                return await future
        finally:
            self._answers.pop(request, None)


def allow_many_connections() -> None:
    """Each peer takes a file descriptor, and the usual soft limit is 1,024: use the hard limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # some systems refuse what they say they allow
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _own_addresses() -> set[str]:
    return {each.address for of_card in psutil.net_if_addrs().values() for each in of_card}


def _service(name: str, **method: Callable[[AsyncIterator[bytes], Any], Any]) -> Any:
    """A service of one method, with streams both ways."""
    handlers = {name: grpc.stream_stream_rpc_method_handler(each) for name, each in method.items()}
    return grpc.method_handlers_generic_handler(f"mezzo.v1.{name}", handlers)


class _Agents:
    def __init__(self, server: MasterServer) -> None:
        self._server = server

    async def connect(self, said: AsyncIterator[bytes], context: Any) -> None:
        async def read(handler: Handler, stream: Stream) -> None:
            async for data in said:
                batch = received(agent_pb.AgentBatch, data, agent_wire.agent_batch_from_wire)
                handler.agent_said(stream.conn, batch)

        server = self._server
        await server._serve(context, server._agent_batches, read)


class _Relays:
    """Many agents' streams in one. Each has a connection id of its own."""

    def __init__(self, server: MasterServer) -> None:
        self._server = server

    async def connect(self, said: AsyncIterator[bytes], context: Any) -> None:
        server = self._server
        members: dict[int, Member] = {}

        async def read(handler: Handler, relay: Stream) -> None:
            async for data in said:
                for entry in received(relay_pb.FromAgents, data, lambda message: message.entries):
                    self._entry(handler, relay, members, entry)

        def pack(_: ConnId, waiting: list[Member]) -> Iterator[bytes]:
            messages = to_agents(waiting, server._agent_batches)
            return (message.SerializeToString() for message in messages)

        try:
            await server._serve(context, pack, read)
        finally:
            for member in members.values():
                server._closed(member)

    def _entry(
        self,
        handler: Handler,
        relay: Stream,
        members: dict[int, Member],
        entry: Any,
    ) -> None:
        server = self._server
        member = members.get(entry.stream)
        if not entry.HasField("batch"):
            if member is not None:
                server._closed(members.pop(entry.stream))
            return
        if member is None:
            member = members[entry.stream] = Member(
                ConnId(next(server._conns)), entry.stream, relay
            )
            server._opened(member)
        if member.closing:
            return
        try:
            messages = read_batch(entry.batch)
        except BadRequest as error:
            server._log.warning("agent.unreadable", conn=member.conn, error=str(error))
            member.close()
            return
        handler.agent_said(member.conn, messages)


class _Schedulers:
    def __init__(self, server: MasterServer) -> None:
        self._server = server
        self._admission = Admission()

    async def subscribe(self, said: AsyncIterator[bytes], context: Any) -> None:
        loop = asyncio.get_running_loop()
        admitted: tuple[Hashable, float] | None = None  # whose stream it is, and since when

        server = self._server

        async def read(handler: Handler, stream: Stream) -> None:
            nonlocal admitted
            async for data in said:
                for message in received(scheduler_pb.CallBatch, data, lambda batch: batch.calls):
                    try:
                        framework_id, call = scheduler_wire.call_from_wire(message)
                    except BadRequest as error:
                        if admitted is None:
                            raise
                        self._refuse(stream, message, error)
                        continue
                    if isinstance(call, sm.Subscribe):
                        owner = (_host(context.peer()), call.framework_info.name)
                        await self._wait(owner)
                        admitted = admitted or (owner, loop.time())
                    handler.framework_said(stream.conn, framework_id, call)

        def pack(conn: ConnId, events: list[sm.Event]) -> Iterator[bytes]:
            refused = server._refused(conn)
            batches = scheduler_wire.events_to_wire(events, server._epoch, refused)
            return (batch.SerializeToString() for batch in batches)

        try:
            await server._serve(context, pack, read)
        finally:
            if admitted is not None:
                owner, since_s = admitted
                self._admission.ended(owner, loop.time() - since_s, loop.time())

    def _refuse(self, stream: Stream, message: Any, error: BadRequest) -> None:
        refused = sm.Answered(scheduler_wire.call_type(message), str(error))
        self._server.send(stream.conn, refused)

    async def _wait(self, owner: tuple[str, str]) -> None:
        """Wait until the subscription may go on. One given up meanwhile has cost nothing."""
        loop = asyncio.get_running_loop()
        came_s = loop.time()
        try:
            while (wait_s := self._admission.wait_s(owner, came_s, loop.time())) > 0:
                host, framework = owner
                self._server._log.debug("framework.waits", framework=framework, host=host, s=wait_s)
                await asyncio.sleep(wait_s)
        except asyncio.CancelledError:
            self._admission.gave_up(owner, loop.time())
            raise


def _host(peer: str) -> str:
    """A peer without its port, which is another for every connection: `ipv4:10.0.0.1:4711`."""
    return peer.rpartition(":")[0]


class _Operators:
    def __init__(self, server: MasterServer) -> None:
        self._server = server

    async def call(self, request: bytes, context: Any) -> Any:
        try:
            call = received(operator_pb.Call, request, operator_wire.call_from_wire)
            sequence, response = await self._server._ask(call)
        except NotLeader as error:
            return await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        except BadRequest as error:
            return await context.abort(grpc.StatusCode.INVALID_ARGUMENT, details(str(error)))
        except TimeoutError:
            return await context.abort(
                grpc.StatusCode.UNAVAILABLE, "the master's store does not answer: retry"
            )
        if isinstance(response, om.Refused):
            return await context.abort(grpc.StatusCode.INVALID_ARGUMENT, details(response.message))
        if isinstance(response, om.Conflict):
            return await context.abort(
                grpc.StatusCode.FAILED_PRECONDITION, details(response.message)
            )
        refused = self._server._refused(_NO_STREAM)
        try:
            answer = operator_wire.response_to_wire(response, sequence, refused)
            return _fitting(answer.SerializeToString())
        except Unencodable as error:
            refused(response, error)
            return await context.abort(
                grpc.StatusCode.INTERNAL, f"the answer can't be sent: {error}"
            )

    async def subscribe(self, request: bytes, context: Any) -> None:
        async def read(handler: Handler, stream: Stream) -> None:
            resume = received(operator_pb.Call, request, operator_wire.resume_from_wire)
            handler.operator_joined(stream.conn, resume)
            await asyncio.Event().wait()  # it says nothing more; cancelled with the stream

        server = self._server

        def pack(conn: ConnId, pairs: list[tuple[int, om.OperatorEvent]]) -> Iterator[bytes]:
            refused = server._refused(conn)
            for sequence, event in pairs:
                try:
                    message = operator_wire.event_to_wire(event, sequence, server._epoch, refused)
                    yield _fitting(message.SerializeToString())
                except Unencodable as error:
                    refused(event, error)

        await server._serve(context, pack, read)


def _fitting(data: bytes) -> bytes:
    """Raises Unencodable for more than a message can hold."""
    if len(data) > STATE_MAX_BYTES:
        raise Unencodable(f"takes {len(data)} bytes, and a message holds {STATE_MAX_BYTES}")
    return data
