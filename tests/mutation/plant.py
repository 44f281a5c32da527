"""Loads one module changed: as a plugin of pytest (`-p tests.mutation.plant`), or by `plant()`.

The environment names it: MEZZO_MUTANT=mezzo.master.offers:17 is the module's point number 17.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType
from typing import Final

from .points import mutated

VARIABLE: Final = "MEZZO_MUTANT"


class _Loader(SourceFileLoader):
    """Compiles the changed source, and neither reads nor writes what Python keeps compiled."""

    def __init__(self, fullname: str, path: str, number: int) -> None:
        super().__init__(fullname, path)
        self._number = number

    def get_code(self, fullname: str) -> CodeType:
        with open(self.path) as file:
            tree = mutated(file.read(), self._number)
        return compile(tree, self.path, "exec")


class _Finder(MetaPathFinder):
    def __init__(self, module: str, number: int) -> None:
        self._module = module
        self._number = number

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._module:
            return None
        for finder in sys.meta_path:
            if finder is self:
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                assert spec.origin is not None
                spec.loader = _Loader(fullname, spec.origin, self._number)
                return spec
        return None


def plant(module: str, number: int) -> None:
    """From now on the module is imported changed. It must not have been imported yet."""
    assert module not in sys.modules, f"{module} is imported already"
    sys.meta_path.insert(0, _Finder(module, number))


if VARIABLE in os.environ:
    _module, _, _number = os.environ[VARIABLE].partition(":")
    plant(_module, int(_number))
