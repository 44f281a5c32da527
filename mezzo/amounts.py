"""How much there is of a resource: a scalar in fixed point, ranges of whole numbers, or a set; and
what can be done with two of one kind (Mesos `values.cpp`). Immutable, printed in a fixed order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, TypeGuard

from mezzo.errors import BadRequest

# ---------------------------------------------------------------------------------- scalars

MILLI: Final = 1000
Thousandths = int  # a scalar: 1.5 cpus are 1500; mem and disk in thousandths of a MiB


def to_milli(amount: float) -> Thousandths:
    """Fixed point as Mesos has it: `round(x * 1000)`."""
    return round(amount * MILLI)


def checked_milli(name: str, amount: float) -> Thousandths:
    """As `to_milli`. Raises BadRequest, naming `name`, for what is no amount."""
    if not 0 <= amount < 1e15:  # also refuses nan
        raise BadRequest(f"{name} is {amount}: it must be a number from 0 up")
    return to_milli(amount)


def from_milli(milli: Thousandths) -> float:
    """1500 is 1.5; whole numbers come out as such (2.0)."""
    return milli / MILLI


# ---------------------------------------------------------------------------------- ranges, sets


class Ranges(NamedTuple):
    """Sorted, merged, inclusive ranges of whole numbers. Make them with `Ranges.of`."""

    pairs: tuple[tuple[int, int], ...] = ()

    @staticmethod
    def of(pairs: Iterable[tuple[int, int]]) -> Ranges:
        """Normalise. Raises BadRequest on a range that ends before it begins."""
        merged: list[tuple[int, int]] = []
        for begin, end in sorted(pairs):
            if begin > end:
                raise BadRequest(f"range {begin}-{end} ends before it begins: swap the numbers")
            if merged and begin <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((begin, end))
        return Ranges(tuple(merged))

    @property
    def size(self) -> int:
        return sum(end - begin + 1 for begin, end in self.pairs)

    def numbers(self) -> Iterator[int]:
        for begin, end in self.pairs:
            yield from range(begin, end + 1)

    def union(self, other: Ranges) -> Ranges:
        return Ranges.of((*self.pairs, *other.pairs))

    def minus(self, other: Ranges) -> Ranges:
        if not other.pairs:
            return self
        left: list[tuple[int, int]] = []
        cuts = iter(other.pairs)
        cut = next(cuts, None)
        for begin, end in self.pairs:
            at = begin
            while cut is not None and cut[0] <= end:
                if cut[1] >= at:
                    if cut[0] > at:
                        left.append((at, cut[0] - 1))
                    at = cut[1] + 1
                if cut[1] > end:  # it may reach into the next range
                    break
                cut = next(cuts, None)
            if at <= end:
                left.append((at, end))
        return Ranges(tuple(left))

    def covers(self, other: Ranges) -> bool:
        mine = iter(self.pairs)
        have = next(mine, None)
        for begin, end in other.pairs:
            while have is not None and have[1] < begin:
                have = next(mine, None)
            if have is None or have[0] > begin or have[1] < end:
                return False
        return True

    def __str__(self) -> str:
        return "[" + ",".join(f"{begin}-{end}" for begin, end in self.pairs) + "]"


class Items(NamedTuple):
    """A sorted set of texts. Make it with `Items.of`."""

    members: tuple[str, ...] = ()

    @staticmethod
    def of(members: Iterable[str]) -> Items:
        return Items(tuple(sorted(set(members))))

    @property
    def size(self) -> int:
        return len(self.members)

    def union(self, other: Items) -> Items:
        return Items.of((*self.members, *other.members))

    def minus(self, other: Items) -> Items:
        return Items(tuple(m for m in self.members if m not in other.members))

    def covers(self, other: Items) -> bool:
        return set(self.members) >= set(other.members)

    def __str__(self) -> str:
        return "{" + ",".join(self.members) + "}"


Value = int | Ranges | Items

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
        return a.minus(a.minus(b))
    if isinstance(a, Items) and isinstance(b, Items):
        return a.minus(a.minus(b))
    return 0


def overlaps(a: Value, b: Value) -> bool:
    """Would adding them count something twice? Scalars never overlap."""
    if isinstance(a, Ranges) and isinstance(b, Ranges):
        return a.minus(b) != a
    return isinstance(a, Items) and isinstance(b, Items) and a.minus(b) != a


def is_zero(value: Value) -> bool:
    return value == 0 if type(value) is int else not value[0]  # type: ignore[index]


def is_scalar(value: object) -> TypeGuard[int]:
    return type(value) is int


# ---------------------------------------------------------------------------------- texts

_RANGE: Final = re.compile(r"\s*(\d+)\s*-\s*(\d+)\s*")


def parse_value(name: str, raw: str) -> Value:
    """A number, `[a-b,c-d]` or `{x,y}`: type by look. Raises BadRequest."""
    if raw.startswith("[") and raw.endswith("]"):
        pairs = []
        for part in filter(None, (p.strip() for p in raw[1:-1].split(","))):
            match = _RANGE.fullmatch(part)
            if match is None:
                raise BadRequest(f"{name}: {part!r} is no range: write e.g. [31000-32000]")
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
    return f"{from_milli(value):.3f}".rstrip("0").rstrip(".") if is_scalar(value) else str(value)
