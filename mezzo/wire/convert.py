"""Records <-> protobuf messages, by name.

A record's fields have the names of the message's fields, so one converter is compiled per pair of
types from their declarations instead of written by hand. What differs:

- a message that wraps one thing is unwrapped: ids, `Labels`, `Environment`, `Capability`;
- `DurationInfo`, `TimeInfo` and `Duration` are seconds, a `Scalar` is thousandths;
- a map is a dict;
- an enum is its name;
- `Resources`, `Attribute`, `FaultDomain` have converters of their own (`mezzo.wire.values`).

Compiled means: for each pair, the source of two straight-line functions is written and executed, as
dataclasses and attrs do for `__init__`. They are what one would write by hand, and twice as fast as
a loop over the fields:

    def fill_KillTask_9(r, m):
        m.framework_id.value = r.framework_id
        m.task_id.value = r.task_id
        if (v := r.kill_policy) is not None:
            fill_KillPolicy_10(v, m.kill_policy)
    def read_KillTask_9(m):
        has = m.HasField
        return KillTask_9(
            ...
            read_KillPolicy_10(m.kill_policy) if has('kill_policy') else None,
        )

A traceback shows their lines.
"""

from __future__ import annotations

import linecache
import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, NamedTuple, NoReturn, TypeVar, Union, cast, get_args, get_origin

import msgspec
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from mezzo.amounts import checked_milli, from_milli
from mezzo.errors import BadRequest
from mezzo.record import Record
from mezzo.resources import Resources

R = TypeVar("R", bound=Record)

NANOS = 1_000_000_000
_SECONDS = {"DurationInfo", "TimeInfo"}


class Special(NamedTuple):
    """How a value type that does not follow the rules is written into and read from a field."""

    put: Callable[[Any, Any], None]  # (value, the sub-message or repeated container); touches it
    get: Callable[[Any], Any]


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
        # What compiled code sees.
        self._scope: dict[str, Any] = {
            "NANOS": NANOS,
            "checked_milli": checked_milli,
            "entries": entries,
            "from_milli": from_milli,
            "missing": _missing,
            "put_duration": _put_duration,
            "text": text,
        }
        self._compiled: dict[tuple[type, str], str] = {}
        self._fill: dict[tuple[type, type], Callable[[Any, Any], None]] = {}
        self._read: dict[tuple[type, type], Callable[[Any], Any]] = {}

    def fill(self, record: Record, message: Message) -> None:
        """Write every set field of the record into the (empty) message."""
        key = type(record), type(message)
        fill = self._fill.get(key)
        if fill is None:
            name = self._compile(type(record), cast("Descriptor", message.DESCRIPTOR))
            fill = self._fill[key] = self._scope[f"fill_{name}"]
        fill(record, message)

    def read(self, kind: type[R], message: Message) -> R:
        """Make the record. Raises BadRequest when a field that the record needs is absent."""
        key = kind, type(message)
        read = self._read.get(key)
        if read is None:
            name = self._compile(kind, cast("Descriptor", message.DESCRIPTOR))
            read = self._read[key] = self._scope[f"read_{name}"]
        return cast("R", read(message))

    # ---- compiling

    def _compile(self, kind: type[Record], descriptor: Descriptor) -> str:
        """See that `fill_<name>` and `read_<name>` are in the scope, and return the name."""
        key = kind, descriptor.full_name
        if key in self._compiled:
            return self._compiled[key]
        name = self._compiled[key] = self._known(kind.__name__, kind)
        hints = typing.get_type_hints(kind)
        renames = self._renames.get(kind, {})
        writes: list[str] = []
        reads: list[str] = []
        touched = False  # is something written whatever the record holds?
        for info in msgspec.structs.fields(kind):
            proto_name = renames.get(info.name, info.name)
            if proto_name is None:
                continue
            proto = descriptor.fields_by_name.get(proto_name)
            if proto is None:
                raise TypeError(f"{kind.__name__}.{info.name} has no field in {descriptor.name}")
            hint = hints[info.name]
            touched = touched or not (proto.is_repeated or _may_be_left_out(hint))
            writes += self._write_field(info.name, hint, proto)
            reads.append(self._read_field(info, _plain(hint), proto))
        if not touched:
            writes.insert(0, "m.SetInParent()")
        self._run(
            name,
            [
                f"def fill_{name}(r, m):",
                *_indented(writes),
                f"def read_{name}(m):",
                "    has = m.HasField",  # each look-up costs as much as the call
                f"    return {name}(",
                *(f"        {read}," for read in reads),
                "    )",
            ],
        )
        return name

    def _run(self, name: str, lines: list[str]) -> None:
        source = "\n".join(lines) + "\n"
        file = f"<converter {name}>"
        linecache.cache[file] = len(source), None, source.splitlines(True), file
        exec(compile(source, file, "exec"), self._scope)

    def _known(self, stem: str, value: object) -> str:
        """A name for the value in the scope."""
        name = f"{stem}_{len(self._scope)}"
        self._scope[name] = value
        return name

    # ---- reading: expressions

    def _read_field(
        self, info: msgspec.structs.FieldInfo, hint: Any, proto: FieldDescriptor
    ) -> str:
        """What the reader of a record passes for one field."""
        if info.default_factory is not msgspec.NODEFAULT:
            default = self._known("make", info.default_factory) + "()"
        elif info.default is None or info.default == ():
            default = repr(info.default)
        elif info.default is not msgspec.NODEFAULT:
            default = self._known("default", info.default)
        elif proto.is_repeated:
            # Whether none are too few is for the reader to judge.
            default = self._known("default", Resources()) if hint is Resources else "()"
        else:
            owner = cast("Descriptor", proto.containing_type)
            default = f"missing('{owner.name}.{proto.name}')"
        if proto.is_repeated:
            return f"{self._get(hint, proto, 'c')} if (c := m.{proto.name}) else {default}"
        get = self._get(hint, proto, f"m.{proto.name}")
        if _same_default(info.default, proto):
            return get
        return f"{get} if has('{proto.name}') else {default}"

    def _get(self, hint: Any, proto: FieldDescriptor, at: str) -> str:
        """What reads the field, which is `at`."""
        special = (self._specials if proto.is_repeated else self._singles).get(hint)
        if special is not None:
            return f"{self._known('get', special.get)}({at})"
        if get_origin(hint) is dict:
            return self._get_map(hint, proto, at)
        if proto.is_repeated:
            item = _plain(get_args(hint)[0])
            get = self._getter(item, proto)
            # A slice: to end an iteration over a container costs as much as an item.
            return f"tuple(map({get}, {at}[:]))" if get else f"tuple({at})"
        if proto.message_type is not None:
            return self._get_message(hint, proto.message_type, at)
        if proto.enum_type is not None:
            return f"{self._members(hint, proto.enum_type)}[{at}]"
        if proto.type == FieldDescriptor.TYPE_STRING:
            return f"(v if type(v := {at}) is str else text(v))"
        return at

    def _getter(self, item: Any, proto: FieldDescriptor) -> str:
        """The function that reads one of the field's values; empty if they can stay as they are."""
        if proto.enum_type is not None:
            return f"{self._members(item, proto.enum_type)}.__getitem__"
        if proto.type == FieldDescriptor.TYPE_STRING:
            return "text"
        if proto.message_type is None:
            return ""
        if item in self._specials:
            return self._known("get", self._specials[item].get)
        if _is_record(item):
            return f"read_{self._compile(item, proto.message_type)}"
        get = self._known("get", None)
        self._run(get, [f"{get} = lambda m: {self._get_message(item, proto.message_type, 'm')}"])
        return get

    def _get_map(self, hint: Any, proto: FieldDescriptor, at: str) -> str:
        value = cast("Descriptor", proto.message_type).fields_by_name["value"]
        if value.message_type is None:
            return f"dict(entries({at}))"
        get = self._getter(get_args(hint)[1], value)
        return f"{{key: {get}(message) for key, message in entries({at})}}"

    def _get_message(self, hint: Any, descriptor: Descriptor, at: str) -> str:
        if _is_record(hint):
            return f"read_{self._compile(hint, descriptor)}({at})"
        if hint is float and descriptor.name in _SECONDS:
            return f"{at}.nanoseconds / NANOS"
        if descriptor.full_name == "google.protobuf.Duration":
            return f"({at}.seconds * NANOS + {at}.nanos) / NANOS"
        if hint is int and descriptor.full_name == "mezzo.v1.Value.Scalar":
            return f"checked_milli('the amount', {at}.value)"
        inner = _wrapped(descriptor)
        return self._get(hint, inner, f"{at}.{inner.name}")

    def _members(self, hint: Any, enum: EnumDescriptor) -> str:
        return self._known(enum.name, _Members(hint, enum))

    # ---- writing: statements

    def _write_field(self, name: str, hint: Any, proto: FieldDescriptor) -> list[str]:
        """What the writer of a record does about one field."""
        hint, optional = _plain(hint), _may_be_left_out(hint)
        if not optional:
            return self._put(hint, proto, "m", f"r.{name}")
        condition = f"v := r.{name}" if _holds_many(hint) else f"(v := r.{name}) is not None"
        return [f"if {condition}:", *_indented(self._put(hint, proto, "m", "v"))]

    def _put(self, hint: Any, proto: FieldDescriptor, m: str, value: str) -> list[str]:
        """What writes the value, an expression, into the field of `m`."""
        at = f"{m}.{proto.name}"
        special = (self._specials if proto.is_repeated else self._singles).get(hint)
        if special is not None:
            return [f"{self._known('put', special.put)}({value}, {at})"]
        if get_origin(hint) is dict:
            inner = cast("Descriptor", proto.message_type).fields_by_name["value"].message_type
            if inner is None:
                return [f"{at}.update({value})"]
            put = self._put_message(get_args(hint)[1], inner, "entries[key]", "item")
            return [f"entries = {at}", f"for key, item in {value}.items():", *_indented(put)]
        if proto.is_repeated:
            if proto.message_type is None:
                return [f"{at}.extend({value})"]
            put = self._put_message(_plain(get_args(hint)[0]), proto.message_type, "add()", "item")
            return [f"add = {at}.add", f"for item in {value}:", *_indented(put)]
        if proto.message_type is not None:
            return self._put_message(hint, proto.message_type, at, value)
        return [f"{at} = {value}"]

    def _put_message(self, hint: Any, descriptor: Descriptor, at: str, value: str) -> list[str]:
        """As `_put`, into the sub-message `at`, which is evaluated once."""
        if hint in self._specials:
            return [f"{self._known('put', self._specials[hint].put)}({value}, {at})"]
        if _is_record(hint):
            return [f"fill_{self._compile(hint, descriptor)}({value}, {at})"]
        if hint is float and descriptor.name in _SECONDS:
            return [f"{at}.nanoseconds = round({value} * NANOS)"]
        if descriptor.full_name == "google.protobuf.Duration":
            return [f"put_duration({value}, {at})"]
        if hint is int and descriptor.full_name == "mezzo.v1.Value.Scalar":
            return [f"{at}.value = from_milli({value})"]
        return self._put(hint, _wrapped(descriptor), at, value)


def text(raw: str | bytes) -> str:
    """A string field, checked: proto2 hands out as bytes what is no UTF-8. Raises BadRequest."""
    if isinstance(raw, bytes):
        raise BadRequest(f"the text {raw[:40]!r} is not UTF-8: encode it so")
    return raw


def entries(container: Any) -> list[tuple[str, Any]]:
    """A map field in the order of its keys. Raises BadRequest for a key that is not UTF-8."""
    try:
        return sorted(container.items())
    except UnicodeDecodeError as error:
        raise BadRequest(f"the key {error.object[:40]!r} is not UTF-8: encode it so") from None


class _Members(dict[int, Any]):
    """What a record has for the numbers of an enum: members of `hint`, or names if that is str."""

    def __init__(self, hint: Any, enum: EnumDescriptor) -> None:
        names = {number: value.name for number, value in enum.values_by_number.items()}
        if issubclass(hint, Enum):
            names = {number: name for number, name in names.items() if name in list(hint)}
        super().__init__({number: hint(name) for number, name in names.items()})
        self._enum = enum

    def __missing__(self, number: int) -> NoReturn:
        entry = self._enum.values_by_number.get(number)
        shown = entry.name if entry else number
        raise BadRequest(f"{self._enum.name} {shown} is not supported here")


def _missing(field: str) -> NoReturn:
    raise BadRequest(f"{field} is missing: give it")


def _put_duration(seconds: float, message: Any) -> None:
    message.seconds, message.nanos = divmod(round(seconds * NANOS), NANOS)


def _wrapped(descriptor: Descriptor) -> FieldDescriptor:
    """The one field of a wrapper that a record knows."""
    if len(descriptor.fields) == 1:
        return descriptor.fields[0]
    return descriptor.fields_by_name.get("value") or descriptor.fields_by_name["name"]


def _same_default(default: object, proto: FieldDescriptor) -> bool:
    """Does an absent field read as the record has it? Then nobody need ask whether it is there."""
    if proto.message_type is not None or default is msgspec.NODEFAULT:
        return False
    raw = proto.default_value
    if proto.enum_type is not None:
        raw = proto.enum_type.values_by_number[raw].name
    return bool(default == raw)


def _is_record(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Record)


def _holds_many(hint: Any) -> bool:
    return get_origin(hint) in (tuple, dict)


def _may_be_left_out(hint: Any) -> bool:
    """None, () and {} are not written."""
    return _holds_many(_plain(hint)) or type(None) in get_args(hint)


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _plain(hint: Any) -> Any:
    """Strip `| None` and NewType: what is left says how to convert."""
    if get_origin(hint) in (Union, types.UnionType):
        rest = [arg for arg in get_args(hint) if arg is not type(None)]
        if len(rest) == 1:
            hint = rest[0]
    while isinstance(hint, typing.NewType):
        hint = hint.__supertype__
    return hint
