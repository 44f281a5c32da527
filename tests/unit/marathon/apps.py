"""Apps for tests."""

from __future__ import annotations

from typing import Any

from mezzo.marathon.model.app import (
    App,
    HealthCheck,
    HealthProtocol,
    PortDefinition,
    UpgradeStrategy,
)

ONE_PORT = (PortDefinition(name="default"),)
TCP_CHECK = HealthCheck(HealthProtocol.TCP, port_index=0, grace_s=10, interval_s=5)


def app(app_id: str = "/a", instances: int = 1, **fields: Any) -> App:
    """A small app of one port."""
    small: dict[str, Any] = {
        "cmd": "sleep 1000",
        "cpus": 0.1,
        "mem": 32.0,
        "port_definitions": ONE_PORT,
    }
    return App(app_id, instances=instances, **(small | fields))


def strategy(minimum_health: float, over: float) -> UpgradeStrategy:
    return UpgradeStrategy(minimum_health, over)
