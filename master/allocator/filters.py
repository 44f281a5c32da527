"""What frameworks refused, and until when.

A refusal hides, for one client and agent, what is contained in what was refused (Mesos
`RefusedOfferFilter`). There may be millions, and most are alike: a framework that declines all of
a cluster refuses the same resources until the same time on agents of the same size. So a refusal is
an object that many pairs share, kept in a dict on the agent, and times are rounded up to `TICK`:
a filter may last so much longer, never less.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator
from typing import Final

from mezzo.cluster.resources import Resources

from .agent_books import Agent
from .nodes import ClientNode
from .refusal import TICKS_PER_S, Refusal

_STALE_MIN: Final = 64


class _Due:
    """What ends at one tick. `pairs` is flat (agent, client, agent, client, ...); what was cleared
    or replaced stays in it for a while."""

    __slots__ = ("pairs", "shared")

    def __init__(self) -> None:
        self.pairs: list[Agent | ClientNode] = []
        self.shared: dict[Resources, tuple[Refusal]] = {}

    def each(self) -> Iterator[tuple[Agent, ClientNode]]:
        flat = iter(self.pairs)
        for agent, client in zip(flat, flat, strict=True):
            assert isinstance(agent, Agent)
            assert isinstance(client, ClientNode)
            yield agent, client


class Filters:
    """Times are monotonic seconds."""

    def __init__(self) -> None:
        self._due: dict[int, _Due] = {}
        self._ticks: list[int] = []  # a heap of the keys of `_due`
        self._live = 0  # refusals
        self._pairs = 0  # in `_due`, stale ones included

    def __len__(self) -> int:
        return self._live

    def add(self, client: ClientNode, agent: Agent, refused: Resources, until_s: float) -> None:
        tick = math.ceil(until_s * TICKS_PER_S)
        if tick / TICKS_PER_S < until_s:  # rounding must not end it early
            tick += 1
        mine = agent.refusals.get(client, ())
        kept = mine
        if mine:
            if any(old.until_tick >= tick and refused <= old.resources for old in mine):
                return  # this refusal says nothing new
            kept = tuple(
                old for old in mine if not (old.until_tick <= tick and old.resources <= refused)
            )
        due = self._due.get(tick)
        if due is None:
            due = self._due[tick] = _Due()
            heapq.heappush(self._ticks, tick)
        new = due.shared.get(refused)
        if new is None:
            new = due.shared[refused] = (Refusal(refused, tick),)
        agent.refusals[client] = (*kept, *new) if kept else new
        if agent.free is refused:
            agent.free = new[0].resources  # one object: what is refused is known by identity
        self._count(client, len(kept) + 1 - len(mine))
        due.pairs += (agent, client)
        self._pairs += 1
        if self._pairs > 2 * self._live + _STALE_MIN:
            self._compact()

    def _count(self, client: ClientNode, more: int) -> None:
        client.refusals += more
        self._live += more

    @staticmethod
    def hiding(client: ClientNode, agent: Agent, offered: Resources) -> Refusal | None:
        """The refusal that hides this from the client. Drop the expired ones first."""
        for refusal in agent.refusals.get(client, ()):
            refused = refusal[0]
            if offered is refused or offered <= refused:
                return refusal
        return None

    def clear_client(self, client: ClientNode, agents: Iterable[Agent]) -> bool:
        """Forget all that the client refused; True if there was anything."""
        any_refused = client.refusals > 0
        for agent in agents:
            if not client.refusals:
                break
            gone = agent.refusals.pop(client, None)
            if gone is not None:
                self._count(client, -len(gone))
        return any_refused

    def clear_agent(self, agent: Agent) -> None:
        for client, gone in agent.refusals.items():
            self._count(client, -len(gone))
        agent.refusals.clear()

    def expire(self, now_s: float) -> Iterator[tuple[Agent, ClientNode]]:
        """Drop refusals that have run out by now; yields whose, where."""
        while self._ticks and self._ticks[0] / TICKS_PER_S <= now_s:
            tick = heapq.heappop(self._ticks)
            due = self._due.pop(tick)
            self._pairs -= len(due.pairs) // 2
            for agent, client in due.each():
                mine = agent.refusals.get(client)
                if mine is None:
                    continue
                left = tuple(each for each in mine if each.until_tick > tick)
                if len(left) == len(mine):
                    continue
                self._count(client, len(left) - len(mine))
                if left:
                    agent.refusals[client] = left
                else:
                    del agent.refusals[client]
                yield agent, client

    @property
    def next_expiry_s(self) -> float | None:
        """When the next refusal may run out."""
        if not self._live:
            return None
        return self._ticks[0] / TICKS_PER_S if self._ticks else None

    def _compact(self) -> None:
        """Forget the pairs, ticks and shared refusals that nothing refers to any more."""
        old, self._due = self._due, {}
        self._pairs = 0
        for tick, due in old.items():
            kept = _Due()
            for agent, client in dict.fromkeys(due.each()):
                for refusal in agent.refusals.get(client, ()):
                    if refusal.until_tick == tick:
                        kept.pairs += (agent, client)
                        kept.shared.setdefault(refusal.resources, (refusal,))
            if kept.pairs:
                self._due[tick] = kept
                self._pairs += len(kept.pairs) // 2
        self._ticks = list(self._due)
        heapq.heapify(self._ticks)
