"""Any JSON, read by the shape that it is to have: all faults are told at once, each at its place.

A shape is a class of `msgspec.Struct` whose types carry bounds (`mezzo.units`). One walk over shape
and document makes the object and finds

- values of the wrong JSON type, absent keys that are needed, unknown words where few are allowed;
- values out of their bounds, in whose place the nearest bound is read, so that what else is wrong
  can be found as well;
- keys that nobody knows.

null means: not given. A number is whole if its value is (JSON knows one kind of numbers). The walk
goes no deeper than the shape, and no further into a list than it may be long.
"""

from __future__ import annotations

import functools
import math
import operator
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import Enum
from typing import Any, ClassVar, Final, Generic, Literal, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Meta

from mezzo.json_types import JsonValue
from mezzo.units import INT64_MAX, meta_of, shown, text_test

from .errors import Violation

S = TypeVar("S", bound="Shape")
Hint = Any  # as it is declared
_Read = Callable[[JsonValue, str, "Found"], JsonValue]
UNKNOWN_MAX: Final = 20  # of keys that are named
_COMPARED_CHARS: Final = 64


class Shape(msgspec.Struct):
    """The base of shapes. `DROPPED`: keys that are known, and of which nothing is kept."""

    DROPPED: ClassVar[frozenset[str]] = frozenset()


@dataclass(slots=True)
class Found:
    wrong: list[Violation] = field(default_factory=list)
    out_of_bounds: list[Violation] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)  # paths, each with what may be meant


@dataclass(frozen=True, slots=True)
class Reading(Generic[S]):
    """value: of use only if nothing is `wrong`. given: the known keys of the whole."""

    value: S
    given: frozenset[str]
    found: Found


def read(shape: type[S], document: JsonValue) -> Reading[S]:
    found = Found()
    value = reader(shape)(document, "", found)
    known = shape.__struct_fields__
    given = frozenset(k for k in known if document.get(k) is not None) if value else frozenset()
    return Reading(value, given, found)


# ---------------------------------------------------------------------------------- readers


@functools.cache
def reader(hint: Hint) -> _Read:
    """The reader of values of a type. It takes the value, its path, and where to tell faults."""
    meta = meta_of(hint)
    plain = plain_type(hint)
    origin, arguments = _origin(plain), get_args(plain)
    if origin is Literal:
        return _word(arguments)
    if origin in (Union, types.UnionType):
        word, shape = sorted(arguments, key=lambda each: _origin(each) is not Literal)
        return _either(reader(word), reader(shape))
    if origin is list:
        return _list(reader(arguments[0]), meta)
    if origin is tuple:
        return _tuple(_list(reader(arguments[0]), meta))
    if origin is dict:
        return _dict(reader(arguments[0]), reader(arguments[1]), meta)
    if isinstance(plain, type) and issubclass(plain, Shape):
        return _object(plain)
    if isinstance(plain, type) and issubclass(plain, Enum):
        return _member(plain)
    return {bool: _bool, int: _int(meta), float: _float(meta), str: _str(hint)}[plain]


def plain_type(hint: Hint) -> Hint:
    """The type without `Annotated` and `| None`: an absent value is not read at all."""
    origin = _origin(hint)
    if origin is typing.Annotated:
        return plain_type(get_args(hint)[0])
    if origin in (Union, types.UnionType) and type(None) in get_args(hint):
        given = [each for each in get_args(hint) if each is not type(None)]
        return plain_type(functools.reduce(operator.or_, given))
    return hint


def _origin(hint: Hint) -> Hint:
    return get_origin(hint)


def _expected(kind: str, path: str, found: Found) -> JsonValue:
    found.wrong.append(Violation(path or "/", f"error.expected.js{kind}"))
    return None


def _bool(value: JsonValue, path: str, found: Found) -> JsonValue:
    if not isinstance(value, bool):
        _expected("boolean", path, found)
    return value


def _int(meta: Meta | None) -> _Read:
    def reads(value: JsonValue, path: str, found: Found) -> JsonValue:
        if not _is_number(value) or (isinstance(value, float) and not value.is_integer()):
            return _expected("number", path, found)
        return _within(int(value), meta, path, found)

    return reads


def _float(meta: Meta | None) -> _Read:
    def reads(value: JsonValue, path: str, found: Found) -> JsonValue:
        if not _is_number(value):
            return _expected("number", path, found)
        return float(_within(value, meta, path, found)) + 0.0  # never -0.0

    return reads


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) or math.isfinite(value)


def _within(value: float, meta: Meta | None, path: str, found: Found) -> float:
    """The value, or the nearest bound."""
    if meta is None:
        return value
    low, high = meta.ge, meta.le
    if low is not None and value < low:
        nearest, text = low, f"error.min: must be at least {low:g}"
    elif high is not None and value > high:
        nearest, text = high, f"error.max: must be at most {_bound(high)}"
    else:
        return value
    if (low, high) == (0, 1):
        got = float(value) if abs(value) <= INT64_MAX else value
        text = f"got {shown(got)}, expected between 0.0 and 1.0"
    found.out_of_bounds.append(Violation(path, text))
    return nearest


def _bound(bound: float) -> str:
    return str(int(bound)) if float(bound).is_integer() else f"{bound:g}"


def _str(hint: Hint) -> _Read:
    if meta_of(hint) is None:
        return _any_str
    test = text_test(hint)

    def reads(value: JsonValue, path: str, found: Found) -> JsonValue:
        if not isinstance(value, str):
            return _expected("string", path, found)
        if (why := test(value)) is not None:
            found.out_of_bounds.append(Violation(path, why))
        return value

    return reads


def _any_str(value: JsonValue, path: str, found: Found) -> JsonValue:
    return value if isinstance(value, str) else _expected("string", path, found)


def _word(words: Sequence[str]) -> _Read:
    allowed = frozenset(words)

    def reads(value: JsonValue, path: str, found: Found) -> JsonValue:
        if not isinstance(value, str):
            return _expected("string", path, found)
        if value not in allowed:
            found.wrong.append(Violation(path, "error.unknown.enum.literal"))
        return value

    return reads


def _member(kind: type[Enum]) -> _Read:
    members = {member.value: member for member in kind}
    word = _word(tuple(members))

    def reads(value: JsonValue, path: str, found: Found) -> JsonValue:
        return members.get(word(value, path, found))

    return reads


def _either(word: _Read, shape: _Read) -> _Read:
    def reads(value: JsonValue, path: str, found: Found) -> JsonValue:
        return (word if isinstance(value, str) else shape)(value, path, found)

    return reads


def _list(item: _Read, meta: Meta | None) -> _Read:
    most = None if meta is None else meta.max_length

    def reads(value: JsonValue, path: str, found: Found) -> JsonValue:
        if not isinstance(value, list):
            return _expected("array", path, found)
        if most is not None and len(value) > most:
            found.out_of_bounds.append(Violation(path, _too_many(len(value), most)))
        return [item(each, f"{path}({i})", found) for i, each in enumerate(value[:most])]

    return reads


def _tuple(items: _Read) -> _Read:
    def reads(value: JsonValue, path: str, found: Found) -> JsonValue:
        return tuple(items(value, path, found) or ())

    return reads


def _dict(key: _Read, item: _Read, meta: Meta | None) -> _Read:
    most = None if meta is None else meta.max_length

    def reads(value: JsonValue, path: str, found: Found) -> JsonValue:
        if not isinstance(value, dict):
            return _expected("object", path, found)
        given = [(name, each) for name, each in value.items() if each is not None]
        if most is not None and len(given) > most:
            found.out_of_bounds.append(Violation(path, _too_many(len(given), most)))
        out = {}
        for name, each in given[:most]:
            at = f"{path}/{name}"
            out[key(name, at, found)] = item(each, at, found)
        return out

    return reads


def _too_many(count: int, most: int) -> str:
    return f"must have at most {most} entries, not {count}"


def _object(shape: type[Shape]) -> _Read:
    hints = typing.get_type_hints(shape, include_extras=True)
    fields = msgspec.structs.fields(shape)
    readers = {each.name: reader(hints[each.name]) for each in fields}
    needed = [
        each.name
        for each in fields
        if each.default is NODEFAULT and each.default_factory is NODEFAULT
    ]

    def reads(value: JsonValue, path: str, found: Found) -> JsonValue:
        if not isinstance(value, dict):
            return _expected("object", path, found)
        out = {}
        for key, each in value.items():
            if each is None:
                continue
            its = readers.get(key)
            if its is not None:
                out[key] = its(each, f"{path}/{key}", found)
            elif key not in shape.DROPPED and len(found.unknown) < UNKNOWN_MAX:
                found.unknown.append(_unknown(f"{path}/{key}", key, readers))
        absent = [name for name in needed if name not in out]
        found.wrong += [Violation(f"{path}/{name}", "error.path.missing") for name in absent]
        return None if absent else shape(**out)

    return reads


def _unknown(path: str, key: str, known: typing.Iterable[str]) -> str:
    """The path, and the known key beside it that looks most like it."""
    near = get_close_matches(key[:_COMPARED_CHARS], list(known), n=1)
    return f"{path} (did you mean {near[0]}?)" if near else path
