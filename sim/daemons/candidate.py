"""A daemon of which one process leads: how it stands for election, dies, and stands again."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Final

from mezzo.core import Core, Output
from mezzo.store.memory import MemoryDisk

from ..world.network import Network
from ..world.sessions import Election
from ..world.virtual_process import Process

_EFFECTS_MAX: Final = 20  # that leave before a doubt in their middle is heard of


class Candidate:
    """Stands again after every end of a term. Subclasses say what they are once elected."""

    def __init__(self, network: Network, name: str, disk: MemoryDisk, election: Election) -> None:
        self.name = name
        self._network = network
        self._world = network.world
        self._election = election
        self._token = ""
        self._down_for_s = 0.0
        self.process = Process(
            self._world,
            name,
            disk,
            build=self._build,
            perform=self._perform,
            on_start=self._leads,
            on_end=self._ended,
            observe=self._observe,
        )

    # ---- what a subclass is

    def _first(self) -> Any:
        """The first event of a term."""
        raise AssertionError("a subclass says it")

    def _build(self, epoch: int, stored: Mapping[str, bytes], rng: random.Random) -> Core[Any]:
        raise AssertionError("a subclass says it")

    def _perform(self, effect: Any) -> None:
        raise AssertionError("a subclass says it")

    def _observe(self, event: Any, output: Output[Any]) -> None:
        """A step was made."""

    def _leads(self) -> None:
        """A term begins."""

    def _over(self) -> None:
        """The process is gone: so are its streams and all that it had in memory."""

    # ---- standing and falling

    def stand(self) -> None:
        self._token = self._election.campaign(self.name, self._elected)

    def _elected(self, token: str) -> None:
        if token == self._token and self._election.holds(token):
            self.process.start(self._first(), token)

    def _ended(self, why: str) -> None:
        del why
        self._over()
        self._election.session_lost(self._token)
        self._token = ""
        self._world.after(self._down_for_s + self._world.between(0.1, 1.0), self.stand)
        self._down_for_s = 0.0

    # ---- what is done to it

    def crash(self, down_for_s: float) -> None:
        """kill -9; started again after a while. A standby dies as well as a leader."""
        if not self._token:
            return  # the process is down already
        self._down_for_s = down_for_s
        self._end("killed")

    def _end(self, why: str) -> None:
        if self.process.alive:
            self.process.crash(why)
        else:
            self._ended(why)

    def lose_session(self) -> None:
        """The candidate's session is over at once, but it hears of that only after a while."""
        token = self._token
        if not token:
            return
        self._election.expire(token)
        if self.process.alive:
            self._world.after(self._world.between(0.0, 5.0), self._hears_of_loss, token)
        else:
            self._ended("a standby lost its session")

    def _hears_of_loss(self, token: str) -> None:
        if token == self._token and self.process.alive:
            self.process.crash("leadership is lost")

    def sleep(self, for_s: float) -> None:
        """Sleep longer than the session: another leads when it wakes and believes that it leads."""
        if self.process.alive:
            self.process.stop_for(for_s)
            self._election.session_lost(self._token)

    def suspend(self, for_s: float) -> None:
        """The machine sleeps, and timers by the candidate's own clock wait as long."""
        if self.process.alive and self.process.sleep_for(for_s):
            self._election.session_lost(self._token)

    def doubt(self, for_s: float) -> None:
        """Contact to the election is lost: nothing leaves until it is known who leads."""
        if self.process.up:
            self._world.tell(f"{self.name} doubts for {for_s:.1f} s")
            if self._world.chance(0.5):
                # In the middle of what it does: the word comes from a thread of its own.
                self.process.hold_within(self._world.rng.randint(1, _EFFECTS_MAX))
            else:
                self.process.hold()
            self._world.after(for_s, self._knows_again, self._token)

    def _knows_again(self, token: str) -> None:
        if token != self._token or not self.process.up:
            return
        if self._election.holds(token):
            self.process.release()
        else:
            self.process.crash("leadership was lost meanwhile")
