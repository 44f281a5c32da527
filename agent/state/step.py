"""One step of the agent's core: its output under construction, and the words of its handlers."""

from __future__ import annotations

from mezzo import core
from mezzo.ids import ConnId
from mezzo.messages.agent import AgentMessage

from ..effects import AgentEffect, Send


class Step(core.Step[AgentEffect]):
    __slots__ = ()

    def send(self, conn: ConnId | None, message: AgentMessage) -> None:
        """Send to the master. Dropped without a stream: what matters is said again on the next."""
        if conn is not None:
            self.do(Send(conn, message))
