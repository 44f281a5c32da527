"""What the leading master knows. Mutable, owned by the core; everything else asks for views."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from mezzo.core import CancelTimer, Delete, Instant, Output, Put, SetTimer
from mezzo.ids import AgentId, ConnId, ExecutorId, FrameworkId, IdSource, OfferId, TaskId
from mezzo.messages.agent import KillTask, MasterMessage
from mezzo.messages.operator import InverseOfferStatus, OperatorEvent, QuotaConfig
from mezzo.messages.scheduler import Event
from mezzo.model import (
    Address,
    AgentCapability,
    AgentInfo,
    Capability,
    DrainInfo,
    ExecutorInfo,
    FrameworkInfo,
    InverseOffer,
    MasterInfo,
    Offer,
    OfferConstraints,
    Task,
    TaskInfo,
    TaskStatus,
    Url,
)
from mezzo.operations import OperationRecord
from mezzo.record import Record, encode, replace
from mezzo.resources import Resources
from mezzo.states import Reason, Source, TaskState

from .allocator import Allocator, AllocatorConfig, Demand, FrameworkTerms
from .away import Away
from .budget import Budget
from .events import MasterEffect, Publish, ToAgent, ToFramework
from .journal import Journal
from .machines import Machines, MaintenanceRecord
from .pings import Pings
from .records import AgentRecord
from .resource_types import ResourceTypes

_NO_STREAM: Final = ConnId(0)  # all others are larger


class MasterConfig(Record):
    """Flags that the core needs. Defaults are those of Mesos where it has the flag."""

    info: MasterInfo
    started_s: float | None = None  # wall; when this process began
    agent_ping_timeout_s: float = 15.0
    max_agent_ping_timeouts: int = 5
    agent_reregister_timeout_s: float = 600.0
    # No two agents are called unreachable within so many seconds (1/20mins: 1200); None: no limit.
    agent_removal_interval_s: float | None = None
    # More than this part of the agents missing after a failover: something else is wrong.
    recovery_agent_removal_limit: float = 1.0
    require_agent_domain: bool = False  # agents without one are ignored
    # How far the clocks of master and agents may differ in pace, and how long a kill may take.
    lease_drift: float = 0.01
    lease_margin_s: float = 5.0
    heartbeat_s: float = 15.0
    # Who uses nothing of an offer refuses it for at least so long, also with 0 seconds: Mesos'
    # allocation interval bounds how often one that declines everything is asked again, here this.
    refuse_min_s: float = 1.0
    offer_timeout_s: float | None = 300.0
    max_completed_frameworks: int = 50
    # Of those that are away and have nothing here: the others wait for their failover timeout.
    max_idle_frameworks_away: int = 1000
    max_completed_tasks_per_framework: int = 1000
    # Of those that have ended but whose end is not acknowledged.
    max_unacknowledged_tasks_per_framework: int = 10_000
    max_unreachable_tasks_per_framework: int = 1000
    # Agents that are unreachable, and those that are gone, are remembered for so long, so many.
    registry_gc_interval_s: float = 900.0
    registry_max_agent_age_s: float = 14 * 86400.0
    registry_max_agent_count: int = 102_400
    max_operator_event_stream_subscribers: int = 1000
    operator_event_buffer: int = 8192  # events that one who comes back may have missed
    # With any quota, a new leader offers nothing until this part of the agents is back.
    allocator_agent_recovery_factor: float = 0.8
    allocator_recovery_timeout_s: float = 600.0
    # A step's writes are one transaction, and that of ZooKeeper takes a megabyte.
    step_writes: int = 100
    step_bytes: int = 500_000
    roles: tuple[str, ...] | None = None  # besides `*` the only ones that may be used; None: all
    allocator: AllocatorConfig = AllocatorConfig()  # its region is that of `info`, if it has one


TIMER_VIEWS: Final = "views"
VIEWS_EVERY_S: Final = 1.0


class Standing(StrEnum):
    """How the master stands with an admitted agent."""

    RECOVERED = "recovered"  # read from the store, not back yet
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"  # its stream ended; it may answer again


@dataclass(slots=True)
class TaskEntry:
    """One task. `state` is the latest and decides about resources; `forwarded` is what the
    framework was told last."""

    info: Task  # the unchanging part; its state and statuses are those at the beginning
    state: TaskState
    forwarded: TaskStatus | None = None
    statuses: list[TaskStatus] = field(default_factory=list)  # one per run of a state, no data
    pending_kill: KillTask | None = None  # to be sent (again) when the agent is back

    @property
    def holds_resources(self) -> bool:
        return not self.state.terminal

    def note(self, status: TaskStatus) -> None:
        """Remember a status for the endpoints: one entry per consecutive state."""
        bare = replace(status, data=None) if status.data is not None else status
        if self.statuses and self.statuses[-1].state == status.state:
            self.statuses[-1] = bare
        else:
            self.statuses.append(bare)

    def view(self) -> Task:
        return replace(
            self.info,
            state=self.state,
            statuses=tuple(self.statuses),
            status_update_state=self.forwarded.state if self.forwarded else None,
            status_update_uuid=self.forwarded.uuid if self.forwarded else None,
        )


@dataclass(slots=True)
class ExecutorEntry:
    """One executor on one agent. Its resources are charged once, to the role of the offers on which
    its first task was launched."""

    info: ExecutorInfo  # with framework_id
    agent_id: AgentId
    role: str
    seen: bool = False  # its agent or one of its tasks has told of it
    launched: set[TaskId] = field(default_factory=set)  # until then: those that have not ended


class InverseAnswer(Record):
    """What a framework answered last to an inverse offer of one agent. It gets none again before
    `hides_until_s` (mono)."""

    status: InverseOfferStatus
    hides_until_s: float = 0.0


AGENT_PATH: Final = "/slave(1)"  # how Mesos calls an agent's process in URLs


@dataclass(slots=True)
class AgentEntry:
    id: AgentId
    info: AgentInfo
    version: str
    boot_id: str
    standing: Standing
    conn: ConnId | None = None
    capabilities: tuple[AgentCapability, ...] = ()
    missed_pings: int = 0
    registered_s: float | None = None  # wall
    reregistered_s: float | None = None
    tasks: dict[tuple[FrameworkId, TaskId], TaskEntry] = field(default_factory=dict)
    executors: dict[tuple[FrameworkId, ExecutorId], ExecutorEntry] = field(default_factory=dict)
    # By uuid: those that are pending, and those whose outcome is not acknowledged.
    operations: dict[bytes, OperationRecord] = field(default_factory=dict)
    offers: dict[OfferId, None] = field(default_factory=dict)
    stream: ConnId = _NO_STREAM  # the newest that it has registered on, open or not
    # Operations whose end was acknowledged on that stream: what it says of them was on its way.
    settled: dict[bytes, None] = field(default_factory=dict)
    # It may still run what is over for us, such as tasks of a removed framework in their grace, or
    # of one that does not checkpoint. Only its report can tell.
    dismissed: bool = False
    heard: int = 0  # the newest ping whose pong arrived
    heard_s: float = 0.0  # mono; when the last pong or registration arrived
    deactivated: bool = False  # not offered, by an operator's wish or while it drains
    drain: DrainInfo | None = None
    drain_start_s: float | None = None  # wall
    inverse_answers: dict[FrameworkId, InverseAnswer] = field(default_factory=dict)

    @property
    def connected(self) -> bool:
        return self.standing is Standing.CONNECTED

    @property
    def active(self) -> bool:
        """May it be offered?"""
        return self.connected and not self.deactivated

    @property
    def place(self) -> tuple[str, int]:
        """Where it answers: hostname and port."""
        return self.info.hostname, self.info.port

    @property
    def url(self) -> Url:
        address = Address(self.info.port, self.info.hostname, self.info.ip)
        return Url("http", address, AGENT_PATH)


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


class UnreachableAgent(Record):
    """`tasks` are those that wait in `FrameworkEntry.unreachable`, while these remember them."""

    id: AgentId
    record: AgentRecord
    tasks: tuple[tuple[FrameworkId, TaskId], ...] = ()
    stream: ConnId = _NO_STREAM  # as of AgentEntry

    @property
    def info(self) -> AgentInfo:
        return self.record.info

    @property
    def since_s(self) -> float:
        """Wall."""
        return self.record.since_s or 0.0


class Removal(Record):
    """An agent is to be called unreachable, but not before `due_s` (mono)."""

    why: str
    due_s: float


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
    gone: dict[AgentId, float] = field(default_factory=dict)  # since when (wall)
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
    # When frameworks were admitted to the allocator lately, by name: see subscribing.py.
    admissions: dict[str, tuple[float, ...]] = field(default_factory=dict)
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
    # Whose resources changed since their view was published last.
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
        """One that nobody has: an agent may bring any id from a store that is no more."""
        while True:
            agent_id = AgentId(f"{self.master_id}-S{self.next_agent}")
            self.next_agent += 1
            if not any(agent_id in known for known in (self.agents, self.unreachable, self.gone)):
                return agent_id

    def new_framework_id(self) -> FrameworkId:
        """One that nobody has: see `new_agent_id`."""
        while True:
            framework_id = FrameworkId(f"{self.master_id}-{self.next_framework:04d}")
            self.next_framework += 1
            if framework_id not in self.frameworks and framework_id not in self.completed:
                return framework_id

    def new_offer_id(self) -> OfferId:
        """Of an offer or an inverse offer."""
        self.next_offer += 1
        return OfferId(f"{self.master_id}-O{self.next_offer - 1}")

    def maybe_drained(self, agent: AgentEntry) -> None:
        """Something of it has ended: look at the end of the step whether that was the last."""
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


class Step(Output[MasterEffect]):
    """The output under construction, with the words that handlers use."""

    __slots__ = ("_bytes", "now", "state")

    def __init__(self, state: MasterState, now: Instant) -> None:
        super().__init__()
        self.state = state
        self.now = now
        self._bytes = 0  # of the values in `writes`

    @property
    def full(self) -> bool:
        """Is there so much to store that the rest of a long work has to wait for another step?"""
        config = self.state.config
        return len(self.writes) >= config.step_writes or self._bytes >= config.step_bytes

    def put(self, key: str, value: Record) -> None:
        stored = encode(value)
        self._bytes += len(stored)
        self.state.set_aside.pop(key, None)  # it is replaced
        self.writes.append(Put(key, stored))

    def delete(self, key: str) -> None:
        self.state.set_aside.pop(key, None)
        self.writes.append(Delete(key))

    def do(self, effect: MasterEffect) -> None:
        self.effects.append(effect)

    def timer(self, key: Any, after_s: float) -> None:  # noqa: ANN401 - any hashable
        self.effects.append(SetTimer(key, self.now.mono_s + after_s))

    def cancel(self, key: Any) -> None:  # noqa: ANN401 - any hashable
        self.effects.append(CancelTimer(key))

    def to_agent(self, agent: AgentEntry, message: MasterMessage) -> None:
        """Dropped if the agent has no stream: what matters is repeated when it re-registers."""
        if agent.conn is not None:
            self.effects.append(ToAgent(agent.conn, message))

    def to_framework(self, framework: FrameworkEntry, event: Event) -> None:
        """Dropped if the framework is disconnected: it reconciles when it is back."""
        if framework.conn is not None:
            self.effects.append(ToFramework(framework.conn, event))

    def count(self, name: str, framework: FrameworkEntry | None = None, by: int = 1) -> None:
        """Let a counter grow: that of the framework, or the master's. metrics.py has the names."""
        counters = self.state.counters if framework is None else framework.counters
        counters[name] = counters.get(name, 0) + by

    def publish(self, event: OperatorEvent) -> None:
        state = self.state
        state.sequence += 1
        if state.journal.open:
            state.journal.note(event)
            if state.operators:
                self.effects.append(Publish(state.sequence, event))

    def changed(self, agent_id: AgentId | None, framework_id: FrameworkId | None) -> None:
        """What the framework has of the agent changed, or one of them alone: operators see it in a
        moment. Not at once, for while tasks come and go each view would be made many times."""
        state = self.state
        if state.machines.planned and agent_id is not None and framework_id is not None:
            state.inverse_looks[(agent_id, framework_id)] = None
        if not state.journal.open:
            return
        if agent_id is not None:
            state.changed_agents[agent_id] = None
        if framework_id is not None:
            state.changed_frameworks[framework_id] = None
        if not state.views_due:
            state.views_due = True
            self.timer(TIMER_VIEWS, VIEWS_EVERY_S)

    def status(
        self,
        task_id: TaskId,
        state: TaskState,
        reason: Reason,
        message: str,
        *,
        agent_id: AgentId | None = None,
        unreachable_s: float | None = None,
    ) -> TaskStatus:
        """A status made by the master: no uuid, sent once, never acknowledged."""
        return TaskStatus(
            task_id,
            state,
            message=message,
            source=Source.MASTER,
            reason=reason,
            agent_id=agent_id,
            timestamp=self.now.wall_s,
            unreachable_time=unreachable_s,
        )


def task_of(info: TaskInfo, framework_id: FrameworkId, role: str, user: str | None) -> Task:
    """The task that a launch makes."""
    runner = info.command or (info.executor.command if info.executor else None)
    return Task(
        name=info.name,
        task_id=info.task_id,
        framework_id=framework_id,
        agent_id=info.agent_id,
        state=TaskState.STAGING,
        executor_id=info.executor.executor_id if info.executor else None,
        resources=info.resources,
        labels=info.labels,
        discovery=info.discovery,
        container=info.container,
        health_check=info.health_check,
        kill_policy=info.kill_policy,
        user=(runner.user if runner else None) or user,
        role=role,
        unique_lease=info.unique_lease,
    )


def used_on(agent: AgentEntry) -> dict[tuple[FrameworkId, str], Resources]:
    """What each client's live tasks and executors take on the agent."""
    used: dict[tuple[FrameworkId, str], Resources] = {}
    for (framework_id, _), entry in agent.tasks.items():
        if entry.holds_resources:
            client = (framework_id, entry.info.role)
            used[client] = used.get(client, Resources()) + entry.info.resources
    for (framework_id, _), executor in agent.executors.items():
        client = (framework_id, executor.role)
        used[client] = used.get(client, Resources()) + executor.info.resources
    return used
