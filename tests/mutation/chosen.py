"""A plugin of pytest: only the chosen tests, in that order, and drawn alike whichever are chosen.

What hypothesis draws follows its seed, but also what it has kept of earlier failures, and the
constants in whatever modules of ours are loaded: so nothing is kept, and all are loaded.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

# The file with the chosen tests, a name in each line. Without it all run, in pytest's order.
VARIABLE: Final = "MEZZO_MUTANT_TESTS"
ROOT: Final = Path(__file__).parents[2]


@pytest.hookimpl(tryfirst=True)
def pytest_collection() -> None:
    settings.register_profile("mutants", settings(database=None))
    settings.load_profile("mutants")
    for name in sorted(_modules()):
        # If a mutant can't be imported, the collection of who needs it tells.
        with contextlib.suppress(Exception):
            importlib.import_module(name)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if VARIABLE not in os.environ:
        return
    names = Path(os.environ[VARIABLE]).read_text().splitlines()
    order = {name: position for position, name in enumerate(names)}
    chosen = [item for item in items if item.nodeid in order]
    items[:] = sorted(chosen, key=lambda item: order[item.nodeid])


def _modules() -> Iterator[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    folders = project["tool"]["setuptools"]["package-dir"]
    for package, folder in folders.items():
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            if parts[-1] != "__main__":
                yield ".".join([package, *(part for part in parts if part != "__init__")])
