"""Hypothesis strategies for the kernel's values."""

from __future__ import annotations

import types
import typing
from enum import Enum
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import strategies as st

from mezzo import units
from mezzo.cluster.amounts import SUM_MAX, Items, Ranges, Thousandths, Value, to_milli
from mezzo.cluster.model import (
    Attribute,
    AttributeConstraint,
    OfferConstraints,
    Predicate,
    RoleConstraints,
    RoleOfferFilter,
)
from mezzo.cluster.operations import OtherOperation
from mezzo.cluster.resources import Disk, DiskSource, Kind, Reservation, Resources
from mezzo.record import Record

words = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters=",;:(){}[]*"),
    min_size=1,
    max_size=8,
)
plain_words = st.text("abcxyz019-_.", min_size=1, max_size=6)

# What a double can't tell apart can't come through: beyond any machine's amount, few thousandths.
milli = st.integers(1, 10_000_000) | st.floats(0.001, SUM_MAX).map(to_milli)
pairs = st.lists(
    st.tuples(st.integers(0, 24), st.integers(0, 5)).map(lambda p: (p[0], p[0] + p[1])), max_size=6
)
ranges = pairs.map(Ranges.of)
items = st.lists(plain_words, max_size=5).map(Items.of)

# Few of each, so that kinds of two bags meet.
_STACKS: tuple[tuple[Reservation, ...], ...] = (
    (),
    (Reservation("STATIC", "ads"),),
    (Reservation("DYNAMIC", "ads", "alice", (("team", "a"), ("cost", "1"))),),
    (Reservation("STATIC", "ads"), Reservation("DYNAMIC", "ads/web", "bob")),
)
_DISKS = (
    Disk(source=DiskSource("PATH", "/mnt/p")),
    Disk(source=DiskSource("MOUNT", "/mnt/m", "id", "fast")),
    Disk(source=DiskSource("RAW", None, "id", "raw")),
    Disk(persistence_id="v1", principal="alice", container_path="data"),
    Disk(DiskSource("PATH"), persistence_id="v2"),
    Disk(container_path="scratch"),
)
_AMOUNTS: dict[str, st.SearchStrategy[Value]] = {
    "cpus": milli,
    "mem": milli,
    "gpus": milli,
    "ports": ranges,
    "bundles": items,
}
_KINDS = {
    name: [
        *(Kind(name, stack) for stack in _STACKS),
        Kind(name, revocable=True),
        Kind(name, shared=True),
    ]
    for name in _AMOUNTS
}
_DISK_KINDS = [
    Kind("disk"),
    *(Kind("disk", stack, disk) for stack in _STACKS[:2] for disk in _DISKS),
    Kind("disk", _STACKS[1], _DISKS[3], shared=True),
]


def _entries(name: str) -> st.SearchStrategy[tuple[Kind, Value]]:
    return st.tuples(st.sampled_from(_KINDS[name]), _AMOUNTS[name])


def _bag(*entries: st.SearchStrategy[tuple[Kind, Value]]) -> st.SearchStrategy[Resources]:
    return st.lists(st.one_of(*entries), max_size=5).map(lambda pairs: Resources(dict(pairs)))


divisible = _bag(*map(_entries, _AMOUNTS))
"""Reserved, revocable and shared kinds, ranges and sets, but no disks."""

one_kind = st.one_of(
    st.tuples(st.sampled_from(_DISK_KINDS), milli), _entries("cpus"), _entries("mem")
).map(lambda entry: Resources(dict([entry])))
"""What one Resource message holds."""

resources = _bag(*map(_entries, _AMOUNTS), st.tuples(st.sampled_from(_DISK_KINDS), milli))
"""Any bag."""

attributes = st.one_of(
    st.builds(Attribute, words, text=words),
    st.builds(Attribute, words, scalar=st.floats(allow_nan=False, allow_infinity=False)),
    st.builds(Attribute, words, ranges=pairs.map(tuple)),
    st.builds(Attribute, words, set=st.lists(words, max_size=3).map(tuple)),
)


conditions = st.builds(
    lambda predicate, selector, text: AttributeConstraint(
        predicate, *selector, text if "text" in predicate else ""
    ),
    st.sampled_from(Predicate),
    st.one_of(
        st.tuples(words, st.none()),
        st.tuples(st.none(), st.sampled_from(["HOSTNAME", "REGION", "ZONE"])),
    ),
    words,
)
constraints = st.dictionaries(
    words, st.lists(st.lists(conditions, max_size=2).map(tuple), max_size=2).map(tuple), max_size=2
).map(lambda roles: OfferConstraints(tuple(RoleConstraints(*r) for r in sorted(roles.items()))))
quantities = st.dictionaries(words, milli, max_size=2)
offer_filters = st.dictionaries(words, st.lists(quantities, max_size=2).map(tuple), max_size=2).map(
    lambda roles: tuple(RoleOfferFilter(*r) for r in sorted(roles.items()))
)


def records(kind: type[Any], depth: int = 3) -> st.SearchStrategy[Any]:
    """Values of a record type, made from the types of its fields; shallow below `depth`."""
    hints = get_type_hints(kind, include_extras=True)
    return st.builds(
        kind,
        **{
            field.name: _values(hints[field.name], field.name, depth, required=field.required)
            for field in msgspec.structs.fields(kind)
        },
    )


def _numbers(hint: Any) -> st.SearchStrategy[Any]:
    """Of a type with bounds: also the bounds themselves."""
    meta = units.meta_of(hint)
    assert meta is not None, hint
    low, high = meta.ge, meta.le
    assert low is not None
    assert high is not None
    if get_args(hint)[0] is int:
        return st.integers(int(low), int(high))
    if hint in (units.Seconds, units.WallSeconds):
        # They travel in nanoseconds: what came from there survives exactly.
        ns = 1_000_000_000
        return st.integers(0, int(high) * ns).map(lambda nanos: nanos / ns)
    return st.floats(low, high)


def _values(hint: Any, name: str, depth: int, *, required: bool) -> st.SearchStrategy[Any]:
    while isinstance(hint, typing.NewType):
        hint = hint.__supertype__
    if get_origin(hint) in (Union, types.UnionType):
        arms = [arm for arm in get_args(hint) if arm is not type(None)]
        optional = len(arms) < len(get_args(hint))
        if optional and depth == 0:
            return st.none()
        some = st.one_of([_values(arm, name, depth, required=True) for arm in arms])
        return some if required or not optional else st.none() | some
    if name == "unreadable":
        return st.just(())  # never sent
    if hint == tuple[RoleOfferFilter, ...]:
        return offer_filters
    if get_origin(hint) is dict:
        number = get_args(hint)[1]
        return quantities if number == Thousandths else st.dictionaries(words, _numbers(number))
    if get_origin(hint) is tuple:
        if depth == 0:
            return st.just(())
        item = _values(get_args(hint)[0], name, depth, required=True)
        return st.lists(item, max_size=2).map(tuple)
    return _single(hint, name, depth)


def _single(hint: Any, name: str, depth: int) -> st.SearchStrategy[Any]:
    if hint is Attribute:
        return attributes
    if hint is Resources and name in ("volume", "addition"):
        return one_kind
    if hint is Resources:
        return resources if depth else st.just(Resources())
    if hint is OtherOperation:
        types_ = st.sampled_from(["CREATE_DISK", "DESTROY_DISK"])
        return st.builds(OtherOperation, types_, st.none() | words)
    if hint is OfferConstraints:
        return constraints
    if isinstance(hint, type) and issubclass(hint, Record):
        return records(hint, depth - 1 if depth else 0)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(hint)
    if hint == Thousandths:
        return milli
    if get_origin(hint) is Annotated:
        return _host_names if hint == units.MaybeHostName else _numbers(hint)
    if hint is bool:
        return st.booleans()
    if hint is bytes:
        return st.binary(max_size=16)
    if name in _ENUM_NAMES:
        return st.sampled_from(_ENUM_NAMES[name])
    assert hint is str, hint
    return words


_host_names = st.text("abcXYZ019.-_:", max_size=8)

# Fields that are text in a record and an enum on the wire.
_ENUM_NAMES = {
    "visibility": ["FRAMEWORK", "CLUSTER", "EXTERNAL"],
    "protocol": ["IPv4", "IPv6"],
    "status": ["UNKNOWN", "ACCEPT", "DECLINE"],
}
