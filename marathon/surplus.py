"""Which instances go when there are too many (8.2)."""

from __future__ import annotations

from collections.abc import Iterable

from .app import App, Operator
from .constraints import value_at
from .instances import Live, kill_order


def choose_surplus(app: App, instances: Iterable[Live], count: int) -> list[Live]:
    """`count` of the active ones. With GROUP_BY each comes from the group that is fullest then."""
    order = kill_order((live for live in instances if live.active), app.kill_selection)
    fields = [c.field for c in app.constraints if c.operator is Operator.GROUP_BY]
    if not fields:
        return order[:count]
    chosen: list[Live] = []
    while order and len(chosen) < count:
        victim = max(order, key=lambda live: _fullness(live, order, fields))
        chosen.append(victim)
        order.remove(victim)
    return chosen


def _fullness(live: Live, among: Iterable[Live], fields: list[str]) -> list[int]:
    """How many share the live's value, by field. `max` keeps the kill order among equals."""
    return [
        sum(1 for other in among if value_at(field, other.record) == value_at(field, live.record))
        for field in fields
    ]
