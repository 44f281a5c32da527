"""Places of machines, and agents that operators let in: regions, zones, strays, the list of hosts.

All is drawn by itself, so that a seed with everything in one place is the same as before there were
any others.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, Final

from mezzo import MESOS_VERSION
from mezzo.cluster.model import AgentInfo, FaultDomain
from mezzo.cluster.resources import Kind, Reservation, Resources
from mezzo.core import Output
from mezzo.ids import AgentId, ConnId
from mezzo.master.events import Started, WhitelistChanged
from mezzo.messages import agent as am
from mezzo.units import AMOUNT_MAX

from ..daemons.master_link import Client, Server
from ..daemons.masters import FromAgent, ToClient, VirtualMaster
from ..fakes.fake_agent import FakeAgent
from ..watch import Watch
from ..world.network import Network
from ..world.world import World

_HOME: Final = FaultDomain("east", "a")
_NEAR: Final = (_HOME, FaultDomain("east", "b"))
FAR: Final = FaultDomain("west", "a")
_HAS: Final = Resources.of(cpus=4, mem=512, ports=[(31000, 31010)])
_MOST: Final = int(AMOUNT_MAX * 1000)
_TOO_MUCH: Final = Resources(
    {Kind("cpus"): _MOST, Kind("cpus", (Reservation("STATIC", "strays"),)): _MOST}
)
_OLD: Final = ("0.28.3", "0.9", "1.x", "", "-1.2.3")


class Map:
    """domain: of the masters; None: they have none, and nobody else may have one.
    strict: every agent has to have one. strays: agents that ask in vain are there.
    """

    def __init__(self, seed: int, *, regions: bool | None = None) -> None:
        """regions: whether there are any; None: the seed draws that."""
        rng = self._rng = random.Random(f"places of {seed}")
        drawn = rng.random() < 0.35
        self.domain = _HOME if (drawn if regions is None else regions) else None
        self.strict = self.domain is not None and rng.random() < 0.4
        self.strays = self.domain is not None or rng.random() < 0.15

    def near(self) -> FaultDomain | None:
        """The place of the next machine of this region; some tell none."""
        if self.domain is None:
            return None
        return self._rng.choice(_NEAR if self.strict else (*_NEAR, None))

    def is_aware(self) -> bool:
        """Whether the next framework can be elsewhere."""
        return self.domain is not None and self._rng.random() < 0.5


class Stray:
    """An agent that belongs elsewhere or to another time, or has more than can be, and asks again
    and again."""

    def __init__(
        self, network: Network, map_: Map, find: Callable[[str], Server | None], seed: int
    ) -> None:
        self.name = "stray"
        self._world = network.world
        self._map = map_
        self._rng = random.Random(f"stray of {seed}")
        self._conn: ConnId | None = None
        self.client = Client(
            network,
            self.name,
            find,
            on_up=self._up,
            on_message=self._received,
            on_down=self._down,
            repeatable=lambda message: 0.0,
        )

    def start(self) -> None:
        self.client.start()
        self._world.after(1.0, self._act)

    def _up(self, conn: ConnId) -> None:
        self._conn = conn

    def _down(self, conn: ConnId) -> None:
        if conn == self._conn:
            self._conn = None

    def _received(self, conn: ConnId, message: ToClient) -> None:
        """Nobody answers a stray; the watches see to that."""

    def _act(self) -> None:
        if self._conn is not None:
            self.client.send(self._conn, FromAgent(self._message()))
        self._world.after(self._rng.uniform(2.0, 40.0), self._act)

    def _message(self) -> am.AgentMessage:
        rng, version = self._rng, MESOS_VERSION
        domain = None if self._map.domain is None else FAR
        if self._map.domain is None and rng.random() < 0.6:
            domain = FAR
        elif self._map.strict and rng.random() < 0.6:
            domain = None
        else:
            version = rng.choice(_OLD)
        has = _HAS
        if rng.random() < 0.3:  # at home, of today, and each part of what it has is fine
            domain, version, has = self._map.domain, MESOS_VERSION, _TOO_MUCH
        id_ = None if rng.random() < 0.5 else AgentId("stray-S0")
        info = AgentInfo(self.name, resources=has, domain=domain, id=id_)
        return FakeAgent(info, version=version, capabilities=()).introduction()


class Listing(Watch):
    """Operators who keep a list of the hosts that are offered, until `stop`: then all are again.

    listed: by master, what its present life was told last. As the daemon reads its file, each
    leader is told as soon as it leads.
    """

    def __init__(
        self, world: World, masters: Sequence[VirtualMaster], hosts: Sequence[str]
    ) -> None:
        self._world = world
        self._masters = masters
        self._hosts = hosts
        self._rng = random.Random(f"list of {world.seed}")
        self._active = self.kept = self._rng.random() < 0.25
        self._hostnames: tuple[str, ...] | None = None
        self.listed: dict[str, frozenset[str] | None] = {}

    def start(self) -> None:
        if self.kept:
            self._world.after(self._rng.uniform(2.0, 30.0), self._act)

    def stop(self) -> None:
        self._active = False
        if self._hostnames is not None:
            self._tell(None)

    def _act(self) -> None:
        if not self._active:
            return
        count = self._rng.randint(0, len(self._hosts))
        some = tuple(sorted(self._rng.sample([*self._hosts, "elsewhere"], count)))
        self._tell(None if self._rng.random() < 0.2 else some)
        self._world.after(self._rng.uniform(1.0, 30.0), self._act)

    def _tell(self, hostnames: tuple[str, ...] | None) -> None:
        self._hostnames = hostnames
        for master in self._masters:
            master.process.post(WhitelistChanged(hostnames))

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:
        if type(event) is Started:
            self.listed[master.name] = None
            if self._hostnames is not None:
                master.process.post(WhitelistChanged(self._hostnames))
        elif type(event) is WhitelistChanged:
            hostnames = event.hostnames
            self.listed[master.name] = None if hostnames is None else frozenset(hostnames)
