"""The relay: many agents of a rack over one stream to the leading master.

To its agents it is a master, so an agent needs no setting but `--master` with the relay's address.
It reads nothing of what passes, not even the epoch, and keeps nothing: when its own stream ends
(another leads, the master is gone), or it is gone itself, the streams of all its agents end, and
they register again, as they would with a master.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc
import grpc.aio

from mezzo.election.detector import detector_for
from mezzo.errors import BadConfig
from mezzo.ids import ConnId
from mezzo.process.log import get_logger
from mezzo.wire.clients.relay_link import RelayLink
from mezzo.wire.grpc_server import allow_many_connections
from mezzo.wire.link import SERVER_OPTIONS
from mezzo.wire.served_stream import Stream, put_or_cut

from .options import RelayOptions

# From the loss of one leader to the stream to the next: agents that come meanwhile wait.
_UPSTREAM_WITHIN_S: Final = 10.0


async def run_relay(options: RelayOptions) -> int:
    """Run until cancelled. Raises BadConfig."""
    relay = Relay(options)
    await relay.start()
    try:
        await relay.run()
    finally:
        await relay.stop()
    return 0


class Relay:
    """One server for agents, one link to the leading master, and the agents' streams by number."""

    def __init__(self, options: RelayOptions) -> None:
        self._options = options
        self._log = get_logger("relay")
        self._numbers = itertools.count(1)
        self._agents: dict[int, Stream] = {}
        self._up = asyncio.Event()
        self._conn: ConnId | None = None
        detector = detector_for(options.master, session_timeout_s=options.zk_session_timeout_s)
        self._link = RelayLink(
            detector,
            on_up=self._on_up,
            on_said=self._on_said,
            on_close=self._on_close,
            on_down=self._on_down,
            on_too_large=self._on_too_large,
        )
        self._server = grpc.aio.server(options=SERVER_OPTIONS)
        # Without (de)serializers: batches pass as the bytes that they are.
        connect = grpc.stream_stream_rpc_method_handler(self._connect)
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("mezzo.v1.agent.Agent", {"Connect": connect}),)
        )

    async def start(self) -> None:
        """Listen. Raises BadConfig if the port is taken."""
        allow_many_connections()
        address = self._options.listen
        try:
            self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise BadConfig(
                f"cannot listen on {address}: is it in use, or no address of this machine?"
            ) from error
        await self._server.start()
        self._log.info("relay.started", address=address)

    async def run(self) -> None:
        await self._link.run()

    async def stop(self) -> None:
        await self._server.stop(grace=None)

    # ---- the master's side

    def _on_up(self, conn: ConnId) -> None:
        self._conn = conn
        self._up.set()
        self._log.info("relay.connected", master=self._link.leader)

    def _on_down(self, conn: ConnId) -> None:
        self._conn = None
        self._up.clear()
        self._log.info("relay.disconnected", agents=len(self._agents))
        agents, self._agents = self._agents, {}
        for stream in agents.values():
            stream.abort("the relay has lost its master: come again")

    def _on_said(self, number: int, batch: bytes) -> None:
        stream = self._agents.get(number)
        if stream is not None and not put_or_cut(stream, batch):
            self._log.warning("stream.too_slow", stream=number)
            self._ended(number)

    def _on_too_large(self, number: int) -> None:
        """The agent's message is lost, and it would not know: it comes again, and says it anew."""
        stream = self._agents.get(number)
        if stream is not None:
            stream.abort("a message is larger than a relay can pass on: make it smaller")

    def _on_close(self, number: int) -> None:
        stream = self._agents.get(number)
        if stream is not None:
            stream.close()

    # ---- the agents' side

    async def _connect(self, said: AsyncIterator[bytes], context: Any) -> None:  # noqa: ANN401 - grpc.aio has no types
        conn = await self._upstream()
        if conn is None:
            await context.abort(
                grpc.StatusCode.UNAVAILABLE,
                "this relay has no leading master yet: retry in a few seconds",
            )
            return
        number = next(self._numbers)
        stream = self._agents[number] = Stream(ConnId(number), lambda batches: batches)

        async def read() -> None:
            async for batch in said:
                self._link.said(conn, number, batch)

        try:
            await stream.serve(context, read(), self._log)
        finally:
            self._ended(number)

    def _ended(self, number: int) -> None:
        """Called once for each stream: tell the master, unless the relay's own stream is over."""
        if self._agents.pop(number, None) is not None and self._conn is not None:
            self._link.ended(self._conn, number)

    async def _upstream(self) -> ConnId | None:
        try:
            async with asyncio.timeout(_UPSTREAM_WITHIN_S):
                await self._up.wait()
        except TimeoutError:
            return None
        return self._conn
