"""What frameworks refused, and until when."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from typing import Final, NamedTuple

from mezzo.ids import AgentId, FrameworkId
from mezzo.resources import Resources

Client = tuple[FrameworkId, str]  # a framework in one of its roles

_STALE_MIN: Final = 64


class _Refusal(NamedTuple):
    until_s: float
    number: int  # unique: orders the heap
    client: Client
    agent_id: AgentId
    resources: Resources


class Filters:
    """A refusal hides, for one client and agent, what is contained in what was refused.

    Times are monotonic seconds. Rule: Mesos `RefusedOfferFilter`.
    """

    def __init__(self) -> None:
        self._refused: dict[Client, dict[AgentId, list[_Refusal]]] = {}
        self._live: set[int] = set()  # the numbers of all that are in `_refused`
        self._expiries: list[_Refusal] = []  # a heap; dropped refusals stay in it for a while
        self._numbers = itertools.count()

    def add(self, client: Client, agent_id: AgentId, refused: Resources, until_s: float) -> None:
        of_agent = self._refused.setdefault(client, {}).setdefault(agent_id, [])
        for old in of_agent:
            if old.until_s <= until_s and old.resources <= refused:
                self._live.remove(old.number)  # it says nothing any more that the new one does not
        of_agent[:] = [old for old in of_agent if old.number in self._live]
        new = _Refusal(until_s, next(self._numbers), client, agent_id, refused)
        of_agent.append(new)
        self._live.add(new.number)
        heapq.heappush(self._expiries, new)
        if len(self._expiries) > 2 * len(self._live) + _STALE_MIN:
            self._expiries = [each for each in self._expiries if each.number in self._live]
            heapq.heapify(self._expiries)

    def hides(self, client: Client, agent_id: AgentId, offered: Resources) -> bool:
        """True if the client does not want to see this. Drop the expired ones first."""
        of_client = self._refused.get(client)
        if of_client is None:
            return False
        return any(offered <= each.resources for each in of_client.get(agent_id, ()))

    def clear_client(self, client: Client) -> list[AgentId]:
        """Forget all that it refused; returns on which agents that was."""
        of_client = self._refused.pop(client, {})
        for of_agent in of_client.values():
            self._drop(of_agent)
        return list(of_client)

    def clear_agent(self, agent_id: AgentId) -> None:
        for of_client in self._refused.values():
            self._drop(of_client.pop(agent_id, []))

    def _drop(self, refusals: list[_Refusal]) -> None:
        for each in refusals:
            self._live.remove(each.number)

    def expire(self, now_s: float) -> Iterator[AgentId]:
        """Drop what has run out by now; yields the agents, which may be offered again."""
        while self._expiries and self._expiries[0].until_s <= now_s:
            gone = heapq.heappop(self._expiries)
            if gone.number in self._live:
                self._live.remove(gone.number)
                of_client = self._refused[gone.client]
                of_client[gone.agent_id].remove(gone)
                if not of_client[gone.agent_id]:
                    del of_client[gone.agent_id]
                yield gone.agent_id

    @property
    def next_expiry_s(self) -> float | None:
        """When the next refusal runs out."""
        while self._expiries and self._expiries[0].number not in self._live:
            heapq.heappop(self._expiries)
        return self._expiries[0].until_s if self._expiries else None
