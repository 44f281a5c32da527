"""Planted bugs: each is a small change of the real code, made while a simulation runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mezzo.handlers import Handlers, Row
from mezzo.tables import Table

_Table = Handlers[Any, *tuple[Any, ...]]
_Row = Row[Any, *tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Mutant:
    """`owner.attribute` is replaced by what `make` turns it into."""

    name: str
    area: str
    owner: Any
    attribute: str
    make: Callable[[Any], Any]

    @contextmanager
    def planted(self) -> Iterator[None]:
        """Raises AttributeError if the code has moved: then the mutant has to follow."""
        own = vars(self.owner)
        if self.attribute not in own:
            raise AttributeError(
                f"mutant {self.name!r}: {self.owner.__name__} has no {self.attribute} of its own: "
                "see where it has moved to"
            )
        plain, original = own[self.attribute], getattr(self.owner, self.attribute)
        made = self.make(original)
        setattr(self.owner, self.attribute, made)
        rows = list(_rows_of(original))
        for table, row in rows:
            table.put(Row(row.kind, made, told=row.told))
        try:
            yield
        finally:
            setattr(self.owner, self.attribute, plain)
            for table, row in rows:
                table.put(row)


def _rows_of(handler: Any) -> Iterator[tuple[_Table, _Row]]:
    """Tables of handlers hold the function itself, whatever its module calls by that name."""
    for table in _tables(len(sys.modules)):
        yield from ((table, row) for row in table.rows.values() if row.written is handler)


@lru_cache(maxsize=1)
def _tables(_modules: int) -> list[Handlers[Any]]:
    ours = [module for name, module in sys.modules.items() if name.startswith("mezzo.")]
    return [each for module in ours for each in vars(module).values() if isinstance(each, Handlers)]


def mutant(owner: Any, attribute: str) -> Callable[[Callable[[Any], Any]], Mutant]:
    """Of a function that gets the original and returns the replacement; its name says the bug, and
    the file that it stands in the area."""

    def planted_by(make: Callable[[Any], Any]) -> Mutant:
        _, room, file = make.__module__.rsplit(".", 2)
        area = f"{room} {file.removeprefix('of_').replace('_', ' ')}"
        return Mutant(make.__name__.replace("_", " "), area, owner, attribute, make)

    return planted_by


def never(*_: Any, **__: Any) -> None:
    """In place of something that should have happened."""


def all_but(left_out: Table[Any], original: Any) -> Any:
    """In place of `Step.put`: what is of that table is not stored."""

    def put(self: Any, table: Any, record: Any) -> None:
        if table is not left_out:
            original(self, table, record)

    return put
