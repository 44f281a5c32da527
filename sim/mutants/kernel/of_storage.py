"""Bugs in what is stored, fenced and sent."""

from __future__ import annotations

from typing import Any

from mezzo.core import Put
from mezzo.errors import BadRequest, Corrupt
from mezzo.store.base import check_writes
from mezzo.store.memory import MemoryStore
from mezzo.tables import Stored
from mezzo.wire import scheduler

from ..mutant import mutant


@mutant(MemoryStore, "commit")
def the_store_takes_writes_of_old_terms(original: Any) -> Any:
    def commit(self: Any, writes: Any) -> None:
        mine, self._epoch = self._epoch, self._disk.epoch
        try:
            original(self, writes)
        finally:
            self._epoch = mine

    return commit


@mutant(MemoryStore, "open_term")
def a_new_term_has_the_old_epoch(original: Any) -> Any:
    def open_term(self: Any, token: str | None = None, *, at_least: int = 1) -> int:
        before = self._disk.epoch
        original(self, token, at_least=at_least)
        epoch = self._epoch = self._disk.epoch = max(1, before)
        return int(epoch)

    return open_term


@mutant(MemoryStore, "commit")
def the_store_forgets_to_delete(original: Any) -> Any:
    def commit(self: Any, writes: Any) -> None:
        check_writes(writes, self.max_value_bytes, self.max_commit_bytes)
        original(self, [write for write in writes if isinstance(write, Put)])

    return commit


@mutant(MemoryStore, "commit")
def the_last_write_of_a_commit_is_lost(original: Any) -> Any:
    def commit(self: Any, writes: Any) -> None:
        original(self, writes[:-1] if len(writes) > 1 else writes)

    return commit


@mutant(Stored, "read")
def a_record_under_the_name_of_another_is_loaded(original: Any) -> Any:
    def read(self: Any, table: Any, take: Any) -> None:
        for key in self._of_kind.get(table.kind, ()):
            try:
                take(table.decode(self.values[key]))
            except (Corrupt, BadRequest) as error:
                self.set_aside(key, str(error))

    return read


@mutant(scheduler, "event_to_wire")
def an_event_is_lost_when_it_is_large(original: Any) -> Any:
    def to_wire(event: Any, epoch: int) -> Any:
        out = original(event, epoch)
        return type(out)(epoch=epoch) if out.ByteSize() > 2000 else out

    return to_wire
