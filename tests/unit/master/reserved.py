"""Reserved resources and volumes for tests: of the role `ads`, by the principal `alice`."""

from __future__ import annotations

from typing import Any

from mezzo.cluster.resources import Disk, DiskSource, Kind, Reservation, Resources

from .world import Framework, World

ADS = Reservation("DYNAMIC", "ads", "alice")
WEB = Reservation("DYNAMIC", "ads/web", "alice")
ROOMY = Resources.of(cpus=4, mem=4000, disk=1000)


def of(
    name: str, amount: float, *stack: Reservation, disk: Disk | None = None, shared: bool = False
) -> Resources:
    """Without a `stack` it is that of `ADS`."""
    return Resources({Kind(name, stack or (ADS,), disk, shared=shared): round(amount * 1000)})


def volume(
    mib: float,
    id_: str = "v",
    *stack: Reservation,
    source: DiskSource | None = None,
    principal: str | None = "alice",
    shared: bool = False,
) -> Resources:
    disk = Disk(source, id_, principal, "data")
    return of("disk", mib, *stack, disk=disk, shared=shared)


def ads(world: World, **more: Any) -> Framework:
    """A framework in the role, with the principal."""
    return world.framework(**{"role": "ads", "principal": "alice", **more})
