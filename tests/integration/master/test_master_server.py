"""The master's gRPC server with real clients, and a handler that does as the test says."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from typing import Any

import grpc
import grpc.aio
import pytest

from mezzo.cluster.model import DrainConfig, FrameworkInfo, Label, MasterInfo, Task
from mezzo.cluster.states import TaskState
from mezzo.errors import BadConfig
from mezzo.ids import AgentId, ConnId, FrameworkId, TaskId
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.record import Record
from mezzo.wire import agent as agent_wire
from mezzo.wire import operator as operator_wire
from mezzo.wire import scheduler as scheduler_wire
from mezzo.wire import served_stream
from mezzo.wire.batches import MESSAGE_MAX_BYTES, PART_BYTES
from mezzo.wire.clients.operator_client import OperatorClient
from mezzo.wire.grpc_server import MasterServer
from mezzo.wire.turnstile import FREE
from mezzo.wire.v1 import (
    agent_pb2,
    agent_pb2_grpc,
    operator_pb2,
    operator_pb2_grpc,
    relay_pb2,
    relay_pb2_grpc,
    scheduler_pb2_grpc,
)

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

    def unsent(self, conn: ConnId, message: Record, why: str) -> None:
        self.heard.put_nowait((conn, message, why))

    async def next(self) -> tuple[Any, ...]:
        async with asyncio.timeout(30):
            return await self.heard.get()


class Fixture:
    def __init__(
        self, server: MasterServer, handler: Handler, channel: grpc.aio.Channel, target: str
    ) -> None:
        self.server = server
        self.handler = handler
        self.channel = channel
        self.target = target
        self.agents = agent_pb2_grpc.AgentStub(channel)  # type: ignore[no-untyped-call]
        self.relays = relay_pb2_grpc.RelayStub(channel)  # type: ignore[no-untyped-call]
        self.schedulers = scheduler_pb2_grpc.SchedulerStub(channel)  # type: ignore[no-untyped-call]
        self.operators = operator_pb2_grpc.OperatorStub(channel)  # type: ignore[no-untyped-call]

    async def agent(self) -> tuple[ConnId, Any]:
        """An agent's stream that has said something."""
        call = self.agents.Connect()
        await call.write(*agent_wire.agent_batches_to_wire([am.Pong()]))
        conn, messages = await self.handler.next()
        assert messages == [am.Pong()]
        return conn, call


def serve(test: Callable[[Fixture], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        server, handler = MasterServer(leader=lambda: None), Handler()
        port = await server.start("127.0.0.1", 0)
        server.lead(handler, 7)
        target = f"127.0.0.1:{port}"
        async with grpc.aio.insecure_channel(target) as channel:
            async with asyncio.timeout(60):
                await test(Fixture(server, handler, channel, target))
        await server.stop()

    asyncio.run(main())


def told(batch: Any) -> list[am.MasterMessage]:
    epoch, messages = agent_wire.master_batch_from_wire(batch)
    assert epoch == 7
    return messages


def running(**more: Any) -> Task:
    return Task(
        "t",
        TaskId("t"),
        AgentId("a"),
        framework_id=FrameworkId("f"),
        state=TaskState.RUNNING,
        **more,
    )


FINE = running()
WRONG = running(unique_lease=1e300)
STATE = om.State(om.Tasks((FINE, WRONG)))
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
        await call.write(*agent_wire.agent_batches_to_wire([am.Pong()]))
        assert await call.code() is grpc.StatusCode.UNKNOWN
        assert await f.handler.next() == (conn, "closed")
        f.server.send(other, PINGS[0])
        assert told(await other_call.read()) == [PINGS[0]]

    serve(test)


def test_a_message_that_cannot_be_sent_is_left_out_and_told() -> None:
    async def test(f: Fixture) -> None:
        conn, call = await f.agent()
        wrong = am.DrainAgent(DrainConfig(1e300))
        for message in (PINGS[0], wrong, PINGS[1]):
            f.server.send(conn, message)
        assert told(await call.read()) == [PINGS[0], PINGS[1]]
        kept, what, why = await f.handler.next()
        assert (kept, what) == (conn, wrong)
        assert why.startswith("DrainAgent.config.max_grace_period is 1e+300: it must be")
        assert f.server.unsent == 1

    serve(test)


def test_behind_a_relay_a_message_that_cannot_be_sent_hurts_nobody() -> None:
    async def test(f: Fixture) -> None:
        call = await relay(f, pong(1), pong(2))
        conns = [(await f.handler.next())[0] for _ in range(2)]
        f.server.send(conns[0], am.ShutdownAgent("\ud800"))
        f.server.send(conns[0], PINGS[0])
        f.server.send(conns[1], PINGS[1])
        entries = {e.stream: e.batch for e in (await call.read()).entries}
        batches = {n: agent_pb2.MasterBatch.FromString(data) for n, data in entries.items()}
        assert {n: told(batch) for n, batch in batches.items()} == {1: [PINGS[0]], 2: [PINGS[1]]}

    serve(test)


def test_operators_are_told_a_state_that_is_larger_than_other_messages() -> None:
    """Else one app with large labels keeps all gateways from following."""
    large = running(labels=(Label("a", "x" * (MESSAGE_MAX_BYTES + 1)),))

    async def test(f: Fixture) -> None:
        client = OperatorClient(f.target)
        try:
            events = client.events(None)
            first = asyncio.create_task(asyncio.to_thread(next, iter(events)))
            conn, _ = await f.handler.next()
            f.server.send_snapshot(conn, 1, om.OperatorSubscribed(om.State(om.Tasks((large,)))))
            _, _, event = await first
            assert isinstance(event, om.OperatorSubscribed)
            assert event.get_state.get_tasks.tasks == (large,)
        finally:
            client.close()

    serve(test)


def test_of_a_snapshot_only_what_cannot_be_sent_is_left_out() -> None:
    async def test(f: Fixture) -> None:
        call = f.operators.Subscribe(operator_wire.subscribe_call())
        conn, _ = await f.handler.next()
        f.server.send_snapshot(conn, 1, om.OperatorSubscribed(STATE))
        f.server.publish(2, om.TaskAdded(WRONG))
        f.server.publish(3, om.TaskAdded(FINE))
        snapshot = operator_wire.event_from_wire(await call.read())
        assert snapshot == (1, 7, om.OperatorSubscribed(om.State(om.Tasks((FINE,)))))
        assert operator_wire.event_from_wire(await call.read()) == (3, 7, om.TaskAdded(FINE))

    serve(test)


def test_of_an_answer_only_what_cannot_be_sent_is_left_out() -> None:
    async def test(f: Fixture) -> None:
        asking = asyncio.ensure_future(f.operators.Call(operator_wire.call_to_wire(om.GetTasks())))
        request, _ = await f.handler.next()
        f.server.answer(request, 3, STATE.get_tasks)
        answer = operator_wire.response_from_wire(await asking)
        assert answer == (3, om.Tasks((FINE,)))
        assert f.server.unsent == 1

    serve(test)


def test_an_answer_of_which_nothing_can_be_sent_is_an_error_and_no_more() -> None:
    async def test(f: Fixture) -> None:
        asking = asyncio.ensure_future(f.operators.Call(operator_wire.call_to_wire(om.GetMaster())))
        request, _ = await f.handler.next()
        wrong = om.Master(MasterInfo("m", 1, 5050), start_time=float("nan"))
        f.server.answer(request, 3, wrong)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await asking
        assert refused.value.code() is grpc.StatusCode.INTERNAL
        assert "Master.start_time is nan" in (refused.value.details() or "")

    serve(test)


GARBAGE = [
    b"\xff",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x0a\x05abc",
    b"\x0b" * 500,  # groups within groups, deeper than a parser goes
    *(random.Random(seed).randbytes(1 + 40 * seed) for seed in range(8)),
]
STREAMS = ["agent.Agent/Connect", "relay.Relay/Connect", "scheduler.Scheduler/Subscribe"]


@pytest.mark.parametrize(
    "method", [*STREAMS, "operator.Operator/Subscribe", "operator.Operator/Call"]
)
def test_bytes_that_are_no_message_are_one_line_and_an_invalid_argument(
    method: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """And whatever they happen to mean, another's stream goes on."""

    async def test(f: Fixture) -> None:
        good, good_call = await f.agent()
        name = f"/mezzo.v1.{method}"
        for data in GARBAGE if method in STREAMS else GARBAGE[:4]:
            if method in STREAMS:
                call: Any = f.channel.stream_stream(name)()
                await call.write(data)
                await call.done_writing()
            elif method.endswith("Subscribe"):
                call = f.channel.unary_stream(name)(data)
            else:
                call = f.channel.unary_unary(name)(data)
            code = await call.code()
            if data in GARBAGE[:4]:
                assert code is grpc.StatusCode.INVALID_ARGUMENT, data
                assert "send the protobuf message" in await call.details()
            else:  # chance may make sense
                assert code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.OK)
        f.server.send(good, PINGS[0])
        assert told(await good_call.read()) == [PINGS[0]]
        await good_call.done_writing()
        assert await good_call.read() is EOF

    serve(test)
    printed = capfd.readouterr()
    assert "Traceback" not in printed.err + printed.out


def test_of_a_peer_that_hung_up_grpc_logs_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    async def test(f: Fixture) -> None:
        del f
        log = logging.getLogger("grpc._cython.cygrpc")
        log.error("its call was not taken up", exc_info=asyncio.CancelledError())
        log.error("a bug", exc_info=ValueError())

    serve(test)
    assert [record.getMessage() for record in caplog.records] == ["a bug"]


def test_a_peer_that_reads_too_slowly_is_cut_off_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served_stream, "OUTBOX_MAX", 10)

    async def test(f: Fixture) -> None:
        conn, call = await f.agent()
        for _ in range(11):  # within one turn nothing leaves
            f.server.send(conn, PINGS[0])
        assert await f.handler.next() == (conn, "closed")
        assert f.server._streams == {}
        assert await call.code() is grpc.StatusCode.UNAVAILABLE
        assert "too slowly" in await call.details()

    serve(test)


def test_a_peer_that_does_not_read_at_all_is_cut_off_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(served_stream, "OUTBOX_MAX", 2)
    large = am.ShutdownAgent("x" * 1_000_000)

    async def test(f: Fixture) -> None:
        conn, call = await f.agent()
        f.server.send(conn, large)  # more than the stream's window: the write waits
        while conn in f.server._streams:
            f.server.send(conn, large)
            await asyncio.sleep(0)
        assert await f.handler.next() == (conn, "closed")
        assert large in told(await call.read())  # what was on its way
        with pytest.raises(grpc.aio.AioRpcError, match="too slowly"):
            await call.read()

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


def test_a_refusal_that_repeats_much_of_what_was_sent_still_arrives() -> None:
    async def test(f: Fixture) -> None:
        call = operator_wire.call_to_wire(om.Teardown(FrameworkId("f" * 1_000_000)))
        asking = asyncio.ensure_future(f.operators.Call(call))
        request, asked = await f.handler.next()
        f.server.answer(request, 3, om.Refused(f"framework {asked.framework_id} is not known"))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await asking
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert (refused.value.details() or "").startswith("framework ffff")

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


def test_who_is_elected_but_has_not_read_its_store_lets_peers_wait() -> None:
    async def main() -> None:
        leader: list[str] = []
        server, handler = MasterServer(leader=lambda: leader[0]), Handler()
        port = await server.start("127.0.0.1", 0)
        leader.append(f"127.0.0.1:{port}")
        async with grpc.aio.insecure_channel(leader[0]) as channel:
            call = agent_pb2_grpc.AgentStub(channel).Connect()  # type: ignore[no-untyped-call]
            await call.write(*agent_wire.agent_batches_to_wire([am.Pong()]))
            server.lead(handler, 7)
            conn, messages = await handler.next()
            assert messages == [am.Pong()]
            server.send(conn, PINGS[0])
            assert told(await call.read()) == PINGS[:1]
        await server.stop()

    asyncio.run(main())


def test_every_batch_tells_how_many_streams_there_are() -> None:
    async def test(f: Fixture) -> None:
        await f.agent()
        conn, call = await f.agent()
        f.server.send(conn, PINGS[0])
        assert (await call.read()).streams == 2

    serve(test)


# ---- who subscribes too often


async def subscribe(f: Fixture, name: str) -> Any:
    call = f.schedulers.Subscribe()
    info = FrameworkInfo(user="u", name=name)
    (batch,) = scheduler_wire.calls_to_wire([sm.Subscribe(info)], None)
    await call.write(batch)
    return call


def test_a_framework_that_resets_again_and_again_waits_and_costs_nobody_anything() -> None:
    async def test(f: Fixture) -> None:
        for _ in range(FREE):
            call = await subscribe(f, "poison")
            conn, _ = await f.handler.next()
            call.cancel()
            assert await f.handler.next() == (conn, "closed")
        waits = await subscribe(f, "poison")
        other = await subscribe(f, "another")
        served, said = await f.handler.next()
        assert said.framework_info.name == "another"
        other.cancel()
        assert await f.handler.next() == (served, "closed")
        waits.cancel()
        _, what = await f.handler.next()
        assert what == "closed"  # it was never heard of

    serve(test)


# ---- relays


async def relay(f: Fixture, *entries: relay_pb2.FromAgents.Entry) -> Any:
    call = f.relays.Connect()
    await call.write(relay_pb2.FromAgents(entries=entries))
    return call


def pong(stream: int) -> relay_pb2.FromAgents.Entry:
    (batch,) = agent_wire.agent_batches_to_wire([am.Pong()])
    data = batch.SerializeToString()
    return relay_pb2.FromAgents.Entry(stream=stream, batch=data)


def test_each_stream_of_a_relay_is_a_connection_of_its_own() -> None:
    async def test(f: Fixture) -> None:
        call = await relay(f, pong(1), pong(2), pong(1))
        one, two, again = [(await f.handler.next())[0] for _ in range(3)]
        assert one == again != two
        f.server.send(two, PINGS[0])
        f.server.send(one, PINGS[1])
        f.server.send(one, PINGS[2])
        message = await call.read()
        heard = {e.stream: told(agent_pb2.MasterBatch.FromString(e.batch)) for e in message.entries}
        assert heard == {1: PINGS[1:], 2: PINGS[:1]}

    serve(test)


def test_closing_one_stream_of_a_relay_leaves_the_others() -> None:
    async def test(f: Fixture) -> None:
        call = await relay(f, pong(1), pong(2))
        one, two = [(await f.handler.next())[0] for _ in range(2)]
        f.server.send(one, PINGS[0])
        f.server.close(one)
        f.server.send(one, PINGS[1])
        (entry,) = (await call.read()).entries
        assert (entry.stream, entry.close) == (1, True)
        assert told(agent_pb2.MasterBatch.FromString(entry.batch)) == PINGS[:1]
        await call.write(relay_pb2.FromAgents(entries=[pong(1), ended(1), pong(2)]))
        assert await f.handler.next() == (one, "closed")
        assert (await f.handler.next())[0] == two

    serve(test)


def ended(stream: int) -> relay_pb2.FromAgents.Entry:
    return relay_pb2.FromAgents.Entry(stream=stream)


def test_what_can_not_be_read_ends_that_agents_stream_alone() -> None:
    async def test(f: Fixture) -> None:
        garbage = relay_pb2.FromAgents.Entry(stream=2, batch=b"\xff\xff")
        call = await relay(f, pong(1), garbage)
        one, _ = await f.handler.next()
        (entry,) = (await call.read()).entries
        assert (entry.stream, entry.close, entry.HasField("batch")) == (2, True, False)
        f.server.send(one, PINGS[0])
        assert [e.stream for e in (await call.read()).entries] == [1]

    serve(test)


def test_with_a_relay_all_of_its_agents_are_gone() -> None:
    async def test(f: Fixture) -> None:
        call = await relay(f, pong(1), pong(2))
        conns = {(await f.handler.next())[0] for _ in range(2)}
        call.cancel()
        closed = {(await f.handler.next()) for _ in range(3)}
        assert {(conn, "closed") for conn in conns} < closed  # and that of the relay itself
        assert f.server._streams == {}

    serve(test)


def test_a_crowds_messages_are_sent_in_parts() -> None:
    async def test(f: Fixture) -> None:
        call = await relay(f, *(pong(number) for number in range(10)))
        conns = [(await f.handler.next())[0] for _ in range(10)]
        large = am.ShutdownAgent("x" * (PART_BYTES // 5))
        for conn in conns:
            f.server.send(conn, large)
        parts = [len((await call.read()).entries) for _ in range(3)]
        assert sum(parts) == 10
        assert max(parts) == 4

    serve(test)


@pytest.mark.parametrize("ends", ["with the server", "by themselves"])
def test_streams_that_say_nothing_hold_up_neither_others_nor_the_end(ends: str) -> None:
    async def test(f: Fixture) -> None:
        silent = [f.agents.Connect() for _ in range(300)]
        while len(f.server._streams) < len(silent):
            await asyncio.sleep(0.01)
        conn, call = await f.agent()
        f.server.send(conn, PINGS[0])
        assert told(await call.read()) == [PINGS[0]]
        if ends == "by themselves":
            for each in silent:
                each.cancel()
            while len(f.server._streams) > 1:
                await asyncio.sleep(0.01)
        else:
            async with asyncio.timeout(30):
                await f.server.stop()
            assert {await each.code() for each in silent} == {grpc.StatusCode.UNAVAILABLE}

    serve(test)
