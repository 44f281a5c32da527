"""What one call may set: each role once, and no more than one transaction of a store takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mezzo.errors import BadRequest
from mezzo.messages import operator as m
from mezzo.record import encode

# The writes of one call are one transaction, and that of ZooKeeper takes a megabyte.
CALL_MAX_BYTES: Final = 900_000


_WRITE_BYTES: Final = 300  # what a store may need for each write besides key and value


def check_each_once(roles: Iterable[str]) -> None:
    seen: dict[str, None] = {}
    for role in roles:
        if role in seen:
            raise BadRequest(f"role {role!r} is named twice in one call: name it once")
        seen[role] = None


def check_size(records: Iterable[m.WeightInfo] | Iterable[m.QuotaConfig]) -> None:
    """Escaping may take three bytes for each byte of a key, which holds the role's name."""
    size = sum(
        len(encode(record)) + 3 * len(record.role.encode()) + _WRITE_BYTES for record in records
    )
    if size > CALL_MAX_BYTES:
        raise BadRequest(
            f"what the call sets takes {size} bytes of the store, more than {CALL_MAX_BYTES}: "
            "set fewer roles at a time"
        )
