"""The handler of each event: a table that type checkers and its own making hold complete.

    _EVENTS = Handlers(Event, on(Started, started), on(AgentSaid, agents.said), ...)

    _EVENTS.handle(state, step, event)

A handler is a function of what `handle` is given, the event last: `(state, step, event)`; all those
of a table return the same, most of them nothing. `on` lets no handler of another type pass; a type
of the union without a row, or a row that is none of its types, is found when the table is made,
which is when its module is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, TypeVarTuple, get_args

E = TypeVar("E")
R_co = TypeVar("R_co", covariant=True)  # what handlers return: most nothing
Context = TypeVarTuple("Context")  # what comes before the event: state, step, ...


class Row(Generic[R_co, *Context]):
    """written: the handler as it stands in the table; handler: what is called."""

    __slots__ = ("handler", "kind", "told", "written")

    def __init__(self, kind: type[Any], written: Callable[..., R_co], *, told: bool) -> None:
        self.kind = kind
        self.written = written
        self.told = told  # what has happened, not only that it has
        self.handler: Callable[..., R_co] = written if told else _untold(written)


def _untold(handler: Callable[..., R_co]) -> Callable[..., R_co]:
    return lambda *args: handler(*args[:-1])


def on(kind: type[E], handler: Callable[[*Context, E], R_co]) -> Row[R_co, *Context]:
    return Row(kind, handler, told=True)


def when(kind: type[Any], handler: Callable[[*Context], R_co]) -> Row[R_co, *Context]:
    """For a handler that needs to know no more than that the event happened."""
    return Row(kind, handler, told=False)


class Handlers(Generic[R_co, *Context]):
    def __init__(
        self,
        union: object,
        *rows: Row[R_co, *Context],
        others: Callable[[*Context], R_co] | None = None,
    ) -> None:
        """`union`: the types that there are: `A | B`, a tuple, or one alone. others: the handler of
        those without a row, which is then no fault. Raises TypeError."""
        kinds = union if isinstance(union, tuple) else get_args(union) or (union,)
        self.rows = {row.kind: row for row in rows}
        twice = len(self.rows) < len(rows)
        if others is not None:
            self.rows |= {kind: when(kind, others) for kind in kinds if kind not in self.rows}
        missing = [kind.__name__ for kind in kinds if kind not in self.rows]
        foreign = [kind.__name__ for kind in self.rows if kind not in kinds]
        if missing or foreign or twice:
            raise TypeError(f"without a row: {missing}; of no such type: {foreign}; or twice")
        self._handlers = {kind: row.handler for kind, row in self.rows.items()}

    def put(self, row: Row[R_co, *Context]) -> None:
        """Replace the row of its type: for who tries what another handler would do."""
        self.rows[row.kind] = row
        self._handlers[row.kind] = row.handler

    def handle(self, *args: *tuple[*Context, Any]) -> R_co:
        """`args`: what handlers are given, the event last."""
        return self._handlers[type(args[-1])](*args)
