"""The experiment of the Omega paper against the real master: what a scheduler that thinks for long
does to one that does not.

Schwarzkopf, Konwinski, Abd-El-Malek, Wilkes: Omega, EuroSys 2013, section 4.2: a service framework
whose decision takes from 0.1 to 100 s for a job, beside a batch framework whose decision takes 0.1
s, and 5 ms more for a task in both. Mesos offers all that is free to one of them, which holds it
while it thinks. The cell is a hundredth of that in the paper's public simulator (100 machines of 4
cpus and 16 GiB), half full of running tasks, as theirs is filled before the start.

docs/adr/0007-offers-that-are-thought-about.md draws the conclusions.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from .plot import Axis, Line, Panel, svg
from .report import FrameworkSummary, summarise
from .run import run
from .scenario_file import Scenario, check

THINKS_S: Final = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
_WARM_UP_S: Final = 600.0
_SHAPE: Final = {"cpus": 1, "mem": 2048}


@dataclass(frozen=True, slots=True)
class Variant:
    """A way to offer: flags of the master, who declares demand, whether service insists on the
    offers that it has thought about (see scenario.Think), whether it is there."""

    name: str
    master: dict[str, Any] = field(default_factory=dict)
    declare: tuple[str, ...] = ()
    insists: bool = False
    service: bool = True


_PATIENT: Final = {"offer_timeout_s": None, "patience_s": None}
_WITHDRAWS: Final = {"offer_timeout_s": None, "patience_s": 1.0}

VARIANTS: Final = (
    Variant("as Mesos: held for ever", _PATIENT),
    Variant("offer timeout 30 s", {"offer_timeout_s": 30.0, "patience_s": None}),
    Variant("withdrawn after 1 s", _WITHDRAWS),
    Variant("withdrawn, service insists", _WITHDRAWS, insists=True),
    Variant("withdrawn, batch declares", _WITHDRAWS, declare=("batch",)),
    Variant("withdrawn, both declare", _WITHDRAWS, declare=("batch", "service")),
    Variant("no service framework", _PATIENT, service=False),
)


def scenario(variant: Variant, think_s: float, hours: float, seed: int) -> Scenario:
    """Batch wants about 25 % of the cell, service 5 %, and half of it is taken by what runs."""

    def framework(
        name: str, job_s: float, gap_s: float, tasks: float, lasts_s: float
    ) -> dict[str, Any]:
        return {
            "name": name,
            "declares": name in variant.declare,
            "think": {
                "job_s": job_s,
                "task_s": 0.005,
                "insists": variant.insists and name == "service",
            },
            "jobs": {
                "arrivals": {"poisson_s": gap_s, "from_s": 60},
                "tasks": {"exponential": tasks},
                "shape": _SHAPE,
                "duration_s": {"exponential": lasts_s},
            },
        }

    running = {
        "name": "running",  # what the cell is filled with
        "declares": True,
        "jobs": {"arrivals": {"at_s": [2]}, "tasks": 200, "shape": _SHAPE},
    }
    frameworks = [running, framework("batch", 0.1, 5, 10, 50)]
    if variant.service:
        frameworks.append(framework("service", think_s, 200, 8, 500))
    plain = {
        "name": f"{variant.name}, {think_s:g} s",
        "seed": seed,
        "duration_s": 3600 * hours,
        "sample_s": 60,
        "cluster": {
            "agents": "light",
            "groups": [{"name": "m", "count": 100, "resources": {"cpus": 4, "mem": 16384}}],
        },
        "master": {"agent_ping_timeout_s": 75, **variant.master},
        "frameworks": frameworks,
    }
    return check(plain, "the Omega experiment", Path())


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one framework at one point: means over the seeds. until: seconds; unplaced: the part of
    the jobs that were abandoned or not placed at the end."""

    variant: str
    think_s: float
    framework: str
    first_try_s: float
    until_placed_s: float
    until_placed_p90_s: float
    busy: float
    unplaced: float
    rescinded: float
    offered: float  # part of the cell's cpus that is offered, to both


_Run = tuple[Variant, float, float, int]


def _measure(point: _Run) -> list[Outcome]:
    variant, think_s = point[:2]
    summary = summarise(run(scenario(*point)), since_s=_WARM_UP_S)
    offered = summary.offered["cpus"]
    return [_outcome(variant.name, think_s, each, offered) for each in summary.frameworks[1:]]


def _outcome(variant: str, think_s: float, each: FrameworkSummary, offered: float) -> Outcome:
    return Outcome(
        variant,
        think_s,
        each.name,
        each.first_try.mean_s or 0.0,
        each.until_placed.mean_s or 0.0,
        each.until_placed.p90_s or 0.0,
        each.busy,
        1 - each.placed / max(each.jobs, 1),
        each.rescinded,
        offered,
    )


def measure(
    *, thinks_s: Sequence[float] = THINKS_S, hours: float, seeds: int, jobs: int
) -> Iterator[Outcome]:
    """Every variant at every think time, `jobs` processes at a time."""
    points = [(variant, think_s) for variant in VARIANTS for think_s in thinks_s]
    runs = [(*point, hours, seed) for point in points for seed in range(1, seeds + 1)]
    with ProcessPoolExecutor(jobs) as pool:
        measured = pool.map(_measure, runs)
        for _ in points:
            of_seeds = [next(measured) for _ in range(seeds)]
            for same in zip(*of_seeds, strict=True):
                yield _average(same)


def _average(same: Sequence[Outcome]) -> Outcome:
    means: dict[str, float] = {}
    for name in Outcome.__slots__[3:]:  # after the names
        means[name] = statistics.fmean(getattr(each, name) for each in same)
    first = same[0]
    return Outcome(first.variant, first.think_s, first.framework, **means)


def draw(outcomes: Sequence[Outcome]) -> str:
    """The curves, as SVG."""
    think = Axis("service's decision time for a job, s", low=min(THINKS_S), log=True)

    def panel(title: str, y: Axis, framework: str, name: str) -> Panel:
        lines = []
        for variant in VARIANTS:
            points = [
                (each.think_s, getattr(each, name))
                for each in outcomes
                if each.variant == variant.name and each.framework == framework
            ]
            bound = not variant.service
            lines.append(Line(variant.name, points, dashed=bound, marks=not bound))
        return Panel(title, think, y, lines)

    seconds = Axis("mean, s", low=0.1, log=True)
    part = Axis("of the time", high=1.0, percent=True)
    return svg(
        "A scheduler that thinks, beside one that does not",
        [
            panel("Batch: until all tasks are placed", seconds, "batch", "until_placed_s"),
            panel("Service: until all tasks are placed", seconds, "service", "until_placed_s"),
            panel("Batch: its scheduler is busy", part, "batch", "busy"),
            panel("Service: its scheduler is busy", part, "service", "busy"),
            panel(
                "Batch: jobs not placed",
                Axis("of the jobs", high=0.02, percent=True),
                "batch",
                "unplaced",
            ),
            panel(
                "Offered and not answered",
                Axis("of the cpus", high=0.1, percent=True),
                "batch",
                "offered",
            ),
        ],
        columns=2,
        width=980,
    )
