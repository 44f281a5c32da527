"""From an address to the detector or the election behind it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from ..errors import BadConfig
from ..zk.address import MASTER_PREFIX, SCHEME, SESSION_TIMEOUT_S, parse_hosts, parse_zk_address
from .base import Election, LeaderChanged, LeaderDetector
from .solo import SoloDetector, SoloElection

_SOLO: Final = "solo:"


class FixedDetector:
    """The leader is where the user says: one address, or several of which any one answers."""

    def __init__(self, addresses: str) -> None:
        """`addresses`: ``host:port[,host:port]``. Raises BadConfig."""
        self._addresses = parse_hosts(addresses)

    def start(self, listener: Callable[[LeaderChanged], None]) -> None:
        listener(LeaderChanged(self._addresses.encode()))

    def stop(self) -> None:
        """Nothing runs."""


def detector_for(
    address: str, *, prefix: str = MASTER_PREFIX, session_timeout_s: float = SESSION_TIMEOUT_S
) -> LeaderDetector:
    """Follow the leader at ``zk://...``, ``solo:/path/of/lock`` or ``host:port[,host:port]``.

    The report is what the leader published; a fixed address reports itself. `prefix` and
    `session_timeout_s` count for ZooKeeper. Raises BadConfig.
    """
    if address.startswith(SCHEME):
        from .zookeeper import ZooKeeperDetector  # kazoo: memory that others need not spend

        return ZooKeeperDetector(
            parse_zk_address(address), prefix=prefix, session_timeout_s=session_timeout_s
        )
    if address.startswith(_SOLO):
        return SoloDetector(_lock_path(address))
    try:
        return FixedDetector(address)
    except BadConfig as e:
        raise BadConfig(
            f"{e}: write host:port, solo:/absolute/path or zk://host:port,host:port/path"
        ) from None


def election_for(
    address: str,
    data: bytes,
    *,
    prefix: str = MASTER_PREFIX,
    session_timeout_s: float = SESSION_TIMEOUT_S,
) -> Election:
    """Campaign at ``zk://...`` or ``solo:/path/of/lock``, publishing `data` while we lead.

    Raises BadConfig.
    """
    if address.startswith(SCHEME):
        from .zookeeper import ZooKeeperElection  # as above

        where = parse_zk_address(address)
        return ZooKeeperElection(where, data, prefix=prefix, session_timeout_s=session_timeout_s)
    if address.startswith(_SOLO):
        return SoloElection(_lock_path(address), data)
    raise BadConfig(
        f"{address!r} is no place for an election: "
        "write solo:/absolute/path or zk://host:port,host:port/path"
    )


def _lock_path(address: str) -> Path:
    path = Path(address.removeprefix(_SOLO))
    if not path.is_absolute() or not path.name:
        raise BadConfig(f"{address!r}: name the lock file by its absolute path: solo:/path/of/lock")
    return path
