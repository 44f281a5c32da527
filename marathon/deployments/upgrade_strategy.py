"""The arithmetic of a rolling upgrade: minimumHealthCapacity and maximumOverCapacity (6.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..model.app import App


@dataclass(frozen=True, slots=True)
class RestartBounds:
    """The arithmetic of a rolling upgrade (6.3).

    min_healthy, max_capacity: bounds on healthy and on alive instances while it lasts. keep_old: so
    many old ones stay until new ones are ready, and each ready one ends one of them.
    """

    min_healthy: int
    max_capacity: int
    keep_old: int

    @staticmethod
    def of(app: App, old_alive: int, old_healthy: int) -> RestartBounds:
        n, strategy = app.instances, app.upgrade_strategy
        min_healthy = math.ceil(n * strategy.minimum_health_capacity)
        max_capacity = math.floor(n * (1 + strategy.maximum_over_capacity))
        kill_now = max(0, old_healthy - min_healthy)
        if min_healthy == max_capacity:
            # No room to replace even one, so one more is allowed. Marathon does so only when enough
            # old ones are healthy, and gets stuck when one of them is not.
            max_capacity += 1
        if n < old_alive:
            kill_now = max(old_alive - n, kill_now)
        return RestartBounds(min_healthy, max_capacity, max(0, old_alive - kill_now))
