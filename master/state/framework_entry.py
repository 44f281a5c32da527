"""A framework, as the master knows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from mezzo.cluster.model import (
    Capability,
    FrameworkInfo,
    InverseOffer,
    OfferConstraints,
    Task,
)
from mezzo.cluster.states import TaskState
from mezzo.ids import AgentId, ConnId, ExecutorId, FrameworkId, OfferId, TaskId

from ..allocator.terms import Demand, FrameworkTerms
from .budget import Budget
from .task_entry import ExecutorEntry, TaskEntry

VIEWS_EVERY_S: Final = 1.0


@dataclass(slots=True)
class FrameworkEntry:
    id: FrameworkId
    info: FrameworkInfo
    conn: ConnId | None = None  # None: disconnected
    recovered: bool = False  # known from store or agents, not back since this master leads
    of_before: bool = False  # an earlier leader knew it: what it has, agents may still have to tell
    asked_for_all: bool = False  # on this stream, by reconciliation: see tasks.answer_late
    forgotten: bool = False  # came with an id that the store does not know: it knew it once
    deadline_s: float | None = None  # wall: when it is given up, if it does not come back
    registered_s: float | None = None
    reregistered_s: float | None = None
    unregistered_s: float | None = None
    tasks: dict[TaskId, TaskEntry] = field(default_factory=dict)
    unreachable: dict[TaskId, TaskEntry] = field(default_factory=dict)
    ended: dict[TaskId, None] = field(default_factory=dict)  # of `tasks`, the oldest first
    completed: dict[TaskId, Task] = field(default_factory=dict)  # the oldest first
    executors: dict[tuple[AgentId, ExecutorId], ExecutorEntry] = field(default_factory=dict)
    # By the id that the framework gave: where it is done, and its uuid.
    operations: dict[str, tuple[AgentId, bytes]] = field(default_factory=dict)
    offers: dict[OfferId, None] = field(default_factory=dict)
    inverse_offers: dict[AgentId, InverseOffer] = field(default_factory=dict)
    inverse_answered: dict[AgentId, None] = field(default_factory=dict)  # may be filtered there
    counters: dict[str, int] = field(default_factory=dict)  # metrics of its own: see metrics.py
    constraints: OfferConstraints | None = None
    demand: tuple[Demand, ...] = ()
    admission: FrameworkTerms | None = None  # not in the allocator yet: see subscribing.py
    due_s: float = 0.0  # mono; `deadline_s` by the clock of timers
    shown_s: float = -VIEWS_EVERY_S  # mono; when operators were shown it last
    stored: bytes = b""  # its record in the store
    # Answers of reconciliation: to ask for all of 100,000 tasks again and again is work for two.
    answers: Budget = field(default_factory=lambda: Budget(100_000, 10_000))

    def can(self, capability: Capability) -> bool:
        return self.info.can(capability)

    def lost_form(self, state: TaskState) -> TaskState:
        """`state`, or LOST for a framework that does not know the partition-aware states."""
        known = state not in _PARTITION_AWARE or self.can(Capability.PARTITION_AWARE)
        return state if known else TaskState.LOST


_PARTITION_AWARE: Final = frozenset(
    {
        TaskState.DROPPED,
        TaskState.UNREACHABLE,
        TaskState.GONE,
        TaskState.GONE_BY_OPERATOR,
        TaskState.UNKNOWN,
    }
)
