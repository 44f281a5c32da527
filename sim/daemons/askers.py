"""What a framework asks that others would not: of tasks that nobody knows, at agents that are here,
unreachable, gone, or not back yet; more at a time than it is answered; and, hastily, for no offers
and for offers again while its subscription still waits for its turn.
"""

from __future__ import annotations

import random
from typing import Any, Final

from mezzo.ids import AgentId, FrameworkId, TaskId
from mezzo.messages.scheduler import (
    Call,
    Event,
    Kill,
    Offers,
    Reconcile,
    ReconcileTask,
    Revive,
    Subscribe,
    Suppress,
    Update,
)

EVERY_S: Final = 6.0
_KEPT: Final = 8  # of what it has heard of, the newest
_HASTY: Final = 3  # so often it subscribes again: then it has to wait
_MANY: Final = 120_000  # tasks: so many are answered at once, and then none for a while
_NOWHERE: Final = AgentId("nowhere")


class Asker:
    """One framework's, for all of its lives. brings: the id under which it comes at first, of which
    no master has heard; `over`, and it asks no more."""

    def __init__(self, name: str, rng: random.Random, *, floods: bool) -> None:
        self.over = False
        brings = rng.random() < 0.5 or floods
        self.brings = FrameworkId(f"{name}-of-before") if brings else None
        self._rng = rng
        self._floods = floods
        self._agents: dict[AgentId, None] = {}
        self._ended: dict[TaskId, None] = {}
        self._again = 0  # subscriptions of its own haste that are to be answered

    def heard(self, event: Event) -> None:
        match event:
            case Offers(offers=offers):
                for offer in offers:
                    self._agents[offer.agent_id] = None
            case Update(status=status) if status.state.terminal and status.uuid is not None:
                self._ended[status.task_id] = None
        _forget_the_oldest(self._agents)
        _forget_the_oldest(self._ended)

    def subscribed(self, again: Subscribe) -> list[Call]:
        """again: what it would say to subscribe once more."""
        rng = self._rng
        if self._again:
            self._again -= 1
            return []
        if self.over:
            return []
        calls: list[Call] = []
        if rng.random() < 0.7:
            calls += self.questions()
            calls.append(Reconcile(tuple(self._of(agent_id) for agent_id in self._agents)))
        if rng.random() < 0.25:
            calls += self._hastily(again)
        return calls

    def questions(self) -> list[Call]:
        rng = self._rng
        if self.over:
            return []
        if self._floods and self._agents:
            self._floods = False
            everywhere = tuple(self._of(agent_id) for agent_id in self._agents)
            return [
                Reconcile((ReconcileTask(TaskId("nobodys"), _NOWHERE),) * _MANY),
                Reconcile(everywhere),
            ]
        places = [*self._agents, *self._agents, _NOWHERE, None]
        if rng.random() < 0.3:
            at = rng.choice(places)
            return [Kill(TaskId(f"nobodys-{rng.randrange(9)}"), at)]
        asked = rng.choices(places, k=rng.randint(1, 3))
        return [Reconcile(tuple(self._of(at) for at in asked))]

    def _of(self, at: AgentId | None) -> ReconcileTask:
        tasks = [TaskId(f"nobodys-{self._rng.randrange(9)}"), *self._ended]
        return ReconcileTask(self._rng.choice(tasks), at)

    def _hastily(self, again: Subscribe) -> list[Call]:
        """Ask in haste. In the end all is as it would have been without."""
        rng, roles = self._rng, again.framework_info.all_roles
        self._again = _HASTY
        wishes: list[Call] = [
            rng.choice((Suppress(), Suppress(roles[:1]), Revive(roles[:1]), Revive()))
            for _ in range(rng.randint(1, 4))
        ]
        return [*[again] * _HASTY, *wishes, Revive()]


def _forget_the_oldest(known: dict[Any, None]) -> None:
    if len(known) > _KEPT:
        del known[next(iter(known))]


def asker(name: str, seed: int, *, hostile: bool) -> Asker | None:
    """The asker of some frameworks in some clusters. hostile: messages may be repeated there."""
    rng = random.Random(f"asker {name} of {seed}")
    if random.Random(f"askers of {seed}").random() >= 0.4 or rng.random() >= 0.7:
        return None
    return Asker(name, rng, floods=rng.random() < 0.1 and not hostile)


def liar(name: str, seed: int) -> Asker | None:
    """The asker of a liar, which has ids enough of its own."""
    rng = random.Random(f"asking {name} of {seed}")
    asker = Asker(name, rng, floods=False)
    asker.brings = None
    return asker if rng.random() < 0.6 else None
