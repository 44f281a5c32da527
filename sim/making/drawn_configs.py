"""What daemons are told at their start. In some clusters a limit is so tight that it is met.

Each is drawn by itself: a seed's cluster is the same with it as without.
"""

from __future__ import annotations

import random
from typing import Final

from mezzo.cluster.model import MasterInfo
from mezzo.marathon.config import MarathonConfig
from mezzo.master.config import MasterConfig
from mezzo.record import replace

from ..actors.places import Map
from ..daemons.agents import Tidiness
from .shape import Drawn

_IDLE_AWAY: Final = 1000  # as a default: see MasterConfig


def master_config(info: MasterInfo, drawn: Drawn, places: Map) -> MasterConfig:
    config = MasterConfig(
        replace(info, domain=places.domain),
        offer_timeout_s=drawn.offer_timeout_s,
        require_agent_domain=places.strict,
        max_idle_frameworks_away=_idle_away(drawn.seed),
    )
    return replace(config, step_writes=2) if _small_steps(drawn.seed) else config


def marathon_config(drawn: Drawn) -> MarathonConfig:
    """Of some the limits are so tight that most of what is to be done has to wait."""
    seed = drawn.seed
    rng = random.Random(f"limits of {seed}")
    prefix = random.Random(f"prefix of {seed}").choice((None, None, "M_"))
    few = random.Random(f"versions of {seed}").choice((50, 50, 3, 1))
    common = MarathonConfig(
        mesos_role=drawn.services_role, env_vars_prefix=prefix, max_versions=few
    )
    if few == 3:
        common = replace(common, max_running_deployments=2)
    if _small_steps(seed):
        common = replace(common, step_bytes=3000)
    if rng.random() < 0.7:
        return common
    return replace(
        common,
        launch_tokens=rng.randint(1, 3),
        kills_at_once=rng.randint(1, 2),
        max_instances_per_offer=rng.randint(1, 5),
    )


def tidiness(seed: int) -> Tidiness | None:
    """Of a quarter of all clusters: what is left behind goes while somebody looks."""
    rng = random.Random(f"tidiness of {seed}")
    if rng.random() < 0.75:
        return None
    return Tidiness(rng.uniform(1, 20), rng.choice((5.0, 30.0, 120.0)))


def gives_up_who_is_away(seed: int) -> bool:
    """Whether so few may be away that have nothing that some are given up."""
    return _idle_away(seed) < _IDLE_AWAY


def _idle_away(seed: int) -> int:
    """How many may be away that have nothing."""
    rng = random.Random(f"away of {seed}")
    return rng.randint(0, 2) if rng.random() < 0.2 else _IDLE_AWAY


def _small_steps(seed: int) -> bool:
    """Whether whatever writes much has to go on in another step, and another."""
    return random.Random(f"steps of {seed}").random() < 0.2
