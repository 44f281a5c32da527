"""Loads one module changed: as a plugin of pytest (`-p tests.mutation.plant`), or by `plant()`.

The environment names it: MEZZO_MUTANT=mezzo.master.offers.offering:17 is its point 17.
"""

from __future__ import annotations

import ast
import builtins
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType
from typing import Final

from .points import mutated, points
from .statements import HITS, probed

VARIABLE: Final = "MEZZO_MUTANT"


# Makes of a module's source what is to be loaded in its place.
Change = Callable[[str], ast.Module]


class _Loader(SourceFileLoader):
    """Compiles the changed source, and neither reads nor writes what Python keeps compiled."""

    def __init__(self, fullname: str, path: str, change: Change) -> None:
        super().__init__(fullname, path)
        self._change = change

    def get_code(self, fullname: str) -> CodeType:
        with open(self.path) as file:
            tree = self._change(file.read())
        return compile(tree, self.path, "exec")


class _Finder(MetaPathFinder):
    def __init__(self, changes: Mapping[str, Change]) -> None:
        self._changes = changes

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._changes:
            return None
        for finder in sys.meta_path:
            if finder is self:
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                assert spec.origin is not None
                change = self._changes[fullname]
                spec.loader = _Loader(fullname, spec.origin, change)
                return spec
        return None


def load_changed(changes: Mapping[str, Change]) -> None:
    """From now on these modules are imported changed. None must have been imported yet."""
    early = sorted(changes.keys() & sys.modules.keys())
    assert not early, f"imported already: {', '.join(early)}"
    sys.meta_path.insert(0, _Finder(changes))


reached: Final = bytearray(1)  # 1: the statement with the planted change was executed


def plant(module: str, number: int) -> None:
    """From now on the module is imported with its point of that number changed, behind a probe."""
    setattr(builtins, HITS, reached)
    load_changed({module: lambda source: _changed(source, number)})


def _changed(source: str, number: int) -> ast.Module:
    changed, statement = mutated(source, number), points(source)[number].statement
    if statement == 0:
        reached[0] = 1  # by this import
    return probed(changed, index={statement: 0})


if VARIABLE in os.environ:
    _module, _, _number = os.environ[VARIABLE].partition(":")
    plant(_module, int(_number))
