"""What the leading master knows. Mutable, owned by the core; everything else asks for views."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from mezzo.cluster.model import (
    InverseOffer,
    Offer,
)
from mezzo.ids import AgentId, ConnId, FrameworkId, IdSource, OfferId
from mezzo.messages.operator import QuotaConfig

from ..allocator.allocator import Allocator
from ..config import MasterConfig
from .agent_entry import AgentEntry, Removal, UnreachableAgent
from .away_frameworks import Away
from .budget import Budget
from .event_history import Journal
from .framework_entry import FrameworkEntry
from .machines import Machines, MaintenanceRecord
from .ping_schedule import Pings
from .resource_types import ResourceTypes


@dataclass(slots=True)
class MasterState:
    config: MasterConfig
    epoch: int
    ids: IdSource
    allocator: Allocator
    master_id: str
    agents: dict[AgentId, AgentEntry] = field(default_factory=dict)
    agents_at: dict[tuple[str, int], dict[AgentId, None]] = field(default_factory=dict)
    types: ResourceTypes = field(default_factory=ResourceTypes)
    unreachable: dict[AgentId, UnreachableAgent] = field(default_factory=dict)
    gone_since_s: dict[AgentId, float] = field(default_factory=dict)  # wall
    frameworks: dict[FrameworkId, FrameworkEntry] = field(default_factory=dict)
    away: Away = field(default_factory=Away)  # of `frameworks`, those without a stream
    completed: dict[FrameworkId, FrameworkEntry] = field(default_factory=dict)
    offers: dict[OfferId, Offer] = field(default_factory=dict)
    machines: Machines = field(default_factory=lambda: Machines(MaintenanceRecord()))
    inverse_offers: dict[OfferId, InverseOffer] = field(default_factory=dict)
    # Pairs for which an inverse offer may be due, or over: see inverse_offers.py.
    inverse_looks: dict[tuple[AgentId, FrameworkId], None] = field(default_factory=dict)
    agent_of: dict[ConnId, AgentId] = field(default_factory=dict)
    framework_of: dict[ConnId, FrameworkId] = field(default_factory=dict)
    # When (mono) frameworks were admitted to the allocator lately, by name: see subscribing.py.
    admitted_s: dict[str, tuple[float, ...]] = field(default_factory=dict)
    operators: dict[ConnId, None] = field(default_factory=dict)  # the oldest first
    journal: Journal = field(default_factory=Journal)
    counters: dict[str, int] = field(default_factory=dict)  # by Mesos' names: see metrics.py
    set_aside: dict[str, str] = field(default_factory=dict)  # key in the store -> why
    weights: dict[str, float] = field(default_factory=dict)  # by role; those that were set
    quotas: dict[str, QuotaConfig] = field(default_factory=dict)  # by role
    pings: Pings = field(default_factory=Pings)
    recovery_over_s: float = 0.0  # mono: until then agents of before may come back
    agents_recovered: int = 0  # how many the store knew when this master was elected
    removals: dict[AgentId, Removal] = field(default_factory=dict)  # the first scheduled first
    removal_permit_s: float = 0.0  # mono; when the next agent may be called unreachable
    drain_checks: dict[AgentId, None] = field(default_factory=dict)  # may be drained by now
    agents_awaited: int = 0  # allocation is paused until so many are connected; 0: it is not
    next_agent: int = 0
    next_framework: int = 0
    next_offer: int = 0
    sequence: int = 0  # of the operator events
    elected_s: float = 0.0
    denials: Budget = field(default_factory=lambda: Budget(20, 1))  # lines in the log
    cycle_due: bool = False  # the timer of the next allocation cycle is set
    cycle_timer_s: float | None = None  # what the timer of the next cycle in time is set to
    # Agents and frameworks that have changed since their view was published last.
    changed_agents: dict[AgentId, None] = field(default_factory=dict)
    changed_frameworks: dict[FrameworkId, None] = field(default_factory=dict)
    views_due: bool = False

    @classmethod
    def new(cls, config: MasterConfig, epoch: int, rng: random.Random) -> MasterState:
        ids = IdSource(rng)
        domain = config.info.domain
        home = config.allocator._replace(region=domain.region) if domain else config.allocator
        state = cls(config, epoch, ids, Allocator(rng, home), config.info.id)
        state.journal = Journal(config.operator_event_buffer)
        return state

    def new_agent_id(self) -> AgentId:
        """An id that no agent has: one may bring any id from a store that is no more."""
        while True:
            agent_id = AgentId(f"{self.master_id}-S{self.next_agent}")
            self.next_agent += 1
            if not any(
                agent_id in known for known in (self.agents, self.unreachable, self.gone_since_s)
            ):
                return agent_id

    def new_framework_id(self) -> FrameworkId:
        """An id that no framework has: see `new_agent_id`."""
        while True:
            framework_id = FrameworkId(f"{self.master_id}-{self.next_framework:04d}")
            self.next_framework += 1
            if framework_id not in self.frameworks and framework_id not in self.completed:
                return framework_id

    def new_offer_id(self) -> OfferId:
        """The id of an offer or an inverse offer."""
        self.next_offer += 1
        return OfferId(f"{self.master_id}-O{self.next_offer - 1}")

    def maybe_drained(self, agent: AgentEntry) -> None:
        """A task of the agent has ended: the end of the step looks whether that was the last."""
        if agent.drain is not None:
            self.drain_checks[agent.id] = None

    def admit(self, agent: AgentEntry) -> None:
        self.agents[agent.id] = agent
        self.agents_at.setdefault(agent.place, {})[agent.id] = None
        self.types.add(agent.info.resources)

    def dismiss(self, agent: AgentEntry) -> None:
        del self.agents[agent.id]
        there = self.agents_at[agent.place]
        del there[agent.id]
        if not there:
            del self.agents_at[agent.place]
        self.types.remove(agent.info.resources)  # operations change amounts, and no names
