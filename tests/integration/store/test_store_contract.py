"""One contract for every state store, on real files and real ZooKeeper servers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mezzo.core import Delete, Put, write_bytes
from mezzo.errors import Fenced, StoreUnavailable, ValueTooLarge
from mezzo.store.base import StateStore
from mezzo.store.memory import MemoryDisk, MemoryStore
from mezzo.store.open import open_store
from tests.parts.zookeeper import ZkEnsemble

Opener = Callable[[], StateStore]

ODD_IDS = [
    "plain",
    "/",
    "/group/app",
    "a%2Fb",
    "%",
    ".",
    "..",
    "...",
    "a.b",
    " spaces and + signs ",
    "Grüße/日本/🚀",
    "zookeeper",
    "epoch",
    "x" * 200,
]


@pytest.fixture(params=["memory", "sqlite", pytest.param("zookeeper", marks=pytest.mark.zookeeper)])
def open_handle(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """Opens one more handle on the same storage. All of them are closed after the test."""
    handles: list[StateStore] = []
    disk = MemoryDisk()
    if request.param == "zookeeper":
        zk: ZkEnsemble = request.getfixturevalue("zk")
        url = zk.url()

    def opened() -> StateStore:
        if request.param == "memory":
            handles.append(MemoryStore(disk))
        elif request.param == "sqlite":
            handles.append(open_store(f"sqlite:{tmp_path}/new/state.db"))
        else:
            handles.append(open_store(url))
        return handles[-1]

    yield opened
    for handle in handles:
        handle.close()


@pytest.fixture
def store(open_handle: Opener) -> StateStore:
    handle = open_handle()
    handle.open_term()
    return handle


def test_a_new_store_is_empty_and_its_first_epoch_is_one(open_handle: Opener) -> None:
    store = open_handle()
    assert store.load() == {}
    assert store.open_term() == 1
    assert store.load() == {}


def test_what_was_committed_is_loaded_by_the_next_owner_in_the_order_of_keys(
    open_handle: Opener, store: StateStore
) -> None:
    store.commit([Put("b/2", b"two"), Put("a/1", b"one"), Put("b/1", b"")])
    store.commit([Put("b/2", b"2"), Delete("b/1")])
    heir = open_handle()
    assert heir.open_term() == 2
    assert list(heir.load().items()) == [("a/1", b"one"), ("b/2", b"2")]


def test_an_epoch_is_as_great_as_asked_and_always_greater_than_before(
    open_handle: Opener, store: StateStore
) -> None:
    far = 2**53
    assert store.open_term(at_least=1) == 2
    heir = open_handle()
    assert heir.open_term(at_least=far) == far
    assert open_handle().open_term(at_least=far) == far + 1
    last = open_handle()
    assert last.open_term(at_least=5) == far + 2
    last.commit([Put("a/1", b"x")])
    with pytest.raises(Fenced):
        heir.commit([Put("a/1", b"y")])


def test_an_owner_that_never_loaded_replaces_and_deletes_what_is_there(
    open_handle: Opener, store: StateStore
) -> None:
    store.commit([Put("a/1", b"old"), Put("a/2", b"old")])
    heir = open_handle()
    heir.open_term()
    heir.commit([Put("a/1", b"new"), Delete("a/2"), Put("a/3", b"new")])
    assert heir.load() == {"a/1": b"new", "a/3": b"new"}


def test_the_last_write_of_a_key_in_one_commit_counts(store: StateStore) -> None:
    store.commit(
        [Put("a/1", b"x"), Delete("a/1"), Put("a/1", b"y"), Put("a/2", b"z"), Delete("a/2")]
    )
    assert store.load() == {"a/1": b"y"}


def test_deleting_a_missing_key_is_no_error(store: StateStore) -> None:
    store.commit([Delete("a/never"), Put("a/1", b"x")])
    store.commit([Delete("a/1")])
    store.commit([Delete("a/1")])
    assert store.load() == {}


def test_any_id_comes_back_as_it_was(open_handle: Opener, store: StateStore) -> None:
    written = {f"app/{ident}": ident.encode() for ident in ODD_IDS}
    store.commit([Put(key, value) for key, value in written.items()])
    heir = open_handle()
    heir.open_term()
    assert heir.load() == written
    heir.commit([Delete(key) for key in written])
    assert heir.load() == {}


@pytest.mark.parametrize(
    "key", ["", "app", "app/", "/x", "epoch/1", "a.b/1", "app/a\nb", "app/\x7f"]
)
def test_a_key_that_is_none_is_refused_and_nothing_is_changed(store: StateStore, key: str) -> None:
    with pytest.raises(ValueError, match="the key"):
        store.commit([Put("a/1", b"x"), Put(key, b"y")])
    assert store.load() == {}


def test_a_value_that_is_too_large_is_refused_and_nothing_is_changed(store: StateStore) -> None:
    largest = bytes(store.max_value_bytes)
    store.commit([Put("a/1", largest)])
    with pytest.raises(ValueTooLarge, match="a/2"):
        store.commit([Put("a/1", b""), Put("a/2", largest + b"!")])
    assert store.load() == {"a/1": largest}


def test_a_commit_may_be_as_large_as_its_limit_and_not_larger(store: StateStore) -> None:
    count = 5
    each = store.max_commit_bytes // count - write_bytes(Put("kind/0", b""))
    full = [Put(f"kind/{n}", bytes(each)) for n in range(count)]
    with pytest.raises(ValueTooLarge, match="commit of 6 writes"):
        store.commit([*full, Put("kind/more", b"")])
    assert store.load() == {}
    store.commit(full)
    assert store.load() == {put.key: put.value for put in full}


def test_a_commit_of_many_small_writes_fits_when_their_sizes_say_so(store: StateStore) -> None:
    # Escaped threefold and empty: the most paths and headers for the least value.
    put = Put("kind/" + "日" * 10 + "00000", b"")
    count = min(store.max_commit_bytes // write_bytes(put), 3000)
    writes = [Put("kind/" + "日" * 10 + f"{i:05d}", b"") for i in range(count)]
    store.commit(writes)
    assert list(store.load()) == [write.key for write in writes]


def test_an_older_owner_is_fenced_and_its_writes_are_dropped_whole(
    open_handle: Opener, store: StateStore
) -> None:
    store.commit([Put("a/1", b"first")])
    heir = open_handle()
    assert heir.open_term() == 2
    for _ in range(2):  # once fenced, always fenced
        with pytest.raises(Fenced, match="epoch 1"):
            store.commit([Put("a/1", b"late"), Put("a/2", b"late")])
    with pytest.raises(Fenced):
        store.commit([])
    heir.commit([Put("a/3", b"second")])
    assert heir.load() == {"a/1": b"first", "a/3": b"second"}


def test_without_a_term_nothing_can_be_committed(open_handle: Opener, store: StateStore) -> None:
    with pytest.raises(Fenced):
        open_handle().commit([Put("a/1", b"x")])
    assert store.load() == {}


def test_a_handle_may_open_another_term(open_handle: Opener, store: StateStore) -> None:
    heir = open_handle()
    heir.open_term()
    assert store.open_term() == 3
    store.commit([Put("a/1", b"x")])
    with pytest.raises(Fenced):
        heir.commit([])


def test_a_closed_store_keeps_its_state_and_its_epoch(open_handle: Opener) -> None:
    for epoch in (1, 2, 3):
        store = open_handle()
        assert store.open_term() == epoch
        store.commit([Put(f"epoch-{epoch}/x", b"")])
        store.close()
    assert list(open_handle().load()) == ["epoch-1/x", "epoch-2/x", "epoch-3/x"]


def test_of_owners_that_race_for_a_term_each_gets_an_epoch_and_the_last_one_owns(
    open_handle: Opener,
) -> None:
    handles = [open_handle() for _ in range(4)]
    epochs: dict[int, StateStore] = {}
    start = threading.Barrier(len(handles))

    def race(handle: StateStore) -> None:
        start.wait()
        epochs[handle.open_term()] = handle

    racers = [threading.Thread(target=race, args=(handle,)) for handle in handles]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert sorted(epochs) == [1, 2, 3, 4]
    epochs[4].commit([Put("a/1", b"last")])
    for epoch in (1, 2, 3):
        with pytest.raises(Fenced):
            epochs[epoch].commit([])


def test_a_memory_disk_out_of_reach_changes_nothing() -> None:
    disk = MemoryDisk()
    store = MemoryStore(disk)
    store.open_term()
    disk.reachable = False
    with pytest.raises(StoreUnavailable):
        store.commit([Put("a/1", b"x")])
    disk.reachable = True
    assert store.load() == {}


def test_a_token_whose_candidate_is_gone_cannot_open_a_term_in_memory() -> None:
    disk = MemoryDisk(candidates={"n1", "n2"})
    leader, sleeper = MemoryStore(disk), MemoryStore(disk)
    disk.candidates = {"n2"}
    assert leader.open_term("n2") == 1
    with pytest.raises(Fenced):
        sleeper.open_term("n1")
    leader.commit([Put("a/1", b"x")])
