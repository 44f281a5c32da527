"""Hypothesis strategies for protobuf messages that no record of ours wrote: any field, any value
that the wire can hold."""

from __future__ import annotations

import functools
import struct
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

# ---------------------------------------------------------------------------------- values

_ODD_DOUBLES: Final = (0.0, -0.0, 1e15, 1e300, 1.7976931348623157e308, 5e-324)
_doubles = st.one_of(
    st.sampled_from(_ODD_DOUBLES),
    st.floats(),
    st.floats(0, 1e6),
)


def _whole(low: int, high: int) -> st.SearchStrategy[int]:
    odd = [
        n for n in (low, high, -1, 0, 1, 65_535, 65_536, 2**31 - 1, 2**53 + 1) if low <= n <= high
    ]
    return st.one_of(st.sampled_from(odd), st.integers(0, 100), st.integers(low, high))


_texts = st.one_of(
    st.text(max_size=4),
    st.sampled_from(["", "*", "a" * 5000, "\x00", "/", "..", "\U0001f600"]),
)
# What parses as a text field and is none: set as bytes, beneath the wrapper's own check.
_NO_TEXT: Final = b"\xff\xfe"

_VALUES: Final[dict[int, st.SearchStrategy[Any]]] = {
    FieldDescriptor.TYPE_DOUBLE: _doubles,
    FieldDescriptor.TYPE_FLOAT: _doubles,
    FieldDescriptor.TYPE_INT32: _whole(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: _whole(0, 2**32 - 1),
    FieldDescriptor.TYPE_INT64: _whole(-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT64: _whole(0, 2**64 - 1),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_STRING: _texts,
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=20),
}

# ---------------------------------------------------------------------------------- messages


def messages(kind: type[Message]) -> st.SearchStrategy[Any]:
    """Whole messages, as they come out of their bytes."""
    return _raw(kind.DESCRIPTOR, 4).map(kind.FromString)


@functools.cache
def _raw(descriptor: Descriptor, depth: int) -> st.SearchStrategy[bytes]:
    """The bytes of one: fields may be missing (but the required ones), enums unknown, texts no
    UTF-8. Written by hand, for no library writes what is wrong."""
    optional = [field for field in descriptor.fields if not field.is_required]
    required = [field for field in descriptor.fields if field.is_required]
    if depth == 0:
        optional = [field for field in optional if field.message_type is None]
    some = st.lists(st.sampled_from(optional), max_size=4, unique=True) if optional else st.just([])
    type_ = descriptor.fields_by_name.get("type")
    bodies = _bodies(type_) if type_ is not None and depth else []

    @st.composite
    def build(draw: st.DrawFn) -> bytes:
        out = b""
        fields = {field.number: field for field in [*required, *draw(some)]}
        if bodies:
            # A type and its body, or the message says nothing that anybody reads.
            assert type_ is not None
            value, body = draw(st.sampled_from(bodies))
            out += _varint(type_.number << 3) + _varint(value)
            fields = {body.number: body, **fields}
            fields.pop(type_.number, None)
        for field in fields.values():
            times = draw(st.integers(0, 3)) if field.is_repeated else 1
            for _ in range(times):
                out += _field(draw, field, depth)
        return out

    return build()


def _bodies(type_: FieldDescriptor) -> list[tuple[int, FieldDescriptor]]:
    """The values of the type that have a field of their own, and that field."""
    fields = type_.containing_type.fields_by_name
    values = type_.enum_type.values if type_.enum_type is not None else ()
    return [
        (each.number, fields[each.name.lower()]) for each in values if each.name.lower() in fields
    ]


def _field(draw: st.DrawFn, field: FieldDescriptor, depth: int) -> bytes:
    number = field.number
    if field.message_type is not None:
        return _lengthy(number, draw(_raw(field.message_type, max(depth - 1, 0))))
    if field.enum_type is not None:
        known = sorted(field.enum_type.values_by_number)
        # One in a few is of a later version.
        value = draw(st.sampled_from(known * 4 + [99]))
        return _varint(number << 3) + _varint(value)
    if field.type == FieldDescriptor.TYPE_STRING:
        if draw(st.integers(0, 400)) == 223:
            return _lengthy(number, _NO_TEXT)
        return _lengthy(number, draw(_texts).encode())
    value = draw(_VALUES[field.type])
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _lengthy(number, value)
    if field.type == FieldDescriptor.TYPE_DOUBLE:
        return _varint(number << 3 | 1) + struct.pack("<d", value)
    return _varint(number << 3) + _varint(int(value) % 2**64)


def _lengthy(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def class_of(descriptor: Descriptor) -> type[Message]:
    return GetMessageClass(descriptor)
