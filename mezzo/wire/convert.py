"""Records <-> protobuf messages, by name.

A record's fields have the names of the message's fields, so one converter is compiled per pair of
types from their declarations instead of written by hand. What differs:

- a message that wraps one thing is unwrapped: ids, `Labels`, `Environment`, `Capability`;
- `DurationInfo`, `TimeInfo` and `Duration` are seconds, a `Scalar` is thousandths;
- a map is a dict;
- an enum is its name;
- `Resources`, `Attribute`, `FaultDomain` have converters of their own (`mezzo.wire.values`).
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, NamedTuple, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import msgspec
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from mezzo.errors import BadRequest
from mezzo.record import Record
from mezzo.resources import Resources, checked_milli, from_milli

R = TypeVar("R", bound=Record)

NANOS = 1_000_000_000
_SECONDS = {"DurationInfo", "TimeInfo"}


class Special(NamedTuple):
    """How a value type that does not follow the rules is written into and read from a field."""

    put: Callable[[Any, Any], None]  # (value, the sub-message or repeated container)
    get: Callable[[Any], Any]


class _Field(NamedTuple):
    name: str  # of the proto field
    attribute: str  # of the record
    put: Callable[[Any, Message], None]  # (value, the parent message); value is not None
    get: Callable[[Message], Any]
    present: Callable[[Message], bool]
    default: Any  # of the record, when the field is absent


class Converter:
    """Compiles and keeps the converters. `specials` by value type, `renames` by record type: to
    None is for the last field of a record that travels elsewhere."""

    def __init__(
        self,
        specials: Mapping[Any, Special],
        singles: Mapping[Any, Special],
        renames: Mapping[type, Mapping[str, str | None]],
    ) -> None:
        self._specials = specials
        self._singles = {**specials, **singles}  # for a field that is not repeated
        self._renames = renames
        self._fields: dict[tuple[type, str], tuple[_Field, ...]] = {}

    def fill(self, record: Record, message: Message) -> None:
        """Write every set field of the record into the (empty) message."""
        for field in self._of(type(record), cast("Descriptor", message.DESCRIPTOR)):
            value = getattr(record, field.attribute)
            if value is not None and value != () and value != {}:
                field.put(value, message)

    def read(self, kind: type[R], message: Message) -> R:
        """Make the record. Raises BadRequest when a field that the record needs is absent."""
        values = []
        for field in self._of(kind, cast("Descriptor", message.DESCRIPTOR)):
            if field.present(message):
                values.append(field.get(message))
            elif field.default is msgspec.NODEFAULT:
                raise BadRequest(f"{message.DESCRIPTOR.name}.{field.name} is missing: give it")
            else:
                values.append(field.default)
        return kind(*values)

    # ---- compiling

    def _of(self, kind: type[Record], descriptor: Descriptor) -> tuple[_Field, ...]:
        key = (kind, descriptor.full_name)
        fields = self._fields.get(key)
        if fields is None:
            fields = self._fields[key] = self._compile(kind, descriptor)
        return fields

    def _compile(self, kind: type[Record], descriptor: Descriptor) -> tuple[_Field, ...]:
        hints = get_type_hints(kind)
        renames = self._renames.get(kind, {})
        out = []
        for info in msgspec.structs.fields(kind):
            proto_name = renames.get(info.name, info.name)
            if proto_name is None:
                continue
            proto = descriptor.fields_by_name.get(proto_name)
            if proto is None:
                raise TypeError(f"{kind.__name__}.{info.name} has no field in {descriptor.name}")
            hint = _plain(hints[info.name])
            put, get = self._pair(hint, proto)
            default = info.default
            if default is msgspec.NODEFAULT and info.default_factory is not msgspec.NODEFAULT:
                default = info.default_factory()
            if default is msgspec.NODEFAULT and proto.is_repeated:
                # Whether none are too few is for the reader to judge.
                default = hint() if hint is Resources else ()
            out.append(_Field(proto_name, info.name, put, get, _presence(proto), default))
        return tuple(out)

    def _pair(
        self, hint: Any, proto: FieldDescriptor
    ) -> tuple[Callable[[Any, Message], None], Callable[[Message], Any]]:
        """The writer and reader of one field of a message."""
        name = proto.name
        special = (self._specials if proto.is_repeated else self._singles).get(hint)
        if special is not None and proto.is_repeated:
            return (
                lambda value, parent: special.put(value, getattr(parent, name)),
                lambda parent: special.get(getattr(parent, name)),
            )
        if special is not None:
            return _in_sub(name, special.put, special.get)
        if get_origin(hint) is dict:
            return self._map(hint, proto)
        if proto.is_repeated:
            return self._repeated(hint, proto)
        if proto.message_type is not None:
            put, get = self._message(hint, proto.message_type)
            return _in_sub(name, put, get)
        return self._scalar(hint, proto)

    def _repeated(
        self, hint: Any, proto: FieldDescriptor
    ) -> tuple[Callable[[Any, Message], None], Callable[[Message], Any]]:
        name = proto.name
        (item, *_) = get_args(hint)
        item = _plain(item)
        if proto.message_type is None:
            to_raw, from_raw = _scalars(item, proto)
            return (
                lambda value, parent: getattr(parent, name).extend(map(to_raw, value)),
                lambda parent: tuple(map(from_raw, getattr(parent, name))),
            )
        if item in self._specials:
            put, get = self._specials[item]
        else:
            put, get = self._message(item, proto.message_type)

        def put_all(values: Any, parent: Message) -> None:
            container = getattr(parent, name)
            for value in values:
                put(value, container.add())

        return put_all, lambda parent: tuple([get(entry) for entry in getattr(parent, name)])

    def _map(
        self, hint: Any, proto: FieldDescriptor
    ) -> tuple[Callable[[Any, Message], None], Callable[[Message], Any]]:
        name = proto.name
        entry = cast("Descriptor", proto.message_type)
        value_type = entry.fields_by_name["value"].message_type
        if value_type is None:
            return (
                lambda values, parent: getattr(parent, name).update(values),
                lambda parent: {text(key): raw for key, raw in getattr(parent, name).items()},
            )
        put, get = self._message(get_args(hint)[1], value_type)

        def put_all(values: Any, parent: Message) -> None:
            container = getattr(parent, name)
            for key, value in values.items():
                put(value, container[key])

        return put_all, lambda parent: {
            text(key): get(message) for key, message in sorted(getattr(parent, name).items())
        }

    def _message(
        self, hint: Any, descriptor: Descriptor
    ) -> tuple[Callable[[Any, Any], None], Callable[[Any], Any]]:
        """The writer into and the reader of one sub-message that stands for a `hint`."""
        if isinstance(hint, type) and issubclass(hint, Record):
            return self.fill, lambda message: self.read(hint, message)
        if hint is float and descriptor.name in _SECONDS:

            def put_seconds(value: float, message: Any) -> None:
                message.nanoseconds = round(value * NANOS)

            return put_seconds, lambda message: message.nanoseconds / NANOS
        if descriptor.full_name == "google.protobuf.Duration":

            def put_duration(value: float, message: Any) -> None:
                message.seconds, message.nanos = divmod(round(value * NANOS), NANOS)

            return put_duration, lambda message: (message.seconds * NANOS + message.nanos) / NANOS
        if hint is int and descriptor.full_name == "mezzo.v1.Value.Scalar":

            def put_scalar(value: int, message: Any) -> None:
                message.value = from_milli(value)

            return put_scalar, lambda message: checked_milli("the amount", message.value)
        inner = (
            descriptor.fields[0]
            if len(descriptor.fields) == 1
            else descriptor.fields_by_name.get("value") or descriptor.fields_by_name["name"]
        )
        return self._pair(hint, inner)

    def _scalar(
        self, hint: Any, proto: FieldDescriptor
    ) -> tuple[Callable[[Any, Message], None], Callable[[Message], Any]]:
        name = proto.name
        if proto.enum_type is None and proto.type != FieldDescriptor.TYPE_STRING:
            return (
                lambda value, parent: setattr(parent, name, value),
                lambda parent: getattr(parent, name),
            )
        to_raw, from_raw = _scalars(hint, proto)
        return (
            lambda value, parent: setattr(parent, name, to_raw(value)),
            lambda parent: from_raw(getattr(parent, name)),
        )


def text(raw: str | bytes) -> str:
    """A string field, checked: proto2 hands out as bytes what is no UTF-8. Raises BadRequest."""
    if isinstance(raw, bytes):
        raise BadRequest(f"the text {raw[:40]!r} is not UTF-8: encode it so")
    return raw


def _scalars(
    hint: Any, proto: FieldDescriptor
) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Between a record's value and a proto scalar. Unknown enum numbers raise BadRequest."""
    enum: EnumDescriptor | None = proto.enum_type
    if enum is None:
        return (lambda value: value), (
            text if proto.type == FieldDescriptor.TYPE_STRING else lambda raw: raw
        )
    numbers = {name: value.number for name, value in enum.values_by_name.items()}
    make: Callable[[str], Any] = (
        hint if isinstance(hint, type) and issubclass(hint, Enum) else lambda name: name
    )
    made: dict[int, Any] = {}

    def from_raw(number: int) -> Any:
        value = made.get(number)
        if value is None:
            entry = enum.values_by_number.get(number)
            try:
                value = made[number] = make(entry.name)  # type: ignore[union-attr]
            except (AttributeError, ValueError):
                shown = entry.name if entry else number
                raise BadRequest(f"{enum.name} {shown} is not supported here") from None
        return value

    return (lambda value: numbers[str(value)]), from_raw


def _in_sub(
    name: str, put: Callable[[Any, Any], None], get: Callable[[Any], Any]
) -> tuple[Callable[[Any, Message], None], Callable[[Message], Any]]:
    def put_sub(value: Any, parent: Message) -> None:
        sub = getattr(parent, name)
        sub.SetInParent()
        put(value, sub)

    return put_sub, lambda parent: get(getattr(parent, name))


def _presence(proto: FieldDescriptor) -> Callable[[Message], bool]:
    name = proto.name
    if proto.is_repeated:
        return lambda message: bool(getattr(message, name))
    return lambda message: message.HasField(name)


def _plain(hint: Any) -> Any:
    """Strip `| None` and NewType: what is left says how to convert."""
    if get_origin(hint) in (Union, types.UnionType):
        rest = [arg for arg in get_args(hint) if arg is not type(None)]
        if len(rest) == 1:
            hint = rest[0]
    while isinstance(hint, typing.NewType):
        hint = hint.__supertype__
    return hint
