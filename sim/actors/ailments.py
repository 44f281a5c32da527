"""Which tasks are ill, and when: their answers to health checks.

Some are ill from their birth, some fall ill in the middle of their life and get well, some are now
ill and now well. Of the ill ones some refuse to answer, some never do, and some only promise to.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from ..daemons.containers import Container, Ending, Machine
from ..daemons.health_answers import SOON_S, WELL, Answer
from ..watch import Watch
from ..world.world import World


@dataclass(frozen=True, slots=True)
class _Course:
    """Ill from one moment to another, world seconds; with a period by halves of it."""

    machine: Machine
    container: Container
    from_s: float = 0.0
    until_s: float = 0.0
    period_s: float = 0.0
    how: str = ""

    def ill(self, now_s: float) -> bool:
        if not self.from_s <= now_s < self.until_s:
            return False
        return not self.period_s or (now_s - self.from_s) % self.period_s < self.period_s / 2


class Ailments(Watch):
    """Draws from a generator of its own: a seed's cluster is the same with them as without."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = rng = random.Random(f"ailments of {world.seed}")
        self._share = rng.choice((0.0, 0.0, 0.1, 0.3, 0.6))
        self._patients: dict[str, _Course] = {}
        self._over = False
        self.summary = ["ill tasks"] if self._share else []

    def stop(self) -> None:
        """Everybody is well, from now on."""
        self._over = True

    def container_started(self, machine: Machine, container: Container) -> None:
        self._patients[_patient(container.spec.task_id)] = self._course(machine, container)

    def container_ended(self, machine: Machine, container: Container, ending: Ending) -> None:
        self._patients.pop(_patient(container.spec.task_id), None)

    def _course(self, machine: Machine, container: Container) -> _Course:
        rng, now_s = self._rng, self._world.now_s
        if rng.random() >= self._share:
            return _Course(machine, container)
        how = rng.choice(("refuses", "refuses", "hangs", "promises"))
        until_s, period_s = float("inf"), 0.0
        match rng.randrange(3):
            case 0:
                from_s = now_s
            case 1:
                from_s = now_s + rng.uniform(1.0, 60.0)
                until_s = from_s + rng.uniform(5.0, 60.0)
            case _:
                from_s, period_s = now_s + rng.uniform(0.0, 20.0), rng.uniform(4.0, 40.0)
        return _Course(machine, container, from_s, until_s, period_s, how)

    def examine(self, patient: str, timeout_s: float) -> Answer:
        """The answer of a patient at this moment."""
        course = self._patients.get(_patient(patient))
        if course is None:
            return Answer(False, "ConnectionRefusedError", SOON_S)
        if course.machine.asleep:
            return Answer(False, f"no answer within {timeout_s:g} s", timeout_s)
        if self._over or not course.ill(self._world.now_s):
            return WELL
        match course.how:
            case "hangs":
                return Answer(False, f"no answer within {timeout_s:g} s", timeout_s)
            case "promises":
                return Answer(None, "HTTP status 102", SOON_S)
        return Answer(False, "HTTP status 503", SOON_S)


def _patient(id_: str) -> str:
    """A task or an instance: Marathon asks an instance, whichever of its tasks runs."""
    return id_.rpartition("._app.")[0] or id_
