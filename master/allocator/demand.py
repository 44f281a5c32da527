"""Declared demand: so many tasks of such a shape. Beyond Mesos, whose REQUEST no allocator heeds.

A client with demand is offered only what a shape fits into, in multiples of it, and never more than
it wants: a unit at each of its turns. Offered units count as pending; used ones are counted down.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Final

from mezzo.cluster.amounts import MILLI, Items, Ranges, Thousandths, Value
from mezzo.cluster.resources import Kind, Resources

from .quantities import Ledger, quantity
from .terms import Demand, Quantities


class Wish:
    """left: units that it still wants to use; pending: of them, offered; by agent in `on`."""

    __slots__ = ("left", "on", "pending", "shape")

    def __init__(self, demand: Demand) -> None:
        self.shape: Final[Quantities] = {n: a for n, a in demand.shape.items() if a > 0}
        self.left = demand.count
        self.pending = 0
        self.on: dict[Hashable, int] = {}

    @property
    def open(self) -> int:
        """Units to be offered."""
        return max(0, self.left - self.pending)

    def note(self, agent: Hashable, more: int) -> None:
        self.pending += more
        there = self.on.get(agent, 0) + more
        if there:
            self.on[agent] = there
        else:
            self.on.pop(agent, None)

    def units_in(self, resources: Resources) -> int:
        return min((quantity(resources, name) // a for name, a in self.shape.items()), default=0)


class Wishes:
    """The demand of one client, in the order in which it was declared."""

    __slots__ = ("wishes",)

    def __init__(self, demands: Iterable[Demand]) -> None:
        self.wishes = [wish for each in demands if (wish := Wish(each)).shape]

    @property
    def any_open(self) -> bool:
        return any(wish.open for wish in self.wishes)

    @property
    def open_units(self) -> int:
        return sum(wish.open for wish in self.wishes)

    def units_in(self, visible: Resources) -> int:
        """How many open units would fit, of the shape that fits most often."""
        return max((min(w.open, w.units_in(visible)) for w in self.wishes), default=0)

    def unit(self, visible: Resources) -> tuple[Wish, Resources] | None:
        """The first shape that fits, cut out of what is visible."""
        for wish in self.wishes:
            if wish.open and (unit := carve(visible, wish.shape)) is not None:
                return wish, unit
        return None

    def offered(self, agent: Hashable, resources: Resources) -> None:
        """These resources are offered already as the demand is declared: count what fits, in the
        order of the wishes."""
        names = dict.fromkeys(name for wish in self.wishes for name in wish.shape)
        left = {name: quantity(resources, name) for name in names}
        for wish in self.wishes:
            units = min(wish.open, *(left[name] // amount for name, amount in wish.shape.items()))
            if units:
                wish.note(agent, units)
                for name, amount in wish.shape.items():
                    left[name] -= units * amount

    def used(self, agent: Hashable, resources: Resources) -> None:
        """A task was launched: it takes one unit of the first shape pending there that holds it, or
        as many as it is large if none does."""
        pending = [wish for wish in self.wishes if agent in wish.on]
        if not pending:
            return
        for wish in pending:
            if _units_of(resources, wish.shape) <= 1:
                units, taken = 1, wish
                break
        else:
            taken = pending[0]
            units = min(_units_of(resources, taken.shape), taken.on[agent])
        taken.note(agent, -units)
        taken.left = max(0, taken.left - units)

    def returned(self, agent: Hashable, left: Resources) -> bool:
        """Of the agent only `left` is still offered: are less units pending?"""
        less = False
        for wish in self.wishes:
            there = wish.on.get(agent, 0)
            still = min(there, wish.units_in(left))
            if still < there:
                wish.note(agent, still - there)
                less = True
        return less


def _units_of(resources: Resources, shape: Quantities) -> int:
    """How many units the resources take, rounded up."""
    return max(-(-quantity(resources, name) // amount) for name, amount in shape.items())


def carve(visible: Resources, shape: Quantities) -> Resources | None:
    """`shape` out of the firm resources, reserved ones first; None if it does not fit."""
    left: Ledger = dict(shape)
    out: dict[Kind, Value] = {}
    for kind, value in _reserved_first(visible):
        need = left.get(kind.name, 0)
        if need <= 0 or kind.revocable or kind.shared or kind.indivisible:
            continue
        part, got = _part(value, need)
        if got:
            out[kind] = part
            left[kind.name] = need - got
    if any(need > 0 for need in left.values()):
        return None
    return Resources(out)


def missing(visible: Resources, shape: Quantities) -> Ledger:
    """What `carve` lacks, by name; empty if the shape fits."""
    left = dict(shape)
    for kind, value in visible.items():
        if kind.name in left and not (kind.revocable or kind.shared or kind.indivisible):
            left[kind.name] -= _part(value, max(0, left[kind.name]))[1]
    return {name: need for name, need in left.items() if need > 0}


def _reserved_first(visible: Resources) -> Iterable[tuple[Kind, Value]]:
    items = visible.items()
    if any(kind.reservations for kind, _ in items):
        return sorted(items, key=lambda item: -len(item[0].reservations))
    return items


def _part(value: Value, need: Thousandths) -> tuple[Value, Thousandths]:
    """As much of the value as is needed, and how much that is."""
    if type(value) is int:
        got = min(value, need)
        return got, got
    count = -(-need // MILLI)
    if isinstance(value, Items):
        members = value.members[:count]
        return Items(members), len(members) * MILLI
    assert isinstance(value, Ranges)
    pairs: list[tuple[int, int]] = []
    found = 0
    for begin, end in value.pairs:
        if found == count:
            break
        last = min(end, begin + count - found - 1)
        pairs.append((begin, last))
        found += last - begin + 1
    return Ranges(tuple(pairs)), found * MILLI
