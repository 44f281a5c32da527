"""How large a cluster is, and what the seed makes of what nobody asked for."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from ..daemons.frameworks import Kind
from ..world.world import World

_VAULTS: Final = 0.35  # of all clusters
SERVICES: Final = "services"  # Marathon's role, if it has one of its own


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a cluster is. batch, hoarders and so on: frameworks beside Marathon.

    None: the seed draws it.
    """

    masters: int = 3
    marathons: int = 2
    agents: int | None = None
    batch: int | None = None
    hoarders: int | None = None
    unique: int | None = None
    gluttons: int | None = None
    reservers: int | None = None
    hostile: bool | None = None
    vault: bool | None = None
    regions: bool | None = None
    planners: bool | None = None


AS_DRAWN: Final = Shape()


@dataclass(frozen=True, slots=True)
class Drawn:
    """A shape in which nothing is left open.

    agents: without the far one and the vault. kinds: of the frameworks that are not special.
    own_roles: each framework has a role of its own, and so has Marathon. guaranteed: some of these
    roles have a quota.
    """

    seed: int
    masters: int
    marathons: int
    agents: int
    kinds: tuple[Kind, ...]
    own_roles: bool
    guaranteed: bool
    hostile: bool
    vault: bool
    planner: bool
    regions: bool | None
    offer_timeout_s: float

    @property
    def services_role(self) -> str:
        """Marathon's."""
        return SERVICES if self.own_roles else "*"

    @property
    def hoarders(self) -> int:
        return self.kinds.count(Kind.HOARDER)

    @property
    def all_is_hoarded(self) -> bool:
        """Whether each agent may be in the hands of one who answers no offer."""
        return self.hoarders >= self.agents


def draw(world: World, shape: Shape) -> Drawn:
    """In an order that never changes, or no seed is what it was. What came later is drawn from
    generators of its own: a seed without it is the same as before there was any."""
    seed, rng = world.seed, world.rng
    agents = rng.randint(1, 6) if shape.agents is None else shape.agents
    batch = world.chance(0.7) if shape.batch is None else shape.batch
    hoarders = world.chance(0.5) if shape.hoarders is None else shape.hoarders
    unique = world.chance(0.4) if shape.unique is None else shape.unique
    # Without guarantees one that takes everything leaves nothing to anybody, as it may.
    own_roles = world.chance(0.6)
    guaranteed = own_roles and world.chance(0.7)
    gluttons = (world.chance(0.6) and guaranteed) if shape.gluttons is None else shape.gluttons
    # What is reserved is not there for what was guaranteed to others.
    reserves = not guaranteed and world.chance(0.4)
    reservers = reserves if shape.reservers is None else shape.reservers
    hostile = world.chance(0.5) if shape.hostile is None else shape.hostile
    vault = random.Random(f"vault of {seed}").random() < _VAULTS
    planner = random.Random(f"planner of {seed}").random() < 0.25
    return Drawn(
        seed,
        shape.masters,
        shape.marathons,
        agents,
        (
            *[Kind.BATCH] * batch,
            *[Kind.HOARDER] * hoarders,
            *[Kind.UNIQUE] * unique,
            *[Kind.GLUTTON] * gluttons,
            *[Kind.RESERVER] * reservers,
        ),
        own_roles=own_roles,
        guaranteed=guaranteed,
        hostile=hostile,
        vault=vault if shape.vault is None else shape.vault,
        planner=planner if shape.planners is None else shape.planners,
        regions=shape.regions,
        offer_timeout_s=rng.choice((20.0, 300.0)),
    )
