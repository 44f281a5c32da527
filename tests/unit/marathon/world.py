"""A world for the Marathon core: a virtual clock, a store and a tiny master with agents.

The core steps exactly as its shell has it step: writes are stored first, then effects are let out.
The master offers what is free, runs what it is told to and answers kills and reconciliation;
`auto` says which of these happen by themselves.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from mezzo.cluster.model import Attribute, FaultDomain, Offer, TaskInfo, TaskStatus
from mezzo.cluster.operations import Launch
from mezzo.cluster.resources import Resources
from mezzo.cluster.states import Reason, TaskState
from mezzo.core import CancelTimer, Delete, Instant, Put, SetTimer, TimerFired, write_bytes
from mezzo.ids import AgentId, ConnId, FrameworkId, IdSource, OfferId, TaskId
from mezzo.marathon.commands import ChangeApps, Command, DeleteApp, Deployed, Origin, Result, Target
from mezzo.marathon.config import MarathonConfig
from mezzo.marathon.core import MarathonCore
from mezzo.marathon.effects import (
    Abort,
    Call,
    Faulted,
    Publish,
    Registered,
    Reply,
    ShowApp,
    ShowAside,
    ShowDeployment,
    ShowInstance,
    StandBy,
    StartHealthCheck,
    StopHealthChecks,
)
from mezzo.marathon.events import (
    ApiRequest,
    Event,
    HealthResult,
    LinkDown,
    LinkUp,
    MasterEvent,
    Started,
)
from mezzo.marathon.model.app import App
from mezzo.marathon.views import AppView, Aside, DeploymentView, InstanceView
from mezzo.messages import scheduler as m

N = TypeVar("N")

ORIGIN = Origin("127.0.0.1", "/v2/apps")


@dataclass
class OfferedAgent:
    """What offers say of an agent: Marathon hears of agents, and never one itself. What agents say
    is in `mezzo.sim.fakes`; here the world says what a master makes of it."""

    id: AgentId
    hostname: str
    total: Resources
    attributes: tuple[Attribute, ...] = ()
    domain: FaultDomain | None = None


@dataclass
class Task:
    info: TaskInfo
    agent: OfferedAgent
    state: TaskState = TaskState.STAGING


class Crash(Exception):
    """The process dies after the writes of a step, before its effects."""


@dataclass
class World:
    """`auto_run`: launched tasks turn RUNNING. `auto_kill`: killed ones turn KILLED. `mute`: the
    master answers no reconciliation, as of tasks whose agents may still return."""

    agents: list[OfferedAgent] = field(default_factory=list)
    config: MarathonConfig = field(default_factory=MarathonConfig)
    auto_run: bool = True
    auto_kill: bool = True
    mute: bool = False
    seed: int = 1

    def __post_init__(self) -> None:
        self.wall_s = 1_700_000_000.0
        self.mono_s = 1000.0
        self.store: dict[str, bytes] = {}
        self.tasks: dict[TaskId, Task] = {}
        self.launched_ever: list[TaskId] = []
        self._ever: set[TaskId] = set()
        self.placed: dict[TaskId, AgentId] = {}  # all that were launched
        self.ended: list[TaskId] = []
        self.acks: list[m.Acknowledge] = []
        self.epoch = 1
        self.steps = 0
        self.written: list[int] = []  # bytes of each step
        self.crash_at: int | None = None  # number of the step
        self.watch: Callable[[], None] = lambda: None  # called after each step
        self._conns = 0
        self._offers = 0
        self._requests = 0
        self._uuids = 0
        self._boot()

    def _boot(self) -> None:
        rng = random.Random(self.seed)
        self.seed += 1
        self.timers: dict[Hashable, float] = {}
        self.inbox: deque[Event] = deque()
        self.conn: ConnId | None = None
        self.suppressed = False
        self.calls: list[m.Call] = []
        self.events: list[Publish] = []
        self.replies: dict[int, Result] = {}
        self.checks: dict[tuple[str, int], StartHealthCheck] = {}
        self.shown_apps: dict[str, AppView] = {}
        self.shown_instances: dict[str, InstanceView] = {}
        self.shown_deployments: dict[str, DeploymentView] = {}
        self.shown_aside: dict[str, Aside] = {}
        self.faults: list[Faulted] = []
        self.aborted: str | None = None
        self.stands_by = False
        self.registered: FrameworkId | None = None
        self.core = MarathonCore(self.config, dict(self.store), IdSource(rng), rng)
        self.step(Started())

    # ---- building

    @classmethod
    def of(cls, *hosts: str, cpus: float = 8, mem: float = 8192, **kwargs: Any) -> Self:
        """Agents of one size, connected."""
        ports = [(31000, 32000)]
        world = cls(
            agents=[
                OfferedAgent(
                    AgentId(f"S{i}"), host, Resources.of(cpus=cpus, mem=mem, disk=9999, ports=ports)
                )
                for i, host in enumerate(hosts or ("a",))
            ],
            **kwargs,
        )
        world.connect()
        return world

    # ---- the shell's part

    @property
    def now(self) -> Instant:
        return Instant(self.wall_s, self.mono_s)

    def step(self, event: Event) -> list[Any]:
        output = self.core.step(event, self.now)
        self.steps += 1
        self.written.append(sum(map(write_bytes, output.writes)))
        for write in output.writes:
            match write:
                case Put(key, value):
                    self.store[key] = value
                case Delete(key):
                    self.store.pop(key, None)
        if self.crash_at is not None and self.steps >= self.crash_at and output.writes:
            self.crash_at = None
            raise Crash
        for effect in output.effects:
            self._perform(effect)
        self.watch()
        return output.effects

    def _perform(self, effect: Any) -> None:
        match effect:
            case SetTimer(key, at_s):
                self.timers[key] = at_s
            case CancelTimer(key):
                self.timers.pop(key, None)
            case Call(conn, call):
                if conn == self.conn:
                    self.calls.append(call)
                    self._called(call)
            case Publish():
                self.events.append(effect)
            case Reply(request_id, result):
                self.replies[request_id] = result
            case StartHealthCheck(instance_id, index):
                self.checks[instance_id, index] = effect
            case StopHealthChecks(instance_id):
                for key in [key for key in self.checks if key[0] == instance_id]:
                    del self.checks[key]
            case ShowApp(app_id, view):
                _show(self.shown_apps, app_id, view)
            case ShowInstance(_, instance_id, view):
                _show(self.shown_instances, instance_id, view)
            case ShowDeployment(deployment_id, view):
                _show(self.shown_deployments, deployment_id, view)
            case ShowAside(key, aside):
                _show(self.shown_aside, key, aside)
            case Faulted():
                self.faults.append(effect)
            case Abort(reason):
                self.aborted = reason
            case StandBy():
                self.stands_by = True
            case Registered(framework_id):
                self.registered = framework_id

    def advance(self, seconds: float) -> None:
        """Let time pass; timers fire in order, and what they cause happens."""
        self.run()
        until_s = self.mono_s + seconds
        while True:
            due = min(self.timers.items(), key=lambda item: item[1], default=None)
            if due is None or due[1] > until_s:
                break
            self._move_to(due[1])
            del self.timers[due[0]]
            self.step(TimerFired(due[0]))
            self.run()
        self._move_to(until_s)
        self.run()

    def _move_to(self, mono_s: float) -> None:
        passed = max(0.0, mono_s - self.mono_s)
        self.mono_s += passed
        self.wall_s += passed

    def restart(self) -> None:
        """Another leader takes over with what is stored; tasks go on."""
        self._boot()
        self.connect()

    # ---- the master's part

    def connect(self, *, epoch: int | None = None) -> None:
        self.epoch = epoch or self.epoch
        subscribe = self.link_up()
        self.suppressed = bool(subscribe.suppressed_roles)
        self.say(m.Subscribed(subscribe.framework_info.id or FrameworkId("F-0000")))

    def link_up(self) -> m.Subscribe:
        """A stream to the master that has not answered yet."""
        self._conns += 1
        self.conn = ConnId(self._conns)
        self.step(LinkUp(self.conn))
        subscribe = self.calls[-1]
        assert isinstance(subscribe, m.Subscribe)
        return subscribe

    def disconnect(self) -> None:
        assert self.conn is not None
        conn, self.conn = self.conn, None
        self.inbox.clear()
        self.step(LinkDown(conn))

    def say(self, event: m.Event) -> list[Any]:
        assert self.conn is not None
        return self.step(MasterEvent(self.conn, self.epoch, event))

    def _called(self, call: m.Call) -> None:
        match call:
            case m.Accept(_, operations):
                for operation in operations:
                    assert isinstance(operation, Launch)
                    self._launch(operation)
            case m.Kill(task_id):
                if task_id in self.tasks and self.auto_kill:
                    self._later(task_id, TaskState.KILLED)
            case m.Suppress():
                self.suppressed = True
            case m.Revive():
                self.suppressed = False
            case m.Acknowledge():
                self.acks.append(call)
            case m.Reconcile(tasks):
                self._reconcile([task.task_id for task in tasks] or list(self.tasks), bool(tasks))

    def _launch(self, launch: Launch) -> None:
        agent = next(a for a in self.agents if a.id == launch.task_infos[0].agent_id)
        wanted = Resources.total(info.resources for info in launch.task_infos)
        assert wanted <= self.free(agent), "more than there is"
        for info in launch.task_infos:
            assert info.task_id not in self._ever, f"{info.task_id} launched twice"
            assert f"instance/{info.task_id.removesuffix('._app.1')}" in self.store
            self._ever.add(info.task_id)
            self.launched_ever.append(info.task_id)
            self.placed[info.task_id] = agent.id
            self.tasks[info.task_id] = Task(info, agent)
            if self.auto_run:
                self._later(info.task_id, TaskState.RUNNING)

    def _reconcile(self, task_ids: list[TaskId], explicit: bool) -> None:
        if self.mute:
            return
        for task_id in task_ids:
            task = self.tasks.get(task_id)
            state = task.state if task else TaskState.GONE
            status = TaskStatus(task_id, state, reason=Reason.RECONCILIATION)
            self._queue(m.Update(status))

    def _later(self, task_id: TaskId, state: TaskState) -> None:
        if state.terminal:
            self.tasks.pop(task_id, None)
            self.ended.append(task_id)
        else:
            self.tasks[task_id].state = state
        self._queue(m.Update(self._status(task_id, state)))

    def _status(self, task_id: TaskId, state: TaskState, **kwargs: Any) -> TaskStatus:
        self._uuids += 1
        return TaskStatus(
            task_id,
            state,
            **{
                "agent_id": self._agent_of(task_id),
                "timestamp": self.wall_s,
                "uuid": self._uuids.to_bytes(16, "big"),
                **kwargs,
            },
        )

    def _agent_of(self, task_id: TaskId) -> AgentId:
        """Also of one that has ended."""
        if (stored := self.placed.get(task_id)) is not None:
            return stored
        return self.agents[0].id if self.agents else AgentId("S0")

    def _queue(self, event: m.Event) -> None:
        if self.conn is not None:
            self.inbox.append(MasterEvent(self.conn, self.epoch, event))

    def free(self, agent: OfferedAgent) -> Resources:
        used = Resources.total(t.info.resources for t in self.tasks.values() if t.agent is agent)
        return agent.total - used

    def offer(self, *agents: OfferedAgent) -> list[Any]:
        """One batch of offers of all that is free."""
        return self.say(m.Offers(tuple(self.make_offer(a) for a in agents or self.agents)))

    def make_offer(self, agent: OfferedAgent) -> Offer:
        self._offers += 1
        return Offer(
            OfferId(f"O{self._offers}"),
            self.registered or FrameworkId("F-0000"),
            agent.id,
            agent.hostname,
            self.free(agent),
            agent.attributes,
            domain=agent.domain,
        )

    def run(self, rounds: int = 60) -> None:
        """Updates and offers until nothing new happens (an offer round without a launch)."""
        for _ in range(rounds):
            while self.inbox:
                self.step(self.inbox.popleft())
            if self.conn is None or self.suppressed:
                return
            before = len(self.launched_ever)
            self.offer()
            if len(self.launched_ever) == before and not self.inbox:
                return

    # ---- tasks

    def update(self, task_id: TaskId, state: TaskState, **kwargs: Any) -> list[Any]:
        """The agent tells a state of its task."""
        if state.terminal:
            self.tasks.pop(task_id, None)
            self.ended.append(task_id)
        elif task_id in self.tasks:
            self.tasks[task_id].state = state
        return self.say(m.Update(self._status(task_id, state, **kwargs)))

    def running(self, app_id: str) -> list[TaskId]:
        """Ids of the app's tasks that exist at the master, oldest first."""
        head = app_id.strip("/").replace("/", "_") + ".instance-"
        return [task_id for task_id in self.tasks if task_id.startswith(head)]

    def probe(self, task_id: TaskId, alive: bool | None, index: int = 0) -> None:
        """A result of Marathon's own health check."""
        self.step(HealthResult(task_id.rpartition("._app.")[0], index, alive, "refused"))

    # ---- users

    def ask(self, command: Command) -> Result:
        self._requests += 1
        self.step(ApiRequest(self._requests, command))
        return self.replies[self._requests]

    def put(self, *apps: App, force: bool = False) -> Result:
        """Create or change, as PUT does."""
        shown = self.shown_apps
        targets = tuple(
            Target(app, shown[app.id].app.version_ms if app.id in shown else None) for app in apps
        )
        return self.ask(ChangeApps(targets, ORIGIN, force))

    def deploy(self, *apps: App, force: bool = False) -> Deployed:
        """`put`, and everything that follows from it."""
        result = self.put(*apps, force=force)
        assert isinstance(result, Deployed), result
        self.run()
        self.advance(0.2)  # the shortest time between two revives
        return result

    def delete(self, app_id: str, *, force: bool = True) -> Result:
        return self.ask(DeleteApp(app_id, force))

    def news(self, *kinds: type[N]) -> list[N]:
        """All that was told of these kinds, in its order."""
        return [each.news for each in self.events if isinstance(each.news, kinds)]

    def called(self, kind: type[Any]) -> list[Any]:
        return [call for call in self.calls if isinstance(call, kind)]


def _show(shown: dict[str, Any], key: str, view: Any) -> None:
    if view is None:
        shown.pop(key, None)
    else:
        shown[key] = view
