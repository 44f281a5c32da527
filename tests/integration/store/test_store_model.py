"""Random histories of several handles: memory, SQLite and a plain dict always agree."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mezzo.core import Delete, Put, Write
from mezzo.errors import Fenced
from mezzo.store.base import StateStore
from mezzo.store.memory import MemoryDisk, MemoryStore
from mezzo.store.sqlite import SqliteStore

HANDLES = 3
handles = st.integers(0, HANDLES - 1)
# Few keys, so that histories meet; some with anything that a core may put into an id.
keys = st.sampled_from(["app/1", "app/2", "pod/1"]) | st.text(
    st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=5
).map(lambda ident: f"app/{ident}")
writes: st.SearchStrategy[Write] = st.builds(Put, keys, st.binary(max_size=20)) | st.builds(
    Delete, keys
)


class Stores(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.disk = MemoryDisk()
        self.pairs = [self.open() for _ in range(HANDLES)]
        self.epochs = [0] * HANDLES  # the term of each handle
        self.epoch = 0
        self.model: dict[str, bytes] = {}

    def open(self) -> tuple[StateStore, StateStore]:
        return MemoryStore(self.disk), SqliteStore(self.directory / "state.db")

    @rule(handle=handles)
    def reopen(self, handle: int) -> None:
        for store in self.pairs[handle]:
            store.close()
        self.pairs[handle] = self.open()
        self.epochs[handle] = 0

    @rule(handle=handles)
    def open_term(self, handle: int) -> None:
        self.epoch += 1
        self.epochs[handle] = self.epoch
        assert [store.open_term() for store in self.pairs[handle]] == [self.epoch] * 2

    @rule(handle=handles, group=st.lists(writes, max_size=6))
    def commit(self, handle: int, group: list[Write]) -> None:
        owns = self.epochs[handle] == self.epoch > 0
        for store in self.pairs[handle]:
            try:
                store.commit(group)
            except Fenced:
                assert not owns
            else:
                assert owns
        for write in group if owns else ():
            if isinstance(write, Put):
                self.model[write.key] = write.value
            else:
                self.model.pop(write.key, None)

    @invariant()
    def every_handle_reads_what_the_owners_committed(self) -> None:
        for store in (store for pair in self.pairs for store in pair):
            assert list(store.load().items()) == sorted(self.model.items())

    def teardown(self) -> None:
        for store in (store for pair in self.pairs for store in pair):
            store.close()
        shutil.rmtree(self.directory)


TestStores = Stores.TestCase
TestStores.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
