"""From an address to the store behind it."""

from __future__ import annotations

from pathlib import Path

from ..errors import BadConfig
from ..zk.address import parse_zk_address
from .base import StateStore
from .memory import MemoryStore
from .sqlite import SqliteStore


def open_store(url: str, *, patience_s: float = 15.0) -> StateStore:
    """Open ``memory:``, ``sqlite:/path/file.db`` or ``zk://[user:password@]host:port,.../path``.

    patience_s: how long a call waits for a store that does not answer, before StoreUnavailable.
    Raises BadConfig. Does not wait for ZooKeeper; the first call on the store does.
    """
    scheme, _, rest = url.partition(":")
    match scheme:
        case "memory" if not rest:
            return MemoryStore()
        case "sqlite" if rest.startswith("/") and not rest.endswith("/"):
            return SqliteStore(Path(rest), patience_s=patience_s)
        case "zk":
            from .zookeeper import ZooKeeperStore  # kazoo: memory that others need not spend

            return ZooKeeperStore(parse_zk_address(url), patience_s=patience_s)
        case _:
            raise BadConfig(
                f"{scheme + ':...' if scheme != url else url!r} is no address of a state store: "
                "write memory:, sqlite:/absolute/path/file.db or zk://host:port,host:port/path"
            )
