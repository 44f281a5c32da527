"""Who runs a cluster: the owner of the apps, the operators of its masters, who guarantees what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mezzo.messages.operator import Done, OperatorResponse, QuotaConfig, UpdateQuota

from ..actors.admin import Admin
from ..actors.app_owner import Operator
from ..actors.keepers import ROLE as KEEPERS
from ..actors.places import Listing
from ..daemons.frameworks import BATCH_WIDTH, SHAPE, Kind, VirtualFramework
from ..daemons.masters import VirtualMaster
from ..world.world import World
from .fleet import Fleet
from .ground import Ground
from .population import Population
from .shape import SERVICES, Drawn

# 4 apps at twice their size during an upgrade, half a cpu each, for each agent.
_UNITS_OF_APPS: Final = 8
_QUOTA_EVERY_S: Final = 20.0


class Guarantees:
    """Roles get their quota, and then those frameworks start that would have left nothing of it."""

    def __init__(
        self,
        world: World,
        masters: Sequence[VirtualMaster],
        quotas: tuple[QuotaConfig, ...],
        wait: list[VirtualFramework],
    ) -> None:
        """quotas: without any nothing is asked, and none of `wait` starts."""
        self._world = world
        self._masters = masters
        self._quotas = quotas
        self.wait = wait

    def start(self) -> None:
        if self._quotas:
            self._ask()

    def _ask(self) -> None:
        """Again and again: a leader may die with the wish, and it changes nothing twice."""
        leader = next((master for master in self._masters if master.process.up), None)
        if leader is not None:
            leader.ask(UpdateQuota(self._quotas, force=True), self._are_set)
        self._world.after(_QUOTA_EVERY_S, self._ask)

    def _are_set(self, response: OperatorResponse) -> None:
        assert isinstance(response, Done), response
        waiting, self.wait = self.wait, []
        for framework in waiting:
            framework.start()


class Staff:
    def __init__(self, ground: Ground, drawn: Drawn, fleet: Fleet, population: Population) -> None:
        world, frameworks = ground.world, population.frameworks
        # What is guaranteed must fit also when a machine is lost.
        units = _guaranteed(fleet.lasting) if drawn.guaranteed else {}
        self.owner = Operator(
            world,
            fleet.marathons,
            ground.marathon_disk,
            [agent.machine for agent in fleet.agents],
            max(1, fleet.lasting),
            drawn.services_role,
        )
        own = dict.fromkeys(each.role for each in frameworks) if drawn.own_roles else {}
        self.admin = Admin(
            world,
            fleet.masters,
            fleet.agents,
            frameworks,
            ground.master_disk,
            [role for role in own if role not in (*units, KEEPERS)],
        )
        self.listing = Listing(world, fleet.masters, [agent.name for agent in fleet.agents])
        self.guarantees = Guarantees(
            world,
            fleet.masters,
            tuple(_quota(role, count) for role, count in units.items()),
            [each for each in frameworks if each.kind is Kind.GLUTTON],
        )


def _guaranteed(agents: int) -> dict[str, int]:
    """By role: so many tasks of `SHAPE`."""
    return {SERVICES: _UNITS_OF_APPS * agents, Kind.BATCH: BATCH_WIDTH, Kind.UNIQUE: 1}


def _quota(role: str, tasks: int) -> QuotaConfig:
    return QuotaConfig(role, {name: tasks * SHAPE.milli(name) for name in ("cpus", "mem")})
