"""Which statements does a test or a simulated cluster execute? A run of all, without a mutant.

Before every statement of a function stands a probe, which is planted as a mutant is. Statements
outside of functions have none: they are executed by all, when the module is imported.

As a plugin of pytest (`-p tests.mutation.probes`) it asks all tests, by `python -m` the seeds 1 to
COUNT. The environment gives the modules and where to write: MEZZO_PROBES={"modules": {name: path},
"save": path}. What is written is a `Record` as JSON.
"""

from __future__ import annotations

import ast
import builtins
import functools
import gc
import importlib
import json
import mmap
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypedDict

import pytest

from .plant import load_changed

VARIABLE: Final = "MEZZO_PROBES"
_HITS: Final = "_statements_reached_"


class Record(TypedDict):
    """Statements are indices of `places`: module and line."""

    places: list[tuple[str, int]]
    always: list[int]  # what was executed outside of all runs, which may depend on it
    runs: dict[str, list[int]]  # by the test's name or the number of the seed
    failed: list[str]  # of those runs, although there was no mutant


def statements(source: str) -> list[int]:
    """The lines at which statements of functions begin, as `Point.statement` has them."""
    return sorted({node.lineno for _, _, node in _places(ast.parse(source))})


def probed(source: str, *, index: Mapping[int, int]) -> ast.Module:
    """The module with a probe before each such statement, which notes the index of its line."""
    tree = ast.parse(source)
    for body, position, node in reversed(list(_places(tree))):
        (probe,) = ast.parse(f"{_HITS}[{index[node.lineno]}] = 1").body
        for part in ast.walk(probe):
            ast.copy_location(part, node)
        body.insert(position, probe)
    return tree


def _places(tree: ast.Module) -> Iterator[tuple[list[ast.stmt], int, ast.stmt]]:
    """Statements within functions: the list that holds it, where in that, and itself."""
    inside: set[int] = set()
    for node in ast.walk(tree):  # parents come before their children
        within = id(node) in inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if within:
            inside.update(id(child) for child in ast.iter_child_nodes(node))
        for name in ("body", "orelse", "finalbody"):
            body = getattr(node, name, None)
            if not within or not isinstance(body, list):
                continue
            for position, statement in enumerate(body):
                if not _is_text(statement):  # a docstring is one only as the first
                    yield body, position, statement


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


class Probes:
    """Planted into modules that are not imported yet; tells what has been executed since."""

    def __init__(self, modules: Mapping[str, str]) -> None:
        self.places = [
            (name, line)
            for name, path in modules.items()
            for line in statements(Path(path).read_text())
        ]
        # Shared, so that a process that a test forks off is heard, too.
        self._hits = mmap.mmap(-1, len(self.places) + 1)
        self._always: set[int] = set()
        self._runs: dict[str, set[int]] = {}
        self._caches: list[Any] = []
        self.failed: set[str] = set()
        self.run: str | None = None
        index: dict[str, dict[int, int]] = {name: {} for name in modules}
        for number, (name, line) in enumerate(self.places):
            index[name][line] = number
        setattr(builtins, _HITS, self._hits)
        load_changed({name: functools.partial(probed, index=index[name]) for name in modules})

    def note(self) -> None:
        """What was executed since the last time belongs to the present run; to all if none is."""
        now = {found.start() for found in re.finditer(b"\x01", self._hits[:])}
        self._hits[:] = bytes(len(self._hits))
        if self.run is None:
            self._always |= now
        else:
            self._runs.setdefault(self.run, set()).update(now)

    def find_caches(self) -> None:
        self._caches = [
            thing
            for thing in gc.get_objects()
            if isinstance(thing, functools._lru_cache_wrapper)
            and thing.__module__.startswith(("mezzo.", "tests."))
        ]

    def begin(self, run: str) -> None:
        """What an earlier run has remembered, this one may have to find by itself."""
        for cache in self._caches:
            cache.cache_clear()
        self.note()
        self.run = run

    def end(self) -> None:
        self.note()
        self.run = None

    def save(self, path: str) -> None:
        record: Record = {
            "places": self.places,
            "always": sorted(self._always),
            "runs": {run: sorted(reached) for run, reached in self._runs.items()},
            "failed": sorted(self.failed),
        }
        Path(path).write_text(json.dumps(record))


class Plugin:
    """Tests are the runs. What a fixture of several tests does may matter to all."""

    def __init__(self, probes: Probes, save: str) -> None:
        self._probes = probes
        self._save = save

    def pytest_collection_finish(self) -> None:
        self._probes.find_caches()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._probes.begin(item.nodeid)
        try:
            return (yield)
        finally:
            self._probes.end()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Iterator[None]:
        run = self._probes.run
        if fixturedef.scope != "function":
            self._probes.end()
        try:
            return (yield)
        finally:
            if fixturedef.scope != "function":
                self._probes.note()
                self._probes.run = run

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._probes.failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        self._probes.note()
        self._probes.save(self._save)


def _ask_seeds(probes: Probes, modules: Iterable[str], count: int) -> None:
    from mezzo.sim.seeds import Failure, run_seed

    for name in modules:
        importlib.import_module(name)
    probes.find_caches()
    for seed in range(1, count + 1):
        probes.begin(str(seed))
        if isinstance(run_seed(seed), Failure):
            probes.failed.add(str(seed))
        probes.end()


def _asked() -> dict[str, Any]:
    asked: dict[str, Any] = json.loads(os.environ[VARIABLE])
    return asked


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Plugin(_PROBES, _asked()["save"]))


if __name__ == "__main__":
    _probes = Probes(_asked()["modules"])
    _ask_seeds(_probes, _asked()["modules"], int(sys.argv[1]))
    _probes.save(_asked()["save"])
elif VARIABLE in os.environ:
    _PROBES: Final = Probes(_asked()["modules"])
