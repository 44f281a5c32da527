"""An agent behind a relay that does not read: it must not cost the relay or its master anything."""

from __future__ import annotations

import asyncio
import contextlib

import grpc
import grpc.aio
import pytest

from mezzo.ids import ConnId
from mezzo.messages import agent as am
from mezzo.relay.options import RelayOptions
from mezzo.relay.process import Relay
from mezzo.wire import agent as agent_wire
from mezzo.wire import served_stream
from mezzo.wire.grpc_server import MasterServer
from mezzo.wire.v1 import agent_pb2_grpc
from tests.integration.master.test_master_server import Handler
from tests.parts.ports import free_ports

LARGE = am.ShutdownAgent("x" * 1_000_000)  # more than a stream's window: the write waits


def test_an_agent_that_does_not_read_is_cut_off_and_its_master_hears_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(served_stream, "OUTBOX_MAX", 2)

    async def test() -> None:
        server, handler = MasterServer(leader=lambda: None), Handler()
        server.lead(handler, 7)
        master = f"127.0.0.1:{await server.start('127.0.0.1', 0)}"
        (port,) = free_ports(1)
        relay = Relay(RelayOptions(master, f"127.0.0.1:{port}"))
        await relay.start()
        running = asyncio.create_task(relay.run())
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = agent_pb2_grpc.AgentStub(channel).Connect()  # type: ignore[no-untyped-call]
            await call.write(*agent_wire.agent_batches_to_wire([am.Pong()]))
            conn, _ = await handler.next()
            feeding = asyncio.create_task(_feed(server, conn))
            assert await handler.next() == (conn, "closed")
            await asyncio.wait([feeding])
            call.cancel()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await relay.stop()
        await server.stop()

    asyncio.run(test())


async def _feed(server: MasterServer, conn: ConnId) -> None:
    while conn in server._streams:
        server.send(conn, LARGE)
        await asyncio.sleep(0.01)
