"""The store of one machine: a SQLite file. A commit is on the disk when it returns."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ..core import Delete, Put, Write
from ..errors import BadConfig, Fenced, StoreError, StoreUnavailable
from .base import check_writes

_FORMAT: Final = 1
_SCHEMA: Final = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS owner (id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL);
INSERT OR IGNORE INTO owner VALUES (1, 0);
PRAGMA user_version = {_FORMAT};
COMMIT;
"""


class SqliteStore:
    """See `mezzo.store.base.StateStore`. Tokens are not looked at: a file has no candidates.

    Any thread may use it, one at a time. `patience_s`: how long to wait for another process that
    is writing to the file.
    """

    max_value_bytes = 16 * 1024 * 1024
    max_commit_bytes = 64 * 1024 * 1024

    def __init__(self, path: Path, *, patience_s: float = 15.0) -> None:
        self._path = path
        self._epoch = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # SQLite gives its side files the mode of the main one; state may hold secrets.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._db = _connect(path, patience_s)
        except (OSError, sqlite3.Error) as e:
            raise BadConfig(
                f"cannot use {path} as the state store: {e}: name a file in a directory of a "
                "local disk that this user may write to"
            ) from e

    def open_term(self, token: str | None = None) -> int:
        with self._transaction():
            self._epoch = self._stored_epoch() + 1
            self._db.execute("UPDATE owner SET epoch = ?", (self._epoch,))
        return self._epoch

    def load(self) -> dict[str, bytes]:
        with self._explained():
            return dict(self._db.execute("SELECT key, value FROM state ORDER BY key"))

    def commit(self, writes: Sequence[Write]) -> None:
        check_writes(writes, self.max_value_bytes, self.max_commit_bytes)
        with self._transaction():
            stored = self._stored_epoch()
            if stored != self._epoch or self._epoch == 0:
                raise Fenced(self._epoch, stored)
            for write in writes:
                match write:
                    case Put(key, value):
                        self._db.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (key, value))
                    case Delete(key):
                        self._db.execute("DELETE FROM state WHERE key = ?", (key,))

    def close(self) -> None:
        self._db.close()

    def _stored_epoch(self) -> int:
        (epoch,) = self._db.execute("SELECT epoch FROM owner").fetchone()
        return int(epoch)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._explained():
            # IMMEDIATE: the epoch that we read cannot change before we commit.
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as e:
            raise StoreUnavailable(
                f"{self._path} cannot be read or written: {e}: see whether its disk is full or "
                "failing, or another process holds it"
            ) from e
        except sqlite3.Error as e:  # to ask again would not help
            raise StoreError(
                f"{self._path} is damaged: {e}: bring back a copy of it, or take another file and "
                "lose what it held"
            ) from e


def _connect(path: Path, patience_s: float) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=patience_s, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version not in (0, _FORMAT):
            raise sqlite3.DatabaseError(f"it has format {version}, this version reads {_FORMAT}")
        if version == 0:
            db.executescript(_SCHEMA)
    except sqlite3.Error:
        db.close()
        raise
    return db
