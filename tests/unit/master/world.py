"""A master's core with hand-driven peers, a hand-driven clock and a store that is a dict."""

from __future__ import annotations

import itertools
import random
from collections.abc import Hashable, Iterable
from typing import Any, Final, TypeVar

from mezzo.cluster.model import (
    AgentInfo,
    Capability,
    CommandInfo,
    FaultDomain,
    Filters,
    FrameworkInfo,
    MasterInfo,
    Offer,
    Task,
    TaskInfo,
    TaskStatus,
)
from mezzo.cluster.operations import (
    Launch,
    Operation,
)
from mezzo.cluster.resources import Resources
from mezzo.cluster.states import TaskState
from mezzo.core import (
    COMMIT_BYTES_MAX,
    VALUE_BYTES_MAX,
    CancelTimer,
    Delete,
    Instant,
    Put,
    SetTimer,
    TimerFired,
)
from mezzo.ids import AgentId, ConnId, FrameworkId, OfferId, TaskId
from mezzo.master.config import MasterConfig
from mezzo.master.core import MasterCore
from mezzo.master.effects import (
    Answer,
    CloseStream,
    GiveUp,
    NoteDenied,
    NoteIgnored,
    NoteSetAside,
    Publish,
    ToAgent,
    ToFramework,
    ToOperator,
)
from mezzo.master.events import (
    AgentSaid,
    FrameworkSaid,
    MasterEvent,
    OperatorAsked,
    OperatorJoined,
    Started,
    StreamClosed,
)
from mezzo.master.state.records import AgentRecord
from mezzo.master.tables import AGENTS
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.record import replace
from mezzo.sim.fakes.fake_agent import FakeAgent
from mezzo.store.base import check_writes

R = TypeVar("R")

SMALL = Resources.of(cpus=1, mem=100)
BIG = Resources.of(cpus=4, mem=4000, ports=[(31000, 31009)])


# What agents do of themselves when they hear it, but here as a test says.
_LEFT_TO_TESTS: Final = (am.AgentReregistered, am.KillTask, am.DrainAgent)


class Agent(FakeAgent):
    """The agent's side of a stream, with tasks that only tests move. `inbox` is what the master has
    told it, since last asked."""

    def __init__(self, world: World, info: AgentInfo) -> None:
        super().__init__(info, uuids=world.uuid, ignores=_LEFT_TO_TESTS, is_hasty=True)
        self.world = world
        self.conn: ConnId | None = None
        self.inbox: list[am.MasterMessage] = []

    def say(self, message: am.AgentMessage) -> None:
        assert self.conn is not None
        self.world.feed(AgentSaid(self.conn, message))

    def connect(self) -> None:
        self.heard(am.ApplyOperation)  # those of the stream before are void
        self.conn = self.world.open(self)

    def register(self) -> None:
        """On a new stream, or again."""
        self.connect()
        self.say(self.registration())

    def reregister(self, *tasks: Task) -> None:
        """On a new stream, with the tasks that it knows and has not forgotten, or with others."""
        self.connect()
        report = self.report()
        self.say(replace(report, tasks=tasks) if tasks else report)

    def disconnect(self) -> None:
        if self.conn is not None:
            self.world.close(self.conn)

    def update(
        self,
        task: TaskInfo | Task,
        framework_id: FrameworkId,
        state: TaskState,
        *,
        latest: TaskState | None = None,
        **more: Any,
    ) -> TaskStatus:
        """Send an update of a task, with a uuid. `latest`: the latest state, if it is another."""
        status = self.status(task.task_id, state, self.world.now.wall_s, **more)
        told = self.tell(framework_id, status, latest)
        key = (framework_id, task.task_id)
        if key in self.tasks:
            self.tasks[key] = replace(self.tasks[key], statuses=(status,))
        for message in told:
            self.say(message)
        return status

    def resend(self) -> None:
        """What was not acknowledged: of each task the last update, of operations the outcome."""
        for message in list(self.unheard()):
            self.say(message)

    def receive(self, message: Any) -> None:
        self.inbox.append(message)
        for answer in self.hear(message, self.world.now.wall_s):
            self.answer(answer)

    def answer(self, message: am.AgentMessage) -> None:
        """Say it when the master's step is over."""
        if self.conn is not None:
            self.world.replies.append(AgentSaid(self.conn, message))

    def heard(self, kind: type[R]) -> list[R]:
        """What it was told of one kind since it was asked last."""
        found: list[R] = [message for message in self.inbox if isinstance(message, kind)]
        self.inbox = [message for message in self.inbox if not isinstance(message, kind)]
        return found


class Framework:
    """A scheduler's side of a stream. Offers that it holds are in `offers`."""

    def __init__(self, world: World, info: FrameworkInfo) -> None:
        self.world = world
        self.info = info
        self.conn: ConnId | None = None
        self.offers: dict[OfferId, Offer] = {}
        self.inbox: list[sm.Event] = []

    @property
    def id(self) -> FrameworkId:
        assert self.info.id is not None
        return self.info.id

    def say(self, call: sm.Call) -> None:
        assert self.conn is not None
        self.world.feed(FrameworkSaid(self.conn, self.info.id, call))

    def subscribe(self, *suppressed: str) -> None:
        """On a new stream."""
        self.conn = self.world.open(self)
        self.say(sm.Subscribe(self.info, suppressed))

    def disconnect(self) -> None:
        if self.conn is not None:
            self.world.close(self.conn)

    def receive(self, event: Any) -> None:
        self.inbox.append(event)
        match event:
            case sm.Subscribed(framework_id=framework_id):
                self.info = replace(self.info, id=framework_id)
                self.offers.clear()
            case sm.Offers(offers=offers):
                self.offers.update((offer.id, offer) for offer in offers)
            case sm.Rescind(offer_id=offer_id):
                del self.offers[offer_id]
            case _:
                pass

    def heard(self, kind: type[R]) -> list[R]:
        """What it was told of one kind since it was asked last."""
        found: list[R] = [event for event in self.inbox if isinstance(event, kind)]
        self.inbox = [event for event in self.inbox if not isinstance(event, kind)]
        return found

    def updates(self) -> list[TaskStatus]:
        return [update.status for update in self.heard(sm.Update)]

    @property
    def held(self) -> Resources:
        """The resources of all offers that it holds."""
        return Resources.total(offer.resources for offer in self.offers.values())

    def offer(self, agent: Agent | None = None) -> Offer:
        """The offer that it holds, of that agent."""
        (offer,) = [o for o in self.offers.values() if agent is None or o.agent_id == agent.id]
        return offer

    def accept(self, offers: Iterable[Offer], *tasks: TaskInfo, refuse_s: float = 5.0) -> None:
        ids = tuple(offer.id for offer in offers)
        for offer_id in ids:
            self.offers.pop(offer_id, None)
        self.say(sm.Accept(ids, (Launch(tasks),), Filters(refuse_s)))

    def operate(self, *operations: Operation, refuse_s: float = 5.0) -> None:
        """On all offers that it holds, which must be of one agent and role."""
        ids = tuple(self.offers)
        self.offers.clear()
        self.say(sm.Accept(ids, operations, Filters(refuse_s)))

    def launch(
        self, task_id: str, resources: Resources = SMALL, *, agent: Agent | None = None
    ) -> TaskInfo:
        """Launch a task on the offer that it holds; the rest comes back for an hour."""
        offer = self.offer(agent)
        info = task(task_id, offer.agent_id, resources)
        self.accept([offer], info, refuse_s=3600)
        return info

    def decline(self, refuse_s: float = 5.0) -> None:
        """All offers that it holds."""
        ids = tuple(self.offers)
        self.offers.clear()
        self.say(sm.Decline(ids, Filters(refuse_s)))

    def acknowledge(self, status: TaskStatus) -> None:
        assert status.agent_id is not None
        assert status.uuid is not None
        self.say(sm.Acknowledge(status.agent_id, status.task_id, status.uuid))

    def reconcile(self, *tasks: tuple[str, AgentId | None]) -> list[TaskStatus]:
        """What the master answers; no tasks: asks for all."""
        self.updates()
        self.say(sm.Reconcile(tuple(sm.ReconcileTask(TaskId(t), a) for t, a in tasks)))
        return self.updates()


class World:
    """`settle` runs what is due now; `advance` lets time pass. Peers get what the core sends."""

    def __init__(
        self,
        seed: int = 0,
        *,
        stored: dict[str, bytes] | None = None,
        domain: FaultDomain | None = None,
        **config: Any,
    ) -> None:
        self.rng = random.Random(seed)
        self.now = Instant(1_000_000.0, 0.0)
        self.stored = dict(stored or {})
        self.writes: list[Put | Delete] = []  # all since the beginning
        self.domain = domain  # of the master
        self.config = config
        self.ignored: list[str] = []  # why an agent got no answer, each time
        self.denied: list[str] = []  # who said what, and why it counts for nothing
        self.set_aside: dict[str, str] = {}  # records of the store, and why
        self.gave_up: list[str] = []  # why, each time
        self.largest_commit = 0  # writes of one step
        self.epoch = 0
        self.peers: dict[ConnId, Agent | Framework] = {}
        self.closing: list[ConnId] = []
        self.replies: list[MasterEvent] = []  # what peers answer to what they have just heard
        self.published: list[tuple[int, om.OperatorEvent]] = []
        self.snapshots: list[tuple[int, om.OperatorEvent]] = []  # and events that were missed
        self.operators: dict[ConnId, None] = {}  # open streams
        self.answers: dict[int, tuple[int, om.OperatorResponse]] = {}
        self._numbers = itertools.count(1)
        self._names = itertools.count(1)
        self._timers: dict[Hashable, tuple[float, int]] = {}
        self.restart()

    # ---- the master

    def restart(self) -> None:
        """A new leader over what is stored. All streams are gone."""
        self.epoch += 1
        for conn in [*self.peers, *self.operators]:
            self._forget(conn)
        self._timers.clear()
        info = MasterInfo(f"m{self.epoch}", 0, 5050, domain=self.domain)
        self.core = MasterCore(MasterConfig(info, **self.config), self.epoch, self.stored, self.rng)
        self.feed(Started())

    def feed(self, *events: MasterEvent) -> list[Any]:
        """Step the core, deliver the effects, run what is due now; returns the effects."""
        effects = self.step(*events)
        self.settle()
        return effects

    def step(self, *events: MasterEvent) -> list[Any]:
        """Step the core and deliver, but let no timer fire."""
        out: list[Any] = []
        for event in events:
            output = self.core.step(event, self.now)
            self.largest_commit = max(self.largest_commit, len(output.writes))
            check_writes(output.writes, VALUE_BYTES_MAX, COMMIT_BYTES_MAX)
            for write in output.writes:
                self._write(write)
            for effect in output.effects:
                self._perform(effect)
            out += output.effects
        while self.closing:
            conn = self.closing.pop()
            self._forget(conn)
            out += self.step(StreamClosed(conn))
        while self.replies:
            out += self.step(self.replies.pop(0))
        return out

    def _write(self, write: Put | Delete) -> None:
        self.writes.append(write)
        if isinstance(write, Put):
            self.stored[write.key] = write.value
        else:
            self.stored.pop(write.key, None)

    def _perform(self, effect: Any) -> None:
        match effect:
            case ToAgent(conn=conn, message=message) | ToFramework(conn=conn, event=message):
                self.peers[conn].receive(message)  # a KeyError: sent to a stream that is closed
            case CloseStream(conn=conn):
                assert conn in self.peers or conn in self.operators
                self.closing.append(conn)
            case SetTimer(key=key, at_s=at_s):
                self._timers[key] = (at_s, next(self._numbers))
            case CancelTimer(key=key):
                self._timers.pop(key, None)
            case Publish(sequence=sequence, event=event):
                self.published.append((sequence, event))
            case ToOperator(sequence=sequence, event=event):
                self.snapshots.append((sequence, event))
            case Answer(request=request, sequence=sequence, response=response):
                self.answers[request] = (sequence, response)
            case NoteIgnored(reason=reason):
                self.ignored.append(reason)
            case NoteDenied(peer=peer, what=what, reason=reason):
                self.denied.append(f"{peer}: {what}: {reason}")
            case NoteSetAside(key=key, reason=reason):
                self.set_aside[key] = reason
            case GiveUp(reason=reason):
                self.gave_up.append(reason)
            case _:
                raise AssertionError(effect)

    # ---- time

    def settle(self) -> None:
        """Fire what is due now. What a timer sets for now is due as well."""
        self.advance(0.0)

    def advance(self, seconds: float) -> None:
        """Let time pass: timers fire when they are due, in order."""
        end_s = self.now.mono_s + seconds
        while self._timers:
            key = min(self._timers, key=lambda each: self._timers[each])
            at_s, _ = self._timers[key]
            if at_s > end_s:
                break
            del self._timers[key]
            self._move_to(max(at_s, self.now.mono_s))
            self.step(TimerFired(key))
        self._move_to(end_s)

    def _move_to(self, mono_s: float) -> None:
        self.now = Instant(self.now.wall_s + mono_s - self.now.mono_s, mono_s)

    @property
    def timers(self) -> set[Hashable]:
        return set(self._timers)

    # ---- streams

    def open(self, peer: Agent | Framework) -> ConnId:
        conn = ConnId(next(self._numbers))
        self.peers[conn] = peer
        return conn

    def close(self, conn: ConnId) -> None:
        """The peer's end is gone."""
        self._forget(conn)
        self.feed(StreamClosed(conn))

    def _forget(self, conn: ConnId) -> None:
        peer = self.peers.pop(conn, None)
        self.operators.pop(conn, None)
        if peer is not None and peer.conn == conn:
            peer.conn = None

    # ---- peers

    def uuid(self) -> bytes:
        return next(self._numbers).to_bytes(16, "big")

    def agent(self, resources: Resources = BIG, **info: Any) -> Agent:
        """A registered agent."""
        hostname = info.pop("hostname", f"host-{next(self._names)}")
        agent = Agent(self, AgentInfo(hostname, resources=resources, **info))
        agent.register()
        return agent

    def framework(
        self,
        name: str = "",
        *,
        suppressed: tuple[str, ...] = (),
        aware: bool = True,
        capabilities: tuple[Capability, ...] = (),
        **info: Any,
    ) -> Framework:
        """A subscribed framework; `aware` of partitions, with a failover timeout of a minute."""
        settings: dict[str, Any] = {"failover_timeout": 60.0, "checkpoint": True, **info}
        if aware:
            capabilities = (*capabilities, Capability.PARTITION_AWARE)
        framework = Framework(
            self,
            FrameworkInfo(
                "root",
                name or f"framework-{next(self._names)}",
                capabilities=capabilities,
                **settings,
            ),
        )
        framework.subscribe(*suppressed)
        return framework

    def operator(self, resume: om.Resume | None = None) -> ConnId:
        """Somebody who follows the operator events: see `snapshots` and `published`."""
        conn = ConnId(next(self._numbers))
        self.operators[conn] = None
        self.feed(OperatorJoined(conn, resume))
        return conn

    def ask(self, call: om.OperatorCall) -> om.OperatorResponse:
        request = next(self._numbers)
        self.feed(OperatorAsked(request, call))
        return self.answers[request][1]


def task(task_id: str, agent_id: AgentId, resources: Resources = SMALL, **more: Any) -> TaskInfo:
    more.setdefault("command", CommandInfo("true"))
    return TaskInfo(task_id, TaskId(task_id), agent_id, resources, **more)


def record(world: World, agent: Agent) -> AgentRecord:
    """As it is stored."""
    return AGENTS.decode(world.stored[f"agent/{agent.id}"])
