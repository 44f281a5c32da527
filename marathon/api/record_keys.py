"""Keys of documents that are fields of records: derived from the `JsonKey` of each.

@with_keys_of(App)
class AppDoc(Shape):
    the keys that are read by rule

App(**fields_of(App, doc), ...)  # what is read by rule is told beside

SHOWN = Shown(App, container=_container, ...)  # what is shown by rule
SHOWN(app)
"""

from __future__ import annotations

import functools
import operator
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Annotated, Any, Final, NamedTuple, TypeVar, get_args, get_origin

import msgspec
from msgspec import NODEFAULT

from mezzo.json_types import Json, JsonValue
from mezzo.record import Record

from ..model.json_key import JsonKey
from .json_shape import Hint, Shape, plain_type, reader

S = TypeVar("S", bound=Shape)
_Show = Callable[[Any], JsonValue]
_EXACT_MAX: Final = 2.0**53  # up to here every whole number is a float


def number(value: float) -> float:
    """A whole number without its fraction, any other as it is.

    Any float is taken: beyond 2^53 an int would not say more, and JSON's writers end at 2^64. nan
    and infinity (in an agent's attribute) are written as null.
    """
    if value.__class__ is float and not (value.is_integer() and abs(value) <= _EXACT_MAX):
        return value
    return int(value)


class _Field(NamedTuple):
    """default: as `msgspec.defstruct` takes it."""

    name: str
    key: JsonKey
    hint: Hint
    default: Any


def _fields(record: type[Record]) -> list[_Field]:
    """Those that are keys, in their order."""
    hints = typing.get_type_hints(record, include_extras=True)
    found = []
    for each in msgspec.structs.fields(record):
        hint = hints[each.name]
        extras = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
        for key in extras:
            if isinstance(key, JsonKey):
                makes = each.default_factory
                default = (
                    each.default if makes is NODEFAULT else msgspec.field(default_factory=makes)
                )
                found.append(_Field(each.name, key, hint, default))
    return found


# ---------------------------------------------------------------------------------- reading


def with_keys_of(record: type[Record]) -> Callable[[type[S]], type[S]]:
    """The shape with the keys that are read as they are. Raises TypeError if one stands twice or is
    dropped, and KeyError if values of its type can't be read."""

    def add(shape: type[S]) -> type[S]:
        fields = [field for field in _fields(record) if not field.key.by_rule]
        names = [field.key.name for field in fields]
        known = {*shape.__struct_fields__, *shape.DROPPED}
        if twice := [name for name in names if name in known or names.count(name) > 1]:
            raise TypeError(f"{shape.__name__} has or drops {twice} already")
        for field in fields:
            reader(field.hint)
        made = msgspec.defstruct(
            shape.__name__,
            [(field.key.name, field.hint, field.default) for field in fields],
            bases=(shape,),
            module=shape.__module__,
        )
        return typing.cast("type[S]", made)

    return add


def fields_of(record: type[Record], doc: Shape) -> dict[str, Any]:
    """What the document says of the record's fields that are read as they are."""
    names, values = _given(record)
    return dict(zip(names, values(doc), strict=True))


@functools.cache
def _given(record: type[Record]) -> tuple[list[str], Callable[[Shape], tuple[Any, ...]]]:
    fields = [field for field in _fields(record) if not field.key.by_rule]
    keys = [field.key.name for field in fields]
    return [field.name for field in fields], operator.attrgetter(*keys)


# ---------------------------------------------------------------------------------- showing


class Shown:
    """The keys of a record with their values, in the order of its fields. Raises TypeError for a
    type that needs a rule. rules: by key, what is shown of a value; None leaves the key out."""

    def __init__(self, record: type[Record], **rules: _Show) -> None:
        fields = _fields(record)
        if unknown := rules.keys() - {field.key.name for field in fields}:
            raise TypeError(f"{record.__name__} has no keys {sorted(unknown)}")
        self._rows = [(field.key.name, _show(field, rules)) for field in fields]
        self._values = operator.attrgetter(*(field.name for field in fields))

    def __call__(self, record: Record) -> Json:
        out: Json = {}
        for (name, show), value in zip(self._rows, self._values(record), strict=True):
            shown = value if show is None else show(value)
            if shown is not None:
                out[name] = shown
        return out


def _show(field: _Field, rules: Mapping[str, _Show]) -> _Show | None:
    """What is shown of a field's value; None: what it is."""
    rule = rules.get(field.key.name)
    show = rule or _as_it_is(plain_type(field.hint))
    if not field.key.shown_empty:
        return lambda value: (value if show is None else show(value)) or None
    if show is None or show is rule or field.default is not None:
        return show
    return lambda value: None if value is None else show(value)


def _as_it_is(kind: Hint) -> _Show | None:
    """How JSON has values of a type; None: as they are."""
    origin: Hint = get_origin(kind)
    if kind in (str, int, bool) or origin is dict:
        return None
    if kind is float:
        return number
    if origin is tuple and plain_type(get_args(kind)[0]) in (str, int):
        return list
    if isinstance(kind, type) and issubclass(kind, Enum):
        return operator.attrgetter("value")
    raise TypeError(f"{kind} needs a rule by which it is shown")
