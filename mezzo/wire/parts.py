"""Batches that are no larger than one message should be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

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
