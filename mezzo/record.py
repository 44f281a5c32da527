"""The base of every value, event and effect: immutable, typed, with a stable JSON form.

A `Record` is what a frozen slotted dataclass is (same declaration, equality, hash, pattern
matching), built on msgspec: it constructs ten times faster, and `encode` / `decode` give the bytes
that go into a state store. Why not dataclasses + pydantic: docs/adr/0003-records-are-msgspec.md.
"""

from __future__ import annotations

from typing import Any, TypeVar, dataclass_transform

import msgspec

from mezzo.errors import BadRequest, Corrupt
from mezzo.json_types import JsonValue


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class _RecordMeta(msgspec.StructMeta):
    """Tells type checkers that every subclass of Record is frozen without saying so again."""


class Record(msgspec.Struct, metaclass=_RecordMeta, frozen=True):
    """An immutable value. `msgspec.structs.replace(record, field=...)` makes a changed copy."""


replace = msgspec.structs.replace

R = TypeVar("R")


def _encode_hook(value: object) -> object:
    """A class that is no Record may say what is stored of it, by `to_plain` and `from_plain`."""
    to_plain = getattr(value, "to_plain", None)
    if to_plain is None:
        raise TypeError(f"{type(value).__name__} has no stored form")
    return to_plain()


def _decode_hook(kind: type, plain: JsonValue) -> object:
    from_plain = getattr(kind, "from_plain", None)
    if from_plain is None:
        raise TypeError(f"{kind.__name__} has no stored form")
    try:
        return from_plain(plain)
    except (LookupError, BadRequest) as error:  # of these msgspec makes no error of its own
        raise ValueError(f"no {kind.__name__.lower()}: {error!r}") from error


_encoder = msgspec.json.Encoder(enc_hook=_encode_hook, order="deterministic")


_decoders: dict[type[Any], msgspec.json.Decoder[Any]] = {}


def _decoder(kind: type[R]) -> msgspec.json.Decoder[R]:
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind, dec_hook=_decode_hook)
    return decoder


def encode(value: object) -> bytes:
    """The stored form: JSON, keys in the order of the fields. Defaults are there, too: a later
    release with others would change what somebody once chose."""
    return _encoder.encode(value)


def decode(kind: type[R], data: bytes) -> R:
    """Read what `encode` wrote. Unknown fields are ignored (an older version may read newer data).

    Raises Corrupt, naming the type and the place.
    """
    try:
        return _decoder(kind).decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Corrupt(f"stored bytes are no {kind.__name__}: {error}") from error
