"""Batches that are no larger than one message should be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeVar

from google.protobuf.message import Message

M = TypeVar("M", bound=Message)

PART_BYTES: Final = 4 * 1024 * 1024


def parts(entries: Iterable[M]) -> Iterator[list[M]]:
    """Consecutive entries that are up to so many bytes together. A larger one goes alone."""
    part: list[M] = []
    size = 0
    for entry in entries:
        entry_size = entry.ByteSize()
        if part and size + entry_size > PART_BYTES:
            yield part
            part, size = [], 0
        part.append(entry)
        size += entry_size
    if part:
        yield part


def in_parts(batch: M, field: str) -> Iterator[M]:
    """The batch itself, most often; one that is too large as several, with the entries of its
    repeated `field` spread over them and all else in each; nothing if there are no entries."""
    entries: Any = getattr(batch, field)
    if not entries:
        return
    if batch.ByteSize() <= PART_BYTES:
        yield batch
        return
    all_entries = list(entries)
    batch.ClearField(field)
    for part in parts(all_entries):
        piece = type(batch)()
        piece.CopyFrom(batch)
        getattr(piece, field).extend(part)
        yield piece
