"""What a run comes to: utilisation, waiting, fairness, jobs and offers; as numbers and as curves.

Waiting counts also for jobs that still wait at the end: until then, which is too little. So a
percentile is never better than what happened.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .plot import Axis, Line, Panel, svg
from .run import Run, Sample
from .workloads import VirtualFramework


@dataclass(frozen=True, slots=True)
class Spread:
    """The spread of waiting times, in seconds. None: there was no job."""

    mean_s: float | None
    median_s: float | None
    p90_s: float | None
    p99_s: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        if not values:
            return cls(None, None, None, None)
        ranked = sorted(values)
        mean_s = sum(ranked) / len(ranked)
        return cls(mean_s, *(_percentile(ranked, part) for part in (0.5, 0.9, 0.99)))


def _percentile(ranked: Sequence[float], part: float) -> float:
    """The nearest rank."""
    return ranked[max(0, math.ceil(part * len(ranked)) - 1)]


@dataclass(frozen=True, slots=True)
class FrameworkSummary:
    """first_try: from a job's coming to the first decision about it (what the Omega paper calls
    wait time); placed: to when all its tasks had been launched. busy: the part of the time in which
    the scheduler decided. missed: tasks meant for an offer that was rescinded meanwhile."""

    name: str
    role: str
    jobs: int
    placed: int
    done: int
    abandoned: int
    first_try: Spread
    until_placed: Spread
    busy: float
    offers: int
    used: int
    declined: int
    rescinded: int
    tasks: int
    tasks_lost: int
    missed: int


@dataclass(frozen=True, slots=True)
class Fairness:
    """Of the dominant shares, each over its role's weight, of the frameworks that wait for
    resources, at the moments at which at least two do: `moments` is how large a part that is.

    jain: Jain's index, 1 if all are equal. gap: the largest share less the smallest.
    """

    moments: float
    jain_mean: float | None
    jain_worst: float | None
    gap_mean: float | None
    gap_worst: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """used and offered (and not answered yet): mean parts of the cluster, by resource."""

    scenario: str
    seed: int
    duration_s: float
    agents: int  # at the end
    used: dict[str, float]
    used_most: dict[str, float]
    offered: dict[str, float]
    fairness: Fairness
    frameworks: tuple[FrameworkSummary, ...]
    faults: dict[str, int]
    steps: int

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def _resources(samples: Sequence[Sample]) -> list[str]:
    """The resources that were ever used: without agents there are none."""
    return list(dict.fromkeys(name for sample in samples for name in sample.used))


def summarise(run: Run, *, since_s: float = 0.0) -> Summary:
    """`since_s`: what came or was measured before does not count (a warm-up)."""
    scenario = run.scenario
    samples = [sample for sample in run.samples if sample.at_s >= since_s]
    names = _resources(samples)
    return Summary(
        scenario.name,
        scenario.seed,
        scenario.duration_s,
        samples[-1].agents if samples else 0,
        {name: _mean([sample.used.get(name, 0.0) for sample in samples]) for name in names},
        {name: max(sample.used.get(name, 0.0) for sample in samples) for name in names},
        {name: _mean([sample.offered.get(name, 0.0) for sample in samples]) for name in names},
        _fairness(run, samples),
        tuple(_framework(each, since_s, scenario.duration_s) for each in run.frameworks),
        run.faults,
        run.steps,
    )


def _framework(framework: VirtualFramework, since_s: float, end_s: float) -> FrameworkSummary:
    jobs = [job for job in framework.jobs if job.at_s >= since_s]
    tally = framework.tally
    return FrameworkSummary(
        framework.plan.name,
        framework.plan.in_role,
        len(jobs),
        sum(job.placed_s is not None for job in jobs),
        sum(job.done_s is not None for job in jobs),
        sum(job.abandoned_s is not None for job in jobs),
        Spread.of([_or(job.first_try_s, end_s) - job.at_s for job in jobs]),
        Spread.of([_or(job.placed_s, end_s) - job.at_s for job in jobs]),
        tally.busy_s / end_s,
        tally.offers,
        tally.used,
        tally.declined,
        tally.rescinded,
        tally.launched,
        tally.lost,
        tally.missed,
    )


def _or(at_s: float | None, end_s: float) -> float:
    return end_s if at_s is None else at_s


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def jain(shares: Sequence[float]) -> float:
    """Jain, Chiu, Hawe 1984: from 1/n (one has all) to 1. Of nothing at all it is 1."""
    squares = sum(share * share for share in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else 1.0


def _fairness(run: Run, samples: list[Sample]) -> Fairness:
    weights = {
        plan.name: run.scenario.roles[plan.in_role].weight
        if plan.in_role in run.scenario.roles
        else 1.0
        for plan in run.scenario.frameworks
    }
    indexes, gaps = [], []
    for sample in samples:
        shares = [
            sample.share[name] / weights[name] for name, jobs in sample.waiting.items() if jobs
        ]
        if len(shares) > 1:
            indexes.append(jain(shares))
            gaps.append(max(shares) - min(shares))
    if not indexes:
        return Fairness(0.0, None, None, None, None)
    moments = len(indexes) / len(samples)
    return Fairness(moments, _mean(indexes), min(indexes), _mean(gaps), max(gaps))


# ---------------------------------------------------------------------------------- curves


def plot(run: Run) -> str:
    """The run over time, as SVG: utilisation, shares of the frameworks, waiting jobs."""
    scenario, samples = run.scenario, run.samples
    hours = scenario.duration_s >= 3 * 3600
    time = Axis("hours" if hours else "minutes")
    unit_s = 3600.0 if hours else 60.0

    def line(name: str, values: Sequence[float], *, dashed: bool = False) -> Line:
        points = [(s.at_s / unit_s, v) for s, v in zip(samples, values, strict=True)]
        return Line(name, points, dashed=dashed)

    names = [plan.name for plan in scenario.frameworks]
    resources = _resources(samples)
    part = Axis("of the cluster", high=1.0, percent=True)
    utilisation = [line(name, [s.used.get(name, 0.0) for s in samples]) for name in resources]
    utilisation += [
        line(f"{name} offered", [s.offered.get(name, 0.0) for s in samples], dashed=True)
        for name in resources[:1]
    ]
    shares = [line(name, [s.share[name] for s in samples]) for name in names]
    waiting = [line(name, [float(s.waiting[name]) for s in samples]) for name in names]
    return svg(
        scenario.name,
        [
            Panel("Utilisation", time, part, utilisation),
            Panel("Dominant shares", time, part, shares),
            Panel("Waiting jobs", time, Axis("jobs", high=1.0), waiting),
        ],
    )
