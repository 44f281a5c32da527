"""Dominant-resource fairness among frameworks, by change.

An agent that nothing happened to costs nothing: a cycle looks at the agents that changed since the
last one (resources came back, a filter ran out), or at all when a framework's wishes changed. The
client with the smallest dominant share that may have an agent gets all of its free resources, as in
Mesos (coarse grained); then shares are compared again.

Order of clients: share, then number of grants, then name (Mesos `DRFSorter`).
"""

from __future__ import annotations

import random
from bisect import bisect_left, insort
from collections.abc import Mapping
from typing import Final, NamedTuple

from mezzo.ids import AgentId, FrameworkId
from mezzo.resources import Kind, Resources, Thousandths

from .filters import Client, Filters

_CPUS: Final = Kind("cpus")
_MEM: Final = Kind("mem")
# Less than this of both is not worth an offer: flag min_allocatable_resources of Mesos.
MIN_CPUS: Final[Thousandths] = 10
MIN_MEM: Final[Thousandths] = 32_000
_NOTHING: Final = Resources()


class Grant(NamedTuple):
    """An offer to be made. The allocator counts it as allocated until `recover`."""

    framework_id: FrameworkId
    role: str
    agent_id: AgentId
    resources: Resources


class FrameworkTerms(NamedTuple):
    """What the allocator must know of a framework."""

    name: str
    roles: tuple[str, ...]
    suppressed: frozenset[str] = frozenset()
    gpus: bool = False
    revocable: bool = False


class _Agent:
    """`available`: what is free. `debt`: what is taken beyond `total`, on an agent that came back
    with less than what runs on it; it is paid before anything is free again."""

    __slots__ = ("active", "available", "debt", "has_gpus", "plain", "total")

    def __init__(self, total: Resources) -> None:
        self.total = total
        self.available = total
        self.debt = _NOTHING
        self.active = True
        self.has_gpus = total.milli("gpus") > 0
        # Nothing reserved, nothing revocable: every client may see everything.
        self.plain = all(not kind.reservations and not kind.revocable for kind, _ in total.items())

    def take(self, resources: Resources) -> None:
        there = resources.common(self.available)
        self.available = self.available - there
        self.debt = self.debt + (resources - there)

    def give(self, resources: Resources) -> None:
        paid = resources.common(self.debt)
        self.debt = self.debt - paid
        self.available = self.available + (resources - paid)


class _Client:
    """A framework in one role: its place in the order."""

    __slots__ = ("allocated", "grants", "key", "open", "terms")

    def __init__(self, key: Client, terms: FrameworkTerms) -> None:
        self.key = key
        self.terms = terms
        self.open = False  # connected and not suppressed
        self.allocated: dict[str, Thousandths] = {}
        self.grants = 0


_Place = tuple[float, int, str, FrameworkId, str]


class Allocator:
    """See the module. All times are monotonic seconds; `rng` shuffles the agents of a cycle."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._agents: dict[AgentId, _Agent] = {}
        self._clients: dict[Client, _Client] = {}
        self._of_framework: dict[FrameworkId, list[_Client]] = {}
        self._order: list[_Place] = []  # of open clients, smallest share first
        self._totals: dict[str, Thousandths] = {}
        self._order_stale = True  # totals changed: all shares did
        self._filters = Filters()
        self._dirty: dict[AgentId, None] = {}
        self._all_dirty = False

    # ---- agents

    def add_agent(
        self, agent_id: AgentId, total: Resources, allocated: Mapping[Client, Resources]
    ) -> None:
        """An agent that was not there, with what its tasks already take."""
        agent = self._agents[agent_id] = _Agent(total)
        self._count_total(total, 1)
        for client, resources in allocated.items():
            agent.take(resources)
            self._charge(self._client(client), resources, 1)
        self._dirty[agent_id] = None

    def remove_agent(self, agent_id: AgentId, allocated: Mapping[Client, Resources]) -> None:
        """It is gone, with everything that was allocated or offered on it."""
        agent = self._agents.pop(agent_id)
        self._count_total(agent.total, -1)
        for client, resources in allocated.items():
            self._charge(self._client(client), resources, -1)
        self._filters.clear_agent(agent_id)
        self._dirty.pop(agent_id, None)

    def set_agent_active(self, agent_id: AgentId, active: bool) -> None:
        self._agents[agent_id].active = active
        if active:
            self._dirty[agent_id] = None

    def available(self, agent_id: AgentId) -> Resources:
        return self._agents[agent_id].available

    # ---- frameworks

    def set_framework(self, framework_id: FrameworkId, terms: FrameworkTerms) -> None:
        """A framework is connected, or its terms changed; what it refused before is forgotten."""
        kept = {role: self._client((framework_id, role)) for role in terms.roles}
        for client in self._of(framework_id):
            self._close(client)
            role = client.key[1]
            client.terms = terms
            client.open = role in kept and role not in terms.suppressed
            self._insert_place(client)
            if any(client.allocated.values()):
                kept[role] = client  # a former role, in which something still runs
            elif role not in kept:
                del self._clients[client.key]
        self._of_framework[framework_id] = list(kept.values())
        self._all_dirty = True

    def deactivate_framework(self, framework_id: FrameworkId) -> None:
        """It is disconnected: no offers, filters forgotten; what it runs still counts."""
        for client in self._of(framework_id):
            self._close(client)

    def remove_framework(self, framework_id: FrameworkId) -> None:
        """It is completed. What it still holds must have been recovered."""
        for client in self._of(framework_id):
            self._close(client)
            del self._clients[client.key]
        self._of_framework.pop(framework_id, None)

    def suppress(self, framework_id: FrameworkId, roles: tuple[str, ...]) -> None:
        for client in self._of(framework_id):
            if not roles or client.key[1] in roles:
                self._remove_place(client)
                client.open = False

    def revive(self, framework_id: FrameworkId, roles: tuple[str, ...]) -> None:
        """Filters and suppression of the roles (none named: of all) are gone."""
        for client in self._of(framework_id):
            if client.key[1] in client.terms.roles and (not roles or client.key[1] in roles):
                # What it did not refuse it has been offered, unless it was suppressed.
                self._dirty.update(dict.fromkeys(self._filters.clear_client(client.key)))
                if not client.open:
                    client.open = True
                    self._insert_place(client)
                    self._all_dirty = True

    # ---- resources

    def recover(
        self,
        framework_id: FrameworkId,
        role: str,
        agent_id: AgentId,
        resources: Resources,
        *,
        refused_until_s: float | None = None,
    ) -> None:
        """A grant, or a part of it, comes back; with a time it is a refusal until then."""
        if not resources:
            return
        agent = self._agents.get(agent_id)
        if agent is None:
            return  # it left with everything
        client = self._client((framework_id, role))
        self._charge(client, resources, -1)
        agent.give(resources)
        self._dirty[agent_id] = None
        if refused_until_s is not None and client.open:
            self._filters.add(client.key, agent_id, resources, refused_until_s)

    def occupy(
        self, framework_id: FrameworkId, role: str, agent_id: AgentId, resources: Resources
    ) -> None:
        """Something runs on the agent that was not granted: it was found there."""
        self._charge(self._client((framework_id, role)), resources, 1)
        self._agents[agent_id].take(resources)

    @property
    def wants_cycle(self) -> bool:
        return bool(self._dirty) or self._all_dirty

    @property
    def next_expiry_s(self) -> float | None:
        """When some refusal runs out: time for a cycle."""
        return self._filters.next_expiry_s

    def cycle(self, now_s: float) -> list[Grant]:
        """Give what is free to whom it is due. Grants come back through `recover`."""
        self._dirty.update(dict.fromkeys(self._filters.expire(now_s)))
        chosen = list(self._agents if self._all_dirty else self._dirty)
        self._dirty.clear()
        self._all_dirty = False
        self._refresh_order()
        if not self._order or not chosen:
            return []
        self._rng.shuffle(chosen)
        grants: list[Grant] = []
        for agent_id in chosen:
            agent = self._agents[agent_id]
            if agent.active and _worth(agent.available):
                self._grant_agent(agent_id, agent, grants)
        return grants

    def _grant_agent(self, agent_id: AgentId, agent: _Agent, grants: list[Grant]) -> None:
        at = 0
        while at < len(self._order):
            _, _, _, framework_id, role = self._order[at]
            client = self._clients[(framework_id, role)]
            visible = _visible(agent, client)
            if not _worth(visible) or self._filters.hides(client.key, agent_id, visible):
                at += 1
                continue
            agent.take(visible)
            del self._order[at]
            self._charge(client, visible, 1, place=False)
            client.grants += 1
            insort(self._order, self._place(client))
            grants.append(Grant(framework_id, role, agent_id, visible))
            if not _worth(agent.available):
                return
            at = 0  # something reserved to others is left

    # ---- shares

    def share(self, client: Client) -> float:
        """The dominant share: the largest part of the cluster that it has of any one scalar."""
        known = self._clients.get(client)
        return 0.0 if known is None else self._share(known)

    def _share(self, client: _Client) -> float:
        totals = self._totals
        return max(
            (
                amount / totals[name]
                for name, amount in client.allocated.items()
                if totals.get(name)
            ),
            default=0.0,
        )

    def _place(self, client: _Client) -> _Place:
        framework_id, role = client.key
        return (self._share(client), client.grants, client.terms.name, framework_id, role)

    def _charge(
        self, client: _Client, resources: Resources, sign: int, *, place: bool = True
    ) -> None:
        if place:
            self._remove_place(client)
        allocated = client.allocated
        for kind, value in resources.items():
            if type(value) is int:
                allocated[kind.name] = allocated.get(kind.name, 0) + sign * value
        if place:
            self._insert_place(client)

    def _insert_place(self, client: _Client) -> None:
        if client.open and not self._order_stale:
            insort(self._order, self._place(client))

    def _remove_place(self, client: _Client) -> None:
        if not client.open or self._order_stale:
            return
        at = bisect_left(self._order, place := self._place(client))
        assert self._order[at] == place
        del self._order[at]

    def _count_total(self, total: Resources, sign: int) -> None:
        for kind, value in total.items():
            if type(value) is int:
                self._totals[kind.name] = self._totals.get(kind.name, 0) + sign * value
        self._order_stale = True

    def _refresh_order(self) -> None:
        if self._order_stale:
            self._order_stale = False
            self._order = sorted(self._place(c) for c in self._clients.values() if c.open)

    def _client(self, key: Client) -> _Client:
        client = self._clients.get(key)
        if client is None:
            client = self._clients[key] = _Client(key, FrameworkTerms("", ()))
            self._of_framework.setdefault(key[0], []).append(client)
        return client

    def _of(self, framework_id: FrameworkId) -> list[_Client]:
        return self._of_framework.get(framework_id, [])

    def _close(self, client: _Client) -> None:
        self._remove_place(client)
        client.open = False
        self._filters.clear_client(client.key)


def _worth(resources: Resources) -> bool:
    """Is it worth an offer? Sums all kinds only when the plain ones are not enough."""
    cpus, mem = resources.get(_CPUS), resources.get(_MEM)
    if (type(cpus) is int and cpus >= MIN_CPUS) or (type(mem) is int and mem >= MIN_MEM):
        return True
    return resources.milli("cpus") >= MIN_CPUS or resources.milli("mem") >= MIN_MEM


def _visible(agent: _Agent, client: _Client) -> Resources:
    """What of the agent's free resources the client may see."""
    terms = client.terms
    if agent.has_gpus and not terms.gpus:
        return _NOTHING
    if agent.plain:
        return agent.available
    role = client.key[1]
    return Resources(
        {
            kind: value
            for kind, value in agent.available.items()
            if (kind.role in ("*", role) or role.startswith(kind.role + "/"))
            and (terms.revocable or not kind.revocable)
        }
    )
