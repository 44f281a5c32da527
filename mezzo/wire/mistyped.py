"""Which field of a record holds something of another type than it is declared with.

Records are not checked when they are made, and a framework's author may mix up two arguments. The
converter finds out when it can't write one; this finds out which, and what belongs there.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any, Union, get_args, get_origin

from mezzo.record import Record


def mistyped(record: Record) -> tuple[tuple[str, ...], str] | None:
    """The fields that lead to the first such value, and what is wrong with it: types only, since
    the value may be a secret. None: all are as declared."""
    hints = typing.get_type_hints(type(record), include_extras=True)
    for name in record.__struct_fields__:
        found = _problem(getattr(record, name), hints[name])
        if found is not None:
            return (name, *found[0]), found[1]
    return None


def _problem(value: Any, hint: Any) -> tuple[tuple[str, ...], str] | None:
    hint = _bare(hint)
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        kinds = [_bare(each) for each in get_args(hint)]
        fits = [kind for kind in kinds if _is(value, kind)]
        return _problem(value, fits[0]) if fits else _wrong(value, kinds)
    if not _is(value, hint):
        return _wrong(value, [hint])
    if isinstance(value, Record):
        return mistyped(value)
    if origin is tuple:
        return next(filter(None, (_problem(item, get_args(hint)[0]) for item in value)), None)
    if origin is dict:
        of_key, of_value = get_args(hint)
        pairs = [(key, of_key) for key in value] + [(item, of_value) for item in value.values()]
        return next(filter(None, (_problem(item, kind) for item, kind in pairs)), None)
    return None


def _wrong(value: object, kinds: list[Any]) -> tuple[tuple[str, ...], str]:
    wanted = " or ".join(_name(kind) for kind in kinds)
    return (), f"is of type {type(value).__name__}: it must be {wanted}"


def _is(value: object, kind: Any) -> bool:
    origin = get_origin(kind)
    if origin is tuple:
        return isinstance(value, (tuple, list))
    if origin is dict:
        return isinstance(value, Mapping)
    if kind is float:
        return isinstance(value, (int, float))
    if isinstance(kind, type):
        # The names of members are written as well as the members.
        return isinstance(value, (kind, str) if issubclass(kind, Enum) else kind)
    return True  # nothing that is known here


def _bare(hint: Any) -> Any:
    """The type without bounds and the names of NewTypes."""
    while True:
        if get_origin(hint) is Annotated:
            hint = get_args(hint)[0]
        elif isinstance(hint, typing.NewType):
            hint = hint.__supertype__
        else:
            return hint


def _name(kind: Any) -> str:
    if kind is type(None):
        return "None"
    if get_origin(kind) is tuple:
        return f"a tuple of {_name(_bare(get_args(kind)[0]))}"
    return getattr(kind, "__name__", None) or str(kind)
