"""Batches that are no larger than one message should be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

from google.protobuf.message import Message

M = TypeVar("M", bound=Message)

# What a peer may be sent at once is much more. But a loop that makes a message does nothing else
# meanwhile: the offers of ten thousand agents would take it a tenth of a second.
PART_BYTES: Final = 256 * 1024


def parts(entries: Iterable[M]) -> Iterator[list[M]]:
    """Consecutive entries that are up to so many bytes together, each part when it is asked for.
    A larger entry goes alone."""
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
