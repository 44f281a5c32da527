"""The store of one machine: a SQLite file. A commit is on the disk when it returns."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

from ..core import Delete, Put, Write
from ..errors import BadConfig, Fenced, StoreError, StoreUnavailable
from .base import check_writes

T = TypeVar("T")

_FORMAT: Final = 1
# Errors that pass: another process writes, the disk is full, fails or is read-only for a while.
# The low byte of an extended code says which kind it is.
_PASSING: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)
_PASSING_OS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE})
_WORTH_BYTES: Final = 4 * 1024 * 1024  # less is not given back to the file system
_GLANCE_S: Final = 0.25  # how long a wait for another process may hide that we are to close
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
    is writing to the file. A disk that is full when it starts is waited for like one that is full
    later: the first call that succeeds opens the file.
    """

    max_value_bytes = 16 * 1024 * 1024
    max_commit_bytes = 64 * 1024 * 1024

    def __init__(self, path: Path, *, patience_s: float = 15.0) -> None:
        self._path = path
        self._patience_s = patience_s
        self._epoch = 0
        self._lock = threading.Lock()  # held by the call that is under way
        self._closing = threading.Event()
        self._db: sqlite3.Connection | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = self._patiently(lambda: _connect(path))
        except (OSError, sqlite3.Error) as e:
            if not _passes(e):
                raise BadConfig(
                    f"cannot use {path} as the state store: {e}: name a file in a directory of a "
                    "local disk that this user may write to"
                ) from e

    def open_term(self, token: str | None = None, *, at_least: int = 1) -> int:
        with self._transaction() as db:
            epoch = max(_stored_epoch(db) + 1, at_least)
            db.execute("UPDATE owner SET epoch = ?", (epoch,))
        self._epoch = epoch
        with self._connection() as db:
            _compact(db)
        return epoch

    def load(self) -> dict[str, bytes]:
        with self._connection() as db:
            return dict(db.execute("SELECT key, value FROM state ORDER BY key"))

    def commit(self, writes: Sequence[Write]) -> None:
        check_writes(writes, self.max_value_bytes, self.max_commit_bytes)
        with self._transaction() as db:
            stored = _stored_epoch(db)
            if stored != self._epoch or self._epoch == 0:
                raise Fenced(self._epoch, stored)
            for write in writes:
                match write:
                    case Put(key, value):
                        db.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (key, value))
                    case Delete(key):
                        db.execute("DELETE FROM state WHERE key = ?", (key,))

    def close(self) -> None:
        self._closing.set()
        with self._lock:
            if self._db is not None:
                self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._connection() as db:
            # IMMEDIATE: the epoch that we read cannot change before we commit.
            self._patiently(lambda: db.execute("BEGIN IMMEDIATE"))
            try:
                yield db
                db.execute("COMMIT")
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

    def _patiently(self, action: Callable[[], T]) -> T:
        """Wait for another process that writes, for as long as we have patience."""
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                return action()
            except sqlite3.OperationalError as e:
                busy = e.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or self._closing.is_set() or time.monotonic() > deadline:
                    raise

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._explained():
            if self._closing.is_set():
                raise StoreUnavailable(f"{self._path} is closed")
            if self._db is None:
                self._db = self._patiently(lambda: _connect(self._path))
            yield self._db

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as e:
            if _passes(e):
                raise StoreUnavailable(
                    f"{self._path} cannot be read or written: {e}: see whether its disk is full or "
                    "failing, or another process holds it"
                ) from e
            raise StoreError(  # to ask again would not help
                f"{self._path} is damaged: {e}: bring back a copy of it, or take another file and "
                "lose what it held"
            ) from e


def _passes(error: OSError | sqlite3.Error) -> bool:
    if isinstance(error, OSError):
        return error.errno in _PASSING_OS
    code = getattr(error, "sqlite_errorcode", None)  # of what the module itself raises: none
    return code is not None and code & 0xFF in _PASSING


def _stored_epoch(db: sqlite3.Connection) -> int:
    (epoch,) = db.execute("SELECT epoch FROM owner").fetchone()
    return int(epoch)


def _compact(db: sqlite3.Connection) -> None:
    """Give back what is free in the file, if that is most of it.

    While it is open free pages are used again, so it never grows beyond the most that it has held.
    """
    pages, free, page_bytes = (
        int(db.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    if free * 2 > pages and free * page_bytes >= _WORTH_BYTES:
        with suppress(sqlite3.OperationalError):  # a full disk, another process that reads
            db.execute("VACUUM")


def _connect(path: Path) -> sqlite3.Connection:
    # SQLite gives its side files the mode of the main one; state may hold secrets.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    db = sqlite3.connect(path, timeout=_GLANCE_S, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA journal_size_limit = {_WORTH_BYTES}")  # cut off again after a burst
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version not in (0, _FORMAT):
            raise sqlite3.DatabaseError(f"it has format {version}, this version reads {_FORMAT}")
        if version == 0:
            db.executescript(_SCHEMA)
    except sqlite3.Error:
        db.close()
        raise
    return db
