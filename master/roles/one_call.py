"""What one call may set: each role once, and no more than one transaction of a store takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from mezzo.core import REQUEST_BYTES_MAX, put_of, write_bytes
from mezzo.errors import BadRequest
from mezzo.tables import Table

R = TypeVar("R")


def check_each_once(roles: Iterable[str]) -> None:
    seen: dict[str, None] = {}
    for role in roles:
        if role in seen:
            raise BadRequest(f"role {role!r} is named twice in one call: name it once")
        seen[role] = None


def check_size(table: Table[R], records: Iterable[R]) -> None:
    size = sum(write_bytes(put_of(table, record)) for record in records)
    if size > REQUEST_BYTES_MAX:
        raise BadRequest(
            f"what the call sets takes {size} bytes of the store, more than {REQUEST_BYTES_MAX}: "
            "set fewer roles at a time"
        )
