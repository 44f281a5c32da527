"""What only the SQLite store promises: real files, killed processes."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mezzo.core import Delete, Put
from mezzo.errors import BadConfig, StoreError, StoreUnavailable
from mezzo.store.sqlite import SqliteStore
from tests.parts.small_disk import fill, small_disk_at

WRITER = """
import sys
from pathlib import Path
from mezzo.core import Delete, Put
from mezzo.store.sqlite import SqliteStore
store = SqliteStore(Path(sys.argv[1]))
store.open_term()
n = 0
while True:
    n += 1
    store.commit([Put("left/n", str(n).encode()), Put("right/n", str(n).encode())])
    print(n, flush=True)
"""


def test_a_killed_writer_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    for epoch in range(1, 4):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        told = [writer.stdout.readline() for _ in range(40)]
        writer.kill()
        told += writer.communicate()[0].splitlines()
        promised = int(told[-1])
        store = SqliteStore(path)
        left, right = store.load().values()
        assert left == right
        assert int(left) in (promised, promised + 1)  # it may have died before it told
        assert store.open_term() == 2 * epoch
        store.close()


def test_a_sqlite_store_can_be_used_from_another_thread(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")
    store.open_term()
    worker = threading.Thread(target=store.commit, args=([Put("a/1", b"x")],))
    worker.start()
    worker.join()
    assert store.load() == {"a/1": b"x"}
    store.close()


def test_many_processes_may_open_one_new_sqlite_file_at_once(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from mezzo.store.sqlite import SqliteStore\n"
    code += "print(SqliteStore(Path(sys.argv[1])).open_term())"
    command = [sys.executable, "-c", code, str(tmp_path / "state.db")]
    openers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert sorted(opener.communicate()[0].strip() for opener in openers) == ["1", "2", "3", "4"]


def test_a_sqlite_file_is_for_its_owner_only(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")
    store.open_term()
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    store.close()
    assert modes == {"state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600}


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes " * 1000)
    with pytest.raises(BadConfig, match=r"notes\.txt"):
        SqliteStore(path)
    assert path.read_text() == "my notes " * 1000
    with pytest.raises(BadConfig, match="local disk"):
        SqliteStore(path / "state.db")


def test_a_damaged_file_is_said_to_be_so_and_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = SqliteStore(path)
    store.open_term()
    store.commit([Put(f"k/{number}", b"x" * 1000) for number in range(2000)])
    store.close()
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = b"\xff" * (len(content) - len(content) // 2)
    path.write_bytes(content)
    store = SqliteStore(path)
    with pytest.raises(StoreError, match="is damaged") as raised:
        store.load()
    assert not isinstance(raised.value, StoreUnavailable)
    store.close()


# ---- a disk that is full, for a while


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    yield from small_disk_at(tmp_path / "disk", "1m")


def test_a_full_disk_is_waited_for_and_nothing_is_lost_or_done_by_halves(small_disk: Path) -> None:
    store = SqliteStore(small_disk / "state.db")
    store.open_term()
    store.commit([Put("a/1", b"before")])
    ballast = fill(small_disk)
    writes = [Put(f"b/{number}", b"x" * 1000) for number in range(100)]
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="disk is full"):
            store.commit(writes)
    assert store.load() == {"a/1": b"before"}
    ballast.unlink()
    store.commit(writes)
    store.commit([Put("a/1", b"after")])
    store.close()
    again = SqliteStore(small_disk / "state.db")
    assert len(again.load()) == 101
    assert again.load()["a/1"] == b"after"
    again.close()


def test_a_disk_that_is_full_at_the_start_is_waited_for_as_well(small_disk: Path) -> None:
    ballast = fill(small_disk)
    store = SqliteStore(small_disk / "state.db")
    with pytest.raises(StoreUnavailable, match="disk is full"):
        store.open_term()
    ballast.unlink()
    assert store.open_term() == 1
    store.commit([Put("a/1", b"x")])
    assert store.load() == {"a/1": b"x"}
    store.close()


def test_a_full_disk_without_root_by_the_limit_of_the_database(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")
    store.open_term()
    assert store._db is not None
    store._db.execute("PRAGMA max_page_count = 10")
    with pytest.raises(StoreUnavailable, match="disk is full"):
        store.commit([Put("a/1", b"x" * 100_000)])
    store._db.execute("PRAGMA max_page_count = 1000")
    store.commit([Put("a/1", b"x" * 100_000)])
    store.close()


def test_a_store_that_waits_for_another_process_can_be_closed(tmp_path: Path) -> None:
    """Else nobody who was told to stop could, for as long as its patience lasts."""
    path = tmp_path / "state.db"
    store = SqliteStore(path, patience_s=600.0)
    store.open_term()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    ended: list[Exception] = []

    def commit() -> None:
        try:
            store.commit([Put("a/1", b"x")])
        except StoreUnavailable as error:
            ended.append(error)

    waiting = threading.Thread(target=commit)
    waiting.start()
    store.close()
    waiting.join(10)
    assert ended
    other.close()
    with pytest.raises(StoreUnavailable, match="is closed"):
        store.commit([])


def test_a_file_that_is_mostly_empty_is_given_back_at_the_next_term(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = SqliteStore(path)
    store.open_term()
    store.commit([Put(f"app/{n}", bytes(1 << 20)) for n in range(12)])
    store.commit([Delete(f"app/{n}") for n in range(1, 12)])
    store.close()
    assert path.stat().st_size > 10 << 20
    store = SqliteStore(path)
    store.open_term()
    assert store.load() == {"app/0": bytes(1 << 20)}
    store.commit([Put("app/1", b"x")])
    store.close()
    assert path.stat().st_size < 2 << 20
