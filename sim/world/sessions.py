"""Elections in virtual time: sessions that expire, tokens that the store checks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mezzo.store.memory import MemoryDisk

from .world import World

SESSION_S: Final = 4.0


class Election:
    """Candidates of one kind of daemon on one disk. The longest waiting one leads next.

    A candidate that crashes or sleeps keeps its leadership until its session expires; then the next
    one leads although the old one may still believe in itself.
    """

    def __init__(self, world: World, disk: MemoryDisk) -> None:
        self._world = world
        self._disk = disk
        self._disk.candidates = set()
        self._waiting: list[tuple[str, Callable[[str], None]]] = []
        self._leader: str | None = None  # its token
        self._names: dict[str, str] = {}
        self._count = 0
        self._watchers: list[Callable[[str | None], None]] = []

    @property
    def leader_name(self) -> str | None:
        return self._names[self._leader] if self._leader else None

    def watch(self, watcher: Callable[[str | None], None]) -> None:
        """`watcher(name of the leader or None)` is told of each change, after a while."""
        self._watchers.append(watcher)

    def campaign(self, name: str, elected: Callable[[str], None]) -> str:
        """Returns the token; `elected(token)` is called when it leads."""
        self._count += 1
        token = f"{name}#{self._count}"
        self._names[token] = name
        self._candidates().add(token)
        self._waiting.append((token, elected))
        self._world.after(self._world.between(0.01, 0.1), self._choose)
        return token

    def session_lost(self, token: str) -> None:
        """The node goes once the session has expired. Its owner may not know yet."""
        self._world.after(self._world.between(SESSION_S / 2, SESSION_S), self.expire, token)

    def expire(self, token: str) -> None:
        self._candidates().discard(token)
        self._waiting = [entry for entry in self._waiting if entry[0] != token]
        if self._leader == token:
            self._leader = None
            self._tell()
            self._choose()

    def holds(self, token: str) -> bool:
        return token in self._candidates()

    def _candidates(self) -> set[str]:
        candidates = self._disk.candidates
        assert candidates is not None
        return candidates

    def _choose(self) -> None:
        if self._leader is None and self._waiting:
            token, elected = self._waiting.pop(0)
            self._leader = token
            self._tell()
            self._world.after(self._world.between(0.001, 0.05), elected, token)

    def _tell(self) -> None:
        for watcher in self._watchers:
            self._world.after(self._world.between(0.001, 0.3), self._tell_one, watcher)

    def _tell_one(self, watcher: Callable[[str | None], None]) -> None:
        """Tell one watcher who leads by now: a later change may have overtaken this one."""
        watcher(self.leader_name)
