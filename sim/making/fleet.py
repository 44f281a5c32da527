"""The daemons of a cluster: masters, agents on their machines, Marathons."""

from __future__ import annotations

from functools import partial
from typing import Final

from mezzo.cluster.model import Attribute
from mezzo.cluster.resources import Resources

from ..actors.keepers import VAULT
from ..actors.places import FAR
from ..daemons.agents import VirtualAgent
from ..daemons.containers import Machine
from ..daemons.marathons import VirtualMarathon
from ..daemons.master_link import Server
from ..daemons.masters import VirtualMaster
from ..faults.fault_mix import MACHINES_MIN
from .drawn_configs import marathon_config, master_config, tidiness
from .ground import Ground
from .shape import Drawn

_AGENT_HAS: Final = Resources.of(cpus=6, mem=2048, disk=1000, ports=[(31000, 31100)])


class Fleet:
    """None of them is started."""

    def __init__(self, ground: Ground, drawn: Drawn) -> None:
        self._ground = ground
        self._drawn = drawn
        self.masters = [self._master(f"master{i}") for i in range(drawn.masters)]
        self._servers: dict[str, Server] = {master.name: master for master in self.masters}
        machines = [(f"agent{i}", _AGENT_HAS) for i in range(drawn.agents)]
        # What is guaranteed would be kept free in the other region as well, where few may have it.
        if ground.places.domain is not None and not drawn.guaranteed:
            machines.append(("far", _AGENT_HAS))
        if drawn.vault:
            machines.append(("vault", VAULT))
        self.agents = [self._agent(i, name, has) for i, (name, has) in enumerate(machines)]
        self.marathons = [self._marathon(f"marathon{i}") for i in range(drawn.marathons)]

    def find(self, name: str) -> Server | None:
        """The master of this name."""
        return self._servers.get(name)

    @property
    def agents_by_name(self) -> dict[str, VirtualAgent]:
        return {agent.name: agent for agent in self.agents}

    @property
    def lasting(self) -> int:
        """How many agents of the common kind are left when a machine is lost."""
        loses_one = len(self.agents) >= MACHINES_MIN
        return self._drawn.agents - loses_one

    def _master(self, name: str) -> VirtualMaster:
        ground, drawn = self._ground, self._drawn
        master = VirtualMaster(
            ground.network,
            name,
            ground.master_disk,
            ground.masters_elect,
            ground.watch.master_stepped,
            lambda info: master_config(info, drawn, ground.places),
        )
        master.on_said = ground.watch.master_said
        master.process.about_to = partial(ground.watch.master_steps, master)
        return master

    def _agent(self, i: int, name: str, has: Resources) -> VirtualAgent:
        ground, watch = self._ground, self._ground.watch
        agent = VirtualAgent(
            ground.network,
            name,
            has,
            Machine(
                ground.world,
                name,
                watch.container_started,
                watch.container_ended,
                watch.machine_woke,
            ),
            self.find,
            watch.agent_stepped,
            (
                Attribute("rack", text=f"r{i % 2}"),
                Attribute("generation", scalar=2),
                Attribute("zone", text="z"),
            ),
            ground.ailments.examine,
            f"fd00::{i}" if i % 3 == 0 else f"10.0.0.{i}",
            tidiness(self._drawn.seed),
            FAR if name == "far" else ground.places.near(),
        )
        agent.on_effect = watch.agent_did
        return agent

    def _marathon(self, name: str) -> VirtualMarathon:
        ground = self._ground
        return VirtualMarathon(
            ground.network,
            name,
            ground.marathon_disk,
            ground.marathons_elect,
            self.find,
            ground.watch,
            marathon_config(self._drawn),
            ground.ailments.examine,
        )
