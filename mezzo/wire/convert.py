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

A traceback shows their lines, and each line is that of one field: so an error names the fields
that lead to it, `TaskInfo.health_check.http.port is 70000: it must be ...`, at no cost otherwise.

The bounds of `mezzo.units`, of numbers and of texts, are read from the declarations as well, and
compiled into both directions: what is out of bounds is refused when it is read (BadRequest) and not
written (Unencodable), nor is what protobuf itself can't take.
"""

from __future__ import annotations

import linecache
import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Annotated, Any, NamedTuple, NoReturn, TypeVar, Union, cast, get_args, get_origin

import msgspec
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from mezzo.cluster.amounts import MILLI, SUM_MAX, from_milli, to_milli
from mezzo.cluster.resources import Resources
from mezzo.errors import Unencodable
from mezzo.record import Record
from mezzo.units import (
    INT32_MAX,
    INT64_MAX,
    NANOS,
    UINT32_MAX,
    meta_of,
    problem,
    shown,
    to_nanos,
)
from mezzo.wire.mistyped import mistyped

from .errors import Misfit

R = TypeVar("R", bound=Record)

_SECONDS = {"DurationInfo", "TimeInfo", "Duration"}
# Below, the product of seconds and NANOS is exact to a fraction of a nanosecond.
_EXACT_S = 1e6
# What the fields of these types can hold anyhow: protobuf refuses the rest by itself.
_WIDTHS = {
    FieldDescriptor.TYPE_INT32: (-INT32_MAX - 1, INT32_MAX),
    FieldDescriptor.TYPE_UINT32: (0, UINT32_MAX),
    FieldDescriptor.TYPE_INT64: (-INT64_MAX - 1, INT64_MAX),
}


class Special(NamedTuple):
    """How a value type that does not follow the rules is written into and read from a field."""

    put: Callable[[Any, Any], None]  # (value, the sub-message or repeated container); touches it
    get: Callable[[Any], Any]


class Bounds(NamedTuple):
    """As code: `fits` with a value in place of its `{}` is true if the type `kind` allows it."""

    fits: str
    kind: str


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
            "MILLI": MILLI,
            "MILLI_MAX": SUM_MAX * MILLI,
            "entries": entries,
            "from_milli": from_milli,
            "milli": _milli,
            "missing": _missing,
            "nanos": to_nanos,
            "one_alone": _one_alone,
            "out_of_bounds": _out_of_bounds,
            "out_of_bounds_ns": _out_of_bounds_ns,
            "put_duration": _put_duration,
            "text": text,
            "too_much": _too_much,
            "unfit_text": _unfit_text,
            "unwritable": _unwritable,
        }
        # By file of compiled code: the field that each of its lines is about, if it is about one.
        self._lines: dict[str, list[str]] = {}
        self._compiled: dict[tuple[type, str], str] = {}
        self._fill: dict[tuple[type, type], Callable[[Any, Any], None]] = {}
        self._read: dict[tuple[type, type], Callable[[Any], Any]] = {}

    def fill(self, record: Record, message: Message) -> None:
        """Write every set field of the record into the (empty) message. Raises Unencodable, and the
        message is of no use then."""
        key = type(record), type(message)
        fill = self._fill.get(key)
        if fill is None:
            if not isinstance(record, Record):
                raise no_record(record, message)
            name = self._compile(type(record), cast("Descriptor", message.DESCRIPTOR))
            fill = self._fill[key] = self._scope[f"fill_{name}"]
        try:
            fill(record, message)
        except Unencodable as error:
            path = (key[0].__name__, *self._way(error), *error.path[1:])
            raise Unencodable(error.why, path) from None
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            # Without its text, which may hold the value: that of a secret, perhaps.
            way, why = mistyped(record) or (tuple(self._way(error)), _unwritten(error))
            raise Unencodable(why, (key[0].__name__, *way)) from None

    def read(self, kind: type[R], message: Message) -> R:
        """Make the record. Raises BadRequest when a field that the record needs is absent."""
        key = kind, type(message)
        read = self._read.get(key)
        if read is None:
            name = self._compile(kind, cast("Descriptor", message.DESCRIPTOR))
            read = self._read[key] = self._scope[f"read_{name}"]
        try:
            return cast("R", read(message))
        except Misfit as error:
            path = (kind.__name__, *self._way(error), *error.path[1:])
            raise Misfit(error.why, path) from None

    def _way(self, error: BaseException) -> list[str]:
        """The fields whose lines the error came through, the outermost first."""
        way: list[str] = []
        step = error.__traceback__
        while step is not None:
            code = step.tb_frame.f_code
            fields = self._lines.get(code.co_filename)
            # Before Python 3.12 a comprehension has a frame of its own, inside that of its line.
            if fields is not None and code.co_name != "<dictcomp>":
                way += filter(None, [fields[step.tb_lineno - 1]])
            step = step.tb_next
        return way

    def encodable_part(
        self, record: R, message: type[Message]
    ) -> tuple[R | None, list[Unencodable]]:
        """The record without the items of its lists that can't be encoded, as few as possible, and
        what was wrong with these. None instead of the record if that is not enough."""
        try:
            self.fill(record, message())
        except Unencodable as error:
            whole = error
        else:
            return record, []
        kind = type(record)
        hints = typing.get_type_hints(kind, include_extras=True)
        renames = self._renames.get(kind, {})
        descriptor = cast("Descriptor", message.DESCRIPTOR)
        changes: dict[str, Any] = {}
        lost: list[Unencodable] = []
        for name in kind.__struct_fields__:
            proto_name, hint = renames.get(name, name), _plain(hints[name])
            proto = descriptor.fields_by_name.get(proto_name or "")
            if proto is None or proto.message_type is None:
                continue
            value, of = getattr(record, name), GetMessageClass(proto.message_type)
            if proto.is_repeated and _is_record(_plain((*get_args(hint), None)[0])):
                if _plain(get_args(hint)[0]) not in self._specials and _records(value):
                    parts = [self.encodable_part(item, of) for item in value]
                    changes[name] = tuple(part for part, _ in parts if part is not None)
                    lost += [error for _, errors in parts for error in errors]
            elif _is_record(hint) and hint not in self._singles and isinstance(value, Record):
                changes[name], errors = self.encodable_part(value, of)
                lost += errors
        if not lost or any(part is None for part in changes.values()):
            return None, [_of(whole, record)]
        part = msgspec.structs.replace(record, **changes)
        try:
            self.fill(part, message())
        except Unencodable as error:
            return None, [_of(error, record)]
        return part, lost

    # ---- compiling

    def _compile(self, kind: type[Record], descriptor: Descriptor) -> str:
        """See that `fill_<name>` and `read_<name>` are in the scope, and return the name."""
        key = kind, descriptor.full_name
        if key in self._compiled:
            return self._compiled[key]
        name = self._compiled[key] = self._known(kind.__name__, kind)
        hints = typing.get_type_hints(kind, include_extras=True)
        renames = self._renames.get(kind, {})
        writes: list[str] = []
        of_writes: list[str] = []  # the field of each
        reads: list[str] = []
        of_reads: list[str] = []
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
            statements = self._write_field(info.name, hint, proto)
            writes += statements
            of_writes += [info.name] * len(statements)
            by_name = "" if info.name in kind.__match_args__ else f"{info.name}="
            reads.append(by_name + self._read_field(info, _plain(hint), proto))
            of_reads.append(info.name)
        if not touched:
            writes.insert(0, "m.SetInParent()")
            of_writes.insert(0, "")
        # One line before the statements, and three before the expressions: see below.
        self._lines[_file(name)] = ["", *of_writes, "", "", "", *of_reads, ""]
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
        file = _file(name)
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
        """The expression that a record's reader passes for one field."""
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
            default = "missing()"
        if proto.is_repeated:
            return f"{self._get(hint, proto, 'c')} if (c := m.{proto.name}) else {default}"
        get = self._get(hint, proto, f"m.{proto.name}")
        if _same_default(info.default, proto):
            return get
        return f"{get} if has('{proto.name}') else {default}"

    def _get(self, hint: Any, proto: FieldDescriptor, at: str) -> str:
        """The expression that reads the field, which is `at`."""
        special = (self._specials if proto.is_repeated else self._singles).get(hint)
        if special is not None:
            return f"{self._known('get', special.get)}({at})"
        if get_origin(hint) is dict:
            return self._get_map(hint, proto, at)
        if proto.is_repeated:
            item = _plain(get_args(hint)[0])
            get = self._getter(item, proto)
            if proto.type != FieldDescriptor.TYPE_STRING:
                assert self._bounds(item, proto) is None, "no list of numbers has bounds so far"
            # A slice: to end an iteration over a container costs as much as an item.
            return f"tuple(map({get}, {at}[:]))" if get else f"tuple({at})"
        if proto.message_type is not None:
            return self._get_message(hint, proto.message_type, at)
        if proto.enum_type is not None:
            return f"{self._members(hint, proto.enum_type)}[{at}]"
        if proto.type == FieldDescriptor.TYPE_STRING:
            return self._get_text(hint, proto, at)
        bounds = self._bounds(hint, proto)
        if bounds is not None:
            fits = bounds.fits.replace("{}", f"(v := {at})")
            return f"(v if {fits} else out_of_bounds(v, {bounds.kind}))"
        return at

    def _get_text(self, hint: Any, proto: FieldDescriptor, at: str) -> str:
        bounds = self._bounds(hint, proto)
        if bounds is None:
            return f"(v if type(v := {at}) is str else text(v))"
        fits = f"type(v := {at}) is str and {bounds.fits.replace('{}', 'v')}"
        return f"(v if {fits} else unfit_text(v, {bounds.kind}))"

    def _bounds_s(self, hint: Any) -> tuple[int, int, str]:
        """As `_bounds`, of seconds, which must have bounds: the type can say more than the wire."""
        meta = meta_of(hint)
        assert meta is not None, f"seconds without bounds: {hint}"
        assert isinstance(meta.ge, int)
        assert isinstance(meta.le, int)
        return meta.ge, meta.le, self._known("seconds", hint)

    def _bounds(self, hint: Any, proto: FieldDescriptor) -> Bounds | None:
        """The bounds of the field; None if there is nothing to check."""
        meta = meta_of(hint)
        if meta is None:
            return None
        if proto.type == FieldDescriptor.TYPE_STRING:
            fits = self._fits(meta)
            return Bounds(fits, self._known("bounds", hint)) if fits else None
        if meta.ge is None or meta.le is None or _WIDTHS.get(proto.type) == (meta.ge, meta.le):
            return None
        number = _bare(hint)  # a float is compared fastest with floats
        fits = f"{number(meta.ge)!r} <= {{}} <= {number(meta.le)!r}"
        return Bounds(fits, self._known("bounds", hint))

    def _fits(self, meta: msgspec.Meta) -> str:
        """`Bounds.fits` of a text; empty if every text fits."""
        parts = []
        if meta.min_length is not None:
            parts.append(f"len({{}}) >= {meta.min_length}")
        if meta.max_length is not None:
            parts.append(f"len({{}}) <= {meta.max_length}")
        if meta.pattern is not None:
            parts.append(f"{self._known('search', re.compile(meta.pattern).search)}({{}})")
        return " and ".join(parts)

    def _getter(self, item: Any, proto: FieldDescriptor) -> str:
        """The function that reads one of the field's values; empty if they can stay as they are."""
        if proto.enum_type is not None:
            return f"{self._members(item, proto.enum_type)}.__getitem__"
        if proto.type == FieldDescriptor.TYPE_STRING:
            if self._bounds(item, proto) is None:
                return "text"
            get = self._known("get", None)
            self._run(get, [f"{get} = lambda m: {self._get_text(item, proto, 'm')}"])
            return get
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
            value_hint = get_args(hint)[1]
            if (bounds := self._bounds(value_hint, value)) is None:
                return f"dict(entries({at}))"
            assert value.type != FieldDescriptor.TYPE_STRING, "no map of texts has bounds so far"
            fits = bounds.fits.replace("{}", "number")
            number = f"number if {fits} else out_of_bounds(number, {bounds.kind})"
            return f"{{key: {number} for key, number in entries({at})}}"
        get = self._getter(get_args(hint)[1], value)
        return f"{{key: {get}(message) for key, message in entries({at})}}"

    def _get_message(self, hint: Any, descriptor: Descriptor, at: str) -> str:
        if _is_record(hint):
            return f"read_{self._compile(hint, descriptor)}({at})"
        if _bare(hint) is float and descriptor.name in _SECONDS:
            low, high, kind = self._bounds_s(hint)
            nanos = (
                f"({at}.seconds * NANOS + {at}.nanos)"
                if descriptor.name == "Duration"
                else (f"{at}.nanoseconds")
            )
            bad = f"out_of_bounds_ns(v, {kind})"
            return f"(v / NANOS if {low * NANOS} <= (v := {nanos}) <= {high * NANOS} else {bad})"
        if _bare(hint) is int and descriptor.full_name == "mezzo.v1.Value.Scalar":
            return f"milli({at}.value)"
        inner = _wrapped(descriptor)
        return self._get(hint, inner, f"{at}.{inner.name}")

    def _members(self, hint: Any, enum: EnumDescriptor) -> str:
        return self._known(enum.name, _Members(hint, enum))

    # ---- writing: statements

    def _write_field(self, name: str, hint: Any, proto: FieldDescriptor) -> list[str]:
        """The statements of a record's writer for one field."""
        hint, optional = _plain(hint), _may_be_left_out(hint)
        if not optional:
            return self._put(hint, proto, "m", f"r.{name}")
        condition = f"v := r.{name}" if _holds_many(hint) else f"(v := r.{name}) is not None"
        return [f"if {condition}:", *_indented(self._put(hint, proto, "m", "v"))]

    def _put(self, hint: Any, proto: FieldDescriptor, m: str, value: str) -> list[str]:
        """The statements that write the value, an expression, into the field of `m`."""
        at = f"{m}.{proto.name}"
        special = (self._specials if proto.is_repeated else self._singles).get(hint)
        if special is not None:
            return [f"{self._known('put', special.put)}({value}, {at})"]
        if get_origin(hint) is dict:
            of_value = cast("Descriptor", proto.message_type).fields_by_name["value"]
            inner = of_value.message_type
            if inner is None:
                return [f"{at}.update({value})"]
            put = self._put_message(get_args(hint)[1], inner, "entries[key]", "item")
            return [f"entries = {at}", f"for key, item in {value}.items():", *_indented(put)]
        if proto.is_repeated:
            item = _plain(get_args(hint)[0])
            # A text would be written letter by letter.
            alone = [f"if type({value}) is str: one_alone()"] if _bare(item) is str else []
            if proto.message_type is None:
                check = _check("item", self._bounds(item, proto))
                each = [f"for item in {value}:", *_indented(check)] if check else []
                return [*alone, *each, f"{at}.extend({value})"]
            put = self._put_message(item, proto.message_type, "add()", "item")
            return [*alone, f"add = {at}.add", f"for item in {value}:", *_indented(put)]
        if proto.message_type is not None:
            return self._put_message(hint, proto.message_type, at, value)
        return [*_check(value, self._bounds(hint, proto)), f"{at} = {value}"]

    def _put_message(self, hint: Any, descriptor: Descriptor, at: str, value: str) -> list[str]:
        """As `_put`, into the sub-message `at`, which is evaluated once."""
        if hint in self._specials:
            return [f"{self._known('put', self._specials[hint].put)}({value}, {at})"]
        if _is_record(hint):
            return [f"fill_{self._compile(hint, descriptor)}({value}, {at})"]
        if _bare(hint) is float and descriptor.name in _SECONDS:
            low, high, kind = self._bounds_s(hint)
            put = (
                f"put_duration({value}, {at})"
                if descriptor.name == "Duration"
                else (
                    f"{at}.nanoseconds = "
                    f"round({value} * NANOS) if {value} < {_EXACT_S} else nanos({value})"
                )
            )
            return [*_check(value, Bounds(f"{low}.0 <= {{}} <= {high}.0", kind)), put]
        if _bare(hint) is int and descriptor.full_name == "mezzo.v1.Value.Scalar":
            return [
                f"if not 0 <= {value} <= MILLI_MAX: too_much({value})",
                f"{at}.value = from_milli({value})",
            ]
        return self._put(hint, _wrapped(descriptor), at, value)


def no_record(value: object, message: Message) -> Unencodable:
    """The error for a value that is not the record that the message holds."""
    return Unencodable(f"is of type {type(value).__name__}: make one", (message.DESCRIPTOR.name,))


def text(raw: str | bytes) -> str:
    """A string field, checked: proto2 hands out as bytes what is no UTF-8. Raises BadRequest."""
    if isinstance(raw, bytes):
        raise Misfit("is not UTF-8: encode it so")  # it may be a secret: it is not shown
    return raw


def entries(container: Any) -> list[tuple[str, Any]]:
    """A map field in the order of its keys. Raises BadRequest for a key that is not UTF-8."""
    try:
        return sorted(container.items())
    except UnicodeDecodeError:
        raise Misfit("has a key that is not UTF-8: encode it so") from None


class _Members(dict[int, Any]):
    """A record's values for the numbers of an enum: members of `hint`, or names if that is str."""

    def __init__(self, hint: Any, enum: EnumDescriptor) -> None:
        names = {number: value.name for number, value in enum.values_by_number.items()}
        if issubclass(hint, Enum):
            names = {number: name for number, name in names.items() if name in list(hint)}
        super().__init__({number: hint(name) for number, name in names.items()})
        self._enum = enum

    def __missing__(self, number: int) -> NoReturn:
        entry = self._enum.values_by_number.get(number)
        shown = entry.name if entry else number
        raise Misfit(f"is wrong: {self._enum.name} {shown} is not supported here")


def _missing() -> NoReturn:
    raise Misfit("is missing: give it")


def _out_of_bounds(value: float, kind: Any) -> NoReturn:
    raise Misfit(f"is {shown(value)}: it {problem(kind, value)}")


def _unfit_text(raw: str | bytes, kind: Any) -> NoReturn:
    raise Misfit(str(problem(kind, text(raw))))  # it may be a secret: it is not shown


def _out_of_bounds_ns(nanoseconds: int, kind: Any) -> NoReturn:
    raise Misfit(f"is {nanoseconds} ns: it {problem(kind, math.inf)} of seconds")


def _unwritable(value: float | str, kind: Any) -> NoReturn:
    if isinstance(value, str):
        raise Unencodable(str(problem(kind, value)))  # likewise
    raise Unencodable(f"is {shown(value)}: it {problem(kind, value)}")


def _one_alone() -> NoReturn:
    raise TypeError  # `mistyped` says which, as of all that is of a wrong type


def _too_much(milli: int) -> NoReturn:
    raise Unencodable(f"is {shown(milli)} thousandths: it must be from 0 to {SUM_MAX * MILLI}")


def _unwritten(error: Exception) -> str:
    if isinstance(error, UnicodeError):
        return "holds half of a surrogate pair, which is no text: leave it out"
    if isinstance(error, TypeError):
        return "is of a type that its field can't hold"
    return "is a value that its field can't hold"


def _of(error: Unencodable, record: Record) -> Unencodable:
    """The error, with the names of the record that it is about."""
    return Unencodable(f"{error.why} ({names_of(record)})", error.path)


def names_of(record: Record) -> str:
    """The names by which a log tells a record: its kind and ids, and no other of its values."""
    found = {}
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if isinstance(value, Record):
            value = getattr(value, "id", None) or getattr(value, name.rpartition("_")[0], None)
        if isinstance(value, str) and (name in _NAMES or name.endswith(("id", "info"))):
            found[name] = shown(value)
    return " ".join((type(record).__name__, *(f"{name}={value}" for name, value in found.items())))


def told_of(what: object) -> str:
    """What a log may say of a record that is sent."""
    return names_of(what) if isinstance(what, Record) else type(what).__name__


_NAMES = {"name", "hostname"}


def _milli(amount: float) -> int:
    if not 0 <= amount <= SUM_MAX:
        raise Misfit(f"is {amount}: it must be a number from 0 up to {SUM_MAX:g}")
    return to_milli(amount)


def _check(value: str, bounds: Bounds | None) -> list[str]:
    if bounds is None:
        return []
    fits = bounds.fits.replace("{}", value)
    return [f"if not ({fits}): unwritable({value}, {bounds.kind})"]


def _put_duration(seconds: float, message: Any) -> None:
    message.seconds, message.nanos = divmod(to_nanos(seconds), NANOS)


def _file(name: str) -> str:
    return f"<converter {name}>"


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


def _records(value: object) -> bool:
    return isinstance(value, (tuple, list)) and all(isinstance(each, Record) for each in value)


def _is_record(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Record)


def _holds_many(hint: Any) -> bool:
    return get_origin(hint) in (tuple, dict)


def _may_be_left_out(hint: Any) -> bool:
    """None, () and {} may be left out."""
    return _holds_many(_plain(hint)) or type(None) in get_args(hint)


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _plain(hint: Any) -> Any:
    """Strip `| None` and NewType: what is left says how to convert, bounds included."""
    if get_origin(hint) in (Union, types.UnionType):
        rest = [arg for arg in get_args(hint) if arg is not type(None)]
        if len(rest) == 1:
            hint = rest[0]
    while isinstance(hint, typing.NewType):
        hint = hint.__supertype__
    return hint


def _bare(hint: Any) -> Any:
    """The type without bounds."""
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint
