"""Quota: what top-level roles, with all below them, are guaranteed and limited to.

Against its quota counts what is reserved to a role, allocated or not, and what it is offered or
allocated of the unreserved, firm scalars. The sum of all unmet guarantees, the headroom, is kept
from everybody else (Mesos `HierarchicalAllocatorProcess::__generateOffers`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mezzo.cluster.amounts import Thousandths
from mezzo.cluster.resources import Resources

from .agent_books import Agent
from .nodes import ClientNode
from .quantities import Ledger, add, measure, nonzero
from .terms import Quota


class _Role:
    """waiting: clients that had less, or nothing, because of the limit or of others' guarantees."""

    __slots__ = ("charged", "kept_from", "limited", "quota")

    def __init__(self) -> None:
        self.quota: Quota | None = None
        self.charged: Ledger = {}
        self.limited: dict[ClientNode, None] = {}
        self.kept_from: dict[ClientNode, None] = {}

    def unmet(self, name: str) -> Thousandths:
        if self.quota is None:
            return 0
        return max(0, self.quota.guarantees.get(name, 0) - self.charged.get(name, 0))


class Quotas:
    def __init__(self) -> None:
        self._roles: dict[str, _Role] = {}
        self._total: Ledger = {}  # unreserved and firm, of all agents
        self._taken: Ledger = {}  # of it, offered or allocated
        self._idle: Ledger = {}  # of it, free where nothing is offered: at agents that are away
        self._idle_of: dict[Agent, Ledger] = {}
        self._required: Ledger = {}  # the headroom: by name the sum of the unmet guarantees
        self.reserved: dict[str, Ledger] = {}  # to exactly that role
        self.woken: dict[ClientNode, None] = {}  # who may get more than when it was cut short
        self._surplus_seen: Ledger = {}

    # ---- what there is

    def count_total(self, total: Resources, open_: Mapping[str, Thousandths], sign: int) -> None:
        add(self._total, open_, sign)
        for kind, value in total.items():
            if kind.reservations and type(value) is int:
                ledger = self.reserved.setdefault(kind.role, {})
                add(ledger, {kind.name: value}, sign)
                if not any(ledger.values()):
                    del self.reserved[kind.role]
                self._charge(kind.role.split("/", 1)[0], {kind.name: value}, sign)

    def note_idle(self, agents: Iterable[Agent]) -> None:
        """To be told of each agent that changed. What is free at one that is not offered is no
        headroom: other than in Mesos a guarantee is not kept free where nobody could have it."""
        for agent in agents:
            if agent.offerable and agent not in self._idle_of:
                continue
            add(self._idle, self._idle_of.pop(agent, {}), -1)
            if not agent.offerable:
                idle = self._idle_of[agent] = dict(measure(agent.free).open)
                add(self._idle, idle)

    def forget_agent(self, agent: Agent) -> None:
        add(self._idle, self._idle_of.pop(agent, {}), -1)

    def charge(self, client: ClientNode, open_: Mapping[str, Thousandths], sign: int) -> None:
        """Count what is offered or allocated; `open_`: of the unreserved and firm."""
        taken, role = self._taken, self._roles.get(client.top)
        if role is None or role.quota is not None or sign < 0:
            add(taken, open_, sign)
            self._charge(client.top, open_, sign)
            return
        charged = role.charged  # a grant without quota: the most frequent case, in one go
        for name, amount in open_.items():
            taken[name] = taken.get(name, 0) + amount
            charged[name] = charged.get(name, 0) + amount

    def _charge(self, top: str, amounts: Mapping[str, Thousandths], sign: int) -> None:
        role = self._roles.get(top)
        if role is None:
            role = self._roles[top] = _Role()
        if role.quota is None:
            add(role.charged, amounts, sign)
            if sign < 0:
                self._forget_empty(top, role)
            return
        self._require(role, -1)
        add(role.charged, amounts, sign)
        self._require(role, 1)
        if sign < 0:
            self._wake(role)

    def _require(self, role: _Role, sign: int) -> None:
        if role.quota is None:
            return
        for name in role.quota.guarantees:
            unmet = role.unmet(name)
            if unmet:
                left = self._required.get(name, 0) + sign * unmet
                if left:
                    self._required[name] = left
                else:
                    self._required.pop(name, None)

    # ---- quotas

    def set(self, top: str, quota: Quota | None) -> None:
        role = self._roles.setdefault(top, _Role())
        self._require(role, -1)
        role.quota = quota
        self._require(role, 1)
        self._wake(role)
        self.wake_for_headroom()
        self._forget_empty(top, role)

    def quota(self, top: str) -> Quota | None:
        role = self._roles.get(top)
        return None if role is None else role.quota

    def roles(self) -> list[str]:
        return [name for name, role in self._roles.items() if role.quota is not None]

    @property
    def any_unmet(self) -> bool:
        return bool(self._required)

    def unmet(self, top: str) -> Ledger:
        role = self._roles.get(top)
        if role is None or role.quota is None:
            return {}
        return {n: unmet for n in role.quota.guarantees if (unmet := role.unmet(n))}

    def required(self) -> Ledger:
        return nonzero(self._required)

    def surplus(self, name: str) -> Thousandths:
        """What is free beyond the headroom; negative: guarantees exceed what is free."""
        free = self._total.get(name, 0) - self._taken.get(name, 0) - self._idle.get(name, 0)
        return free - self._required.get(name, 0)

    def over_limit(self, top: str) -> Ledger:
        """How much more is offered or allocated than the limits allow."""
        role = self._roles.get(top)
        if role is None or role.quota is None:
            return {}
        return {
            name: over
            for name, limit in role.quota.limits.items()
            if (over := role.charged.get(name, 0) - limit) > 0
        }

    def limit_left(self, top: str) -> Ledger:
        role = self._roles.get(top)
        if role is None or role.quota is None:
            return {}
        charged = role.charged
        return {n: max(0, limit - charged.get(n, 0)) for n, limit in role.quota.limits.items()}

    def headroom_left(self, top: str) -> Ledger:
        """By name, what the role may take before it touches what is kept for others."""
        role = self._roles.get(top)
        return {
            name: max(0, self.surplus(name)) + (role.unmet(name) if role is not None else 0)
            for name in self._required
        }

    def caps(self, top: str) -> Ledger | None:
        """How much of the unreserved, firm scalars the role may get at the most; None: all."""
        role = self._roles.get(top)
        if not self._required and (role is None or role.quota is None or not role.quota.limits):
            return None
        caps = self.headroom_left(top) if self._required else {}
        for name, left in self.limit_left(top).items():
            if left < caps.get(name, left + 1):
                caps[name] = left
        return caps

    # ---- who was cut short, and may get more now

    def cut_short(self, client: ClientNode, wanted: Mapping[str, Thousandths] | None) -> None:
        """The caps kept something from the client: `wanted`, or None: any offer at all."""
        role = self._roles.setdefault(client.top, _Role())
        limits, headroom = self.limit_left(client.top), self.headroom_left(client.top)
        if wanted is None:
            limited = not client.floors.within(limits)
            kept_from = not client.floors.within(headroom)
            if not limited and not kept_from:  # only both together leave too little
                limited = kept_from = True
        else:
            limited = _exceeds(wanted, limits)
            kept_from = _exceeds(wanted, headroom)
        if limited:
            role.limited[client] = None
        if kept_from:
            role.kept_from[client] = None

    def _wake(self, role: _Role) -> None:
        """The role's limit is further away, or its own guarantee less satisfied."""
        self.woken.update(role.limited)
        role.limited.clear()
        if role.quota is not None and role.quota.guarantees:
            self.woken.update(role.kept_from)
            role.kept_from.clear()

    def wake_for_headroom(self) -> None:
        """Has what is free beyond the headroom grown since the last cycle?"""
        seen = self._surplus_seen
        if any(
            name not in self._required or self.surplus(name) > before
            for name, before in seen.items()
        ):
            for role in self._roles.values():
                self.woken.update(role.kept_from)
                role.kept_from.clear()

    def note_surplus(self) -> None:
        """Called as a cycle ends."""
        self._surplus_seen = {name: self.surplus(name) for name in self._required}

    def forget(self, client: ClientNode) -> None:
        """The client is gone."""
        self.woken.pop(client, None)
        role = self._roles.get(client.top)
        if role is not None:
            role.limited.pop(client, None)
            role.kept_from.pop(client, None)
            self._forget_empty(client.top, role)

    def _forget_empty(self, top: str, role: _Role) -> None:
        waiting = role.limited or role.kept_from
        if role.quota is None and not waiting and not any(role.charged.values()):
            del self._roles[top]


def _exceeds(wanted: Mapping[str, Thousandths], caps: Mapping[str, Thousandths]) -> bool:
    return any(wanted.get(name, 0) > cap for name, cap in caps.items())
