"""`python -m tests.mutation`: draw mutants of the cores and say of each who finds it.

One line for each as soon as it is known, then one of JSON: the shares. Exit 0 whatever survives:
each survivor is to be judged by a person, who writes the missing test, or why it can't matter.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import random
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

import click

from .judge import Verdict, judge, own_folder
from .points import Point, points
from .reach import measure

# Vocabularies: records and their defaults, which the converters' tests and golden bytes are for.
_NOT_RULES: Final = (
    "mezzo.messages",
    "mezzo.cluster.model",
    "mezzo.record",
    "mezzo.errors",
    "mezzo.ids",
)
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
    by_test = verdict.by_test or ("-" if verdict.tests_reaching else "not reached")
    by_seed = "-" if verdict.seeds_reaching else "not reached"
    if verdict.by_seed is not None:
        by_seed = f"seed {verdict.by_seed} {verdict.error}"
    head = "found   " if verdict.found else "SURVIVED"
    return f"{head} {mutant.text}\n         tests: {by_test}; simulator: {by_seed}"


def _saved(path: Path | None) -> dict[str, Verdict]:
    """The verdicts of an earlier run, by the text of the mutant."""
    if path is None or not path.exists():
        return {}
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    names = [field.name for field in fields(Verdict)]
    return {line["mutant"]: Verdict(**{name: line[name] for name in names}) for line in lines}


def _save(path: Path, index: int, mutant: Mutant, verdict: Verdict) -> None:
    """`index` is that of the draw."""
    about = {"mutant": mutant.text, "module": mutant.module, "number": mutant.point.number}
    with path.open("a") as file:
        file.write(json.dumps({"index": index} | about | asdict(verdict)) + "\n")


def _judged(
    mutants: Mapping[int, Mutant], seeds: int, jobs: int
) -> Iterator[tuple[int, Mutant, Verdict]]:
    """Each as soon as it is known."""
    by_tests = measure(core_modules())

    def one(mutant: Mutant) -> Verdict:
        module, point = mutant.module, mutant.point
        tests = by_tests.reaching(module, point.statement)
        return judge(
            module,
            point.number,
            tests=by_tests.specific_first(tests, own_folder(module)),
            seeds=range(1, seeds + 1),
        )

    with ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(one, mutant): index for index, mutant in mutants.items()}
        try:
            for future in as_completed(futures):
                index = futures[future]
                yield index, mutants[index], future.result()
        finally:
            pool.shutdown(cancel_futures=True)  # who is interrupted begins no others


@click.command()
@click.option("--count", "-n", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--seed", default="1", show_default=True, help="Any text: what is drawn follows it.")
@click.option("--first", default=0, help="Skip so many of those drawn.")
@click.option("--seeds", default=150, show_default=True, help="Simulated clusters for each.")
@click.option("--jobs", type=click.IntRange(min=1), default=2, show_default=True)
@click.option(
    "--save",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Append each verdict, as JSON; what the file has already is not judged again.",
)
def main(count: int, seed: str, first: int, seeds: int, jobs: int, save: Path | None) -> None:
    """Draw mutants of the cores and say of each who finds it."""
    drawn = draw(first + count, seed)[first:]
    saved = _saved(save)
    verdicts = [saved[mutant.text] for mutant in drawn if mutant.text in saved]
    missing = {n: mutant for n, mutant in enumerate(drawn, first) if mutant.text not in saved}
    for index, mutant, verdict in _judged(missing, seeds, jobs) if missing else ():
        verdicts.append(verdict)
        click.echo(_line(mutant, verdict))
        if save is not None:
            _save(save, index, mutant, verdict)
    score = {
        "bench": "random mutants",
        "drawn": len(verdicts),
        "seed": seed,
        "found": round(sum(v.found for v in verdicts) / len(verdicts), 3),
        "by_tests": round(sum(v.by_test is not None for v in verdicts) / len(verdicts), 3),
        "by_simulator": round(sum(v.by_seed is not None for v in verdicts) / len(verdicts), 3),
    }
    click.echo(json.dumps(score))


if __name__ == "__main__":
    main()
