"""Ids that are not used again: of tasks that have ended, of conversions that were applied."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from mezzo.ids import FrameworkId, TaskId
from mezzo.record import Record

K = TypeVar("K", bound=Hashable)

ENDED_MAX: Final = 10_000
APPLIED_MAX: Final = 1_000


class Ended(Record):
    number: int  # counts up; the newest `ENDED_MAX` are kept
    framework_id: FrameworkId
    task_id: TaskId


class Applied(Record):
    number: int  # as of Ended
    uuid: bytes


class Ring(Generic[K]):
    """The last `most` keys."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._keys: dict[K, int] = {}  # -> its number, the oldest first
        self._count = 0

    def __contains__(self, key: K) -> bool:
        return key in self._keys

    def add(self, key: K) -> int:
        """Add a key; returns the number of its entry."""
        number = self._count
        self._count += 1
        self._keys.pop(key, None)  # so that it moves to the end
        self._keys[key] = number
        if len(self._keys) > self._most:
            del self._keys[next(iter(self._keys))]
        return number

    def recall(self, number: int, key: K) -> None:
        """Add a key that the store has, in any order: `sort` follows."""
        self._keys[key] = min(number, self._keys.get(key, number))
        self._count = max(self._count, number + 1)

    def sort(self) -> None:
        self._keys = dict(sorted(self._keys.items(), key=lambda entry: entry[1]))
