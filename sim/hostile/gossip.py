"""Ids and messages overheard in a cluster, which liars use as if they were theirs."""

from __future__ import annotations

import random
from collections import deque
from typing import Any, Final, TypeVar

from mezzo.agent.effects import Send
from mezzo.cluster.model import Offer, Task
from mezzo.cluster.resources import Resources
from mezzo.ids import AgentId, ExecutorId, FrameworkId, OfferId, TaskId
from mezzo.messages.agent import ReregisterAgent, RunTask, StatusUpdate
from mezzo.messages.scheduler import InverseOffers, Offers, Subscribed, Update

from ..daemons.agents import VirtualAgent
from ..daemons.frameworks import VirtualFramework
from ..daemons.marathons import VirtualMarathon
from ..daemons.masters import VirtualMaster
from ..watch import Watch

T = TypeVar("T")

_KEPT: Final = 40  # of each: the newest


class Gossip(Watch):
    """Hears honest actors only: liars are not told of by name."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.calls: deque[Any] = deque(maxlen=_KEPT)
        self.said: deque[Any] = deque(maxlen=_KEPT)  # by agents
        self.offers: deque[Offer] = deque(maxlen=_KEPT)
        self.tasks: deque[Task] = deque(maxlen=_KEPT)
        self.resources: deque[Resources] = deque(maxlen=_KEPT)
        self._ids: dict[str, deque[Any]] = {}

    def id(self, kind: str) -> Any:
        """A newer or older id; None: none was heard yet."""
        known = self._ids.get(kind)
        return self._rng.choice(known) if known else None

    def any(self, of: deque[T]) -> T | None:
        return self._rng.choice(of) if of else None

    def _hear(self, kind: str, value: Any) -> None:
        known = self._ids.get(kind)
        if known is None:
            known = self._ids[kind] = deque(maxlen=_KEPT)
        if value not in known:
            known.append(value)

    # ---- listening

    def called(self, client: VirtualMarathon | VirtualFramework, call: Any) -> None:
        self.calls.append(call)

    def agent_did(self, agent: VirtualAgent, effect: Any) -> None:
        if not isinstance(effect, Send):
            return
        message = effect.message
        self.said.append(message)
        if isinstance(message, ReregisterAgent):
            self.tasks.extend(message.tasks)
            for executor in message.executors:
                self._hear(ExecutorId.__name__, executor.executor_id)
        elif isinstance(message, StatusUpdate):
            self._hear(TaskId.__name__, message.status.task_id)

    def master_said(self, master: VirtualMaster, message: Any) -> None:
        match message:
            case Offers(offers=offers):
                for offer in offers:
                    self.offers.append(offer)
                    self.resources.append(offer.resources)
                    self._hear(OfferId.__name__, offer.id)
                    self._hear(AgentId.__name__, offer.agent_id)
            case InverseOffers(inverse_offers=asked):
                for each in asked:
                    self._hear("inverse offer", each.id)
            case Subscribed(framework_id=framework_id):
                self._hear(FrameworkId.__name__, framework_id)
            case RunTask(task=task):
                self._hear(TaskId.__name__, task.task_id)
                self.resources.append(task.resources)
            case Update(status=status):
                self._hear("uuid", status.uuid or b"")
