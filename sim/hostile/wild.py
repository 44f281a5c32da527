"""Records of any type with values that nobody expects, made from the declarations of their fields.

Bounds that a field's type carries (`mezzo.units`) are drawn exactly, and a little beyond: what is
beyond has to be refused at the door, what is within has to be borne by all that comes after.
"""

from __future__ import annotations

import functools
import random
import types
import typing
from enum import Enum
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

import msgspec

from mezzo.cluster.amounts import Items, Ranges, Value
from mezzo.cluster.resources import Disk, DiskSource, Kind, Reservation, Resources
from mezzo.record import Record, replace
from mezzo.units import AMOUNT_MAX, INT64_MAX, SECONDS_MAX

from .gossip import Gossip

R = TypeVar("R", bound=Record)

TEXTS: Final = (
    *("", " ", ".", "..", "/", "*", "-1", "0", "true", "null", "[]", "{}", "latest"),
    *("a" * 255, "b" * 256, "c" * 5000, "/" * 300, "é" * 128, "9" * 400),
    *("line\nline", "tab\t", "nul\x00", "\x1b[31mred", "%s%n", "$(id)", "`id`", "'; --", '"'),
    *("../../etc/passwd", "__proto__", "constructor", "hostname", "rack", "@zone", "\u202e"),
    *("(a+)+$", "[", "(?=x)", "x{1000}{1000}", "<script>", "\U0001f600", "ads", "liars"),
)
_FLOATS: Final = (
    0.0,
    -0.0,
    1e-9,
    0.001,
    0.5,
    1.0,
    60.0,
    1e6,
    -1.0,
    1e308,
    float("inf"),
    float("nan"),
)
_INTS: Final = (0, 1, 2, 3, 80, 65535, 65536, -1, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**64)
_DEEP: Final = 4


class Wild:
    """Draws from one generator: a run stays a function of its seed."""

    def __init__(self, rng: random.Random, gossip: Gossip) -> None:
        self._rng = rng
        self._gossip = gossip

    def record(self, kind: type[R], depth: int = 0) -> R:
        """A record of the type: some fields as they are by default, the others anything."""
        hints = _hints(kind)
        values = {}
        for field in _fields(kind):
            if field.required or self._rng.random() < (0.5 if depth == 0 else 0.25):
                values[field.name] = self.value(hints[field.name], depth + 1)
        return kind(**values)

    def mutated(self, record: R) -> R:
        """The same record, but for one field."""
        fields = _fields(type(record))
        if not fields:
            return record
        field = self._rng.choice(fields)
        old = getattr(record, field.name)
        if isinstance(old, Record) and self._rng.random() < 0.7:
            return replace(record, **{field.name: self.mutated(old)})
        if isinstance(old, tuple) and old and self._rng.random() < 0.6:
            return replace(record, **{field.name: self._mutated_many(old)})
        return replace(record, **{field.name: self.value(_hints(type(record))[field.name], 1)})

    def _mutated_many(self, old: tuple[Any, ...]) -> tuple[Any, ...]:
        """The items with one of them twice, one changed, or in another order."""
        rng, index = self._rng, self._rng.randrange(len(old))
        match rng.randrange(3):
            case 0:
                return (*old, old[index])
            case 1 if isinstance(old[index], Record):
                return (*old[:index], self.mutated(old[index]), *old[index + 1 :])
            case _:
                return tuple(rng.sample(old, len(old)))

    def value(self, hint: Any, depth: int = 1) -> Any:
        rng = self._rng
        if get_origin(hint) in (Union, types.UnionType):
            kinds = [each for each in get_args(hint) if each is not type(None)]
            optional = len(kinds) < len(get_args(hint))
            return None if optional and rng.random() < 0.4 else self.value(rng.choice(kinds), depth)
        if isinstance(hint, typing.NewType):
            heard = self._gossip.id(hint.__name__)
            known = heard is not None and rng.random() < 0.8
            return heard if known else self.value(hint.__supertype__, depth)
        if get_origin(hint) is Annotated:
            return self._bounded(*get_args(hint)[:2])
        if hint is Resources:
            return self.resources()
        if get_origin(hint) is tuple:
            return self._many(get_args(hint), depth)
        if get_origin(hint) is dict:
            key, item = get_args(hint)
            return {
                self.value(key, depth): self.value(item, depth) for _ in range(rng.randrange(3))
            }
        if isinstance(hint, type) and issubclass(hint, Record):
            return self.record(hint, depth) if depth < _DEEP else self._plain(hint)
        if isinstance(hint, type) and issubclass(hint, Enum):
            return rng.choice(list(hint))
        return self._plain(hint)

    def _many(self, items: tuple[Any, ...], depth: int) -> tuple[Any, ...]:
        if len(items) == 2 and items[1] is Ellipsis:
            found = tuple(self.value(items[0], depth + 1) for _ in range(self._rng.randrange(3)))
            return found + found[:1] if self._rng.random() < 0.3 else found
        return tuple(self.value(item, depth + 1) for item in items)

    def _plain(self, hint: Any) -> Any:
        rng = self._rng
        if hint is bool:
            return rng.random() < 0.5
        if hint is int:
            return rng.choice(_INTS)
        if hint is float:
            return rng.choice(_FLOATS)
        if hint is bytes:
            return rng.choice(
                (b"", b"\xff" * 16, rng.randbytes(16), self._gossip.id("uuid") or b"u")
            )
        if hint is str:
            return rng.choice(TEXTS)
        if isinstance(hint, type) and issubclass(hint, Record):  # deep enough: as few as can be
            needed = [field for field in _fields(hint) if field.required]
            hints = _hints(hint)
            return hint(**{f.name: self.value(hints[f.name], _DEEP) for f in needed})
        if get_origin(hint) is typing.Literal:
            return rng.choice(get_args(hint))
        raise AssertionError(f"no wild value for {hint}")

    def _bounded(self, base: Any, meta: Any) -> Any:
        """The bounds themselves, numbers near to them, and some in between."""
        rng = self._rng
        if base not in (int, float) or not isinstance(meta, msgspec.Meta):
            return self.value(base)
        low, high = meta.ge, meta.le
        picks: list[Any] = [0, 1, 2, 60]
        picks += [] if low is None else [low, low - 1]
        picks += [] if high is None else [high, high + 1, high / 2]
        return base(rng.choice(picks))

    # ---- resources

    def resources(self) -> Resources:
        """Overheard resources, a part of them, or some that nobody has."""
        rng, heard = self._rng, self._gossip.any(self._gossip.resources)
        if heard is not None and rng.random() < 0.6:
            return heard if rng.random() < 0.3 else self.part(heard)
        return Resources(dict(self._amount() for _ in range(rng.randrange(4))))

    def part(self, whole: Resources) -> Resources:
        """Of each kind nothing, a little, or all of it."""
        rng = self._rng
        found: dict[Kind, Value] = {}
        for kind, value in whole.items():
            if isinstance(value, int) and rng.random() < 0.7:
                found[kind] = rng.choice((1, min(value, 100), min(value, 32_000), value))
            elif rng.random() < 0.3:
                found[kind] = value
        return Resources(found)

    def _amount(self) -> tuple[Kind, Value]:
        rng = self._rng
        name = rng.choice(("cpus", "mem", "disk", "gpus", "ports", "bundles", *TEXTS[:6]))
        role = rng.choice(("*", "ads", "liars", rng.choice(TEXTS)))
        reserved = (Reservation("DYNAMIC" if rng.random() < 0.7 else "STATIC", role),)
        disk = Disk(
            DiskSource("PATH", rng.choice(TEXTS)) if rng.random() < 0.5 else None,
            rng.choice(TEXTS),
            None,
            rng.choice(TEXTS),
        )
        kind = Kind(
            name,
            reserved * rng.randrange(3),
            disk if rng.random() < 0.2 else None,
            rng.random() < 0.2,
            rng.random() < 0.1,
        )
        if name == "ports":
            begin = rng.choice((0, 31000, 65535, INT64_MAX))
            return kind, Ranges(((begin, begin + rng.choice((0, 10, 65535))),))
        if name == "bundles":
            return kind, Items.of(rng.sample(TEXTS, 2))
        if rng.random() < 0.1:  # of another type than anywhere else
            return kind, rng.choice((Ranges(((1, 2),)), Items.of(TEXTS[:1])))
        most = int(AMOUNT_MAX * 1000)
        return kind, rng.choice((1, 999, 1000, 32_000, most, most + 1, SECONDS_MAX))


@functools.cache
def _fields(kind: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(kind)


@functools.cache
def _hints(kind: type[Record]) -> dict[str, Any]:
    return typing.get_type_hints(kind, include_extras=True)
