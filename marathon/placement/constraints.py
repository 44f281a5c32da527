"""Placement constraints (section 9): what is one, and may one more instance run on an offer?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, assert_never

from mezzo.units import INT32_MAX, shown, whole_number

from ..model.app import Constraint, Operator
from ..state.census import Census, Place, value_at
from .java_patterns import matches, pattern_problem

# ---------------------------------------------------------------------------------- what is one

_VALUES: Final[Mapping[Operator, str]] = {
    Operator.UNIQUE: "UNIQUE does not accept a value",
    Operator.MAX_PER: "MAX_PER requires an integer value",
    Operator.GROUP_BY: "GROUP BY must define an integer value or else no value at all",
    Operator.LIKE: "LIKE and UNLIKE require a non-empty, regular expression value",
    Operator.UNLIKE: "LIKE and UNLIKE require a non-empty, regular expression value",
    Operator.IS: "IS requires a value",
}
_OPERATORS: Final = (
    "operator must be one of the following UNIQUE, CLUSTER, GROUP_BY, LIKE, MAX_PER, UNLIKE or IS"
)


def constraint_problem(parts: Sequence[str]) -> str | None:
    """The fault of `[field, OPERATOR, value?]`; None if there is none. Texts: section 3.3."""
    if len(parts) not in (2, 3):
        return "Each constraint must have either 2 or 3 fields"
    if not parts[0]:
        return "must not be empty"
    if parts[1] not in Operator.__members__:
        return _OPERATORS
    operator, value = Operator(parts[1]), parts[2] if len(parts) == 3 else ""
    match operator:
        case Operator.UNIQUE:
            return _VALUES[operator] if value else None
        case Operator.CLUSTER:
            return None
        case Operator.MAX_PER:
            return _number_problem(operator, value, least=0)
        case Operator.GROUP_BY:
            return _number_problem(operator, value, least=1) if value else None
        case Operator.IS:
            return None if value else _VALUES[operator]
        case Operator.LIKE | Operator.UNLIKE:
            if not value:
                return _VALUES[operator]
            problem = pattern_problem(value)
            quoted = f"'{value}'" if len(value) <= _QUOTED_MAX_CHARS else shown(value)
            return problem and f"{quoted} is not a valid regular expression: it {problem}"
        case _:
            assert_never(operator)


_QUOTED_MAX_CHARS: Final = 200


def _number_problem(operator: Operator, text: str, *, least: int) -> str | None:
    if not (text.isascii() and text.isdigit()):
        return _VALUES[operator]
    number = whole_number(text, INT32_MAX)
    if number is None or number < least:
        return f"{_VALUES[operator]}: {shown(text)} is not from {least} to {INT32_MAX}"
    return None


# ---------------------------------------------------------------------------------- is it met


def satisfied(constraint: Constraint, place: Place, census: Census, instances: int) -> bool:
    """May one more instance run at `place`? instances: how many there are to be."""
    value = value_at(constraint.field, place)
    if value is None:
        return constraint.operator is Operator.UNLIKE
    return _RULES[constraint.operator](constraint, value, census.by(constraint.field), instances)


def _unique(constraint: Constraint, value: str, there: Counter[str], instances: int) -> bool:
    return value not in there


def _cluster(constraint: Constraint, value: str, there: Counter[str], instances: int) -> bool:
    if constraint.value:
        return value == constraint.value
    return value == next(iter(there), value)


def _group_by(constraint: Constraint, value: str, there: Counter[str], instances: int) -> bool:
    """Each of k values holds an equal part of all, the remainder goes to as many of them."""
    if value not in there and constraint.value:
        return len(there) < int(constraint.value)
    # Without a number, k is the count of values seen, and a new one is always welcome.
    groups = int(constraint.value) if constraint.value else len(there) + (value not in there)
    share, remainder = divmod(instances, groups)
    if there[value] < share:
        return True
    ahead = sum(1 for count in there.values() if count > share)
    return there[value] == share and ahead < remainder


def _max_per(constraint: Constraint, value: str, there: Counter[str], instances: int) -> bool:
    return there[value] < int(constraint.value or 0)


def _like(constraint: Constraint, value: str, there: Counter[str], instances: int) -> bool:
    return matches(constraint.value or "", value)


def _unlike(constraint: Constraint, value: str, there: Counter[str], instances: int) -> bool:
    return not matches(constraint.value or "", value)


def _is(constraint: Constraint, value: str, there: Counter[str], instances: int) -> bool:
    wanted = constraint.value or ""
    if value == wanted:
        return True
    try:
        return f"{float(wanted):.3f}" == f"{float(value):.3f}"
    except ValueError:
        return False


_Rule = Callable[[Constraint, str, Counter[str], int], bool]
_RULES: Final[Mapping[Operator, _Rule]] = {
    Operator.UNIQUE: _unique,
    Operator.CLUSTER: _cluster,
    Operator.GROUP_BY: _group_by,
    Operator.MAX_PER: _max_per,
    Operator.LIKE: _like,
    Operator.UNLIKE: _unlike,
    Operator.IS: _is,
}
