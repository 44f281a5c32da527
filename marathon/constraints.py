"""Placement constraints (section 9): may one more instance run where this offer is?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final, Protocol

from mezzo.model import Attribute

from .app import Constraint, Operator


class Place(Protocol):
    """Where an instance runs, or an offer comes from."""

    @property
    def host(self) -> str: ...
    @property
    def region(self) -> str | None: ...
    @property
    def zone(self) -> str | None: ...
    @property
    def attributes(self) -> tuple[Attribute, ...]: ...


def value_at(field: str, place: Place) -> str | None:
    """What `field` is there, as constraints compare it; None: the agent has no such attribute."""
    match field:
        case "hostname" | "@hostname":
            return place.host
        case "@region":
            return place.region
        case "@zone":
            return place.zone
    attribute = next((a for a in place.attributes if a.name == field), None)
    return None if attribute is None else attribute.shown


def satisfied(constraint: Constraint, place: Place, peers: Sequence[Place], instances: int) -> bool:
    """May one more instance run at `place`?

    peers: where the app's others of the same configuration are, in order of launch. instances: how
    many there are to be.
    """
    value = value_at(constraint.field, place)
    if value is None:
        return constraint.operator is Operator.UNLIKE
    return _RULES[constraint.operator](constraint, value, peers, instances)


@lru_cache(maxsize=512)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


def _values(field: str, peers: Iterable[Place]) -> list[str]:
    return [v for v in (value_at(field, peer) for peer in peers) if v is not None]


def _unique(constraint: Constraint, value: str, peers: Sequence[Place], instances: int) -> bool:
    return value not in _values(constraint.field, peers)


def _cluster(constraint: Constraint, value: str, peers: Sequence[Place], instances: int) -> bool:
    if constraint.value:
        return value == constraint.value
    values = _values(constraint.field, peers)
    return not values or value == values[0]


def _group_by(constraint: Constraint, value: str, peers: Sequence[Place], instances: int) -> bool:
    """Each of k values holds an equal part of all, the remainder goes to as many of them."""
    counts = Counter(_values(constraint.field, peers))
    if value not in counts and constraint.value:
        return len(counts) < int(constraint.value)
    # Without a number, k is what has been seen, and a new value is always welcome.
    groups = int(constraint.value) if constraint.value else len(counts | Counter([value]))
    share, remainder = divmod(instances, groups)
    if counts[value] < share:
        return True
    ahead = sum(1 for count in counts.values() if count > share)
    return counts[value] == share and ahead < remainder


def _max_per(constraint: Constraint, value: str, peers: Sequence[Place], instances: int) -> bool:
    return _values(constraint.field, peers).count(value) < int(constraint.value or 0)


def _like(constraint: Constraint, value: str, peers: Sequence[Place], instances: int) -> bool:
    return _pattern(constraint.value or "").fullmatch(value) is not None


def _unlike(constraint: Constraint, value: str, peers: Sequence[Place], instances: int) -> bool:
    return _pattern(constraint.value or "").fullmatch(value) is None


def _is(constraint: Constraint, value: str, peers: Sequence[Place], instances: int) -> bool:
    wanted = constraint.value or ""
    if value == wanted:
        return True
    try:
        return f"{float(wanted):.3f}" == f"{float(value):.3f}"
    except ValueError:
        return False


_Rule = Callable[[Constraint, str, Sequence[Place], int], bool]
_RULES: Final[Mapping[Operator, _Rule]] = {
    Operator.UNIQUE: _unique,
    Operator.CLUSTER: _cluster,
    Operator.GROUP_BY: _group_by,
    Operator.MAX_PER: _max_per,
    Operator.LIKE: _like,
    Operator.UNLIKE: _unlike,
    Operator.IS: _is,
}
