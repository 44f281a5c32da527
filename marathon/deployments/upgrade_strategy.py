"""The arithmetic of a rolling upgrade: minimumHealthCapacity and maximumOverCapacity (6.3)."""

from __future__ import annotations

import math

from ..model.app import App
from ..state.running_plans import RestartBounds


def restart_bounds(app: App, old_alive: int, old_healthy: int) -> RestartBounds:
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
