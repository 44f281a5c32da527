"""The stream to the master from the other end, with a real server."""

from __future__ import annotations

import asyncio

from mezzo.election.detector import FixedDetector
from mezzo.ids import ConnId, FrameworkId
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.wire.clients import AgentLink
from mezzo.wire.server import MasterServer


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

    async def next(self) -> tuple[ConnId, am.AgentMessage]:
        return await asyncio.wait_for(self.heard.get(), 30)


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
