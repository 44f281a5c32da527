"""How much there is of a resource: a scalar in fixed point, ranges of whole numbers, or a set; and
the arithmetic of two such values (Mesos `values.cpp`). Immutable, printed in a fixed order."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import filterfalse
from operator import itemgetter
from typing import Annotated, Final, NamedTuple, TypeGuard

from msgspec import Meta

from mezzo.errors import BadRequest
from mezzo.units import AMOUNT_MAX, INT64_MAX, shown

# ---------------------------------------------------------------------------------- scalars

MILLI: Final = 1000
# The most that a sum over a cluster may come to: a double still counts in ones there, and an int64
# holds its thousandths. What one machine has is bounded by `units.Amount`.
SUM_MAX: Final = 2**53
# A scalar: 1.5 cpus are 1500; mem and disk in thousandths of a MiB.
Thousandths = Annotated[int, Meta(ge=0, le=SUM_MAX * MILLI)]


def to_milli(amount: float) -> Thousandths:
    """Fixed point as Mesos has it: `round(x * 1000)`."""
    if amount <= AMOUNT_MAX:
        return round(amount * MILLI)
    # Here the product has no thousandths any more, but the number itself has.
    above, below = amount.as_integer_ratio()
    return (above * MILLI * 2 + below) // (below * 2)


def checked_milli(name: str, amount: float) -> Thousandths:
    """As `to_milli`. Raises BadRequest, naming `name`, for what is no amount."""
    if not 0 <= amount <= SUM_MAX:  # also refuses nan
        raise BadRequest(f"{name} is {amount}: it must be a number from 0 up to {SUM_MAX:g}")
    return to_milli(amount)


def from_milli(milli: Thousandths) -> float:
    """1500 is 1.5; whole numbers come out as such (2.0)."""
    return milli / MILLI


# ---------------------------------------------------------------------------------- ranges, sets

# So many ranges or members one value may have. Every second port of a machine is half of it; to
# compare two such values takes milliseconds, and a loop that compares them does nothing else.
PARTS_MAX: Final = 65_536


class Ranges(NamedTuple):
    """Sorted, merged, inclusive ranges of whole numbers. Make them with `Ranges.of`."""

    pairs: tuple[tuple[int, int], ...] = ()

    @staticmethod
    def of(pairs: Iterable[tuple[int, int]]) -> Ranges:
        """Normalise. Raises BadRequest for a range that is out of bounds or ends too early."""
        merged: list[tuple[int, int]] = []
        for begin, end in sorted(pairs):
            if begin > end:
                raise BadRequest(
                    f"range {shown(begin)}-{shown(end)} ends before it begins: swap the numbers"
                )
            if merged and begin <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((begin, end))
        ranges = Ranges(tuple(merged))
        ranges.check()
        return ranges

    def check(self) -> None:
        """Raise BadRequest for numbers that are no int64 from 0 up, and for too many ranges."""
        pairs = self.pairs
        if pairs and not (pairs[0][0] >= 0 and pairs[-1][1] <= INT64_MAX):
            raise BadRequest(
                f"ranges from {shown(pairs[0][0])} to {shown(pairs[-1][1])}: their numbers must be "
                f"from 0 to {INT64_MAX}"
            )
        if len(pairs) > PARTS_MAX:
            raise BadRequest(f"{len(pairs)} ranges are given: a value can have {PARTS_MAX}")

    @property
    def size(self) -> int:
        pairs = self.pairs
        numbers: int = sum(map(_end, pairs)) - sum(map(_begin, pairs)) + len(pairs)
        return numbers

    def numbers(self) -> Iterator[int]:
        for begin, end in self.pairs:
            yield from range(begin, end + 1)

    # Of two values one is mostly small: a task's ports and those of a machine. The ranges of the
    # small one are looked up in the other, which is copied in slices.

    def union(self, other: Ranges) -> Ranges:
        large, small = self.pairs, other.pairs
        if len(large) < len(small):
            large, small = small, large
        out: list[tuple[int, int]] = []
        at = 0
        for low, high in small:
            first = _first_that_ends_from(low - 1, large, at)
            last = bisect_right(large, (high + 1, _BEYOND), first)
            out += large[at:first]
            at = last
            if last > first:
                low, high = min(low, large[first][0]), max(high, large[last - 1][1])
            if out and low <= out[-1][1] + 1:
                out[-1] = (out[-1][0], max(out[-1][1], high))
            else:
                out.append((low, high))
        out += large[at:]
        return Ranges(tuple(out))

    def minus(self, other: Ranges) -> Ranges:
        pairs = self.pairs
        left: list[tuple[int, int]] = []
        at, begin = 0, -1  # of pairs[at] what is before `begin` is dealt with
        for low, high in other.pairs:
            first = _first_that_ends_from(low, pairs, at)
            if first > at:
                left.append((max(begin, pairs[at][0]), pairs[at][1]))
                left += pairs[at + 1 : first]
            last = bisect_right(pairs, (high, _BEYOND), first)
            at = first
            if last > first:
                start = max(begin, pairs[first][0])
                if start < low:
                    left.append((start, low - 1))
                at = last - 1 if pairs[last - 1][1] > high else last
            begin = high + 1
        if at < len(pairs):
            left.append((max(begin, pairs[at][0]), pairs[at][1]))
            left += pairs[at + 1 :]
        return Ranges(tuple(left))

    def common(self, other: Ranges) -> Ranges:
        large, small = self.pairs, other.pairs
        if len(large) < len(small):
            large, small = small, large
        both: list[tuple[int, int]] = []
        at = 0
        for low, high in small:
            at = _first_that_ends_from(low, large, at)
            last = bisect_right(large, (high, _BEYOND), at)
            if last > at:
                inside = list(large[at:last])
                inside[0] = (max(low, inside[0][0]), inside[0][1])
                inside[-1] = (inside[-1][0], min(high, inside[-1][1]))
                both += inside
                at = last - 1  # it may reach into the next range
        return Ranges(tuple(both))

    def covers(self, other: Ranges) -> bool:
        mine = self.pairs
        at = 0
        for begin, end in other.pairs:
            at = _first_that_ends_from(begin, mine, at)
            if at == len(mine) or mine[at][0] > begin or mine[at][1] < end:
                return False
        return True

    def __str__(self) -> str:
        return ranges_text(self.pairs)


_begin, _end = itemgetter(0), itemgetter(1)
_BEYOND: Final = INT64_MAX + 2  # no range ends here


def _first_that_ends_from(number: int, pairs: tuple[tuple[int, int], ...], at: int) -> int:
    """Index of the first of pairs[at:] that ends at `number` or later."""
    found = bisect_right(pairs, (number, _BEYOND), at)
    return found - 1 if found > at and pairs[found - 1][1] >= number else found


class Items(NamedTuple):
    """A sorted set of texts. Make it with `Items.of`."""

    members: tuple[str, ...] = ()

    @staticmethod
    def of(members: Iterable[str]) -> Items:
        """Normalise. Raises BadRequest for too many members."""
        items = Items._sorted(members)
        items.check()
        return items

    @staticmethod
    def _sorted(members: Iterable[str]) -> Items:
        return Items(tuple(sorted(set(members))))

    def check(self) -> None:
        """Raise BadRequest for too many members."""
        if len(self.members) > PARTS_MAX:
            raise BadRequest(f"a set has {len(self.members)} members: it can have {PARTS_MAX}")

    @property
    def size(self) -> int:
        return len(self.members)

    def union(self, other: Items) -> Items:
        return Items._sorted((*self.members, *other.members))

    def minus(self, other: Items) -> Items:
        return Items(tuple(filterfalse(set(other.members).__contains__, self.members)))

    def common(self, other: Items) -> Items:
        return Items(tuple(filter(set(other.members).__contains__, self.members)))

    def covers(self, other: Items) -> bool:
        return set(self.members) >= set(other.members)

    def __str__(self) -> str:
        return set_text(self.members)


Value = int | Ranges | Items


def check_value(name: str, value: Value) -> None:
    """Raise BadRequest, naming `name`, for a value that no message and no store can carry."""
    if type(value) is int:
        if not 0 <= value <= SUM_MAX * MILLI:
            raise BadRequest(f"{name} is {shown(value)} thousandths: give 0 to {SUM_MAX * MILLI}")
    elif isinstance(value, (Ranges, Items)):
        try:
            value.check()
        except BadRequest as error:
            raise BadRequest(f"{name}: {error}") from None


# ---------------------------------------------------------------------------------- algebra


def add(a: Value, b: Value) -> Value:
    if type(a) is int and type(b) is int:
        return a + b
    if isinstance(a, Ranges) and isinstance(b, Ranges):
        return a.union(b)
    if isinstance(a, Items) and isinstance(b, Items):
        return a.union(b)
    raise BadRequest(f"amounts {a} and {b} of one resource differ in type: use one type per name")


def minus(a: Value, b: Value) -> Value:
    if type(a) is int and type(b) is int:
        return a - b
    if isinstance(a, Ranges) and isinstance(b, Ranges):
        return a.minus(b)
    if isinstance(a, Items) and isinstance(b, Items):
        return a.minus(b)
    raise BadRequest(f"amounts {a} and {b} of one resource differ in type: use one type per name")


def covers(a: Value, b: Value) -> bool:
    if type(a) is int and type(b) is int:
        return a >= b
    if isinstance(a, Ranges) and isinstance(b, Ranges):
        return a.covers(b)
    return isinstance(a, Items) and isinstance(b, Items) and a.covers(b)


def common(a: Value, b: Value) -> Value:
    if type(a) is int and type(b) is int:
        return min(a, b)
    if isinstance(a, Ranges) and isinstance(b, Ranges):
        return a.common(b)
    if isinstance(a, Items) and isinstance(b, Items):
        return a.common(b)
    return 0


def overlaps(a: Value, b: Value) -> bool:
    """Would adding the values count something twice? Scalars never overlap."""
    if isinstance(a, Ranges) and isinstance(b, Ranges):
        return bool(a.common(b).pairs)
    return isinstance(a, Items) and isinstance(b, Items) and bool(a.common(b).members)


def is_zero(value: Value) -> bool:
    return value == 0 if type(value) is int else not value[0]  # type: ignore[index]


def is_scalar(value: object) -> TypeGuard[int]:
    return type(value) is int


# ---------------------------------------------------------------------------------- texts

_RANGE: Final = re.compile(r"\s*(\d+)\s*-\s*(\d+)\s*", re.ASCII)
_DIGITS_MAX: Final = 30  # of thousands of digits Python itself makes an error that says less


def parse_value(name: str, raw: str) -> Value:
    """A number, `[a-b,c-d]` or `{x,y}`: type by look. Raises BadRequest."""
    if raw.startswith("[") and raw.endswith("]"):
        pairs = []
        for part in filter(None, (p.strip() for p in raw[1:-1].split(","))):
            match = _RANGE.fullmatch(part)
            if match is None:
                raise BadRequest(f"{name}: {part!r} is no range: write e.g. [31000-32000]")
            if len(match[1]) > _DIGITS_MAX or len(match[2]) > _DIGITS_MAX:
                raise BadRequest(f"{name}: {shown(part)}: numbers must be from 0 to {INT64_MAX}")
            pairs.append((int(match[1]), int(match[2])))
        return Ranges.of(pairs)
    if raw.startswith("{") and raw.endswith("}"):
        return Items.of(filter(None, (p.strip() for p in raw[1:-1].split(","))))
    try:
        amount = float(raw)
    except ValueError:
        raise BadRequest(f"{name}: {raw!r} is no number, [range] or {{set}}") from None
    return checked_milli(name, amount)


def show(value: Value) -> str:
    """The value as `parse_value` reads it."""
    return decimal(from_milli(value)) if is_scalar(value) else str(value)


def decimal(amount: float) -> str:
    """1.5, 2: up to three decimals, without trailing zeros."""
    return f"{amount:.3f}".rstrip("0").rstrip(".")


def ranges_text(pairs: Iterable[tuple[int, int]], comma: str = ",") -> str:
    """`[31000-32000,33000-33001]`."""
    return "[" + comma.join(f"{begin}-{end}" for begin, end in pairs) + "]"


def set_text(members: Iterable[str], comma: str = ",") -> str:
    """`{a,b}`."""
    return "{" + comma.join(members) + "}"
