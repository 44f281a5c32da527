"""What the allocator is told and what it answers: plain values, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final, NamedTuple

from mezzo.cluster.amounts import Thousandths
from mezzo.cluster.model import Attribute, FaultDomain
from mezzo.cluster.resources import Resources
from mezzo.flags import DURATION, NAMES, QUANTITY_SETS, SWITCH, Flag, or_off
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
    """Of a top-level role with all roles below it. Resources that are not named have no limit."""

    guarantees: Quantities = _NONE
    limits: Quantities = _NONE


class Demand(Record):
    """`count` times `shape` is wanted in `role`."""

    role: str
    shape: Quantities
    count: int


class AllocatorConfig(NamedTuple):
    """Fields with a Flag are settings. The defaults are those of Mesos where it has the flag.

    patience_s: None: for ever, as in Mesos.
    region: of the master; agents of another one are for REGION_AWARE frameworks only.
    thinker_keeps_part: how much of its fair part stays with one whose offers are withdrawn.
    """

    patience_s: Annotated[
        float | None,
        Flag(
            "How long a framework may think about offers beyond its fair part while another has "
            "nothing; 0: for ever.",
            or_off(DURATION),
            name="offer-patience",
        ),
    ] = 1.0
    min_allocatable: Annotated[
        tuple[Quantities, ...],
        Flag(
            "What an offer must hold to be worth making: one of the sets between the bars.",
            QUANTITY_SETS,
            name="min-allocatable-resources",
        ),
    ] = ({"cpus": 10}, {"mem": 32_000})
    filter_gpu_resources: Annotated[
        bool,
        Flag("Whether agents with GPUs are kept for frameworks that say they use them.", SWITCH),
    ] = True
    fair_sharing_excluded: Annotated[
        tuple[str, ...],
        Flag(
            "Resources that don't count for fair shares: gpus,fpga.",
            NAMES,
            name="fair-sharing-excluded-resource-names",
        ),
    ] = ()
    region: str | None = None
    thinker_keeps_part: float = 1.0


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
