"""The stream to the master from the other end, with a real server."""

from __future__ import annotations

import asyncio
import socket

import pytest

from mezzo.cluster.model import FrameworkInfo, KillPolicy, TaskInfo
from mezzo.cluster.operations import Launch
from mezzo.cluster.states import TaskState
from mezzo.election.detector import FixedDetector
from mezzo.ids import AgentId, ConnId, FrameworkId, OfferId, TaskId
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.record import Record, replace
from mezzo.wire.batches import MESSAGE_MAX_BYTES
from mezzo.wire.clients.agent_link import AgentLink
from mezzo.wire.clients.scheduler_link import SchedulerLink
from mezzo.wire.grpc_server import MasterServer
from tests.parts.captured_logs import captured_logs


class Handler:
    """A master that remembers what agents say."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[tuple[ConnId, am.AgentMessage]] = asyncio.Queue()

    def agent_said(self, conn: ConnId, messages: list[am.AgentMessage]) -> None:
        for message in messages:
            self.heard.put_nowait((conn, message))

    def framework_said(self, conn: ConnId, framework_id: FrameworkId | None, call: sm.Call) -> None:
        raise AssertionError(call)

    def operator_joined(self, conn: ConnId, resume: om.Resume | None) -> None:
        raise AssertionError(conn)

    def operator_asked(self, request: int, call: om.OperatorCall) -> None:
        raise AssertionError(call)

    def closed(self, conn: ConnId) -> None:
        """The link connects again."""

    def unsent(self, conn: ConnId, message: Record, why: str) -> None:
        raise AssertionError(message)

    async def next(self) -> tuple[ConnId, am.AgentMessage]:
        async with asyncio.timeout(30):
            return await self.heard.get()


def test_a_stream_that_has_ended_takes_nothing_away_from_the_next() -> None:
    """The sender of the old one must not clear what tells the new one that there is work.

    The second message comes after the new sender has taken the first, and before the old one has
    seen that it is over.
    """

    async def test() -> None:
        loop = asyncio.get_running_loop()
        handler, server = Handler(), MasterServer(leader=lambda: None)
        port = await server.start("127.0.0.1", 0)
        server.lead(handler, 1)

        def up(conn: ConnId) -> None:
            loop.call_soon(link.send, conn, am.Pong(2))
            link.send(conn, am.Pong(1))

        link = AgentLink(
            FixedDetector(f"127.0.0.1:{port}"),
            on_up=up,
            on_messages=lambda conn, epoch, messages: None,
            on_down=lambda conn: None,
        )
        running = asyncio.create_task(link.run())
        for _ in range(3):
            conn, first = await handler.next()
            assert first == am.Pong(1)
            assert await handler.next() == (conn, am.Pong(2))
            server.close(conn)
        running.cancel()
        await asyncio.wait([running])
        await server.stop()

    asyncio.run(test())


# ---- what can't be sent

BAD = KillPolicy(1e300)


def launch(name: str, policy: KillPolicy | None = None) -> TaskInfo:
    return TaskInfo(name, TaskId(name), AgentId("a"), kill_policy=policy)


def frameworks_link(
    calls: list[sm.Call], heard: list[sm.Call], events: list[sm.Event], until: int
) -> None:
    """Send the calls to a real server; what it hears and what the link's owner is told."""

    class Master(Handler):
        def framework_said(
            self, conn: ConnId, framework_id: FrameworkId | None, call: sm.Call
        ) -> None:
            heard.append(call)
            if len(heard) == until:
                over.set()

    async def test() -> None:
        server = MasterServer(leader=lambda: None)
        port = await server.start("127.0.0.1", 0)
        server.lead(Master(), 1)
        links: list[ConnId] = []

        def up(conn: ConnId) -> None:
            links.append(conn)
            for call in calls:
                link.send(conn, call)

        link = SchedulerLink(
            FixedDetector(f"127.0.0.1:{port}"),
            on_up=up,
            on_event=lambda conn, epoch, event: events.append(event),
            on_down=lambda conn: None,
            name="test",
        )
        running = asyncio.create_task(link.run())
        async with asyncio.timeout(30):
            await over.wait()
        assert links == [1], "the stream never broke"
        running.cancel()
        await asyncio.wait([running])
        await server.stop()

    over = asyncio.Event()
    asyncio.run(test())


def test_a_call_that_cannot_be_sent_is_left_out_and_its_sender_told() -> None:
    heard: list[sm.Call] = []
    events: list[sm.Event] = []
    good, bad = launch("good"), launch("bad", BAD)
    calls: list[sm.Call] = [
        sm.Subscribe(FrameworkInfo("root", "f")),
        sm.Kill(TaskId("t"), kill_policy=BAD),
        sm.Accept((OfferId("o"),), (Launch((good, bad)),)),
        sm.Revive(),
    ]
    frameworks_link(calls, heard, events, 3)
    assert heard[1:] == [sm.Accept((OfferId("o"),), (Launch((good,)),)), sm.Revive()]
    refused, update = events
    assert isinstance(refused, sm.Answered)
    assert refused.call == "KILL"
    assert "Kill.kill_policy.grace_period is 1e+300: it must be" in (refused.refusal or "")
    assert isinstance(update, sm.Update)
    status = update.status
    assert (status.task_id, status.state, status.uuid) == ("bad", TaskState.ERROR, None)
    assert "TaskInfo.kill_policy.grace_period is 1e+300" in (status.message or "")


def test_tasks_that_no_message_can_hold_together_are_told_and_their_offer_goes_back() -> None:
    heard: list[sm.Call] = []
    events: list[sm.Event] = []
    half = bytes(MESSAGE_MAX_BYTES // 2)
    tasks = tuple(replace(launch(name), data=half) for name in ("a", "b"))
    calls: list[sm.Call] = [
        sm.Subscribe(FrameworkInfo("root", "f")),
        sm.Accept((OfferId("o"),), (Launch(tasks),)),
    ]
    frameworks_link(calls, heard, events, 2)
    assert heard[1:] == [sm.Decline((OfferId("o"),))]
    told = [event.status for event in events if isinstance(event, sm.Update)]
    assert [(each.task_id, each.state) for each in told] == [
        ("a", TaskState.ERROR),
        ("b", TaskState.ERROR),
    ]


def test_a_subscription_that_cannot_be_sent_is_an_error() -> None:
    heard: list[sm.Call] = []
    events: list[sm.Event] = []
    wrong = sm.Subscribe(FrameworkInfo("root", "f", failover_timeout=1e300))
    frameworks_link([wrong, sm.Subscribe(FrameworkInfo("root", "f"))], heard, events, 1)
    (error,) = events
    assert isinstance(error, sm.Error)
    assert "failover_timeout is 1e+300" in error.message


# ---- being cancelled


@pytest.mark.parametrize("turns", range(40))
def test_a_link_that_is_cancelled_ends_at_whatever_it_waits_for(turns: int) -> None:
    """Also in the very turn in which another leader is known: then the pause between two attempts
    has its result and its cancellation at once."""

    async def test() -> None:
        link = AgentLink(
            FixedDetector("127.0.0.1:1"),
            on_up=lambda conn: None,
            on_messages=lambda conn, epoch, messages: None,
            on_down=lambda conn: None,
        )
        running = asyncio.create_task(link.run())
        for _ in range(turns):
            await asyncio.sleep(0.002 if turns > 20 else 0)
        link._leader_changed.set()
        running.cancel()
        async with asyncio.timeout(10):
            await asyncio.wait([running])
        assert running.cancelled()

    asyncio.run(test())


def test_why_a_master_can_not_be_reached_is_told() -> None:
    with socket.socket() as closed, captured_logs() as told:
        closed.bind(("127.0.0.1", 0))  # and nobody listens
        address = f"127.0.0.1:{closed.getsockname()[1]}"

        async def test() -> None:
            link = AgentLink(
                FixedDetector(address),
                on_up=lambda conn: None,
                on_messages=lambda conn, epoch, messages: None,
                on_down=lambda conn: None,
            )
            running = asyncio.create_task(link.run())
            try:
                async with asyncio.timeout(30):
                    while not told:
                        await asyncio.sleep(0.01)
            finally:
                running.cancel()

        asyncio.run(test())
    line = told[0]
    assert (line["event"], line["master"]) == ("master.not_reachable", address)
    assert line["reason"] == "it refuses connections, or its name has no address"
