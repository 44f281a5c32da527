"""Which hostile actors a run has, and when they act."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, Final

from mezzo.ids import FrameworkId
from mezzo.messages.operator import Teardown

from ..daemons.marathons import VirtualMarathon
from ..daemons.master_link import Server
from ..daemons.masters import VirtualMaster
from ..promises import NobodySpeaksForOthers, NoInputHurts
from ..watch import Watch
from ..world.disk import Disk
from ..world.network import Network
from . import door
from .damage import Damage
from .gossip import Gossip
from .lying_agents import Impostor
from .lying_frameworks import LiarCore, VirtualLiar
from .people import ODD, Meddlers, OddApps

_LIARS_MAX: Final = 2
_TEAR_DOWN_S: Final = 10.0


class Cast:
    """Of half of all runs: their numbers come from the seed, and all that they do from a generator
    of their own.

    summary: who is there, in words. framework_ids: under which liars have subscribed so far: any of
    these may be removed at any time, and gives its tasks ids that it has given before.
    """

    def __init__(
        self,
        network: Network,
        watch: Watch,
        find: Callable[[str], Server | None],
        disks: tuple[Disk, Disk],
        role: str,
        *,
        hostile: bool,
    ) -> None:
        """disks: of the masters and of the Marathons. role: Marathon's."""
        world = self._world = network.world
        rng = self._rng = random.Random(world.rng.getrandbits(64))
        gossip = self.gossip = Gossip(rng)
        self._network = network
        self.framework_ids: dict[FrameworkId, None] = {}
        self._masters: Sequence[VirtualMaster] = ()
        self._disks = disks
        self._role = role
        self.hostile = hostile
        liars = rng.randint(0, _LIARS_MAX) if hostile else 0
        self.frameworks = [
            VirtualLiar(network, f"liar{i}", watch, find, gossip, self._subscribed)
            for i in range(liars)
        ]
        impostors = int(hostile and rng.random() < 0.6)
        self.agents = [
            Impostor(network, f"impostor{i}", find, gossip, rng) for i in range(impostors)
        ]
        self._odd = hostile and rng.random() < 0.6
        self._meddling = hostile and rng.random() < 0.5
        self._damaging = hostile and rng.random() < 0.4
        self._people: list[OddApps | Meddlers | Damage] = []
        self._liars = [each.name for each in self.frameworks]
        self._liars += [each.name for each in self.agents]
        self.summary = [
            *self._liars,
            *(["odd apps"] if self._odd else []),
            *(["meddlers"] if self._meddling else []),
            *(["damaged records"] if self._damaging else []),
        ]

    def watchers(
        self, masters: Sequence[VirtualMaster], marathons: Sequence[VirtualMarathon]
    ) -> list[Watch]:
        """Watches that have to see everything from the beginning on; they raise Broken."""
        if not self.hostile:
            return []
        self._masters = masters
        liars = self._liars
        self._network.door = _Door(liars)
        watchers: list[Watch] = [
            self.gossip,
            NoInputHurts(masters),
            NobodySpeaksForOthers(self._world, liars),
        ]
        if self._odd:
            odd = OddApps(
                self._world, marathons, self._disks[1], self._role, self.gossip, self._rng
            )
            self._people.append(odd)
            watchers.append(odd)
        damage = Damage(self._world, masters, marathons, self._disks, self._rng, ODD)
        watchers.append(damage)
        if self._damaging:
            self._people.append(damage)
        if self._meddling:
            self._people.append(Meddlers(self._world, masters, self._rng))
        return watchers

    def _subscribed(self, framework_id: FrameworkId) -> None:
        self.framework_ids[framework_id] = None

    def start(self) -> None:
        """The frameworks are started with the others."""
        if self.hostile and random.Random(f"bounds in {self._world.seed}").random() < 0.2:
            door.bounds_are_kept()
        for impostor in self.agents:
            impostor.start()
        for people in self._people:
            people.start()

    def stop(self) -> None:
        """Liars go on lying, but take nothing any more."""
        for people in self._people:
            people.stop()
        for framework in self.frameworks:
            framework.tire()
        if self.frameworks:
            self._tear_down()

    def _tear_down(self) -> None:
        """The operator ends tasks that liars have left behind under former ids."""
        cores = [framework.core for framework in self.frameworks]
        used = {core.framework_id for core in cores if isinstance(core, LiarCore)}
        for master in self._masters if None not in cores else ():
            core = master.core
            if core is None:
                continue
            for id_ in self.framework_ids:
                if id_ not in used and id_ in core.state.frameworks:
                    master.ask(Teardown(id_))
        self._world.after(_TEAR_DOWN_S, self._tear_down)


class _Door:
    def __init__(self, liars: Sequence[str]) -> None:
        self._liars = frozenset(liars)

    def __call__(self, sender: str, message: Any) -> Any:
        return door.passes(sender, message, honest=sender not in self._liars)
