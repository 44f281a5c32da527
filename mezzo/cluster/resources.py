"""The resource algebra: what an agent has, an offer holds, a task takes.

Scalars (cpus, mem, disk, gpus) are fixed point with three decimals, ports are ranges, anything else
may be a set. Amounts of one `Kind` add up; different kinds stay apart (Mesos `resources.cpp`).
Everything here is immutable and prints in a fixed order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

import msgspec

from mezzo.cluster.amounts import (
    MILLI,
    Items,
    Ranges,
    Thousandths,
    Value,
    add,
    check_value,
    checked_milli,
    common,
    covers,
    from_milli,
    is_scalar,
    is_zero,
    minus,
    overlaps,
    parse_value,
    show,
)
from mezzo.errors import BadRequest, NotContained

# ---------------------------------------------------------------------------------- kinds


class Reservation(NamedTuple):
    """One level of a reservation stack; the last one of a stack is the current owner."""

    type: Literal["STATIC", "DYNAMIC"]
    role: str
    principal: str | None = None
    labels: tuple[tuple[str, str], ...] = ()


class DiskSource(NamedTuple):
    """Where a disk comes from: MOUNT, BLOCK and RAW disks are never split."""

    type: Literal["PATH", "MOUNT", "BLOCK", "RAW"]
    root: str | None = None
    id: str | None = None
    profile: str | None = None


class Disk(NamedTuple):
    """Disk that is more than an amount: a persistent volume, a source of its own, or both."""

    source: DiskSource | None = None
    persistence_id: str | None = None
    principal: str | None = None
    container_path: str | None = None


class Kind(NamedTuple):
    """What makes two amounts of one name different. A tuple: hashed and compared in C."""

    name: str
    reservations: tuple[Reservation, ...] = ()
    disk: Disk | None = None
    revocable: bool = False
    shared: bool = False

    @property
    def role(self) -> str:
        """The role that the kind is reserved to, `*` if to none."""
        return self.reservations[-1].role if self.reservations else "*"

    @property
    def summed_as(self) -> str:
        """The name under which the kind counts where amounts are summed up for people: revocable
        ones stand apart (Mesos)."""
        return f"{self.name}_revocable" if self.revocable else self.name

    @property
    def indivisible(self) -> bool:
        """True if it can only be taken whole: a persistent volume, or a disk of its own source."""
        disk = self.disk
        return disk is not None and (
            disk.persistence_id is not None
            or (disk.source is not None and disk.source.type != "PATH")
        )


# ---------------------------------------------------------------------------------- resources


class Resources:
    """An immutable bag of amounts by kind. Zero amounts are left out, so equal bags are equal.

    `a + b`, `a - b`, `a <= b` (b contains a). Subtracting what is not contained raises
    `NotContained`: in a core that is a bug, not a situation.
    """

    __slots__ = ("_amounts", "_hash")

    def __init__(self, amounts: Mapping[Kind, Value] | None = None) -> None:
        self._amounts: dict[Kind, Value] = {
            kind: value for kind, value in (amounts or {}).items() if not is_zero(value)
        }
        self._hash: int | None = None

    @classmethod
    def _wrap(cls, amounts: dict[Kind, Value]) -> Resources:
        made = cls.__new__(cls)
        made._amounts = amounts
        made._hash = None
        return made

    @classmethod
    def of(
        cls,
        *,
        cpus: float = 0,
        mem: float = 0,
        disk: float = 0,
        gpus: float = 0,
        ports: Iterable[tuple[int, int]] = (),
    ) -> Resources:
        """Unreserved resources: cpus in cores, mem and disk in MiB, ports as inclusive pairs."""
        amounts: dict[Kind, Value] = {}
        for name, amount in (("cpus", cpus), ("mem", mem), ("disk", disk), ("gpus", gpus)):
            if milli := checked_milli(name, amount):
                amounts[Kind(name)] = milli
        if ranges := Ranges.of(ports).pairs:
            amounts[Kind("ports")] = Ranges(ranges)
        return cls._wrap(amounts)

    # ---- reading

    def items(self) -> Iterable[tuple[Kind, Value]]:
        return self._amounts.items()

    def sorted_items(self) -> list[tuple[Kind, Value]]:
        """cpus, mem, disk, gpus, ports, then the rest: for people and clients."""
        return sorted(self._amounts.items(), key=lambda item: _sort_key(item[0]))

    def get(self, kind: Kind) -> Value | None:
        return self._amounts.get(kind)

    def milli(self, name: str) -> Thousandths:
        """The scalar `name` summed over all kinds, in thousandths; 0 if there is none."""
        total = 0
        for kind, value in self._amounts.items():
            if kind[0] == name and is_scalar(value):
                total += value
        return total

    @property
    def cpus(self) -> float:
        return from_milli(self.milli("cpus"))

    @property
    def mem_mib(self) -> float:
        return from_milli(self.milli("mem"))

    @property
    def disk_mib(self) -> float:
        return from_milli(self.milli("disk"))

    @property
    def gpus(self) -> float:
        return from_milli(self.milli("gpus"))

    def ranges(self, name: str) -> Ranges:
        """The ranges of `name` over all kinds."""
        out = Ranges()
        for kind, value in self._amounts.items():
            if kind[0] == name and isinstance(value, Ranges):
                out = out.union(value) if out.pairs else value
        return out

    @property
    def ports(self) -> Ranges:
        return self.ranges("ports")

    def quantities(self) -> dict[str, Thousandths]:
        """Amounts by name over all kinds; ranges and sets count their values (Mesos quota)."""
        out: dict[str, int] = {}
        for kind, value in self._amounts.items():
            amount = value if is_scalar(value) else value.size * MILLI  # type: ignore[union-attr]
            out[kind[0]] = out.get(kind[0], 0) + amount
        return dict(sorted(out.items()))

    def filter(self, *, role: str | None = None, revocable: bool | None = None) -> Resources:
        """The amounts reserved to exactly `role` (`*`: to none), or of the given revocability."""
        return Resources._wrap(
            {
                kind: value
                for kind, value in self._amounts.items()
                if (role is None or kind.role == role)
                and (revocable is None or kind.revocable == revocable)
            }
        )

    # ---- algebra

    def __add__(self, other: Resources) -> Resources:
        if not other._amounts:
            return self
        if not self._amounts:
            return other
        amounts = dict(self._amounts)
        for kind, value in other._amounts.items():
            have = amounts.get(kind)
            amounts[kind] = value if have is None else add(have, value)
        return Resources._wrap(amounts)

    def __sub__(self, other: Resources) -> Resources:
        if not other._amounts:
            return self
        if not other <= self:
            raise NotContained(other, self)
        amounts = dict(self._amounts)
        for kind, value in other._amounts.items():
            left = minus(amounts[kind], value)
            if is_zero(left):
                del amounts[kind]
            else:
                amounts[kind] = left
        return Resources._wrap(amounts)

    def __le__(self, other: Resources) -> bool:
        """True if `other` contains all of this. Indivisible kinds must be there whole."""
        theirs = other._amounts
        for kind, value in self._amounts.items():
            have = theirs.get(kind)
            if have is None or not covers(have, value):
                return False
            if kind[2] is not None and kind.indivisible and not kind.shared and have != value:
                return False
        return True

    def __ge__(self, other: Resources) -> bool:
        return other <= self

    def common(self, other: Resources) -> Resources:
        """The largest part of this that `other` contains; indivisible kinds whole or not at all."""
        amounts: dict[Kind, Value] = {}
        for kind, value in self._amounts.items():
            have = other._amounts.get(kind)
            if have is None or (kind.indivisible and not kind.shared and have != value):
                continue
            both = common(value, have)
            if not is_zero(both):
                amounts[kind] = both
        return Resources._wrap(amounts)

    def overlaps(self, other: Resources) -> bool:
        """True if some port, set member or indivisible disk is in both: adding would double it."""
        for kind, value in self._amounts.items():
            have = other._amounts.get(kind)
            if have is None:
                continue
            if overlaps(have, value) or (kind.indivisible and not kind.shared):
                return True
        return False

    def __bool__(self) -> bool:
        return bool(self._amounts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Resources) and self._amounts == other._amounts

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self._amounts.items()))
        return self._hash

    @staticmethod
    def total(parts: Iterable[Resources]) -> Resources:
        out = Resources()
        for part in parts:
            out = out + part
        return out

    # ---- text and plain forms

    def __str__(self) -> str:
        return ";".join(
            f"{kind.name}{'' if kind.role == '*' else f'({kind.role})'}:{show(value)}"
            for kind, value in self.sorted_items()
        )

    def __repr__(self) -> str:
        return f"Resources({self})"

    def to_plain(self) -> list[list[Any]]:
        """The stored form: `[[kind...], value]` entries, in a fixed order."""
        return [
            [list(kind), value if is_scalar(value) else [type(value).__name__, value[0]]]  # type: ignore[index]
            for kind, value in self.sorted_items()
        ]

    @classmethod
    def from_plain(cls, plain: list[list[Any]]) -> Resources:
        """Read what `to_plain` gave, also after a trip through JSON. Raises BadRequest for a value
        that is out of bounds, and what comes of data of another form."""
        amounts: dict[Kind, Value] = {}
        for (*described,), raw in plain:
            if len(described) != len(Kind._fields):
                raise ValueError(f"{described} is no kind of resource")
            kind = msgspec.convert(described, Kind)
            value: Value
            if type(raw) is int:
                value = raw
            elif raw[0] == Ranges.__name__:
                value = Ranges.of(msgspec.convert(raw[1], list[tuple[int, int]]))
            else:
                value = Items.of(msgspec.convert(raw[1], list[str]))
            check_value(kind.name, value)
            amounts[kind] = value
        return cls(amounts)

    @classmethod
    def parse(cls, text: str) -> Resources:
        """Read the form of Mesos flags: `cpus:4;mem(ads):2048;ports:[31000-32000];set:{a,b}`.

        Raises BadRequest, naming the part that is wrong.
        """
        amounts: dict[Kind, Value] = {}
        for part in filter(None, (p.strip() for p in text.split(";"))):
            match = _PART.fullmatch(part)
            if match is None:
                raise BadRequest(
                    f"resource {part!r} is not name:amount: write e.g. cpus:4, mem(role):2048, "
                    "ports:[31000-32000]"
                )
            name, role, raw = match["name"], match["role"], match["value"].strip()
            kind = Kind(name, (Reservation("STATIC", role),) if role and role != "*" else ())
            value = parse_value(name, raw)
            have = amounts.get(kind)
            amounts[kind] = value if have is None else add(have, value)
        return cls(amounts)


_PART: Final = re.compile(r"(?P<name>[^:;()\s]+)(\((?P<role>[^()]+)\))?\s*:\s*(?P<value>\S.*)")


# Resources that Mesos has a name of its own for, and shows also where there are none.
SCALARS: Final = ("cpus", "mem", "disk", "gpus")
# These and ports come first: pages and clients show them in that order.
_ORDER: Final = {name: place for place, name in enumerate((*SCALARS, "ports"))}


@lru_cache(maxsize=4096)  # few kinds occur, and to write one out takes long
def _sort_key(kind: Kind) -> tuple[int, str]:
    return (_ORDER.get(kind.name, len(_ORDER)), repr(kind))
