"""Virtual frameworks: jobs wait in a queue, a scheduler decides about one at a time, in its time.

How it decides is what the Mesos schedulers of the Omega paper's simulator do (EuroSys 2013, section
4.2; google/cluster-scheduler-simulator, MesosSimulation.scala). With offers at hand it works off
the jobs that wait at that moment, one after the other, and holds all of the offers until then. A
job that found too little room is tried again a second later; that of a framework that declares its
demand waits for the offers that this brings. A framework without jobs suppresses.

Differences, all of them because the real master has it so: an accepted offer's rest goes back at
once, not after the last job. An offer may be rescinded while the scheduler thinks: then its tasks
go to the other offers that it has, or, if it `insists`, wait for another decision. A framework that
declares its demand declares the next job, for it can't use more before that is decided.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mezzo.cluster.amounts import Thousandths, to_milli
from mezzo.cluster.model import (
    Capability,
    CommandInfo,
    Filters,
    FrameworkInfo,
    Offer,
    TaskInfo,
    TaskStatus,
)
from mezzo.cluster.operations import Launch
from mezzo.cluster.states import TaskState
from mezzo.ids import AgentId, ConnId, FrameworkId, OfferId, TaskId
from mezzo.messages.scheduler import (
    Accept,
    Acknowledge,
    Call,
    Decline,
    DemandRequest,
    Kill,
    Offers,
    Reconcile,
    ReconcileTask,
    Request,
    Rescind,
    Revive,
    Subscribe,
    Subscribed,
    Suppress,
    Update,
)

from ..daemons.master_link import Client, Server
from ..daemons.masters import FromFramework, ToClient
from ..world.network import Network
from .jobs import Job
from .scenario_file import FrameworkPlan, to_resources

_TRY_AGAIN_S: Final = 1.0
_RECONCILE_S: Final = 60.0
_FAILOVER_S: Final = 86_400.0
_CAPABILITIES: Final = (
    Capability.MULTI_ROLE,
    Capability.PARTITION_AWARE,
    Capability.GPU_RESOURCES,  # else agents with gpus are kept from it
)
# A task in one of these may come back, but nobody waits for it.
_AWAY: Final = frozenset({TaskState.UNREACHABLE, TaskState.UNKNOWN})


@dataclass(slots=True)
class Tally:
    """What a framework has seen and done. busy_s: seconds in which its scheduler decided."""

    offers: int = 0
    used: int = 0
    declined: int = 0
    rescinded: int = 0
    launched: int = 0
    lost: int = 0  # tasks that did not end by themselves
    missed: int = 0  # tasks meant for an offer that was rescinded meanwhile
    busy_s: float = 0.0


@dataclass(slots=True)
class Placed:
    """A task that was launched. since_s: when it was last heard of."""

    job: Job
    index: int
    agent_id: AgentId
    since_s: float
    running: bool = False


@dataclass(slots=True)
class _Batch:
    """The jobs that a decision is about, one after the other, and the offers that it has seen."""

    jobs: deque[Job]
    seen: dict[OfferId, None] = field(default_factory=dict)


class VirtualFramework:
    def __init__(
        self,
        network: Network,
        plan: FrameworkPlan,
        jobs: list[Job],
        find: Callable[[str], Server | None],
    ) -> None:
        self.plan = plan
        self.jobs = jobs
        self.tally = Tally()
        self.queue: deque[Job] = deque()
        self.tasks: dict[TaskId, Placed] = {}
        self.offers: dict[OfferId, Offer] = {}
        self._world = network.world
        self._shape = {name: to_milli(amount) for name, amount in plan.jobs.shape.items()}
        self._resources = to_resources(plan.jobs.shape)
        self._again: dict[Job, None] = {}  # jobs that are tried again in a moment
        self._batch: _Batch | None = None
        self._suppressed = True
        self._declared = 0
        self._conn: ConnId | None = None
        self._id: FrameworkId | None = None
        self._launches = 0
        self._epoch = 0
        self.client = Client(
            network,
            plan.name,
            find,
            on_up=self._up,
            on_message=self._received,
            on_down=self._down,
            repeatable=lambda _: 0.0,
        )

    def start(self) -> None:
        for job in self.jobs:
            self._world.after(job.at_s, self._enqueue, job)
        self._world.after(_RECONCILE_S, self._reconcile_silent)
        self.client.start()

    def in_use(self) -> dict[str, Thousandths]:
        """The resources that its tasks take, by name."""
        return {name: amount * len(self.tasks) for name, amount in self._shape.items()}

    def held(self) -> dict[str, Thousandths]:
        """The resources of its offers that it has not answered, by name."""
        held: dict[str, Thousandths] = {}
        for offer in self.offers.values():
            for kind, value in offer.resources.items():
                if isinstance(value, int):
                    held[kind.name] = held.get(kind.name, 0) + value
        return held

    @property
    def waiting(self) -> int:
        """Jobs that want to place something, now or when they are tried again."""
        return self._eager + len(self._again)

    @property
    def _eager(self) -> int:
        return len(self.queue) + (len(self._batch.jobs) if self._batch else 0)

    # ---- connection

    def _up(self, conn: ConnId) -> None:
        self._conn = conn
        self.offers.clear()
        info = FrameworkInfo(
            user="root",
            name=self.plan.name,
            id=self._id,
            failover_timeout=_FAILOVER_S,
            checkpoint=True,
            roles=(self.plan.in_role,),
            capabilities=_CAPABILITIES,
        )
        self._suppressed = not self._eager
        quiet = (self.plan.in_role,) if self._suppressed else ()
        self._call(Subscribe(info, quiet))

    def _down(self, conn: ConnId) -> None:
        del conn
        self._conn = None
        self.offers.clear()

    def _call(self, call: Call) -> None:
        if self._conn is not None:
            self.client.send(self._conn, FromFramework(self._id, call))

    def _received(self, conn: ConnId, message: ToClient) -> None:
        if conn != self._conn or message.epoch < self._epoch:
            return
        self._epoch = message.epoch
        event: Any = message.message
        match event:
            case Offers(offers=offers):
                self.tally.offers += len(offers)
                self.offers.update((offer.id, offer) for offer in offers)
                self._decide()
            case Rescind(offer_id=offer_id):
                if self.offers.pop(offer_id, None) is not None:
                    self.tally.rescinded += 1
            case Update(status=status):
                self._status(status)
            case Subscribed(framework_id=framework_id):
                self._id = framework_id
                self._declared = 0
                self._declare()
                if self.tasks:
                    self._reconcile(self.tasks)

    # ---- wanting

    def _enqueue(self, job: Job) -> None:
        self._again.pop(job, None)
        self.queue.append(job)
        self._declare()
        if self._suppressed:
            self._suppressed = False
            self._call(Revive())
        self._decide()

    def _declare(self) -> None:
        """Declare the demand, whenever more is wanted than before, or less without a launch."""
        if not self.plan.declares or self._id is None:
            return
        waiting = self._batch.jobs if self._batch else self.queue
        count = len(waiting[0].unplaced) if waiting else 0
        if count and count != self._declared:
            self._declared = count
            wanted = DemandRequest(self._resources, count=count, role=self.plan.in_role)
            self._call(Request((wanted,)))

    def _rest(self) -> None:
        """Nothing waits: ask for no more offers."""
        if self.offers:
            self._decline(self.offers)
        if not self._suppressed:
            self._suppressed = True
            self._call(Suppress())

    def _decline(self, offers: Mapping[OfferId, object]) -> None:
        ids = tuple(offer_id for offer_id in offers if offer_id in self.offers)
        if ids:
            self.tally.declined += len(ids)
            for offer_id in ids:
                del self.offers[offer_id]
            self._call(Decline(ids, Filters(self.plan.refuse_s)))

    # ---- deciding

    def _decide(self) -> None:
        """Begin with the jobs that wait now, if the scheduler is free and there are offers."""
        if self._batch is not None:
            return
        if not self.queue:
            self._rest()
        elif self.offers:
            count = 1 if self.plan.declares else len(self.queue)
            jobs = deque(self.queue.popleft() for _ in range(count))
            self._batch = _Batch(jobs, dict.fromkeys(self.offers))
            self._think(self._batch)

    def _think(self, batch: _Batch) -> None:
        """Think about the first job of the batch, with a plan made of the offers that are held."""
        job = batch.jobs[0]
        now_s = self._world.now_s
        job.tries += 1
        if job.first_try_s is None:
            job.first_try_s = now_s
        plan = self._fit(job, batch.seen)
        think = self.plan.think
        takes_s = think.job_s + think.task_s * len(job.unplaced)
        self._world.after(takes_s, self._thought, batch, job, plan, takes_s)

    def _fit(self, job: Job, offers: Iterable[OfferId]) -> dict[OfferId, list[int]]:
        """First fit: the tasks of each offer."""
        plan: dict[OfferId, list[int]] = {}
        left = list(job.unplaced)
        for offer_id in offers:
            if not left:
                break
            offer = self.offers.get(offer_id)
            if offer is not None and (room := self._room(offer)):
                plan[offer_id], left = left[:room], left[room:]
        return plan

    def _room(self, offer: Offer) -> int:
        """How many tasks fit."""
        resources = offer.resources
        return min(resources.milli(name) // amount for name, amount in self._shape.items())

    def _thought(
        self, batch: _Batch, job: Job, plan: dict[OfferId, list[int]], took_s: float
    ) -> None:
        self.tally.busy_s += took_s
        batch.jobs.popleft()
        if not self.plan.think.insists:
            plan = self._fit(job, self.offers)
        for offer_id, indexes in plan.items():
            offer = self.offers.pop(offer_id, None)
            if offer is None:
                self.tally.missed += len(indexes)
            else:
                self._launch(job, offer, indexes)
        self._after_a_try(job)
        if batch.jobs:
            self._think(batch)
            return
        self._batch = None
        self._decline(batch.seen)
        self._declare()
        self._decide()

    def _launch(self, job: Job, offer: Offer, indexes: list[int]) -> None:
        tasks = []
        for index in indexes:
            task_id = TaskId(f"{self.plan.name}-{job.number}-{index}-{self._launches}")
            self._launches += 1
            self.tasks[task_id] = Placed(job, index, offer.agent_id, self._world.now_s)
            life_s = job.durations_s[index]
            line = "serve" if life_s is None else f"sleep {life_s:.3f}"
            command = CommandInfo(line)
            tasks.append(
                TaskInfo(task_id, task_id, offer.agent_id, self._resources, command=command)
            )
        job.unplaced = [index for index in job.unplaced if index not in indexes]
        self._declared -= len(indexes)
        self.tally.used += 1
        self.tally.launched += len(indexes)
        self._call(Accept((offer.id,), (Launch(tuple(tasks)),), Filters(0.0)))

    def _after_a_try(self, job: Job) -> None:
        now_s = self._world.now_s
        limits = self.plan.give_up
        if not job.unplaced:
            if job.placed_s is None:
                job.placed_s = now_s
        elif (
            job.tries > limits.without_a_task and len(job.unplaced) == job.size
        ) or job.tries > limits.at_all:
            job.abandoned_s = now_s
        elif self.plan.declares:
            self.queue.appendleft(job)  # its demand stands: what fits will be offered
        else:
            self._again[job] = None
            self._world.after(_TRY_AGAIN_S, self._enqueue, job)

    # ---- tasks

    def _status(self, status: TaskStatus) -> None:
        if status.uuid is not None and status.agent_id is not None:
            self._call(Acknowledge(status.agent_id, status.task_id, status.uuid))
        placed = self.tasks.get(status.task_id)
        if placed is None:
            if not status.state.terminal and status.state not in _AWAY:
                self._call(Kill(status.task_id, status.agent_id))  # replaced while it was away
            return
        placed.since_s = self._world.now_s
        placed.running = True
        if status.state is TaskState.FINISHED:
            del self.tasks[status.task_id]
            self._finished(placed.job)
        elif status.state.terminal or status.state in _AWAY:
            del self.tasks[status.task_id]
            self._lost(placed)

    def _finished(self, job: Job) -> None:
        job.tasks_done += 1
        if job.tasks_done == job.size:
            job.done_s = self._world.now_s

    def _lost(self, placed: Placed) -> None:
        """Try a lost task again, as a new one, unless its job is abandoned."""
        job = placed.job
        self.tally.lost += 1
        if job.abandoned_s is not None:
            return
        waits = bool(job.unplaced)  # then it is queued, or will be in a moment
        job.unplaced.append(placed.index)
        if not waits:
            self._enqueue(job)

    def _reconcile_silent(self) -> None:
        """Launches of which nothing was ever heard: the call may have been lost with a master."""
        before_s = self._world.now_s - _RECONCILE_S
        silent = {
            task_id: placed
            for task_id, placed in self.tasks.items()
            if not placed.running and placed.since_s < before_s
        }
        if silent:
            self._reconcile(silent)
        self._world.after(_RECONCILE_S, self._reconcile_silent)

    def _reconcile(self, tasks: Mapping[TaskId, Placed]) -> None:
        asked = (ReconcileTask(task_id, placed.agent_id) for task_id, placed in tasks.items())
        self._call(Reconcile(tuple(asked)))
