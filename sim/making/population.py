"""Who works with the masters beside Marathon: honest frameworks, hostile ones, strays."""

from __future__ import annotations

import random
from collections import ChainMap
from collections.abc import MutableMapping

from mezzo.cluster.model import Capability
from mezzo.ids import FrameworkId

from ..actors.keepers import Steward, VirtualKeeper
from ..actors.places import Stray
from ..actors.planners import VirtualPlanner
from ..daemons.askers import asker
from ..daemons.frameworks import Kind, VirtualFramework
from ..daemons.master_link import Client
from ..hostile.cast import Cast
from .fleet import Fleet
from .ground import Ground
from .shape import Drawn


class Population:
    """frameworks: all of them, the keepers of the vault and the liars among the cast as well.
    stewards: operators who work on the vault."""

    def __init__(self, ground: Ground, drawn: Drawn, fleet: Fleet) -> None:
        network, watch, find = ground.network, ground.watch, fleet.find
        frameworks = [
            _framework(kind, f"{kind}{i}", ground, drawn, fleet)
            for i, kind in enumerate(drawn.kinds)
        ]
        for framework in frameworks:
            if ground.places.is_aware():
                framework.abilities = (Capability.REGION_AWARE,)
        self.keepers = [VirtualKeeper(network, watch, find)] if drawn.vault else []
        self.stewards: list[Steward] = []
        if drawn.vault and random.Random(f"steward in {drawn.seed}").random() < 0.6:
            vault = fleet.agents[-1]
            self.stewards.append(Steward(ground.world, fleet.masters, lambda: vault.id))
        planners = []
        if drawn.planner:
            asks = asker("planner", drawn.seed, hostile=drawn.hostile)
            planners.append(VirtualPlanner(network, watch, find, asks))
        strays = ground.places.strays
        self.strays = [Stray(network, ground.places, find, drawn.seed)] if strays else []
        self.cast = Cast(
            network, watch, find, ground.disks, drawn.services_role, hostile=drawn.hostile
        )
        self.frameworks: list[VirtualFramework] = [
            *frameworks,
            *self.keepers,
            *planners,
            *self.cast.frameworks,
        ]

    @property
    def clients(self) -> list[Client]:
        """Of those who are no victims of faults."""
        return [
            *(each.client for each in self.cast.agents),
            *(each.client for each in self.strays),
        ]

    @property
    def liars(self) -> MutableMapping[FrameworkId, None]:
        """The ids under which hostile frameworks have subscribed so far."""
        return self.cast.framework_ids

    @property
    def forgetful(self) -> ChainMap[FrameworkId, None]:
        """Those of frameworks whose tasks end with their agents."""
        return ChainMap(*(each.framework_ids for each in self.frameworks if each.forgetful))


def _framework(
    kind: Kind, name: str, ground: Ground, drawn: Drawn, fleet: Fleet
) -> VirtualFramework:
    return VirtualFramework(
        ground.network,
        name,
        kind if drawn.own_roles or kind is Kind.RESERVER else "*",
        kind,
        ground.watch,
        fleet.find,
        asker(name, drawn.seed, hostile=drawn.hostile),
        forgetful=kind is Kind.BATCH and _batch_forgets(drawn.seed),
    )


def _batch_forgets(seed: int) -> bool:
    """Of some clusters: its tasks end with their agents."""
    return random.Random(f"batch of {seed}").random() < 0.25
