"""Jobs: when they come, how large they are, and their course. Drawn before the run.

Each framework draws from a generator of its own, seeded by its name: its jobs are the same whatever
else is in the scenario, so two runs that differ in a flag differ in nothing else.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from .scenario_file import Arrivals, Draw, FrameworkPlan, Scenario


@dataclass(slots=True, eq=False)
class Job:
    """`durations_s`: of each task, None: for ever. Moments are virtual seconds, None: not yet."""

    number: int
    at_s: float
    durations_s: tuple[float | None, ...]
    unplaced: list[int] = field(default_factory=list)  # tasks that wait, by their place in the job
    tries: int = 0
    tasks_done: int = 0
    first_try_s: float | None = None
    placed_s: float | None = None  # when all tasks had been placed, the first time
    done_s: float | None = None
    abandoned_s: float | None = None

    def __post_init__(self) -> None:
        self.unplaced = list(range(len(self.durations_s)))

    @property
    def size(self) -> int:
        return len(self.durations_s)


def draw_jobs(scenario: Scenario, framework: FrameworkPlan) -> list[Job]:
    """All jobs that come before the end, in the order of their coming."""
    rng = random.Random(f"{scenario.seed} {framework.name}")
    lines = scenario.traces.get(framework.name)
    if lines is not None:
        return [
            Job(number, line.at_s, (line.duration_s,) * line.tasks)
            for number, line in enumerate(lines)
            if line.at_s < scenario.duration_s
        ]
    jobs = []
    for number, at_s in enumerate(_moments(framework.jobs.arrivals, scenario.duration_s, rng)):
        size = max(1, round(draw(framework.jobs.tasks, rng)))
        duration = framework.jobs.duration_s
        each = (None if duration is None else draw(duration, rng) for _ in range(size))
        jobs.append(Job(number, at_s, tuple(each)))
    return jobs


def _moments(arrivals: Arrivals, end_s: float, rng: random.Random) -> Iterator[float]:
    end_s = min(end_s, arrivals.until_s or end_s)
    if arrivals.at_s is not None:
        yield from (at_s for at_s in sorted(arrivals.at_s) if arrivals.from_s <= at_s < end_s)
        return
    at_s = arrivals.from_s
    if arrivals.poisson_s is not None:
        at_s += rng.expovariate(1 / arrivals.poisson_s)
    while at_s < end_s:
        yield at_s
        gap_s = arrivals.every_s
        if arrivals.poisson_s is not None:
            gap_s = rng.expovariate(1 / arrivals.poisson_s)
        assert gap_s is not None
        at_s += gap_s


def draw(what: Draw, rng: random.Random) -> float:
    """One number."""
    if what.fixed is not None:
        return what.fixed
    if what.exponential is not None:
        return rng.expovariate(1 / what.exponential)
    if what.uniform is not None:
        return rng.uniform(*what.uniform)
    if what.lognormal is not None:
        return what.lognormal.median * rng.lognormvariate(0.0, what.lognormal.sigma)
    assert what.choice is not None
    return rng.choice(what.choice)
