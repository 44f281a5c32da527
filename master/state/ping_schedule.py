"""When agents are to be pinged: one timer for all, and equal pings for those due at once.

Ten thousand agents with a timer and a message of their own each would keep an idle master busy. So
moments are rounded down to `TICK_S`, and a ping's number is that of its tick: those that answered
the last one get the same message, which is encoded once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from mezzo.ids import AgentId

TICK_S: Final = 0.25


@dataclass(slots=True)
class Pings:
    """Monotonic times. Agents that were added later are due later, so the first tick is next."""

    number: int = 0  # of the last ping
    _due: dict[int, dict[AgentId, None]] = field(default_factory=dict)
    _tick_of: dict[AgentId, int] = field(default_factory=dict)

    def add(self, agent_id: AgentId, now_s: float, period_s: float) -> None:
        """The agent is to be pinged a period from now, whatever was agreed before."""
        self.remove(agent_id)
        tick = int((now_s + period_s) / TICK_S)
        self._tick_of[agent_id] = tick
        self._due.setdefault(tick, {})[agent_id] = None

    def remove(self, agent_id: AgentId) -> None:
        tick = self._tick_of.pop(agent_id, None)
        if tick is None:
            return
        there = self._due[tick]
        del there[agent_id]
        if not there:
            del self._due[tick]

    @property
    def next_s(self) -> float | None:
        return next(iter(self._due)) * TICK_S if self._due else None

    @property
    def agents(self) -> set[AgentId]:
        """The agents that are to be pinged."""
        return set(self._tick_of)

    def take(self, now_s: float) -> list[AgentId]:
        """Take the agents that are due by now; add them again."""
        taken: list[AgentId] = []
        while self._due and (tick := next(iter(self._due))) * TICK_S <= now_s:
            taken += self._due.pop(tick)
        for agent_id in taken:
            del self._tick_of[agent_id]
        return taken
