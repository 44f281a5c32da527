"""The places of an app's instances, counted as constraints see them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final, Protocol

from mezzo.cluster.model import Attribute

from ..model.app import Constraint, Operator

_COUNTING: Final = (Operator.UNIQUE, Operator.CLUSTER, Operator.GROUP_BY, Operator.MAX_PER)


class Place(Protocol):
    """The place that an instance runs at, or an offer comes from."""

    @property
    def host(self) -> str: ...
    @property
    def region(self) -> str | None: ...
    @property
    def zone(self) -> str | None: ...
    @property
    def attributes(self) -> tuple[Attribute, ...]: ...


def value_at(field: str, place: Place) -> str | None:
    """The value of `field`, as constraints compare it; None: the agent has no such attribute."""
    match field:
        case "hostname" | "@hostname":
            return place.host
        case "@region":
            return place.region
        case "@zone":
            return place.zone
    attribute = next((a for a in place.attributes if a.name == field), None)
    return None if attribute is None else attribute.shown


class Census:
    """The places of an app's other instances of the same configuration, counted by each field that
    a constraint asks about, in order of launch. An app may have ten thousand, and every offer asks.
    """

    __slots__ = ("_counts",)

    def __init__(self, constraints: Iterable[Constraint], peers: Iterable[Place] = ()) -> None:
        self._counts: dict[str, Counter[str]] = {
            constraint.field: Counter()
            for constraint in constraints
            if constraint.operator in _COUNTING
        }
        if self._counts:
            for peer in peers:
                self.add(peer)

    def add(self, place: Place) -> None:
        """One more instance was launched."""
        for field, counts in self._counts.items():
            value = value_at(field, place)
            if value is not None:
                counts[value] += 1

    def by(self, field: str) -> Counter[str]:
        return self._counts.get(field) or Counter()
