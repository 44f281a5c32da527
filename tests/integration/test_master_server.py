"""The master's gRPC server with real clients, and a handler that does as the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import grpc
import grpc.aio
import pytest

from mezzo.errors import BadConfig
from mezzo.ids import AgentId, ConnId, FrameworkId
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.wire import agent as agent_wire
from mezzo.wire import server as server_module
from mezzo.wire.server import MasterServer
from mezzo.wire.v1 import agent_pb2_grpc, operator_pb2, operator_pb2_grpc

EOF: Any = grpc.aio.EOF  # type: ignore[attr-defined]  # the stubs lack it


class Handler:
    """Puts what comes in into a queue; `stumble` makes it raise at the next agent's message."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()
        self.stumble = False

    def agent_said(self, conn: ConnId, messages: list[am.AgentMessage]) -> None:
        if self.stumble:
            raise ZeroDivisionError
        self.heard.put_nowait((conn, messages))

    def framework_said(self, conn: ConnId, framework_id: FrameworkId | None, call: sm.Call) -> None:
        self.heard.put_nowait((conn, call))

    def operator_joined(self, conn: ConnId, resume: om.Resume | None) -> None:
        self.heard.put_nowait((conn, "joined"))

    def operator_asked(self, request: int, call: om.OperatorCall) -> None:
        self.heard.put_nowait((request, call))

    def closed(self, conn: ConnId) -> None:
        self.heard.put_nowait((conn, "closed"))

    async def next(self) -> tuple[Any, ...]:
        return await asyncio.wait_for(self.heard.get(), 30)


class Fixture:
    def __init__(self, server: MasterServer, handler: Handler, channel: grpc.aio.Channel) -> None:
        self.server = server
        self.handler = handler
        self.agents = agent_pb2_grpc.AgentStub(channel)  # type: ignore[no-untyped-call]
        self.operators = operator_pb2_grpc.OperatorStub(channel)  # type: ignore[no-untyped-call]

    async def agent(self) -> tuple[ConnId, Any]:
        """An agent's stream that has said something."""
        call = self.agents.Connect()
        await call.write(agent_wire.agent_batch_to_wire([am.Pong()]))
        conn, messages = await self.handler.next()
        assert messages == [am.Pong()]
        return conn, call


def serve(test: Callable[[Fixture], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        server, handler = MasterServer(leader=lambda: None), Handler()
        port = await server.start("127.0.0.1", 0)
        server.lead(handler, 7)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            await asyncio.wait_for(test(Fixture(server, handler, channel)), 60)
        await server.stop()

    asyncio.run(main())


def told(batch: Any) -> list[am.MasterMessage]:
    epoch, messages = agent_wire.master_batch_from_wire(batch)
    assert epoch == 7
    return messages


PINGS = [am.Ping(True), am.Ping(False), am.AgentRegistered(AgentId("a"))]


def test_what_is_sent_in_one_turn_leaves_in_one_batch() -> None:
    async def test(f: Fixture) -> None:
        conn, call = await f.agent()
        for message in PINGS:
            f.server.send(conn, message)
        assert told(await call.read()) == PINGS
        f.server.send(conn, am.Ping(True))
        assert told(await call.read()) == [am.Ping(True)]

    serve(test)


def test_closing_a_stream_delivers_what_was_sent_before_and_nothing_after() -> None:
    async def test(f: Fixture) -> None:
        conn, call = await f.agent()
        f.server.send(conn, PINGS[0])
        f.server.close(conn)
        f.server.send(conn, PINGS[1])
        assert told(await call.read()) == [PINGS[0]]
        assert await call.read() is EOF
        assert await call.code() is grpc.StatusCode.OK
        assert await f.handler.next() == (conn, "closed")

    serve(test)


def test_sending_to_a_stream_that_is_over_is_dropped() -> None:
    async def test(f: Fixture) -> None:
        conn, call = await f.agent()
        call.cancel()
        assert await f.handler.next() == (conn, "closed")
        f.server.send(conn, PINGS[0])
        f.server.close(conn)
        f.server.send_snapshot(conn, 1, om.OperatorHeartbeat())
        f.server.publish(2, om.OperatorHeartbeat())
        assert f.server._operators == {}
        assert f.server._streams == {}

    serve(test)


def test_a_client_that_has_no_more_to_say_is_let_go() -> None:
    async def test(f: Fixture) -> None:
        conn, call = await f.agent()
        await call.done_writing()
        assert await call.read() is EOF
        assert await f.handler.next() == (conn, "closed")

    serve(test)


def test_a_bug_in_the_handler_ends_that_stream_with_an_error() -> None:
    async def test(f: Fixture) -> None:
        conn, call = await f.agent()
        other, other_call = await f.agent()
        f.handler.stumble = True
        await call.write(agent_wire.agent_batch_to_wire([am.Pong()]))
        assert await call.code() is grpc.StatusCode.UNKNOWN
        assert await f.handler.next() == (conn, "closed")
        f.server.send(other, PINGS[0])
        assert told(await other_call.read()) == [PINGS[0]]

    serve(test)


def test_a_peer_that_reads_too_slowly_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "OUTBOX_MAX", 10)

    async def test(f: Fixture) -> None:
        conn, _ = await f.agent()
        for _ in range(11):  # within one turn nothing leaves
            f.server.send(conn, PINGS[0])
        assert await f.handler.next() == (conn, "closed")
        assert f.server._streams == {}

    serve(test)


def test_operators_get_what_is_published_after_their_snapshot() -> None:
    async def test(f: Fixture) -> None:
        early = f.operators.Subscribe(_subscribe())
        one, _ = await f.handler.next()
        late = f.operators.Subscribe(_subscribe())
        other, _ = await f.handler.next()
        f.server.publish(1, om.OperatorHeartbeat())
        f.server.send_snapshot(one, 1, om.OperatorSubscribed(om.State()))
        f.server.publish(2, om.OperatorHeartbeat())
        f.server.send_snapshot(other, 2, om.OperatorSubscribed(om.State()))
        f.server.publish(3, om.OperatorHeartbeat())
        assert [(await early.read()).sequence for _ in range(3)] == [1, 2, 3]
        assert [(await late.read()).sequence for _ in range(2)] == [2, 3]

    serve(test)


def _subscribe() -> operator_pb2.Call:
    return operator_pb2.Call(type="SUBSCRIBE")


def test_each_question_gets_its_own_answer() -> None:
    async def test(f: Fixture) -> None:
        calls, asked = [], []
        for _ in range(2):
            calls.append(f.operators.Call(operator_pb2.Call(type="GET_STATE")))
            asked.append((await f.handler.next())[0])
        for request in reversed(asked):
            f.server.answer(request, request, om.State())
        assert [(await call).sequence for call in calls] == asked

    serve(test)


def test_a_refusal_is_an_invalid_argument() -> None:
    async def test(f: Fixture) -> None:
        call = f.operators.Call(operator_pb2.Call(type="GET_STATE"))
        request, _ = await f.handler.next()
        f.server.answer(request, 1, om.Refused("not so"))
        with pytest.raises(grpc.aio.AioRpcError, match="not so") as caught:
            await call
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    serve(test)


def test_a_port_that_is_taken_is_refused_with_advice() -> None:
    async def main() -> None:
        first, second = MasterServer(leader=lambda: None), MasterServer(leader=lambda: None)
        port = await first.start("127.0.0.1", 0)
        with pytest.raises(BadConfig, match=f"cannot listen on 127.0.0.1:{port}"):
            await second.start("127.0.0.1", port)
        await second.stop()
        await first.stop()

    asyncio.run(main())


@pytest.mark.parametrize("leader", [None, "10.0.0.1:5055"])
def test_a_standby_refuses_and_says_where_the_leader_is(leader: str | None) -> None:
    async def main() -> None:
        server = MasterServer(leader=lambda: leader)
        port = await server.start("127.0.0.1", 0)
        hint = f"send it to {leader}" if leader else "no leader yet, retry"
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            agents = agent_pb2_grpc.AgentStub(channel)  # type: ignore[no-untyped-call]
            call = agents.Connect()
            assert await call.code() is grpc.StatusCode.UNAVAILABLE
            assert hint in await call.details()
        await server.stop()

    asyncio.run(main())
