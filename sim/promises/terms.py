"""What a checker remembers of a master, begun anew with each of its terms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from mezzo.master.core import MasterCore

from ..daemons.masters import VirtualMaster

T = TypeVar("T")


class Terms(Generic[T]):
    def __init__(self, begin: Callable[[MasterCore], T]) -> None:
        self._begin = begin
        self._kept: dict[str, tuple[MasterCore, T]] = {}

    def of(self, master: VirtualMaster) -> T:
        """The memory of the term that a master is in; it has to be in one."""
        core = master.core
        assert core is not None
        kept = self._kept.get(master.name)
        if kept is not None and kept[0] is core:
            return kept[1]
        term = self._begin(core)
        self._kept[master.name] = core, term
        return term

    def latest(self, master: VirtualMaster) -> T | None:
        """The memory of the last term that has one, which may be over."""
        kept = self._kept.get(master.name)
        return None if kept is None else kept[1]
