"""The books of one agent: what is free, what is offered and allocated to whom."""

from __future__ import annotations

from typing import Final

from mezzo.cluster.resources import Kind, Resources
from mezzo.ids import AgentId

from .nodes import ClientNode
from .refusal import Refusal
from .terms import AgentTerms, FrameworkTerms

NOTHING: Final = Resources()


class Agent:
    """free: neither offered nor allocated; shared volumes are always free.
    debt: what is taken beyond `total`, on an agent that came back with less than what runs on it;
    it is paid before anything is free again.
    offered, allocated: by client; nobody has nothing.
    refusals: of each client; see filters.py.
    plain: nothing is reserved, revocable or shared: every client may see everything.
    """

    __slots__ = (
        "_views",
        "active",
        "allocated",
        "debt",
        "free",
        "has_gpus",
        "id",
        "listed",
        "offered",
        "plain",
        "refusals",
        "remote",
        "terms",
        "total",
    )

    def __init__(self, agent_id: AgentId, terms: AgentTerms, region: str | None) -> None:
        self.id = agent_id
        self.active = True
        self.listed = True  # by the whitelist
        self.offered: dict[ClientNode, Resources] = {}
        self.allocated: dict[ClientNode, Resources] = {}
        self.refusals: dict[ClientNode, tuple[Refusal, ...]] = {}
        self.free = self.total = terms.total
        self.debt = NOTHING
        self.describe(terms, region)
        self._note_kinds()

    def describe(self, terms: AgentTerms, region: str | None) -> None:
        self.terms = terms
        domain = terms.domain
        self.remote = region is not None and domain is not None and domain.region != region

    def _note_kinds(self) -> None:
        self.has_gpus = self.total.milli("gpus") > 0
        self.plain = not any(kind[1] or kind[3] or kind[4] for kind, _ in self.total.items())
        self._views: dict[tuple[str, bool, bool, bool], Resources] = {}

    # ---- books

    def set_total(self, total: Resources) -> None:
        """The agent has other resources; tasks and offers stay counted."""
        self.total = self.free = total
        self.debt = NOTHING
        self._note_kinds()
        for held in (self.allocated, self.offered):
            for resources in held.values():
                self.take(resources)

    def take(self, resources: Resources) -> None:
        """Take resources out of the free part; what is not there is owed."""
        if resources is self.free and self.plain:
            self.free = NOTHING
            return
        if not self.plain:
            resources = _exclusive(resources)
            self._views.clear()
        if resources <= self.free:
            self.free = self.free - resources
            return
        there = resources.common(self.free)
        self.free = self.free - there
        self.debt = self.debt + (resources - there)

    def give(self, resources: Resources) -> None:
        """Put resources back to the free part, after debts."""
        if not self.plain:
            resources = _exclusive(resources)
            self._views.clear()
        if self.debt:
            paid = resources.common(self.debt)
            self.debt = self.debt - paid
            resources = resources - paid
        self.free = self.free + resources

    def convert(self, client: ClientNode | None, before: Resources, after: Resources) -> None:
        """`before` becomes `after`, in what the client is offered or, without one, in what is free.

        Raises NotContained, and changes nothing, if `before` is not there.
        """
        if client is None:
            free = self.free - before
        else:
            offered = self.offered.get(client, NOTHING) - before + after
            free = self.free - _shared(before)
        total = self.total - before + after
        if client is None:
            self.free = free + after
        else:
            move(self.offered, client, offered)
            self.free = free + _shared(after)
        self.total = total
        self._note_kinds()

    # ---- who may see what

    def view(self, role: str, terms: FrameworkTerms, free: Resources) -> Resources:
        """The part of `free` that a framework of these terms may see in the role (Mesos
        `allocatableTo` and `stripIncapableResources`). The same object if that is all."""
        if self.plain:
            return free
        if free is not self.free:
            return _seen(free, role, terms)
        key = (role, terms.revocable, terms.shared, terms.reservation_refinement)
        seen = self._views.get(key)
        if seen is None:
            seen = self._views[key] = _seen(free, role, terms)
        return seen

    @property
    def offerable(self) -> bool:
        return self.active and self.listed


def _seen(free: Resources, role: str, terms: FrameworkTerms) -> Resources:
    seen = {kind: value for kind, value in free.items() if visible(kind, role, terms)}
    if all(kind.shared for kind in seen):
        return NOTHING  # shared volumes alone are no offer: they never end
    whole = Resources(seen)
    return free if whole == free else whole


def visible(kind: Kind, role: str, terms: FrameworkTerms) -> bool:
    """Reserved resources are for the role they are reserved to and the roles below it."""
    return (
        is_for(kind, role)
        and (terms.revocable or not kind.revocable)
        and (terms.shared or not kind.shared)
        and (terms.reservation_refinement or len(kind.reservations) < 2)
    )


def is_for(kind: Kind, role: str) -> bool:
    owner = kind.role
    return owner in ("*", role) or role.startswith(owner + "/")


def move(held: dict[ClientNode, Resources], client: ClientNode, resources: Resources) -> None:
    """Set what the client has; a client that has nothing is not kept."""
    if resources:
        held[client] = resources
    else:
        held.pop(client, None)


def _exclusive(resources: Resources) -> Resources:
    if any(kind.shared for kind, _ in resources.items()):
        return Resources({k: value for k, value in resources.items() if not k.shared})
    return resources


def _shared(resources: Resources) -> Resources:
    return Resources({k: value for k, value in resources.items() if k.shared})
