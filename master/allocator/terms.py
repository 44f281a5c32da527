"""What the allocator is told and what it answers: plain values, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from mezzo.cluster.amounts import Thousandths
from mezzo.cluster.model import Attribute, FaultDomain
from mezzo.cluster.resources import Resources
from mezzo.ids import AgentId, FrameworkId
from mezzo.record import Record

from .offer_constraints import Constraints

Client = tuple[FrameworkId, str]  # a framework in one of its roles
# Amounts by resource name, whatever they are reserved to: scalars in thousandths, ranges and sets a
# thousand for each value.
Quantities = Mapping[str, Thousandths]

_NONE: Final[Mapping[str, Thousandths]] = MappingProxyType({})


class AgentTerms(NamedTuple):
    """What the allocator must know of an agent."""

    total: Resources
    hostname: str = ""
    attributes: tuple[Attribute, ...] = ()
    domain: FaultDomain | None = None


class FrameworkTerms(NamedTuple):
    """What the allocator must know of a framework. The flags are Mesos' capabilities.

    min_allocatable: by role, in place of the configured one: an offer is worth making if it holds
    any one of the quantities; none at all: every offer is.
    """

    name: str
    roles: tuple[str, ...]
    suppressed: frozenset[str] = frozenset()
    gpus: bool = False
    revocable: bool = False
    shared: bool = False
    region_aware: bool = False
    reservation_refinement: bool = False
    min_allocatable: Mapping[str, tuple[Quantities, ...]] = MappingProxyType({})
    constraints: Mapping[str, Constraints] = MappingProxyType({})


class Quota(NamedTuple):
    """Of a top-level role and all roles below it. A resource without a limit has none."""

    guarantees: Quantities = _NONE
    limits: Quantities = _NONE


class Demand(Record):
    """`count` times `shape` is wanted in `role`."""

    role: str
    shape: Quantities
    count: int


class AllocatorConfig(NamedTuple):
    """Flags. The defaults are those of Mesos where it has the flag.

    region: of the master; agents of another one are for REGION_AWARE frameworks only.
    patience_s: how long one may think about offers beyond its fair part while another has nothing;
    None: for ever, as in Mesos.
    thinker_keeps: how much of its fair part stays with one whose offers are withdrawn.
    """

    min_allocatable: tuple[Quantities, ...] = ({"cpus": 10}, {"mem": 32_000})
    filter_gpu_resources: bool = True
    fair_sharing_excluded: tuple[str, ...] = ()
    region: str | None = None
    patience_s: float | None = 1.0
    thinker_keeps: float = 1.0


class Grant(NamedTuple):
    """An offer to be made. It counts as offered until `use` or `decline`."""

    framework_id: FrameworkId
    role: str
    agent_id: AgentId
    resources: Resources


class Withdraw(NamedTuple):
    """All that the client is offered of the agent has to be rescinded, and then declined for it."""

    framework_id: FrameworkId
    role: str
    agent_id: AgentId
    why: str


class RoleBooks(NamedTuple):
    """One role, the roles below it included, except `weight` and `quota`.

    consumed: what counts against a limit: reservations, allocated or not, and what is allocated of
    the unreserved. share: the dominant one, not divided by the weight. refusals: that hold now.
    """

    role: str
    weight: float
    quota: Quota | None
    consumed: Quantities
    allocated: Quantities
    offered: Quantities
    reserved: Quantities
    share: float
    refusals: int
