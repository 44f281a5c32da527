"""The store of simulations and tests: pure, no clock, no thread, no file.

A `MemoryDisk` outlives the handles on it as a real disk outlives a crashed process, and carries the
faults that a simulation wants.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..core import COMMIT_BYTES_MAX, VALUE_BYTES_MAX, Delete, Put, Write
from ..errors import Fenced, StoreUnavailable
from .base import check_writes


@dataclass(slots=True)
class MemoryDisk:
    """What several handles share.

    candidates: the tokens of the candidates that are still there; None: tokens are not checked.
    reachable: False makes every call raise StoreUnavailable and change nothing.
    The limits are those of the ZooKeeper store, so that a simulation meets them.
    """

    data: dict[str, bytes] = field(default_factory=dict)
    epoch: int = 0
    candidates: set[str] | None = None
    reachable: bool = True
    max_value_bytes: int = VALUE_BYTES_MAX
    max_commit_bytes: int = COMMIT_BYTES_MAX


class MemoryStore:
    """A handle on a `MemoryDisk`. See `mezzo.store.base.StateStore`."""

    def __init__(self, disk: MemoryDisk | None = None) -> None:
        self._disk = disk if disk is not None else MemoryDisk()
        self._epoch = 0
        self.max_value_bytes = self._disk.max_value_bytes
        self.max_commit_bytes = self._disk.max_commit_bytes

    def open_term(self, token: str | None = None, *, at_least: int = 1) -> int:
        disk = self._reach()
        if token is not None and disk.candidates is not None and token not in disk.candidates:
            raise Fenced(disk.epoch + 1)
        self._epoch = disk.epoch = max(disk.epoch + 1, at_least)
        return self._epoch

    def load(self) -> dict[str, bytes]:
        return dict(sorted(self._reach().data.items()))

    def commit(self, writes: Sequence[Write]) -> None:
        check_writes(writes, self.max_value_bytes, self.max_commit_bytes)
        disk = self._reach()
        if disk.epoch != self._epoch or self._epoch == 0:
            raise Fenced(self._epoch, disk.epoch)
        for write in writes:
            match write:
                case Put(key, value):
                    disk.data[key] = value
                case Delete(key):
                    disk.data.pop(key, None)

    def close(self) -> None:
        """Nothing is to be let go of: the disk keeps everything."""

    def _reach(self) -> MemoryDisk:
        if not self._disk.reachable:
            raise StoreUnavailable("the memory disk is set to be unreachable")
        return self._disk
