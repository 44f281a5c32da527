"""`python -m tests.mutation`: draw mutants of the cores and say of each who finds it.

One line for each, then one of JSON: the shares. Exit 0 whatever survives: each survivor is to be
judged by a person, who writes the missing test, or why it can't matter.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import random
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from .judge import Verdict, judge
from .points import Point, points

# Vocabularies: records and their defaults, which the converters' tests and golden bytes are for.
_NOT_RULES: Final = ("mezzo.messages", "mezzo.model", "mezzo.record", "mezzo.errors", "mezzo.ids")
_CORES: Final = ("mezzo.master.core", "mezzo.marathon.core", "mezzo.agent.core")


@dataclass(frozen=True, slots=True)
class Mutant:
    module: str
    point: Point

    @property
    def text(self) -> str:
        return f"{self.module.removeprefix('mezzo.')}.{self.point.text}"


def core_modules() -> dict[str, Path]:
    """The cores and all of mezzo that they import: pure, every one (see .importlinter)."""
    for core in _CORES:
        importlib.import_module(core)
    return {
        name: Path(module.__file__)
        for name, module in sorted(sys.modules.items())
        if name.startswith("mezzo.") and module.__file__ and not name.startswith(_NOT_RULES)
    }


def draw(count: int, seed: str) -> list[Mutant]:
    """As many different ones out of all, each as likely as any other."""
    all_of_them = [
        Mutant(name, point)
        for name, path in core_modules().items()
        for point in points(path.read_text())
    ]
    rng = random.Random(hashlib.sha256(seed.encode()).digest())
    return rng.sample(all_of_them, min(count, len(all_of_them)))


def _line(mutant: Mutant, verdict: Verdict) -> str:
    by_test = verdict.by_test or "-"
    by_seed = "-" if verdict.by_seed is None else f"seed {verdict.by_seed}"
    head = "found   " if verdict.found else "SURVIVED"
    return f"{head} {mutant.text}\n         tests: {by_test}; simulator: {by_seed} {verdict.error}"


def _as_json(mutant: Mutant, verdict: Verdict) -> dict[str, Any]:
    return {
        "mutant": mutant.text,
        "module": mutant.module,
        "number": mutant.point.number,
        "by_test": verdict.by_test,
        "by_seed": verdict.by_seed,
        "error": verdict.error,
    }


@click.command()
@click.option("--count", "-n", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--seed", default="1", show_default=True, help="Any text: what is drawn follows it.")
@click.option("--first", default=0, help="Skip so many of those drawn.")
@click.option("--seeds", default=150, show_default=True, help="Simulated clusters for each.")
@click.option("--jobs", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--save", type=click.Path(dir_okay=False), help="Append each verdict, as JSON.")
def main(count: int, seed: str, first: int, seeds: int, jobs: int, save: str | None) -> None:
    """Draw mutants of the cores and say of each who finds it."""
    drawn = draw(first + count, seed)[first:]
    verdicts: list[Verdict] = []

    def judged(mutant: Mutant) -> Verdict:
        return judge(mutant.module, mutant.point.number, seeds=seeds)

    with ThreadPoolExecutor(jobs) as pool:
        for mutant, verdict in zip(drawn, pool.map(judged, drawn), strict=True):
            verdicts.append(verdict)
            click.echo(_line(mutant, verdict))
            if save is not None:
                with Path(save).open("a") as file:
                    file.write(json.dumps(_as_json(mutant, verdict)) + "\n")
    count = len(verdicts)
    score = {
        "bench": "random mutants",
        "drawn": count,
        "seed": seed,
        "found": round(sum(v.found for v in verdicts) / count, 3),
        "by_tests": round(sum(v.by_test is not None for v in verdicts) / count, 3),
        "by_simulator": round(sum(v.by_seed is not None for v in verdicts) / count, 3),
    }
    click.echo(json.dumps(score))


if __name__ == "__main__":
    main()
