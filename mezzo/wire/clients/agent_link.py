"""The stream of an agent to its master."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio

from mezzo.election.base import LeaderDetector
from mezzo.errors import BadRequest
from mezzo.ids import ConnId
from mezzo.messages import agent as am
from mezzo.process.log import get_logger
from mezzo.wire.v1 import agent_pb2_grpc

from .. import agent as agent_wire
from ..link import Link


class AgentLink(Link[am.AgentMessage]):
    """An agent's stream: messages go out and come in as records, in batches per loop turn."""

    def __init__(
        self,
        detector: LeaderDetector,
        *,
        on_up: Callable[[ConnId], None],
        on_messages: Callable[[ConnId, int, list[am.MasterMessage]], None],
        on_down: Callable[[ConnId], None],
    ) -> None:
        """`on_messages` gets the connection, the master's epoch and the batch."""
        log = get_logger("agent")

        def open_stream(channel: grpc.aio.Channel, out: AsyncIterator[Any]) -> Any:
            return agent_pb2_grpc.AgentStub(channel).Connect(out)  # type: ignore[no-untyped-call]

        def on_message(conn: ConnId, batch: Any) -> None:
            try:
                epoch, messages = agent_wire.master_batch_from_wire(batch)
            except BadRequest as error:
                # Of a version that we do not understand: a new stream may bring another master.
                log.error("master.unreadable", error=str(error))
                self.close(conn)
                return
            self.crowd = batch.streams
            on_messages(conn, epoch, messages)

        super().__init__(
            detector,
            open_stream=open_stream,
            pack=agent_wire.agent_batches_to_wire,
            on_up=on_up,
            on_message=on_message,
            on_down=on_down,
            on_unsent=lambda conn, what, error: None,  # what it could not send whole went in part
            name="agent",
        )
