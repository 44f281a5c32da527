"""Batches no larger than one message should be, without records that can't be sent at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeVar

from google.protobuf.message import Message

from mezzo.errors import Unencodable

R = TypeVar("R")
M = TypeVar("M", bound=Message)

Refused = Callable[[Any, Unencodable], None]
"""Told of a record that can't be sent, or of a part of one, and why."""

# A peer may be sent much more at once. But a loop that makes a message does nothing else
# meanwhile: the offers of ten thousand agents would take it a tenth of a second.
PART_BYTES: Final = 256 * 1024
# What either end takes in one message.
MESSAGE_MAX_BYTES: Final = 64 * 1024 * 1024
# What an operator takes, and is sent: the whole state of a master, however large its cluster.
STATE_MAX_BYTES: Final = 1024 * 1024 * 1024
# Of one record. It travels in the envelope of a batch, and perhaps in that of a relay.
ENTRY_MAX_BYTES: Final = MESSAGE_MAX_BYTES - 64 * 1024


def reraise(_: object, error: Unencodable) -> None:
    """For a sender of one thing at a time, who wants to know."""
    raise error


def parts(
    records: Iterable[R],
    convert: Callable[[R], M],
    refused: Refused = reraise,
    *,
    instead: Callable[[R, Unencodable], M] | None = None,
    most_bytes: int = ENTRY_MAX_BYTES,
) -> Iterator[list[M]]:
    """Consecutive messages that are up to so many bytes together, each part when it is asked for.
    A larger message goes alone. In place of a record that can't be sent goes what `instead` makes
    of it; if that raises, or is not given, the record is left out, and `refused` gets it.
    """
    part: list[M] = []
    size = 0
    for record in records:
        try:
            try:
                entry = convert(record)
            except Unencodable as error:
                if instead is None:
                    raise
                entry = instead(record, error)
            entry_size = entry.ByteSize()
            if entry_size > most_bytes:
                raise Unencodable(f"takes {entry_size} bytes, and a message holds {most_bytes}")
        except Unencodable as error:
            refused(record, error)
            continue
        except Exception as error:  # noqa: BLE001 - a bug hurts one message, not all that follow
            refused(record, Unencodable(f"could not be sent: {type(error).__name__}"))
            continue
        if part and size + entry_size > PART_BYTES:
            yield part
            part, size = [], 0
        part.append(entry)
        size += entry_size
    if part:
        yield part
