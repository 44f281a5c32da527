"""A framework that says anything that comes to its mind, in anybody's name.

It takes part as any other: it subscribes in a role of its own, is offered something, and launches
short tasks. Everything else that it says is a lie, an error, a repetition, or late. Who it is it
says truly: without identities a stolen id is as good as an own one.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, Final, get_args

from mezzo.cluster.model import (
    AttributeConstraint,
    Capability,
    CommandInfo,
    ContainerInfo,
    ContainerType,
    DockerInfo,
    ExecutorInfo,
    ExecutorType,
    Filters,
    FrameworkInfo,
    NetworkInfo,
    Offer,
    OfferConstraints,
    Predicate,
    RoleConstraints,
    TaskInfo,
    TaskStatus,
)
from mezzo.cluster.operations import Launch, LaunchGroup, Reserve, Unreserve
from mezzo.cluster.resources import Reservation, Resources
from mezzo.core import Instant, Output, SetTimer
from mezzo.ids import AgentId, ConnId, ExecutorId, FrameworkId, OfferId, TaskId
from mezzo.messages import scheduler as m
from mezzo.record import replace

from ..actors.odd_patterns import NO_PATTERNS
from ..daemons.askers import liar
from ..daemons.frameworks import HoarderCore, Kind, Say, VirtualFramework
from ..daemons.master_link import Server
from ..daemons.masters import FromFramework, ToClient
from ..watch import Watch
from ..world.network import Network
from .gossip import Gossip
from .wild import Wild

ROLE: Final = "liars"
_CALLS: Final = get_args(m.Call)
_FILTERS: Final = Filters(refuse_seconds=1.0)
_LITTLE: Final = Resources.of(cpus=0.05, mem=32)
_MORE: Final = "lie"
_STUCK_TIMES: Final = 60


class VirtualLiar(VirtualFramework):
    """Of its calls those are told of that may have an effect: about its own tasks."""

    def __init__(
        self,
        network: Network,
        name: str,
        watch: Watch,
        find: Callable[[str], Server | None],
        gossip: Gossip,
        subscribed: Callable[[FrameworkId], None],
    ) -> None:
        """subscribed: gets each id under which it does."""
        asks = liar(name, network.world.seed)
        super().__init__(network, name, ROLE, Kind.LIAR, watch, find, asks)
        self._gossip = gossip
        self._subscribed = subscribed

    def _build(self, epoch: int, stored: Mapping[str, bytes], rng: random.Random) -> LiarCore:
        del epoch
        return LiarCore(self.name, stored, rng, self._gossip, tired=self._tired)

    def _received(self, conn: ConnId, message: ToClient) -> None:
        if isinstance(message.message, m.Subscribed):
            self._subscribed(message.message.framework_id)
        super()._received(conn, message)

    def _perform(self, effect: Say) -> None:
        core, call = self.core, effect.call
        assert isinstance(core, LiarCore)
        if core.may(call):
            self._watch.called(self, call)
        framework_id = core.framework_id
        if isinstance(call, m.Subscribe):
            framework_id = call.framework_info.id
        elif not isinstance(call, m.Accept) and core.errs():  # its tasks would want an answer
            framework_id = self._gossip.id(FrameworkId.__name__)
        self.client.send(effect.conn, FromFramework(framework_id, call))


class LiarCore(HoarderCore):
    """Once it is tired it goes on lying."""

    def __init__(
        self,
        name: str,
        stored: Mapping[str, bytes],
        rng: random.Random,
        gossip: Gossip,
        *,
        tired: bool,
    ) -> None:
        super().__init__(name, ROLE, stored)
        if rng.random() < 0.8:
            self.capabilities = (*self.capabilities, Capability.RESERVATION_REFINEMENT)
        self._name = name
        self._rng = rng
        self._gossip = gossip
        self._wild = Wild(rng, gossip)
        self._offers: dict[OfferId, Offer] = {}  # every one that it ever had, used or not
        self._tasks: list[TaskId] = []
        self._updates: dict[bytes, None] = {}  # that it was told
        self._statuses: list[TaskStatus] = []  # the latest of them
        self._calls: list[m.Call] = []
        self._wanted = 0  # counts the constraints that it has asked for
        self._ids: list[FrameworkId] = []  # under which it was removed
        self._bound: ConnId | None = None  # the stream that is known to be its own
        self.tired = tired
        self._gave_back = False  # what it was offered before it was tired

    def _subscribe(self) -> m.Subscribe:
        constraints = self._constraints() if self._rng.random() < 0.3 else None
        return m.Subscribe(self.info(), (), constraints)

    def _constraints(self) -> OfferConstraints:
        """Wants to be offered but some agents, by a rule or two."""
        rng = self._rng
        self._wanted += 1
        odd = random.Random(f"patterns of {self._name} {self._wanted} {len(self._offers)}")
        groups: list[tuple[AttributeConstraint, ...]] = []
        for _ in range(rng.choice((1, 1, 2))):
            conditions: list[AttributeConstraint] = []
            for _ in range(rng.choice((1, 1, 2))):
                name, pseudo = rng.choice((("rack", None), ("floor", None), (None, "HOSTNAME")))
                text = rng.choice(("r0", "r[1-9]", "agent.*", "agent1", ""))
                predicate = rng.choice(tuple(Predicate))
                if odd.random() < 0.25:
                    predicate = odd.choice((Predicate.TEXT_MATCHES, Predicate.TEXT_NOT_MATCHES))
                    text = odd.choice(NO_PATTERNS)
                conditions.append(AttributeConstraint(predicate, name, pseudo, text))
            groups.append(tuple(conditions))
        return OfferConstraints((RoleConstraints(ROLE, tuple(groups)),))

    def may(self, call: m.Call) -> bool:
        """Is the call about the liar's own things?"""
        match call:
            case m.Kill(task_id=task_id):
                return task_id.startswith(self._name)
            case m.Acknowledge(uuid=uuid):
                return uuid in self._updates
        return False

    def errs(self) -> bool:
        """Does the liar speak in the name of another, on its own stream?"""
        return not self.tired and self._rng.random() < 0.03

    # ---- what it hears

    def _said(self, event: m.Event, now: Instant, out: Output[Any]) -> None:
        if isinstance(event, m.Error):
            if "removed" in event.message:
                if self.framework_id is not None:
                    self._ids = [*self._ids[-2:], self.framework_id]
                self._begin_anew(out)
            return  # whatever it is: it was asked for
        super()._said(event, now, out)

    def _subscribed(self, out: Output[Any]) -> None:
        self._bound = self.conn
        self._offers.clear()

    def _offer(self, offer: Offer, now: Instant, out: Output[Any]) -> None:
        self._offers[offer.id] = offer
        if self.tired:
            self._say(m.Decline((offer.id,), _FILTERS), out)

    def _update(self, status: TaskStatus, out: Output[Any]) -> None:
        if status.uuid is not None:
            self._updates[status.uuid] = None
            self._statuses = [*self._statuses[-10:], status]
        honest = self.tired or self._rng.random() < 0.5
        if honest and status.uuid is not None and status.agent_id is not None:
            self._say(m.Acknowledge(status.agent_id, status.task_id, status.uuid), out)

    def _time(self, now: Instant, out: Output[Any]) -> None:
        if self.conn is not None:
            if self.tired and self._offers and not self._gave_back:
                self._gave_back = True
                self._say(m.Decline(tuple(self._offers), _FILTERS), out)
            for _ in range(self._rng.randint(1, 3)):
                call = self._tamed(self._lie())
                self._say(call, out)
                if isinstance(call, m.Accept) and self._offers and self._rng.random() < 0.3:
                    self._say(self._to_executor(), out)
            if (asked := self._gossip.id("inverse offer")) is not None:
                self._say(self._to_leave(asked), out)
            if self._rng.random() < 0.02:  # it is stuck
                call = self._tamed(self._lie())
                for _ in range(_STUCK_TIMES):
                    self._say(call, out)
        out.effects.append(SetTimer(_MORE, now.mono_s + self._rng.uniform(0.3, 6.0)))

    def _say(self, call: m.Call | None, out: Output[Any]) -> None:
        if call is not None and self.conn is not None:
            self._calls = [*self._calls[-20:], call]
            if isinstance(call, m.Teardown):
                self._bound = None
            out.effects.append(Say(self.conn, call))

    # ---- what it says

    def _lie(self) -> m.Call:
        rng, heard = self._rng, self._gossip.any(self._gossip.calls)
        match rng.randrange(8):
            case 0 | 1 if self._offers:
                return self._accept()
            case 6 | 7 if (near := self._nearly_right()) is not None:
                return near
            case 2 if heard is not None:
                call: m.Call = heard
                return call if rng.random() < 0.3 else self._wild.mutated(call)
            case 3 if self._calls:
                return rng.choice(self._calls)
            case _:
                made: m.Call = self._wild.record(rng.choice(_CALLS))
                return made

    def _to_leave(self, asked: OfferId) -> m.Call:
        """An answer to an inverse offer of somebody, itself perhaps, now or before."""
        rng = self._rng
        said = rng.choice((m.AcceptInverseOffers, m.DeclineInverseOffers))
        ids = rng.choice(((asked,), (asked, asked), (OfferId("nothing"), asked)))
        return said(ids, Filters(refuse_seconds=rng.choice((0.0, 3.0, 20.0))))

    def _nearly_right(self) -> m.Call | None:
        """A call about the liar's own things, with at most one fault."""
        rng = self._rng
        right = rng.random() < 0.4
        role = ROLE if right else rng.choice(("*", f"{ROLE}/below", ""))
        if rng.random() < 0.3:
            return rng.choice(
                (
                    m.Suppress((role,)),
                    m.Revive((role,)),
                    m.Revive(),
                    m.Request((m.DemandRequest(_LITTLE, count=1, role=role),)),
                    m.Request(),
                    self._changed(),
                )
            )
        if not self._statuses:
            return None
        status = rng.choice(self._statuses)
        agent_id, task_id, uuid = status.agent_id, status.task_id, status.uuid
        assert agent_id is not None
        assert uuid is not None
        other_id = agent_id if right else self._gossip.id(AgentId.__name__) or agent_id
        return rng.choice(
            (
                m.Kill(task_id, other_id),
                m.Kill(task_id),
                m.Acknowledge(other_id, task_id, uuid),
                m.Acknowledge(agent_id, task_id, uuid if right else rng.randbytes(16)),
                m.Acknowledge(agent_id, task_id, uuid if right else uuid[1:]),
                m.Reconcile((m.ReconcileTask(task_id, other_id),)),
                m.Reconcile((m.ReconcileTask(task_id), m.ReconcileTask(TaskId("nothing")))),
                m.Reconcile((m.ReconcileTask(TaskId("nothing"), other_id),)),
                m.Reconcile(),
                m.ReconcileOperations((m.ReconcileOperation("nothing", other_id),)),
            )
        )

    def _changed(self) -> m.UpdateFramework:
        """As it is, but for something that may change in place; seldom for what may not."""
        rng = self._rng
        info = replace(
            self.info(),
            hostname=rng.choice((None, "elsewhere")),
            webui_url=rng.choice((None, "http://elsewhere:1")),
            failover_timeout=rng.choice((604800.0, 3600.0)),
        )
        if rng.random() < 0.2:
            info = replace(info, checkpoint=False)
        constraints = self._constraints() if rng.random() < 0.5 else None
        return m.UpdateFramework(info, rng.choice(((), (), (ROLE,))), constraints)

    def _accept(self) -> m.Call:
        """Offers of its own, old ones among them, twice perhaps, or of two agents; with what may
        fit."""
        rng = self._rng
        offers = rng.choices(list(self._offers.values()), k=rng.choice((1, 1, 1, 2, 3)))
        ids = [offer.id for offer in offers]
        if rng.random() < 0.1 and (foreign := self._gossip.id(OfferId.__name__)):
            ids.append(foreign)
        operations: list[Any] = [Launch(self._describe(offers[0]))]
        if rng.random() < 0.2:
            operations = [self._group(offers[0])]
        if rng.random() < 0.3:
            operations.append(self._wild.record(rng.choice((Launch, LaunchGroup, Reserve))))
        if rng.random() < 0.1:
            operations.append(operations[0])
        own = all(kind.reservations for kind, _ in offers[0].resources.items())
        if own and rng.random() < 0.5:  # of a liar's agent, which nobody else would use
            operations = [self._reservation(offers[0]) for _ in range(rng.choice((1, 1, 2)))]
        return m.Accept(tuple(ids), tuple(operations), self._wild.value(Filters))

    def _describe(self, offer: Offer) -> tuple[TaskInfo, ...]:
        rng, found = self._rng, []
        for _ in range(rng.randint(1, 3)):
            id_ = TaskId(f"{self._name}-{rng.getrandbits(32):08x}")
            if self._tasks and rng.random() < 0.2:
                id_ = rng.choice(self._tasks)
            task = TaskInfo("lie", id_, offer.agent_id, self._wild.part(offer.resources))
            if rng.random() < 0.5:
                task = self._wild.mutated(task)
            if rng.random() < 0.15:
                task = replace(task, executor=self._executor(offer), command=None)
            self._tasks = [*self._tasks[-30:], task.task_id]
            found.append(task)
        return tuple(found)

    def _group(self, offer: Offer) -> LaunchGroup:
        """Agents run none, but that is theirs to say."""
        executor = self._executor(offer)
        if self._rng.random() < 0.7:
            executor = replace(executor, type=ExecutorType.DEFAULT, command=None, resources=_LITTLE)
        tasks = self._describe(offer)
        if self._rng.random() < 0.7:
            tasks = tuple(replace(task, executor=None) for task in tasks)
        own = random.Random(f"group on {offer.id}")
        return self._contained(offer, own) if own.random() < 0.3 else LaunchGroup(executor, tasks)

    def _contained(self, offer: Offer, rng: random.Random) -> LaunchGroup:
        """A group with one fault: a task shares its executor's container."""
        id_ = f"{self._name}-group-{rng.getrandbits(32):08x}"
        executor = ExecutorInfo(ExecutorId(id_), type=ExecutorType.DEFAULT, resources=_LITTLE)
        container = rng.choice(
            (
                ContainerInfo(ContainerType.DOCKER, docker=DockerInfo("image")),
                ContainerInfo(ContainerType.MESOS, network_infos=(NetworkInfo(),)),
            )
        )
        command = CommandInfo(value="sleep 1")
        task = TaskInfo("lie", TaskId(id_), offer.agent_id, _LITTLE, command=command)
        return LaunchGroup(executor, (replace(task, container=container),))

    def _reservation(self, offer: Offer) -> Reserve | Unreserve:
        """For a role below its own, most often; or it lets go of one, that it may have."""
        rng = self._rng
        role = rng.choice(
            (f"{ROLE}/below", f"{ROLE}/below", f"{ROLE}/other", ROLE, f"{ROLE}x", "*")
        )
        top = Reservation("DYNAMIC", role, rng.choice((None, None, None, "somebody")))
        little = Resources(
            {
                kind._replace(reservations=(*kind.reservations, top)): min(value, 50)
                for kind, value in offer.resources.items()
                if isinstance(value, int)
            }
        )
        id_ = rng.choice(
            (None, "op", f"op-{rng.getrandbits(16):x}", f"op-{rng.getrandbits(16):x}", "/")
        )
        if rng.random() < 0.15:
            return Unreserve(rng.choice((little, offer.resources)), id=id_)
        return Reserve(little, id=id_)

    def _executor(self, offer: Offer) -> ExecutorInfo:
        """One of few, so that it is there already perhaps, as it was or as another."""
        user = random.Random(f"user of {offer.agent_id}").choice((None, "nobody"))
        info = ExecutorInfo(
            ExecutorId(f"{self._name}-executor{self._rng.randrange(3)}"),
            command=CommandInfo(value="execute", user=user),
            resources=self._wild.part(offer.resources),
        )
        return self._wild.mutated(info) if self._rng.random() < 0.3 else info

    def _to_executor(self) -> m.Call:
        """While it may be there: agents have none, and say so in a moment."""
        id_ = ExecutorId(f"{self._name}-executor{self._rng.randrange(3)}")
        agent_id = self._rng.choice(list(self._offers.values())).agent_id
        said = (m.Shutdown(id_, agent_id), m.Message(agent_id, id_, b"word"))
        return self._rng.choice(said)

    # ---- what it does not say

    def _tamed(self, call: m.Call) -> m.Call | None:
        """Not what would be its right, and would hurt: to be another, to serve for ever, to keep
        what it was given."""
        match call:
            case m.UpdateFramework(framework_info=info) if self._rng.random() < 0.7:
                own = replace(self._itself(info), id=self.framework_id)
                return replace(call, framework_info=own)
            case m.Subscribe() | m.UpdateFramework():
                return replace(call, framework_info=self._itself(call.framework_info))
            case m.Teardown() if self._rng.random() < 0.9:
                return None
            case m.Accept() | m.Request() if self.tired:
                return None
            case m.Accept(operations=operations):
                return replace(call, operations=tuple(map(self._brief, operations)))
        return call

    def _itself(self, info: FrameworkInfo) -> FrameworkInfo:
        """With the id that it has, or none. On a stream that is its own also with one that nobody
        has, or that it had: what it has under its own it would leave behind for ever."""
        nobodys = FrameworkId(f"{self._name}-{self._rng.randrange(3)}")
        ids = [self.framework_id, self.framework_id, None]
        if self._bound is not None and self._bound == self.conn:
            ids += [nobodys, *self._ids]
        id_ = self._rng.choice(ids)
        own = replace(info, id=id_, name=self._name, role=ROLE, roles=())
        if id_ is None or id_ != self.framework_id:  # else it would lock itself out
            own = replace(own, principal=None)
        return replace(own, roles=(ROLE,), role="*") if self._rng.random() < 0.3 else own

    def _brief(self, operation: Any) -> Any:
        if isinstance(operation, Launch):
            return replace(operation, task_infos=tuple(map(self._short, operation.task_infos)))
        return operation

    def _short(self, task: TaskInfo) -> TaskInfo:
        seconds = self._rng.randint(1, 15)
        command = CommandInfo(value=f"sleep {seconds}") if task.executor is None else None
        return replace(task, command=command)
