"""`mezzo sim`: clusters in virtual time. Nothing is started, nothing real is touched."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mezzo.sim.seeds import main as seeds
from mezzo.units import INT64_MAX

from ..option_types import Number, count
from ..words.errors import Failed
from ..words.output import echo, output_option, print_json, print_table

if TYPE_CHECKING:
    from mezzo.sim.scenario.report import Spread, Summary


def _svg_file(ctx: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
    """The file is checked before anything runs, which may take minutes."""
    del ctx, param
    if path is not None and path.suffix != ".svg":
        raise click.BadParameter(f"{path} is no .svg: curves are drawn as SVG, as browsers show it")
    if path is not None and not path.parent.is_dir():
        raise click.BadParameter(f"the folder {path.parent} does not exist: create it first")
    return path


_plot_option = click.option(
    "--plot",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    callback=_svg_file,
    metavar="FILE.svg",
    help="Draw the curves.",
)


@click.group("sim")
def command() -> None:
    """Simulate clusters: scenarios of your own, or faults at random.

    The masters (and agents, and Marathons) are the real ones, on virtual time: an hour takes
    seconds, and the same file or seed gives the same run on every machine.
    """


command.add_command(seeds, "seeds")


@command.command("run")
@click.argument("scenario", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--seed", type=count(most=INT64_MAX), help="In place of the scenario's own.")
@_plot_option
@click.option("--json", "output", flag_value="json", help="The same as --output json.")
@output_option
def run_(scenario: Path, seed: int | None, plot: Path | None, output: str) -> None:
    """Run a scenario file and say what came of it.

    docs/simulator.md has the keys of the file, examples/scenarios/ has files to begin with.
    """
    from mezzo.sim.scenario.report import plot as draw
    from mezzo.sim.scenario.report import summarise
    from mezzo.sim.scenario.run import run
    from mezzo.sim.scenario.scenario_file import load

    asked = load(scenario)
    if seed is not None:
        asked = asked.model_copy(update={"seed": seed})
    done = run(asked)
    summary = summarise(done)
    if plot is not None:
        _write(plot, draw(done))
    if output == "json":
        print_json(summary.plain())
    else:
        _print(summary)


@command.command("omega")
@click.option(
    "--hours",
    type=Number(0.5, 24 * 366),
    default=3.0,
    show_default=True,
    help="Of virtual time, of each run.",
)
@click.option(
    "--seeds",
    "seed_count",
    type=count(1, 100_000),
    default=2,
    show_default=True,
    help="Runs for each point, of which the means are told.",
)
@click.option(
    "--think",
    "thinks_s",
    type=Number(0.1, 1e6),
    multiple=True,
    help="A decision time in seconds, again for more.  [default: 0.1 to 100]",
)
@click.option("--jobs", type=count(1, 1024), default=2, help="Processes at a time.")
@_plot_option
def omega(
    hours: float, seed_count: int, thinks_s: tuple[float, ...], jobs: int, plot: Path | None
) -> None:
    """The Omega paper's experiment: what a framework that thinks for long does to others.

    Prints one JSON line for each way to offer, decision time and framework.
    """
    from mezzo.sim.scenario.omega import THINKS_S, draw, measure

    outcomes = []
    thinks_s = tuple(sorted(thinks_s)) or THINKS_S
    for outcome in measure(thinks_s=thinks_s, hours=hours, seeds=seed_count, jobs=jobs):
        outcomes.append(outcome)
        plain = dataclasses.asdict(outcome)
        rounded = {k: round(v, 4) if isinstance(v, float) else v for k, v in plain.items()}
        echo(json.dumps(rounded))
    if plot is not None:
        _write(plot, draw(outcomes))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise Failed(f"cannot write {path}: {error.strerror}") from error


def _print(summary: Summary) -> None:
    echo(
        f"{summary.scenario}: {_time(summary.duration_s)} in virtual time, "
        f"{summary.agents} agents at the end, seed {summary.seed}, {summary.steps:,} steps"
    )
    for name, part in summary.used.items():
        offered = summary.offered.get(name, 0.0)
        most = summary.used_most[name]
        echo(
            f"{name:<11} {_percent(part)} used (at most {_percent(most)}), "
            f"{_percent(offered)} offered and not answered"
        )
    echo(_fairness(summary))
    if summary.faults:
        struck = ", ".join(f"{kind} {count}" for kind, count in sorted(summary.faults.items()))
        echo(f"faults      {struck}")
    for print_part in (_print_jobs, _print_waits, _print_offers):
        echo()
        print_part(summary)


def _fairness(summary: Summary) -> str:
    fairness = summary.fairness
    if fairness.jain_mean is None or fairness.gap_mean is None:
        return "fairness    nothing to compare: never did two frameworks wait at once"
    return (
        f"fairness    Jain's index {fairness.jain_mean:.2f}, gap of dominant shares "
        f"{_percent(fairness.gap_mean)}, in the {_percent(fairness.moments)} of the time in "
        "which two frameworks or more waited"
    )


def _print_jobs(summary: Summary) -> None:
    print_table(
        ["FRAMEWORK", "JOBS", "PLACED", "DONE", "ABANDONED", "BUSY"],
        [
            [each.name, each.jobs, each.placed, each.done, each.abandoned, _percent(each.busy)]
            for each in summary.frameworks
        ],
        empty="no frameworks",
    )


def _print_waits(summary: Summary) -> None:
    print_table(
        ["A JOB WAITS", "MEDIAN", "P90", "P99", "UNTIL"],
        [
            [each.name, *_spread(spread), until]
            for each in summary.frameworks
            for spread, until in (
                (each.first_try, "the first decision about it"),
                (each.until_placed, "all of its tasks are launched"),
            )
        ],
        empty="no frameworks",
    )


def _print_offers(summary: Summary) -> None:
    print_table(
        ["FRAMEWORK", "ROLE", "OFFERS", "USED", "DECLINED", "RESCINDED", "TASKS", "LOST", "MISSED"],
        [
            [
                each.name,
                each.role,
                each.offers,
                each.used,
                each.declined,
                each.rescinded,
                each.tasks,
                each.tasks_lost,
                each.missed,
            ]
            for each in summary.frameworks
        ],
        empty="no frameworks",
    )


def _percent(part: float) -> str:
    return f"{100 * part:.0f}%"


def _spread(spread: Spread) -> list[str]:
    values = (spread.median_s, spread.p90_s, spread.p99_s)
    return ["-" if value is None else _time(value) for value in values]


def _time(seconds: float) -> str:
    """0.02 s, 12.5 s, 3.2 min, 4 h."""
    for unit_s, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.3g} {unit}"
    return f"{seconds:.3g} s" if seconds >= 0.01 else "0 s"
