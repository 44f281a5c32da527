"""Run seeds: simulated clusters under faults. One that fails prints its story and how to replay."""

from __future__ import annotations

import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Final

import click

from mezzo.units import INT32_MAX

from .cluster import Cluster, Report


@dataclass(frozen=True, slots=True)
class Failure:
    seed: int
    error: str
    story: str


def run_seed(seed: int) -> Report | Failure:
    """One run. Any exception is a finding: a broken promise, or a core that crashed."""
    cluster = Cluster(seed)
    try:
        return cluster.run()
    except Exception:  # noqa: BLE001 - whatever it is, it is the finding
        return Failure(seed, traceback.format_exc(), cluster.world.story())


COUNT: Final = click.IntRange(1, INT32_MAX)


@click.command()
@click.option("--seeds", type=COUNT, default=20, show_default=True, help="How many seeds to run.")
@click.option("--first", type=COUNT, default=1, show_default=True, help="The first of them.")
@click.option("--seed", type=COUNT, help="Run just this one and print its story.")
@click.option("--jobs", type=COUNT, default=2, show_default=True, help="Processes at a time.")
def main(seeds: int, first: int, seed: int | None, jobs: int) -> None:
    """Simulate clusters under faults; exit 1 if any promise was broken."""
    if seed is not None:
        outcome = run_seed(seed)
        click.echo(_story(outcome))
        sys.exit(isinstance(outcome, Failure))
    began_s = time.monotonic()
    reports: list[Report] = []
    failures: list[Failure] = []
    with ProcessPoolExecutor(jobs) as pool:
        for outcome in pool.map(run_seed, range(first, first + seeds)):
            if isinstance(outcome, Failure):
                failures.append(outcome)
                click.echo(_story(outcome))
            else:
                reports.append(outcome)
    took_s = time.monotonic() - began_s
    click.echo(
        f"seeds {first} to {first + seeds - 1}: {len(reports)} passed, {len(failures)} failed; "
        f"{sum(r.steps for r in reports):,} steps, {sum(r.containers for r in reports):,} "
        f"containers, {sum(r.changes for r in reports):,} changes by operators, in {took_s:.0f} s"
    )
    if failures:
        click.echo(f"failing seeds: {', '.join(str(failure.seed) for failure in failures)}")
        sys.exit(1)


def _story(outcome: Report | Failure) -> str:
    if isinstance(outcome, Report):
        return (
            f"seed {outcome.seed} passed: {outcome.steps} steps, {outcome.containers} containers, "
            f"healed in {outcome.healed_in_s:.0f} s, faults: {', '.join(outcome.faults)}"
        )
    return (
        f"seed {outcome.seed} FAILED\n{outcome.story}\n{outcome.error}\n"
        f"replay: mezzo sim seeds --seed {outcome.seed}"
    )
