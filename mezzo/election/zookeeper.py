"""Election and detection in ZooKeeper, in the layout that Mesos's clients read.

Every candidate is an ephemeral sequential child ``<prefix><10 digits>`` of a persistent node; the
lowest number leads, and the content of its node is what it publishes. Other children (such as
``log_replicas``) are not looked at. Marathon uses the same with another prefix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kazoo.exceptions import NoNodeError

from ..zk.address import MASTER_PREFIX, SESSION_TIMEOUT_S, ZkAddress
from .base import Confirmed, Doubt, Elected, ElectionEvent, LeaderChanged, Lost
from .session import Session


class ZooKeeperElection:
    """See `mezzo.election.base.Election`. `data` is the content of our candidate node."""

    def __init__(
        self,
        address: ZkAddress,
        data: bytes,
        *,
        prefix: str = MASTER_PREFIX,
        session_timeout_s: float = SESSION_TIMEOUT_S,
    ) -> None:
        self._path = address.path
        self._data = data
        self._prefix = prefix
        self._listener: Callable[[ElectionEvent], None]
        self._leading = False
        self._doubt = False
        self._over = False
        self._session = Session(address, session_timeout_s, self)

    def start(self, listener: Callable[[ElectionEvent], None]) -> None:
        self._listener = listener
        self._session.start()

    def stop(self) -> None:
        self._session.stop()

    def contact_lost(self, *, session_over: bool) -> None:
        if not self._leading or self._over:
            return
        if session_over:
            self._end()
        elif not self._doubt:
            self._doubt = True
            self._listener(Doubt())

    def look(self) -> None:
        if self._over:
            return
        names = self._candidates()
        mine = self._own(names)
        if mine is None:
            if self._leading:  # somebody deleted our node
                self._end()
            else:
                self._join()
        elif mine == names[0]:
            self._lead(mine)
        elif self._watch(names[names.index(mine) - 1]) is None:
            self._session.wake()

    def _candidates(self) -> list[str]:
        session, client = self._session, self._session.client
        session.answer(client.ensure_path_async(self._path))
        # Our server may not have heard yet of what we did through another.
        session.answer(client.sync_async(self._path))
        children = session.answer(client.get_children_async(self._path))
        return candidates(children, self._prefix)

    def _own(self, names: list[str]) -> str | None:
        """Our node, known by its session: so one is found whose creation was never answered."""
        session = self._session
        me = session.session_id()
        asked = [session.client.exists_async(f"{self._path}/{name}") for name in names]
        stats = [session.answer(each) for each in asked]
        for name, stat in zip(names, stats, strict=True):
            if stat is not None and stat.ephemeralOwner == me:
                return name
        return None

    def _join(self) -> None:
        created = self._session.client.create_async(
            f"{self._path}/{self._prefix}", self._data, ephemeral=True, sequence=True
        )
        self._session.answer(created)
        self._session.wake()

    def _lead(self, mine: str) -> None:
        if self._watch(mine) is None:
            self._session.wake()
        elif not self._leading:
            self._leading = True
            self._listener(Elected(f"{self._path}/{mine}"))
        elif self._doubt:
            self._doubt = False
            self._listener(Confirmed())

    def _watch(self, name: str) -> object | None:
        """Be woken when a node goes: only that of the candidate before us, or our own: no herd."""
        session = self._session
        return session.answer(session.client.exists_async(f"{self._path}/{name}", session.wake))

    def _end(self) -> None:
        self._over = True
        self._listener(Lost())


class ZooKeeperDetector:
    """See `mezzo.election.base.LeaderDetector`. Works before the node it watches exists."""

    def __init__(
        self,
        address: ZkAddress,
        *,
        prefix: str = MASTER_PREFIX,
        session_timeout_s: float = SESSION_TIMEOUT_S,
    ) -> None:
        self._path = address.path
        self._prefix = prefix
        self._listener: Callable[[LeaderChanged], None]
        self._reported: LeaderChanged | None = None
        self._session = Session(address, session_timeout_s, self)

    def start(self, listener: Callable[[LeaderChanged], None]) -> None:
        self._listener = listener
        self._session.start()

    def stop(self) -> None:
        self._session.stop()

    def contact_lost(self, *, session_over: bool) -> None:
        """The last known leader stands: most often it is only ZooKeeper that is away."""

    def look(self) -> None:
        session, client = self._session, self._session.client
        try:
            children = session.answer(client.get_children_async(self._path, session.wake))
        except NoNodeError:
            if session.answer(client.exists_async(self._path, session.wake)) is not None:
                session.wake()
            children = []
        names = candidates(children, self._prefix)
        try:
            leader = (
                session.answer(client.get_async(f"{self._path}/{names[0]}"))[0] if names else None
            )
        except NoNodeError:
            return  # it has just gone, so the watch on the children wakes us
        self._report(LeaderChanged(leader))

    def _report(self, event: LeaderChanged) -> None:
        if event != self._reported:
            self._reported = event
            self._listener(event)


def candidates(children: Iterable[str], prefix: str) -> list[str]:
    """The candidate nodes among the children of an election's node, the leader's first."""
    numbers = {name: name.removeprefix(prefix) for name in children if name.startswith(prefix)}
    return sorted(
        name for name, number in numbers.items() if len(number) == 10 and number.isdigit()
    )
