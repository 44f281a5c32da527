"""A framework that says what it wants: so many tasks of such a shape in such a role, and no more.

Each plan is declared once and then worked off, whatever comes in between: the framework keeps some
offers for a while, declines some, and now and then declares again what it still wants.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

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
from mezzo.cluster.resources import Resources
from mezzo.cluster.states import Reason
from mezzo.core import Instant, Output, SetTimer, TimerFired
from mezzo.ids import IdSource, OfferId, TaskId
from mezzo.messages.scheduler import (
    Accept,
    Decline,
    DemandRequest,
    Event,
    Request,
    Rescind,
    Revive,
    Subscribe,
    Subscribed,
    UpdateFramework,
)
from mezzo.record import Record, replace

from ..daemons.askers import Asker
from ..daemons.frameworks import BatchCore, FrameworkWatch, Kind, Say, VirtualFramework, Work
from ..daemons.master_link import Server
from ..world.network import Network

ROLES: Final = ("plans", "plans-b")
# By name: role and shape. None of those of a role holds another, nor do as many as are wanted of
# one: what is offered is of use for nothing but what it is meant for.
SHAPES: Final = {
    "small": (ROLES[0], Resources.of(cpus=0.05, mem=32)),
    "high": (ROLES[1], Resources.of(cpus=0.05, mem=48)),
    "wide": (ROLES[1], Resources.of(cpus=0.1, mem=16)),
}
_MOST: Final = {"small": 2, "high": 1, "wide": 2}
_SOON: Final = Filters(refuse_seconds=1.0)
_NEXT: Final = "next plan"


class Use(Record):
    """A timer: an offer was kept for long enough."""

    offer_id: OfferId


class PlannerCore(BatchCore):
    """open: by the name of its shape, how many tasks of the plan are not launched yet."""

    capabilities = (Capability.PARTITION_AWARE, Capability.MULTI_ROLE)

    def __init__(self, name: str, stored: Mapping[str, bytes], rng: random.Random) -> None:
        super().__init__(name, ROLES[0], 0, stored, IdSource(rng))
        self._rng = rng
        self.open: Counter[str] = Counter()
        self._held: dict[OfferId, Offer] = {}
        self._shapes: dict[TaskId, str] = {}  # of those that this life has launched

    @property
    def wants(self) -> int:
        return self.open.total()

    def info(self) -> FrameworkInfo:
        return replace(super().info(), role="*", roles=ROLES)

    def _subscribe(self) -> Subscribe:
        """Nothing is offered to it before it has said what it wants."""
        return Subscribe(self.info(), suppressed_roles=ROLES)

    def step(self, event: Any, now: Instant) -> Output[Any]:
        match event:
            case TimerFired(key=Use(offer_id=offer_id)):
                out: Output[Any] = Output()
                if self.conn is not None and (offer := self._held.pop(offer_id, None)) is not None:
                    self._use(offer, now, out)
                return out
            case TimerFired(key=key) if key == _NEXT:
                out = Output()
                if self.conn is not None and not self.wants:
                    self._plan()
                    self._declare(out)
                return out
        return super().step(event, now)

    def _said(self, event: Event, now: Instant, out: Output[Any]) -> None:
        if isinstance(event, Rescind):
            self._held.pop(event.offer_id, None)
        super()._said(event, now, out)
        if isinstance(event, Subscribed):
            assert self.conn is not None
            self._held.clear()
            if not self.wants:
                self._plan()
            self._declare(out)
            out.effects.append(Say(self.conn, Revive()))

    def _plan(self) -> None:
        while not self.wants:
            self.open = Counter({name: self._rng.randint(0, most) for name, most in _MOST.items()})

    def _declare(self, out: Output[Any]) -> None:
        assert self.conn is not None
        wanted = tuple(
            DemandRequest(shape, count=self.open[name], role=role)
            for name, (role, shape) in SHAPES.items()
        )
        out.effects.append(Say(self.conn, Request(wanted)))

    def _offer(self, offer: Offer, now: Instant, out: Output[Any]) -> None:
        assert self.conn is not None
        dice = self._rng.random()
        if dice < 0.15:
            out.effects.append(Say(self.conn, Decline((offer.id,), _SOON)))
        elif dice < 0.45:
            self._held[offer.id] = offer
            out.effects.append(SetTimer(Use(offer.id), now.mono_s + self._rng.uniform(1, 6)))
            if dice < 0.3:
                self._declare(out)
        else:
            self._use(offer, now, out)

    def _use(self, offer: Offer, now: Instant, out: Output[Any]) -> None:
        assert self.conn is not None
        left, launched = offer.resources, []
        for name, (role, shape) in SHAPES.items():
            while role == offer.role and self.open[name] and left >= shape:
                left = left - shape
                self.open[name] -= 1
                task = self._task(name, offer, shape, out)
                launched.append(task)
        accept = Accept((offer.id,), (Launch(tuple(launched)),) if launched else (), _SOON)
        out.effects.append(Say(self.conn, accept))
        if self._rng.random() < 0.2:  # something else about it has changed
            out.effects.append(Say(self.conn, UpdateFramework(self.info())))
        if not self.wants:
            out.effects.append(SetTimer(_NEXT, now.mono_s + self._rng.uniform(1, 10)))

    def _task(self, name: str, offer: Offer, shape: Resources, out: Output[Any]) -> TaskInfo:
        number = self._rng.getrandbits(32)
        task_id = TaskId(f"{self._name}-{number:08x}")
        self._shapes[task_id] = name
        self._launches(task_id, Work(offer, number % 10 + 2), out)
        command = CommandInfo(value=f"sleep {number % 10 + 2}")
        return TaskInfo(name, task_id, offer.agent_id, resources=shape, command=command)

    def _update(self, status: TaskStatus, out: Output[Any]) -> None:
        name = self._shapes.get(status.task_id)
        if name is not None and status.state.terminal:
            del self._shapes[status.task_id]
            if status.reason is Reason.INVALID_OFFERS:
                self.open[name] += 1
                self._declare(out)  # it may have said meanwhile that it wants no more
        super()._update(status, out)


class VirtualPlanner(VirtualFramework):
    def __init__(
        self,
        network: Network,
        watch: FrameworkWatch,
        find: Callable[[str], Server | None],
        asker: Asker | None,
    ) -> None:
        super().__init__(network, "planner", ROLES[0], Kind.PLANNER, watch, find, asker)

    def _build(self, epoch: int, stored: Mapping[str, bytes], rng: random.Random) -> PlannerCore:
        del epoch
        return PlannerCore(self.name, stored, rng)
