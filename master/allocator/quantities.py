"""Arithmetic on amounts by resource name, and the parts of resources that quota is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from mezzo.cluster.amounts import MILLI, Items, Ranges, Thousandths, Value
from mezzo.cluster.resources import Kind, Resources

Ledger = dict[str, Thousandths]


class Measure(NamedTuple):
    """Scalars by name. `open`: what is neither reserved nor revocable, the part that quota limits.

    Shared volumes are left out: giving them to one takes them from nobody.
    """

    all: Ledger
    open: Ledger


def measure(resources: Resources) -> Measure:
    every: Ledger = {}
    plain = True
    for kind, value in resources.items():
        if type(value) is int:
            name, reservations, _, revocable, shared = kind
            if shared:
                plain = False
                continue
            every[name] = every.get(name, 0) + value
            if reservations or revocable:
                plain = False
    if plain:
        return Measure(every, every)
    only: Ledger = {}
    for kind, value in resources.items():
        if type(value) is int and is_open(kind):
            only[kind[0]] = only.get(kind[0], 0) + value
    return Measure(every, only)


def is_open(kind: Kind) -> bool:
    return not kind[1] and not kind[3] and not kind[4]


def add(ledger: Ledger, amounts: Mapping[str, Thousandths], sign: int = 1) -> None:
    for name, amount in amounts.items():
        ledger[name] = ledger.get(name, 0) + sign * amount


def nonzero(ledger: Mapping[str, Thousandths]) -> Ledger:
    return {name: amount for name, amount in sorted(ledger.items()) if amount}


def size(value: Value) -> Thousandths:
    """A scalar as it is; a thousand for each value of ranges and sets (Mesos quantities)."""
    return value.size * MILLI if isinstance(value, (Ranges, Items)) else value


def quantity(resources: Resources, name: str) -> Thousandths:
    return sum(size(value) for kind, value in resources.items() if kind[0] == name)


class Floors(NamedTuple):
    """Minimal quantities: any one of the sets suffices. No set: everything does."""

    sets: tuple[tuple[tuple[Kind, Thousandths], ...], ...]

    @staticmethod
    def of(sets: Iterable[Mapping[str, Thousandths]]) -> Floors:
        return Floors(
            tuple(tuple((Kind(name), amount) for name, amount in each.items()) for each in sets)
        )

    def met_by(self, resources: Resources) -> bool:
        """Do the amounts meet one of the sets? Nothing is never enough."""
        if not self.sets:
            return bool(resources)
        get = resources.get
        for wanted in self.sets:
            for kind, amount in wanted:
                have = get(kind)
                # The plain kind alone is mostly enough; else all kinds of the name are summed.
                if (type(have) is not int or have < amount) and (
                    quantity(resources, kind[0]) < amount
                ):
                    break
            else:
                return bool(resources)
        return False

    def within(self, caps: Mapping[str, Thousandths]) -> bool:
        """Could some set be met by resources that hold no more than `caps` of the names there?"""
        if not self.sets:
            return True
        for wanted in self.sets:
            for kind, amount in wanted:
                cap = caps.get(kind[0])
                if cap is not None and cap < amount:
                    break
            else:
                return True
        return False


def cut(resources: Resources, caps: Mapping[str, Thousandths]) -> Resources:
    """At most `caps` of the unreserved, firm scalars; what can't be split is left out if too large.

    Returns the same object if nothing had to be cut.
    """
    if all(resources.milli(name) <= cap for name, cap in caps.items()):
        return resources
    left = dict(caps)
    kept: dict[Kind, Value] = {}
    for kind, value in resources.items():
        room = left.get(kind[0])
        if room is not None and type(value) is int and is_open(kind):
            if value > room:
                value = 0 if kind.indivisible else room
            left[kind[0]] = room - value
        kept[kind] = value
    shrunk = Resources(kept)
    return resources if shrunk == resources else shrunk
