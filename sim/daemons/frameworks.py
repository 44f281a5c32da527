"""Virtual frameworks beside Marathon: they work through small tasks, hoard offers, take all that
they get, reserve, or keep one task of which there must never be two.

Their cores are ours, not the SDK's: the master's promises are measured by them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final, Protocol

from mezzo.cluster.model import (
    Capability,
    CommandInfo,
    Filters,
    FrameworkInfo,
    InverseOffer,
    Offer,
    TaskInfo,
    TaskStatus,
)
from mezzo.cluster.operations import Launch, Reserve, Unreserve
from mezzo.cluster.resources import Kind as ResourceKind
from mezzo.cluster.resources import Reservation, Resources
from mezzo.cluster.states import TaskState
from mezzo.core import Delete, Instant, Output, Put, SetTimer, TimerFired
from mezzo.ids import AgentId, ConnId, FrameworkId, IdSource, TaskId
from mezzo.messages.scheduler import (
    Accept,
    AcceptInverseOffers,
    Acknowledge,
    AcknowledgeOperationStatus,
    Call,
    Decline,
    DeclineInverseOffers,
    Error,
    Event,
    InverseOffers,
    Kill,
    Offers,
    Reconcile,
    ReconcileTask,
    Revive,
    Subscribe,
    Subscribed,
    Update,
    UpdateOperationStatus,
)
from mezzo.record import Record, decode, encode, replace

from ..world.disk import Disk
from ..world.network import Network
from ..world.virtual_process import Process
from .askers import EVERY_S as ASK_EVERY_S
from .askers import Asker
from .marathons import repeatable
from .master_link import Client, Server
from .masters import FromFramework, ToClient

SHAPE: Final = Resources.of(cpus=0.5, mem=32)  # of every task
BATCH_WIDTH: Final = 3
LEASE_S: Final = 120.0  # longer than it takes to call an agent unreachable without one
_ALL: Final = 1000
_RECONCILE_S: Final = 60.0
_DECLINE: Final = Filters(refuse_seconds=5.0)
_ASK: Final = "ask"


class Began(Record):
    pass


class Up(Record):
    conn: ConnId


class Down(Record):
    conn: ConnId


class Said(Record):
    conn: ConnId
    epoch: int
    event: Event


class Say(Record):
    conn: ConnId
    call: Call


class Work(Record):
    """`task/<id>`: launched, and not heard to have ended."""

    offer: Offer
    seconds: int


class Answer(Record):
    """A timer: the framework's answer to an inverse offer, by and by."""

    conn: ConnId
    call: Call


class HoarderCore:
    """Takes every offer and answers none; inverse ones it answers now and then. tired: of the kinds
    that can be, liars and keepers: from now on it takes nothing any more, and acknowledges what it
    is told.
    """

    capabilities: tuple[Capability, ...] = (Capability.PARTITION_AWARE,)
    checkpoints = True  # else its tasks end with their agents

    def __init__(self, name: str, role: str, stored: Mapping[str, bytes]) -> None:
        self._name = name
        self._role = role
        id_ = stored.get("framework/id")
        self.framework_id = None if id_ is None else FrameworkId(id_.decode())
        self.conn: ConnId | None = None
        self._epoch = 0
        self.tired = False
        self.asker: Asker | None = None
        self.offered = 0  # offers ever seen in this life

    def step(self, event: Any, now: Instant) -> Output[Any]:
        out: Output[Any] = Output()
        match event:
            case Up(conn=conn):
                self.conn = conn
                out.effects.append(Say(conn, self._subscribe()))
            case Down(conn=conn) if conn == self.conn:
                self.conn = None
            case Said(conn=conn, epoch=epoch, event=said) if conn == self.conn:
                if epoch >= self._epoch:  # else a deposed master speaks
                    self._epoch = epoch
                    self._said(said, now, out)
            case TimerFired(key=Answer(conn=conn, call=call)):
                if conn == self.conn:
                    out.effects.append(Say(conn, call))
            case TimerFired(key=key) if key == _ASK:
                if self.conn is not None and self.asker is not None:
                    out.effects += [Say(self.conn, call) for call in self.asker.questions()]
                out.effects.append(SetTimer(_ASK, now.mono_s + ASK_EVERY_S))
            case TimerFired() | Began():
                self._time(now, out)
                if isinstance(event, Began) and self.asker is not None:
                    out.effects.append(SetTimer(_ASK, now.mono_s + ASK_EVERY_S))
        return out

    def info(self) -> FrameworkInfo:
        return FrameworkInfo(
            "root",
            self._name,
            self.framework_id,
            failover_timeout=604800.0,
            checkpoint=self.checkpoints,
            role=self._role,
            capabilities=self.capabilities,
        )

    def _subscribe(self) -> Subscribe:
        return Subscribe(self.info())

    def _said(self, event: Event, now: Instant, out: Output[Any]) -> None:
        assert self.conn is not None
        if self.asker is not None:
            self.asker.heard(event)
        match event:
            case Subscribed(framework_id=framework_id):
                self.framework_id = framework_id
                out.writes.append(Put("framework/id", framework_id.encode()))
                self._subscribed(out)
                if self.asker is not None:
                    calls = self.asker.subscribed(self._subscribe())
                    out.effects += [Say(self.conn, call) for call in calls]
            case Offers(offers=offers):
                self.offered += len(offers)
                for offer in offers:
                    self._offer(offer, now, out)
            case InverseOffers(inverse_offers=asked):
                for each in asked:
                    self._asked_to_leave(each, now, out)
            case Update(status=status):
                self._update(status, out)
            case Error(message=message):
                if "removed" in message:
                    self._begin_anew(out)
                else:
                    # Its own doing: the stream of an earlier life was replaced, nothing is wrong.
                    assert "failed over" in message, message

    def _asked_to_leave(self, offer: InverseOffer, now: Instant, out: Output[Any]) -> None:
        """Answer at once, in a while, or not at all; and now and then want to be asked again."""
        assert self.conn is not None
        rng = random.Random(f"{self._name} is asked by {offer.id}")
        if rng.random() < 0.25:
            return
        said = rng.choice((AcceptInverseOffers, DeclineInverseOffers))
        lasts_s = rng.choice((0.0, 0.5, 2.0, 4.0, 8.0, 30.0))
        after_s = rng.choice((0.0, 0.0, 1.0, 4.0))
        answer = Answer(self.conn, said((offer.id,), Filters(refuse_seconds=lasts_s)))
        out.effects.append(SetTimer(answer, now.mono_s + after_s))
        if rng.random() < 0.25:
            revive = Answer(self.conn, Revive())
            out.effects.append(SetTimer(revive, now.mono_s + after_s + rng.uniform(0.1, 8.0)))

    def _begin_anew(self, out: Output[Any]) -> None:
        """An operator has ended the framework. It comes back as another one, on its next stream."""
        self.framework_id = None
        out.writes.append(Delete("framework/id"))
        if self.asker is not None:
            self.asker.brings = None

    def _subscribed(self, out: Output[Any]) -> None:
        pass

    def _offer(self, offer: Offer, now: Instant, out: Output[Any]) -> None:
        pass

    def _update(self, status: TaskStatus, out: Output[Any]) -> None:
        pass

    def _time(self, now: Instant, out: Output[Any]) -> None:
        pass


class BatchCore(HoarderCore):
    """Always has a few tasks to run; each ends by itself, and one that got lost is run again.

    done: how many have ended well, ever. wants: how many it would launch now.
    """

    def __init__(
        self, name: str, role: str, width: int, stored: Mapping[str, bytes], ids: IdSource
    ) -> None:
        super().__init__(name, role, stored)
        self._width = width
        self._ids = ids
        self.tasks = {
            TaskId(key.removeprefix("task/")): decode(Work, value)
            for key, value in sorted(stored.items())
            if key.startswith("task/")
        }
        self.done = int(stored.get("done/count", b"0"))

    @property
    def wants(self) -> int:
        return max(0, self._width - len(self.tasks))

    def _time(self, now: Instant, out: Output[Any]) -> None:
        if self.conn is not None and self.framework_id is not None:
            self._subscribed(out)
        out.effects.append(SetTimer("reconcile", now.mono_s + _RECONCILE_S))

    def _subscribed(self, out: Output[Any]) -> None:
        assert self.conn is not None
        if self.tasks:
            tasks = tuple(
                ReconcileTask(task_id, work.offer.agent_id) for task_id, work in self.tasks.items()
            )
            out.effects.append(Say(self.conn, Reconcile(tasks)))

    def _begin_anew(self, out: Output[Any]) -> None:
        super()._begin_anew(out)
        out.writes += [Delete(f"task/{task_id}") for task_id in self.tasks]
        self.tasks.clear()

    def _describe(self, task_id: TaskId, work: Work) -> TaskInfo:
        command = CommandInfo(value=f"sleep {work.seconds}")
        return TaskInfo("work", task_id, work.offer.agent_id, resources=SHAPE, command=command)

    def _over(self, state: TaskState) -> bool:
        """A task is over: is another one to be started in its place?"""
        return state.terminal or state is TaskState.UNKNOWN

    def _offer(self, offer: Offer, now: Instant, out: Output[Any]) -> None:
        assert self.conn is not None
        left, launched = offer.resources, []
        while self.wants and left >= SHAPE:
            left = left - SHAPE
            number = int(self._ids.uuid()[:8], 16)
            task_id = TaskId(f"{self._name}-{number:08x}-{self.done}")
            work = Work(offer, number % 20 + 2)
            self._launches(task_id, work, out)
            launched.append(self._describe(task_id, work))
        if launched:
            accept = Accept((offer.id,), (Launch(tuple(launched)),), _DECLINE)
            out.effects.append(Say(self.conn, accept))
        else:
            out.effects.append(Say(self.conn, Decline((offer.id,), _DECLINE)))

    def _launches(self, task_id: TaskId, work: Work, out: Output[Any]) -> None:
        self.tasks[task_id] = work
        out.writes.append(Put(f"task/{task_id}", encode(work)))

    def _update(self, status: TaskStatus, out: Output[Any]) -> None:
        assert self.conn is not None
        work = self.tasks.get(status.task_id)
        if work is not None and status.agent_id not in (None, work.offer.agent_id):
            return  # an agent speaks of a task that it was never given
        if work is None:
            # To kill what is UNKNOWN would be answered by UNKNOWN, for ever.
            away = status.state in (TaskState.UNREACHABLE, TaskState.UNKNOWN)
            if not (status.state.terminal or away):
                out.effects.append(Say(self.conn, Kill(status.task_id, status.agent_id)))
        elif self._over(status.state):
            del self.tasks[status.task_id]
            out.writes.append(Delete(f"task/{status.task_id}"))
            if status.state is TaskState.FINISHED:
                self.done += 1
                out.writes.append(Put("done/count", str(self.done).encode()))
        if status.uuid is not None and status.agent_id is not None:
            ack = Acknowledge(status.agent_id, status.task_id, status.uuid)
            out.effects.append(Say(self.conn, ack))


class GluttonCore(BatchCore):
    """Uses all that it is offered, for as long as anybody looks."""

    def _describe(self, task_id: TaskId, work: Work) -> TaskInfo:
        info = super()._describe(task_id, work)
        return replace(info, command=CommandInfo(value="serve"))


class UniqueCore(BatchCore):
    """One task that serves for ever; another one as soon as the master calls it unreachable."""

    def _describe(self, task_id: TaskId, work: Work) -> TaskInfo:
        info = super()._describe(task_id, work)
        return replace(info, command=CommandInfo(value="serve"), unique_lease=LEASE_S)

    def _over(self, state: TaskState) -> bool:
        return state is TaskState.UNREACHABLE or super()._over(state)


class ReserverCore(BatchCore):
    """Reserves enough for one task, runs tasks on it now and then, and lets go of it again.

    kept: `kept/<agent>`: where it has something, or has asked for it.
    """

    def __init__(
        self, name: str, role: str, width: int, stored: Mapping[str, bytes], ids: IdSource
    ) -> None:
        super().__init__(name, role, width, stored, ids)
        self.kept = {
            AgentId(key.removeprefix("kept/")): None for key in sorted(stored) if "kept/" in key
        }
        self._shape = Resources(
            {
                ResourceKind(kind.name, (Reservation("DYNAMIC", role),)): value
                for kind, value in SHAPE.items()
            }
        )

    def _said(self, event: Event, now: Instant, out: Output[Any]) -> None:
        super()._said(event, now, out)
        if not isinstance(event, UpdateOperationStatus) or self.conn is None:
            return
        status = event.status
        forgets = int(self._ids.uuid()[:8], 16) % 5 == 0  # it will be told again
        if status.uuid is not None and status.agent_id is not None and not forgets:
            assert status.operation_id is not None
            ack = AcknowledgeOperationStatus(status.agent_id, status.uuid, status.operation_id)
            out.effects.append(Say(self.conn, ack))

    def _begin_anew(self, out: Output[Any]) -> None:
        super()._begin_anew(out)
        out.writes += [Delete(f"kept/{agent_id}") for agent_id in self.kept]
        self.kept.clear()

    def _describe(self, task_id: TaskId, work: Work) -> TaskInfo:
        return replace(super()._describe(task_id, work), resources=self._shape)

    def _offer(self, offer: Offer, now: Instant, out: Output[Any]) -> None:
        assert self.conn is not None
        dice = int(self._ids.uuid()[:8], 16)
        id_, agent_id = f"op-{dice:08x}", offer.agent_id
        operation: Reserve | Unreserve | None = None
        if self._shape <= offer.resources:
            if dice % 3 == 0:
                operation = Unreserve(self._shape, id=id_)
                if self.kept.pop(agent_id, "") is None:
                    out.writes.append(Delete(f"kept/{agent_id}"))
            elif dice % 3 == 1 and self.wants:
                only = replace(offer, resources=SHAPE)  # for one task, described as reserved
                super()._offer(only, now, out)
                return
        elif offer.resources >= SHAPE and not self.kept:
            operation = Reserve(self._shape, id=id_)
            self.kept[agent_id] = None
            out.writes.append(Put(f"kept/{agent_id}", b"1"))
        if operation is None:
            out.effects.append(Say(self.conn, Decline((offer.id,), _DECLINE)))
        else:
            out.effects.append(Say(self.conn, Accept((offer.id,), (operation,), _DECLINE)))


class Kind(StrEnum):
    BATCH = "batch"
    HOARDER = "hoarder"
    UNIQUE = "unique"
    GLUTTON = "glutton"
    RESERVER = "reserver"
    LIAR = "liar"
    KEEPER = "keeper"
    PLANNER = "planner"


class FrameworkWatch(Protocol):
    """Looks at what a framework does: see `Watch`."""

    def framework_stepped(
        self,
        framework: VirtualFramework,
        event: Any,
        output: Output[Any],
    ) -> None: ...

    def called(self, client: VirtualFramework, call: Any) -> None: ...


class VirtualFramework:
    """One process, started again whenever it ends.

    framework_ids: those that it has subscribed under. forgetful: it does not checkpoint.
    """

    def __init__(
        self,
        network: Network,
        name: str,
        role: str,
        kind: Kind,
        watch: FrameworkWatch,
        find: Callable[[str], Server | None],
        asker: Asker | None = None,
        *,
        forgetful: bool = False,
    ) -> None:
        self.name = name
        self.asker = asker
        self.role = role
        self.kind = kind
        self.forgetful = forgetful
        self.framework_ids: dict[FrameworkId, None] = {}
        self._world = network.world
        self._watch = watch
        self._down_for_s = 0.0
        self._tired = False
        self.abilities: tuple[Capability, ...] = ()  # beside those of its kind
        self.process = Process(
            self._world,
            name,
            Disk(),
            build=self._made,
            perform=self._perform,
            on_start=lambda: self.client.start(),
            on_end=self._ended,
            observe=lambda event, output: watch.framework_stepped(self, event, output),
        )
        self.client = Client(
            network,
            name,
            find,
            on_up=lambda conn: self.process.post(Up(conn)),
            on_message=self._received,
            on_down=lambda conn: self.process.post(Down(conn)),
            repeatable=repeatable,
        )

    @property
    def core(self) -> HoarderCore | None:
        core: HoarderCore | None = self.process.core
        return core

    def start(self) -> None:
        self.process.start(Began())

    def crash(self, down_for_s: float) -> None:
        self._down_for_s = down_for_s
        self.process.crash("killed")

    def tire(self) -> None:
        """See `HoarderCore.tired`."""
        self._tired = True
        if self.core is not None:
            self.core.tired = True

    def _made(self, epoch: int, stored: Mapping[str, bytes], rng: random.Random) -> HoarderCore:
        core = self._build(epoch, stored, rng)
        core.capabilities = (*core.capabilities, *self.abilities)
        core.asker = self.asker
        if self.asker is not None and core.framework_id is None:
            core.framework_id = self.asker.brings
        return core

    def _build(self, epoch: int, stored: Mapping[str, bytes], rng: random.Random) -> HoarderCore:
        del epoch
        ids = IdSource(rng)
        match self.kind:
            case Kind.HOARDER:
                return HoarderCore(self.name, self.role, stored)
            case Kind.BATCH:
                core = BatchCore(self.name, self.role, BATCH_WIDTH, stored, ids)
                core.checkpoints = not self.forgetful
                return core
            case Kind.UNIQUE:
                return UniqueCore(self.name, self.role, 1, stored, ids)
            case Kind.RESERVER:
                return ReserverCore(self.name, self.role, 1, stored, ids)
            case Kind.LIAR | Kind.KEEPER | Kind.PLANNER:
                raise AssertionError("a subclass makes it")
            case Kind.GLUTTON:
                return GluttonCore(self.name, self.role, _ALL, stored, ids)

    def _ended(self, why: str) -> None:
        del why
        self.client.stop()
        self._world.after(self._down_for_s + self._world.between(0.1, 1.0), self.start)
        self._down_for_s = 0.0

    def _received(self, conn: ConnId, message: ToClient) -> None:
        if isinstance(message.message, Subscribed):
            self.framework_ids[message.message.framework_id] = None
        self.process.post(Said(conn, message.epoch, message.message))

    def _perform(self, effect: Say) -> None:
        self._watch.called(self, effect.call)
        core = self.core
        framework_id = None if core is None else core.framework_id
        if isinstance(effect.call, Subscribe):
            framework_id = effect.call.framework_info.id
        self.client.send(effect.conn, FromFramework(framework_id, effect.call))
