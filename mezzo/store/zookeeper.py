"""The store of a cluster: ZooKeeper.

Layout below the address's path: ``<kind>/<percent-encoded id>`` holds a value, ``epoch`` holds the
mark of the latest transaction: JSON with the owner's epoch, its handle, and the number of the
transaction within the term. Every transaction replaces the mark and expects the version that the
owner left there. So the mark

- fences: a new owner raises the version, and the older one's transactions fail;
- counts: after a lost connection it tells whether the transaction in doubt was carried out.

The owner is the only writer, so it knows from its own writes which nodes exist.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final, TypeVar
from urllib.parse import quote, unquote

from kazoo.client import TransactionRequest
from kazoo.exceptions import (
    BadVersionError,
    KazooException,
    NoAuthError,
    NodeExistsError,
    NoNodeError,
    RolledBackError,
    RuntimeInconsistency,
)
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.interfaces import IAsyncResult

from ..core import COMMIT_BYTES_MAX, VALUE_BYTES_MAX, Put, Write
from ..errors import BadConfig, Fenced, StoreError, StoreUnavailable
from ..zk.address import ZkAddress
from ..zk.client import LOST_CONTACT, close_client, drop_client, make_client
from ..zk.multi_read import UNKNOWN_REQUEST, read_async
from .base import check_writes, split_key

T = TypeVar("T")

_GLANCE_S: Final = 0.25  # how long a wait may hide that we are to close
_READ_AHEAD: Final = 256  # requests on their way at a time while everything is read
_READ_TOGETHER: Final = 100  # nodes of one request
_ROOT_BYTES_MAX: Final = 100  # so that `core.write_bytes` bounds what a write takes on the wire


@dataclass(frozen=True, slots=True)
class _Mark:
    """The content of the epoch node: which transaction was the latest."""

    epoch: int
    handle: str
    number: int

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()


@dataclass(frozen=True, slots=True)
class _InDoubt:
    """A transaction that was sent: its mark, and the nodes that it makes and removes."""

    mark: _Mark
    made: set[str]
    removed: set[str]


class ZooKeeperStore:
    """See `mezzo.store.base.StateStore`.

    patience_s: how long a call keeps trying while no server answers. The limits keep every request
    below ZooKeeper's own default, ``jute.maxbuffer`` of 1,048,575 bytes, beyond which a server
    drops the connection without a word.
    """

    max_value_bytes = VALUE_BYTES_MAX
    max_commit_bytes = COMMIT_BYTES_MAX

    def __init__(
        self, address: ZkAddress, *, session_timeout_s: float = 10.0, patience_s: float = 15.0
    ) -> None:
        if len(address.path.encode()) > _ROOT_BYTES_MAX:
            raise BadConfig(f"{address}: name a path of at most {_ROOT_BYTES_MAX} bytes")
        self._address = address
        self._root = address.path
        self._epoch_path = f"{address.path}/epoch"
        self._patience_s = patience_s
        self._closing = threading.Event()
        self._deadline_s = 0.0  # of the call that is under way
        self._handle = secrets.token_hex(8)
        self._mark = _Mark(0, self._handle, 0)  # of our latest transaction that was carried out
        self._version = -1  # of the epoch node after it
        self._number = 0  # of our latest transaction, carried out or not
        self._in_doubt: _InDoubt | None = None
        self._nodes: set[str] | None = None  # that exist below the root; None: not read yet
        self._session_timeout_s = session_timeout_s
        self._connect()

    def _connect(self) -> None:
        self._client = make_client(self._address, self._session_timeout_s, public=False)
        self._connected = self._client.start_async()

    def open_term(self, token: str | None = None, *, at_least: int = 1) -> int:
        self._in_doubt = self._nodes = None
        self._number = 0
        tried: list[_Mark] = []

        def attempt() -> tuple[_Mark, int] | None:
            self._answer(self._client.ensure_path_async(self._root))
            current, version = self._read_mark()
            if current in tried:  # its answer was lost
                return tried[tried.index(current)], version
            epoch = max(current.epoch + 1 if current else 1, at_least)
            mark = _Mark(epoch, self._handle, 0)
            tried.append(mark)
            txn = self._client.transaction()
            if token is not None:
                txn.check(token, -1)
            if current is None:
                txn.create(self._epoch_path, mark.encode())
            else:
                txn.set_data(self._epoch_path, mark.encode(), version)
            match self._send(txn):
                case None:
                    return mark, version + 1
                case NoNodeError() if token is not None:
                    raise Fenced(mark.epoch)
                case BadVersionError() | NodeExistsError() | NoNodeError():
                    return None  # somebody else opened a term just now: ours comes after it
                case error:
                    raise error

        self._mark, self._version = self._patiently(attempt)
        return self._mark.epoch

    def load(self) -> dict[str, bytes]:
        def attempt() -> dict[str, bytes]:
            paths = sorted(path for path in self._list_nodes() if self._is_value(path))
            pairs = zip(paths, self._read(paths), strict=True)
            return {self._key(path): value for path, value in pairs if value is not None}

        return self._patiently(attempt)

    def _read(self, paths: Sequence[str]) -> Iterator[bytes | None]:
        """The values of nodes in order, None for one that is gone."""
        groups = [paths[at : at + _READ_TOGETHER] for at in range(0, len(paths), _READ_TOGETHER)]
        try:
            for values in self._pipelined(read_async(self._client, group) for group in groups):
                yield from values or ()
        except UNKNOWN_REQUEST:  # a server before 3.6
            for node in self._pipelined(self._client.get_async(path) for path in paths):
                yield None if node is None else node[0]

    def commit(self, writes: Sequence[Write]) -> None:
        check_writes(writes, self.max_value_bytes, self.max_commit_bytes)
        if self._mark.epoch == 0:
            raise Fenced(0)
        self._number += 1
        mark = _Mark(self._mark.epoch, self._handle, self._number)

        def attempt() -> bool | None:
            if self._in_doubt is not None:
                self._settle(self._in_doubt)
            if self._mark == mark:  # an earlier attempt, whose answer was lost
                return True
            if self._nodes is None:
                self._nodes = self._list_nodes()
            txn, sent = self._transaction(mark, writes, self._nodes)
            self._in_doubt = sent
            match self._send(txn):
                case None:
                    self._carried_out(sent, self._version + 1)
                    return True
                case BadVersionError():
                    self._settle(sent)
                    return None
                case NodeExistsError() | NoNodeError():
                    self._settle(sent)  # the mark is gone, too, where ZooKeeper came back empty
                    self._nodes = None  # our nodes were edited by hand: look what is there
                    return None
                case error:
                    raise error

        self._patiently(attempt)

    def close(self) -> None:
        self._closing.set()
        close_client(self._client)

    def _transaction(
        self, mark: _Mark, writes: Sequence[Write], nodes: set[str]
    ) -> tuple[TransactionRequest, _InDoubt]:
        txn = self._client.transaction()
        txn.set_data(self._epoch_path, mark.encode(), self._version)
        made: set[str] = set()
        removed: set[str] = set()
        for key, write in {write.key: write for write in writes}.items():  # the last one counts
            path = self._path(key)
            if isinstance(write, Put):
                kind_path = path.rpartition("/")[0]
                if kind_path not in nodes and kind_path not in made:
                    txn.create(kind_path)
                    made.add(kind_path)
                if path in nodes:
                    txn.set_data(path, write.value)
                else:
                    txn.create(path, write.value)
                    made.add(path)
            elif path in nodes:
                txn.delete(path)
                removed.add(path)
        return txn, _InDoubt(mark, made, removed)

    def _settle(self, doubt: _InDoubt) -> None:
        """Find out whether `doubt` was carried out. Raises Fenced if somebody else owns the store.

        It cannot be carried out any later: ZooKeeper keeps the order of a session's requests, and
        refuses those that come over a connection that its session has left.
        """
        current, version = self._read_mark()
        if current == doubt.mark:
            self._carried_out(doubt, version)
        elif current == self._mark:
            self._version, self._in_doubt = version, None
        else:
            raise Fenced(self._mark.epoch, current.epoch if current else None)

    def _carried_out(self, done: _InDoubt, version: int) -> None:
        self._mark, self._version, self._in_doubt = done.mark, version, None
        if self._nodes is not None:
            self._nodes |= done.made
            self._nodes -= done.removed

    def _read_mark(self) -> tuple[_Mark | None, int]:
        """The mark and the version of its node; (None, -1) while there is none."""
        self._sync()
        found = self._answer_if_there(self._client.get_async(self._epoch_path))
        if found is None:
            return None, -1
        data, stat = found
        try:
            return _Mark(**json.loads(data)), stat.version
        except (ValueError, TypeError) as e:
            raise StoreError(
                f"{self._epoch_path} in {self._address} was not written by a state store: "
                "name a path that nothing else uses"
            ) from e

    def _list_nodes(self) -> set[str]:
        """The paths of all kinds and values."""
        self._sync()
        below_root = self._answer_if_there(self._client.get_children_async(self._root)) or []
        kinds = [
            path for name in below_root if (path := f"{self._root}/{name}") != self._epoch_path
        ]
        names = self._pipelined(self._client.get_children_async(kind) for kind in kinds)
        nodes = set(kinds)
        for kind, children in zip(kinds, names, strict=True):
            nodes.update(f"{kind}/{name}" for name in children or ())
        return nodes

    def _sync(self) -> None:
        # The server that we reach now may be behind the one that answered before.
        self._answer(self._client.sync_async(self._root))

    def _path(self, key: str) -> str:
        kind, ident = split_key(key)
        # ZooKeeper takes no node called "." or "..", and quoting leaves dots alone.
        name = quote(ident, safe="") if ident.strip(".") else ident.replace(".", "%2E")
        return f"{self._root}/{kind}/{name}"

    def _key(self, path: str) -> str:
        return unquote(path[len(self._root) + 1 :])

    def _is_value(self, path: str) -> bool:
        return "/" in path[len(self._root) + 1 :]

    def _send(self, txn: TransactionRequest) -> KazooException | None:
        """Carry out a transaction. Returns why it was refused, or None."""
        for result in self._answer(txn.commit_async()):
            # These two only say that another part of the transaction failed.
            if isinstance(result, KazooException) and not isinstance(
                result, RolledBackError | RuntimeInconsistency
            ):
                return result
        return None

    def _answer(self, asked: IAsyncResult[T]) -> T:
        """Raises one of LOST_CONTACT at our deadline, or soon after we are to close."""
        while not asked.wait(min(_GLANCE_S, max(0.0, self._deadline_s - time.monotonic()))):
            if self._closing.is_set() or time.monotonic() >= self._deadline_s:
                raise KazooTimeoutError
        return asked.get()

    def _answer_if_there(self, asked: IAsyncResult[T]) -> T | None:
        try:
            return self._answer(asked)
        except NoNodeError:
            return None

    def _pipelined(self, requests: Iterable[IAsyncResult[T]]) -> Iterator[T | None]:
        """The answers in order, None for a node that is gone; each one renews our patience."""
        asked: deque[IAsyncResult[T]] = deque()
        for request in requests:
            asked.append(request)
            if len(asked) == _READ_AHEAD:
                yield self._renewing(asked.popleft())
        while asked:
            yield self._renewing(asked.popleft())

    def _renewing(self, asked: IAsyncResult[T]) -> T | None:
        answer = self._answer_if_there(asked)
        self._deadline_s = time.monotonic() + self._patience_s
        return answer

    def _patiently(self, attempt: Callable[[], T | None]) -> T:
        """Call `attempt` until it returns something; over again whenever the contact was lost."""
        self._deadline_s = time.monotonic() + self._patience_s
        while True:
            left_s = max(0.0, self._deadline_s - time.monotonic())
            if self._connected.wait(min(_GLANCE_S, left_s)):
                try:
                    if (result := attempt()) is not None:
                        return result
                except LOST_CONTACT:
                    pass
                except NoAuthError as e:
                    raise StoreError(
                        f"{self._address}: ZooKeeper refuses access to these nodes: give the "
                        "credentials that made them, zk://user:password@host:port/path"
                    ) from e
            if self._closing.is_set():
                raise StoreUnavailable(f"{self._address} is not used any more: it was closed")
            if time.monotonic() >= self._deadline_s:
                if not self._client.connected:
                    drop_client(self._client)
                    self._connect()
                raise StoreUnavailable(
                    f"{self._address} did not answer for {self._patience_s:g} s: see whether a "
                    "majority of its servers runs and can be reached from here"
                )
