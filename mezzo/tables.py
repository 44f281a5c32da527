"""The records that a daemon stores, declared once for each kind: loading, keeping, deleting and
upgrading follow from that.

    AGENTS = Table("agent", AgentRecord, lambda record: record.info.id)

    step.put(AGENTS, record)            # under agent/<id>
    stored.all_of(AGENTS)               # what was kept; what makes no sense is set aside

A value is the JSON ``[version, record]``: the version counts up with each change of the record's
shape that a reader of the old one would not bear, and `upgrades` lead from each to the next.
tests/data/golden has the values of every release: each later one must open them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar

import msgspec

from mezzo.errors import BadRequest, Corrupt
from mezzo.json_types import JsonValue
from mezzo.record import decode, encode
from mezzo.units import json_depth_problem, shown

R = TypeVar("R")
# From the plain JSON of a record of one version to that of the next.
Upgrade = Callable[[Any], Any]
_REASON_MAX_CHARS: Final = 1000


class _Value(msgspec.Struct, array_like=True, frozen=True):
    version: int
    record: msgspec.Raw


_values: Final = msgspec.json.Decoder(_Value)


class Table(Generic[R]):
    """The records of one kind. `id_of` a record: any text without control characters."""

    def __init__(
        self,
        kind: str,
        record: type[R],
        id_of: Callable[[R], str],
        upgrades: tuple[Upgrade, ...] = (),
    ) -> None:
        """upgrades: the first leads from version 1 to version 2."""
        self.kind = kind
        self.record = record
        self.id_of = id_of
        self.version = 1 + len(upgrades)
        self.upgrades = upgrades
        self._head = b"[%d," % self.version

    def key(self, id_: str) -> str:
        return f"{self.kind}/{id_}"

    def key_of(self, record: R) -> str:
        return self.key(self.id_of(record))

    def encode(self, record: R) -> bytes:
        return self._head + encode(record) + b"]"

    def decode(self, value: bytes) -> R:
        """The record of a stored value. Raises Corrupt, which says what is wrong with it."""
        if (problem := json_depth_problem(value)) is not None:
            raise Corrupt(f"its JSON {problem}")
        try:
            found = _values.decode(value)
        except msgspec.MsgspecError as error:
            raise Corrupt(
                f"stored bytes are no {self.record.__name__} with its version: {error}"
            ) from error
        if found.version == self.version:
            return decode(self.record, bytes(found.record))
        if not 0 < found.version < self.version:
            raise Corrupt(
                f"its version is {found.version}, and this mezzo knows up to {self.version} of "
                f"{self.kind} records: a later one has written it"
            )
        return decode(self.record, encode(self._upgraded(found)))

    def _upgraded(self, found: _Value) -> JsonValue:
        plain = msgspec.json.decode(found.record)
        try:
            for upgrade in self.upgrades[found.version - 1 :]:
                plain = upgrade(plain)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise Corrupt(f"it is no record of version {found.version}: {error!r}") from error
        return plain


class Stored:
    """All that a store holds, read table by table. Records that can't be read are set aside."""

    def __init__(self, values: Mapping[str, bytes]) -> None:
        self.values = values
        self.aside: dict[str, str] = {}  # key -> why
        self._known: dict[str, None] = {}  # kinds that were asked for
        self._of_kind: dict[str, list[str]] = {}
        for key in sorted(values):
            self._of_kind.setdefault(key.partition("/")[0], []).append(key)

    def read(self, table: Table[R], take: Callable[[R], None]) -> None:
        """Give each record to `take`, in the order of their keys. `take` raises Corrupt or
        BadRequest for a record that may not be: it is set aside."""
        self._known[table.kind] = None
        for key in self._of_kind.get(table.kind, ()):
            try:
                record = table.decode(self.values[key])
                if (own := table.key_of(record)) != key:
                    raise Corrupt(f"it is the record of {shown(own)}")
                take(record)
            except (Corrupt, BadRequest) as error:
                self.set_aside(key, str(error))

    def all_of(self, table: Table[R]) -> list[R]:
        found: list[R] = []
        self.read(table, found.append)
        return found

    def one_of(self, table: Table[R]) -> R | None:
        """The record of a table that has but one."""
        return next(iter(self.all_of(table)), None)

    def set_aside(self, key: str, why: str) -> None:
        self.aside[key] = why[:_REASON_MAX_CHARS]

    def unknown(self) -> list[str]:
        """Keys of kinds that were not asked for: those of a later version, or not ours."""
        return [
            key for kind, keys in self._of_kind.items() if kind not in self._known for key in keys
        ]
