"""Which statements does each test execute? A plugin of pytest (`-p tests.mutation.probes`), for a
run of all without a mutant.

Before every statement of a function stands a probe, which is planted as a mutant is. Statements
outside of functions have none: they are executed by all, when the module is imported.

The environment gives the modules and where to write: MEZZO_PROBES={"modules": {name: path},
"save": path}. What is written is a `Record` as JSON.
"""

from __future__ import annotations

import ast
import builtins
import functools
import gc
import json
import mmap
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypedDict

import pytest

from .plant import Change, load_changed
from .statements import HITS, probed, statements

VARIABLE: Final = "MEZZO_PROBES"


class Record(TypedDict):
    """Statements are indices of `places`: module and line."""

    places: list[tuple[str, int]]
    always: list[int]  # what was executed outside of all runs, which may depend on it
    runs: dict[str, list[int]]  # by the test's name
    failed: list[str]  # of those runs, although there was no mutant


def _with_probes(index: Mapping[int, int]) -> Change:
    return lambda source: probed(ast.parse(source), index=index)


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
        setattr(builtins, HITS, self._hits)
        load_changed({name: _with_probes(index[name]) for name in modules})

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


def _asked() -> dict[str, Any]:
    asked: dict[str, Any] = json.loads(os.environ[VARIABLE])
    return asked


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Plugin(_PROBES, _asked()["save"]))


if VARIABLE in os.environ:
    _PROBES: Final = Probes(_asked()["modules"])
