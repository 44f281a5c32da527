"""What an operation makes of resources: reservations, volumes and their sizes.

Pure: the master judges with these rules and shows the result at once, the agent carries the same
out and keeps it. The master checks who may convert what (roles, principals, use by tasks).

Rules: spec of Mesos offer operations (`validation::operation`, `getResourceConversions`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, assert_never

from mezzo.cluster.amounts import Value, from_milli
from mezzo.cluster.operations import (
    Conversion,
    Create,
    Destroy,
    GrowVolume,
    Reserve,
    ShrinkVolume,
    Unreserve,
)
from mezzo.cluster.resources import Disk, Kind, Resources
from mezzo.errors import BadRequest
from mezzo.ids import check_user_id

VOLUME_SOURCES: Final = (None, "PATH", "MOUNT")


class Exchange(NamedTuple):
    """`before` is taken out of the resources, `after` comes in its place."""

    before: Resources
    after: Resources


def convert(resources: Resources, conversion: Conversion) -> Resources:
    """The resources after the operation. Raises BadRequest, with what to mend, if it is not valid
    or needs what is not there."""
    before, after = exchange(conversion)
    if not before <= resources:
        raise BadRequest(f"{before} is needed but not contained in {resources}")
    left = resources - before
    if isinstance(conversion, Create):
        check_ids_are_new(left, after)
    return left + after


def exchange(conversion: Conversion) -> Exchange:
    """What the operation takes and gives. Raises BadRequest if it makes no sense by itself."""
    match conversion:
        case Reserve():
            return _reserve(conversion)
        case Unreserve(resources=resources):
            return Exchange(resources, _unreserved(resources))
        case Create(volumes=volumes):
            for kind, _ in _some(volumes, "volumes"):
                check_volume(kind)
            return Exchange(_without_volumes(volumes), volumes)
        case Destroy(volumes=volumes):
            for kind, _ in _some(volumes, "volumes"):
                _persistence_id(kind)
            return Exchange(volumes, _without_volumes(volumes))
        case GrowVolume():
            return _grow(conversion)
        case ShrinkVolume():
            return _shrink(conversion)
        case _:
            assert_never(conversion)


# ---------------------------------------------------------------------------------- reservations


def _reserve(reserve: Reserve) -> Exchange:
    for kind, _ in _some(reserve.resources, "resources"):
        _check_dynamic(kind, "reserve")
        if kind.revocable:
            raise BadRequest(f"{kind.name} is revocable: only firm resources can be reserved")
        if _is_volume(kind):
            raise BadRequest(f"{kind.name} carries a persistent volume: destroy it first")
    if not reserve.source:
        return Exchange(_popped(reserve.resources), reserve.resources)
    if _undone(reserve.source) != _undone(reserve.resources):
        raise BadRequest(
            f"source {reserve.source} and resources {reserve.resources} differ in more than their "
            "dynamic reservations: give equal amounts"
        )
    return Exchange(reserve.source, reserve.resources)


def _unreserved(resources: Resources) -> Resources:
    for kind, _ in _some(resources, "resources"):
        _check_dynamic(kind, "unreserve")
        if _is_volume(kind):
            raise BadRequest(f"{kind.name} carries a persistent volume: destroy it first")
    return _popped(resources)


def _check_dynamic(kind: Kind, verb: str) -> None:
    if not kind.reservations:
        raise BadRequest(f"can't {verb} {kind.name}: it names no reservation")
    top = kind.reservations[-1]
    if top.type != "DYNAMIC":
        raise BadRequest(f"can't {verb} {kind.name}: its reservation is static, not dynamic")
    if top.role == "*":
        raise BadRequest(f"can't {verb} {kind.name} for '*': name a role")
    for lower, upper in zip(kind.reservations, kind.reservations[1:], strict=False):
        if not upper.role.startswith(lower.role + "/"):
            raise BadRequest(
                f"the reservation of {kind.name} to {upper.role!r} can't refine that to "
                f"{lower.role!r}: the role must be below it"
            )


def _popped(resources: Resources) -> Resources:
    """The resources with one reservation less."""
    return _mapped(resources, lambda kind: kind._replace(reservations=kind.reservations[:-1]))


def _undone(resources: Resources) -> Resources:
    """The resources without dynamic reservations: static ones stay for ever."""
    return _mapped(
        resources,
        lambda kind: kind._replace(
            reservations=tuple(each for each in kind.reservations if each.type == "STATIC")
        ),
    )


# ---------------------------------------------------------------------------------- volumes


def check_volume(kind: Kind) -> None:
    """Raise BadRequest for what can't be a persistent volume."""
    persistence_id = _persistence_id(kind)
    check_user_id("the persistence id", persistence_id)
    assert kind.disk is not None
    if not kind.reservations:
        raise BadRequest(f"volume {persistence_id} is on unreserved disk: reserve the disk first")
    if kind.revocable:
        raise BadRequest(f"volume {persistence_id} is on revocable disk: it would not persist")
    path = kind.disk.container_path
    if not path:
        raise BadRequest(f"volume {persistence_id} lacks volume.container_path: give one")
    source = kind.disk.source
    if (source.type if source is not None else None) not in VOLUME_SOURCES:
        raise BadRequest(
            f"volume {persistence_id}: a disk of type {source.type if source else None} carries no "
            "volume, but the root disk, PATH and MOUNT do"
        )


def _grow(grow: GrowVolume) -> Exchange:
    kind, amount = _one_volume(grow.volume)
    if grow.addition.get(_stripped(kind)) is None or len(list(grow.addition.items())) != 1:
        raise BadRequest(
            f"addition {grow.addition} is not disk of the same reservation and source as the volume"
        )
    more = grow.addition.get(_stripped(kind))
    assert isinstance(more, int)
    return Exchange(grow.volume + grow.addition, Resources({kind: amount + more}))


def _shrink(shrink: ShrinkVolume) -> Exchange:
    kind, amount = _one_volume(shrink.volume)
    if not 0 < shrink.subtract < amount:
        raise BadRequest(
            f"can't take {from_milli(shrink.subtract):g} MiB off a volume of "
            f"{from_milli(amount):g}: give an amount between"
        )
    left = amount - shrink.subtract
    after = Resources({kind: left}) + Resources({_stripped(kind): shrink.subtract})
    return Exchange(shrink.volume, after)


def _one_volume(volume: Resources) -> tuple[Kind, int]:
    """The one kind and its thousandths of a MiB, if it can change its size."""
    entries = list(volume.items())
    if len(entries) != 1:
        raise BadRequest("volume must be exactly one persistent volume")
    kind, amount = entries[0]
    persistence_id = _persistence_id(kind)
    assert isinstance(amount, int)
    assert kind.disk is not None
    if kind.shared:
        raise BadRequest(f"volume {persistence_id} is shared: it can't change its size")
    if kind.disk.source is not None and kind.disk.source.type == "MOUNT":
        raise BadRequest(f"volume {persistence_id} is a whole MOUNT disk: it can't change its size")
    return kind, amount


def _persistence_id(kind: Kind) -> str:
    disk = kind.disk
    if kind.name != "disk" or disk is None or disk.persistence_id is None:
        raise BadRequest(f"{kind.name} is no persistent volume: give disk with persistence.id")
    return disk.persistence_id


def _is_volume(kind: Kind) -> bool:
    return kind.disk is not None and kind.disk.persistence_id is not None


def check_ids_are_new(there: Resources, volumes: Resources) -> None:
    """A volume's id is unique per role. Raises BadRequest."""
    taken = {
        (kind.role, kind.disk.persistence_id)
        for kind, _ in there.items()
        if kind.disk is not None and kind.disk.persistence_id is not None
    }
    for kind, _ in volumes.items():
        key = (kind.role, _persistence_id(kind))
        if key in taken:
            raise BadRequest(f"role {key[0]} has a volume {key[1]} on this agent: give a new id")
        taken.add(key)


def _stripped(kind: Kind) -> Kind:
    """The disk that a volume is made of."""
    assert kind.disk is not None
    source = kind.disk.source
    return kind._replace(disk=None if source is None else Disk(source), shared=False)


def _without_volumes(volumes: Resources) -> Resources:
    return _mapped(volumes, _stripped)


# ---------------------------------------------------------------------------------- small parts


def _some(resources: Resources, field: str) -> list[tuple[Kind, Value]]:
    entries = list(resources.items())
    if not entries:
        raise BadRequest(f"{field} is empty: name at least one resource")
    return entries


def _mapped(resources: Resources, change: Callable[[Kind], Kind]) -> Resources:
    """The resources with every kind changed; kinds that become equal are added up."""
    return Resources.total(Resources({change(kind): value}) for kind, value in resources.items())
