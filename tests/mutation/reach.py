"""Which tests can find a mutant: those that execute the statement it is in.

A run without a mutant tells (probes.py). It takes minutes, so build/mutation keeps what it told for
as long as no file of the project changes. Of simulated clusters it is seen when they run: there are
so many statements that all of them reach that to ask them before takes longer than it saves.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from . import probes
from .chosen import ROOT
from .judge import FOLDERS, LEFT_OUT, pytest_command

_KEPT: Final = ROOT / "build" / "mutation"


@dataclass(frozen=True, slots=True)
class Reach:
    """What each test executes."""

    index: Mapping[tuple[str, int], int]
    always: frozenset[int]
    runs: Mapping[str, frozenset[int]]  # in the order in which they ran

    @classmethod
    def of(cls, record: probes.Record) -> Reach:
        """Runs that fail without a mutant find none."""
        return cls(
            {(module, line): number for number, (module, line) in enumerate(record["places"])},
            frozenset(record["always"]),
            {
                run: frozenset(reached)
                for run, reached in record["runs"].items()
                if run not in record["failed"]
            },
        )

    def reaching(self, module: str, statement: int) -> list[str]:
        """The runs that a change of the statement can matter to. 0: it is outside of functions."""
        if statement == 0:
            return list(self.runs)
        number = self.index[module, statement]
        if number in self.always:
            return list(self.runs)
        return [run for run, reached in self.runs.items() if number in reached]

    def specific_first(self, runs: list[str], folder: str) -> list[str]:
        """Tests of that folder first; then those that execute little, as what is specific does."""
        within = f"tests/unit/{folder}/"
        return sorted(runs, key=lambda run: (not run.startswith(within), len(self.runs[run])))


def measure(modules: Mapping[str, Path]) -> Reach:
    """As kept, else by running all tests."""
    _KEPT.mkdir(parents=True, exist_ok=True)
    kept = _KEPT / f"tests-{_key()}.json"
    if not kept.exists():
        click.echo("running all unit tests without a mutant, to know what each can find: minutes")
        for old in _KEPT.glob("*.json"):
            old.unlink()
        _run(modules).rename(kept)
    return _read(kept)


def _run(modules: Mapping[str, Path]) -> Path:
    """Where the record is. Raises ClickException if there is none."""
    fresh = _KEPT / "tests.new"
    fresh.unlink(missing_ok=True)
    sources = {module: str(path) for module, path in modules.items()}
    asked = json.dumps({"modules": sources, "save": str(fresh)})
    folders = [f"tests/unit/{folder}" for folder in FOLDERS]
    ran = subprocess.run(
        [*pytest_command("tests.mutation.probes"), *folders, *LEFT_OUT],
        cwd=ROOT,
        env=os.environ | {probes.VARIABLE: asked, "PYTHONHASHSEED": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    # 1 of pytest: some tests failed, which the record tells.
    if ran.returncode not in (0, 1) or not fresh.exists():
        raise click.ClickException(f"no run without a mutant:\n{ran.stdout}")
    return fresh


def _read(path: Path) -> Reach:
    record: Any = json.loads(path.read_text())
    record["places"] = [tuple(place) for place in record["places"]]
    for run in record["failed"]:
        click.echo(f"left out, since it fails without a mutant: {run}")
    return Reach.of(record)


def _key() -> str:
    """Of all that a run may depend on: the project's files, and who runs them."""
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(_files()):
        digest.update(f"{path.relative_to(ROOT)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _files() -> Iterator[Path]:
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and name not in ("build", "dist", "__pycache__", "docs")
        ]
        for name in names:
            if not name.startswith(".") and (Path(folder) / name).is_file():
                yield Path(folder) / name
