"""Offer constraints: which agents a framework wants to be offered in a role.

An agent passes if in one of the groups all conditions hold. Rules: Mesos `OfferConstraints`
(scheduler.proto) and `offer_constraints_filter.cpp`, which match patterns by RE2, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol

from mezzo.cluster.model import Attribute, AttributeConstraint, FaultDomain, Predicate
from mezzo.errors import BadPattern, BadRequest
from mezzo.patterns import compile_pattern
from mezzo.units import shown

PATTERN_MAX_BYTES: Final = 4096
# Mesos' defaults of --offer_constraints_re2_max_mem and --offer_constraints_re2_max_program_size.
RE2_MAX_MEM_BYTES: Final = 4096
RE2_MAX_PROGRAM_SIZE: Final = 100
PSEUDO: Final = ("HOSTNAME", "REGION", "ZONE")


class Place(Protocol):
    """What conditions are about. `AgentTerms` is one."""

    @property
    def hostname(self) -> str: ...
    @property
    def attributes(self) -> tuple[Attribute, ...]: ...
    @property
    def domain(self) -> FaultDomain | None: ...


# Holds of a text; None: the attribute is not there.
_Test = Callable[[str | None], bool]


class _Condition(NamedTuple):
    source: AttributeConstraint
    test: _Test

    def holds(self, place: Place) -> bool:
        name = self.source.attribute
        if name is None:
            return self.test(_pseudo(place, self.source.pseudo))
        found = next((each for each in place.attributes if each.name == name), None)
        if found is None:
            return self.test(None)
        if found.text is None and self.source.predicate not in _PRESENCE:
            return True  # of a value that is no text nothing can be said
        return self.test(found.text or "")


class Constraints:
    """Compiled conditions of one framework in one role."""

    __slots__ = ("_groups",)

    def __init__(self, groups: tuple[tuple[_Condition, ...], ...]) -> None:
        self._groups = groups

    def admits(self, place: Place) -> bool:
        return any(all(each.holds(place) for each in group) for group in self._groups)

    def failing(self, place: Place) -> list[AttributeConstraint]:
        """Of each group the first condition that does not hold; empty if the place passes."""
        if self.admits(place):
            return []
        return [next(c.source for c in g if not c.holds(place)) for g in self._groups]


def compile_constraints(role: str, groups: Iterable[Iterable[AttributeConstraint]]) -> Constraints:
    """Raises BadRequest: no group, an empty group, a bad selector or a bad pattern."""
    compiled = tuple(tuple(_compile(role, each) for each in group) for group in groups)
    if not compiled:
        raise BadRequest(f"offer_constraints of role {role!r} hold no group: leave the role out")
    if not all(compiled):
        raise BadRequest(f"offer_constraints of role {role!r} hold an empty group: leave it out")
    return Constraints(compiled)


def describe(constraint: AttributeConstraint) -> str:
    """For people: `rack text_equals a`."""
    what = constraint.attribute if constraint.attribute is not None else constraint.pseudo
    text = "" if constraint.predicate in _PRESENCE else f" {constraint.text!r}"
    return f"{what} {constraint.predicate}{text}"


_PRESENCE: Final = (Predicate.EXISTS, Predicate.NOT_EXISTS)


def _pseudo(place: Place, which: str | None) -> str | None:
    if which == "HOSTNAME":
        return place.hostname
    if place.domain is None:
        return None
    return place.domain.region if which == "REGION" else place.domain.zone


def _compile(role: str, constraint: AttributeConstraint) -> _Condition:
    where = f"offer_constraints of role {role!r}"
    if (constraint.attribute is None) == (constraint.pseudo is None):
        raise BadRequest(f"{where}: name either an attribute or a pseudo attribute, and only one")
    if constraint.pseudo is not None and constraint.pseudo not in PSEUDO:
        raise BadRequest(
            f"{where}: pseudo attribute {constraint.pseudo!r} is unknown: it is one of "
            f"{', '.join(PSEUDO)}"
        )
    return _Condition(constraint, _test(where, constraint))


def _test(where: str, constraint: AttributeConstraint) -> _Test:
    text = constraint.text
    match constraint.predicate:
        case Predicate.EXISTS:
            return lambda value: value is not None
        case Predicate.NOT_EXISTS:
            return lambda value: value is None
        case Predicate.TEXT_EQUALS:
            return lambda value: value == text
        case Predicate.TEXT_NOT_EQUALS:
            return lambda value: value != text
        case Predicate.TEXT_MATCHES:
            matches = _pattern(where, text)
            return lambda value: value is not None and matches(value)
        case Predicate.TEXT_NOT_MATCHES:
            matches = _pattern(where, text)
            return lambda value: value is None or not matches(value)


def _pattern(where: str, text: str) -> Callable[[str], bool]:
    try:
        return compile_pattern(
            text,
            max_bytes=PATTERN_MAX_BYTES,
            max_steps=RE2_MAX_PROGRAM_SIZE,
            max_mem_bytes=RE2_MAX_MEM_BYTES,
        )
    except BadPattern as problem:
        what = f"the regular expression {shown(text)}"
        raise BadRequest(f"{where}: {what} {problem}") from None
