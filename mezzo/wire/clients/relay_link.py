"""The stream of a relay to its master."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio

from mezzo.election.base import LeaderDetector
from mezzo.ids import ConnId
from mezzo.wire.v1 import relay_pb2_grpc

from .. import relay as relay_wire
from ..link import Link


class RelayLink(Link[Any]):
    """A relay's stream: what its agents said, and what is said to them, as bytes."""

    def __init__(
        self,
        detector: LeaderDetector,
        *,
        on_up: Callable[[ConnId], None],
        on_said: Callable[[int, bytes], None],
        on_close: Callable[[int], None],
        on_down: Callable[[ConnId], None],
        on_too_large: Callable[[int], None],
    ) -> None:
        """`on_said` and `on_close` get the number of the agent's stream; a close is the last.
        `on_too_large`: what that agent said could not be passed on."""

        def open_stream(channel: grpc.aio.Channel, out: AsyncIterator[Any]) -> Any:
            return relay_pb2_grpc.RelayStub(channel).Connect(out)  # type: ignore[no-untyped-call]

        def on_message(conn: ConnId, message: Any) -> None:
            for entry in message.entries:
                if entry.HasField("batch"):
                    on_said(entry.stream, entry.batch)
                if entry.close:
                    on_close(entry.stream)

        super().__init__(
            detector,
            open_stream=open_stream,
            pack=relay_wire.from_agents,
            on_up=on_up,
            on_message=on_message,
            on_down=on_down,
            on_unsent=lambda conn, entry, error: on_too_large(entry.stream),
            name="relay",
        )

    def said(self, conn: ConnId, stream: int, batch: bytes) -> None:
        self.send(conn, relay_wire.said(stream, batch))

    def ended(self, conn: ConnId, stream: int) -> None:
        self.send(conn, relay_wire.ended(stream))
