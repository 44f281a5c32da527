"""What frameworks refused, and until when."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from mezzo.ids import AgentId, FrameworkId
from mezzo.resources import Resources

Client = tuple[FrameworkId, str]  # a framework in one of its roles


class Filters:
    """A refusal hides, for one client and agent, what is contained in what was refused.

    Times are monotonic seconds. Rule: Mesos `RefusedOfferFilter`.
    """

    def __init__(self) -> None:
        self._refused: dict[Client, dict[AgentId, list[tuple[float, Resources]]]] = {}
        self._expiries: list[tuple[float, AgentId]] = []

    def add(self, client: Client, agent_id: AgentId, refused: Resources, until_s: float) -> None:
        self._refused.setdefault(client, {}).setdefault(agent_id, []).append((until_s, refused))
        heapq.heappush(self._expiries, (until_s, agent_id))

    def hides(self, client: Client, agent_id: AgentId, offered: Resources, now_s: float) -> bool:
        of_client = self._refused.get(client)
        if of_client is None:
            return False
        entries = of_client.get(agent_id)
        if entries is None:
            return False
        live = [entry for entry in entries if entry[0] > now_s]
        if not live:
            del of_client[agent_id]
            return False
        if len(live) != len(entries):
            of_client[agent_id] = live
        return any(offered <= refused for _, refused in live)

    def clear_client(self, client: Client) -> bool:
        """Forget all that it refused; True if there was anything."""
        return self._refused.pop(client, None) is not None

    def clear_agent(self, agent_id: AgentId) -> None:
        for of_client in self._refused.values():
            of_client.pop(agent_id, None)

    def expired(self, now_s: float) -> Iterator[AgentId]:
        """Agents of which some refusal has run out by now: they may be offered again."""
        while self._expiries and self._expiries[0][0] <= now_s:
            yield heapq.heappop(self._expiries)[1]

    @property
    def next_expiry_s(self) -> float | None:
        return self._expiries[0][0] if self._expiries else None
