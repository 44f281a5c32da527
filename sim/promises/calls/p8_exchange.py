"""The resources that an operation takes and gives, by Mesos' rules told anew; and who may do it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any, Final, NamedTuple

from mezzo.cluster.model import AgentCapability, Capability
from mezzo.cluster.operations import Create, Destroy, GrowVolume, Reserve, ShrinkVolume, Unreserve
from mezzo.cluster.resources import Disk, Kind, Resources
from mezzo.errors import BadRequest
from mezzo.master.state.agent_entry import AgentEntry
from mezzo.master.state.framework_entry import FrameworkEntry

from .p8_case import is_id

_CARRY_VOLUMES: Final = (None, "PATH", "MOUNT")


class Exchange(NamedTuple):
    before: Resources
    after: Resources


def is_judged(operation: Any) -> bool:
    """Is there a rule here? Not for an operation with a source, nor of resource providers."""
    known = (Reserve, Unreserve, Create, Destroy, GrowVolume, ShrinkVolume)
    return isinstance(operation, known) and not getattr(operation, "source", None)


def exchange(operation: Any) -> Exchange | None:
    """What is taken and given; None: the operation makes no sense, on any agent."""
    try:
        return _exchange(operation)
    except BadRequest:  # amounts of one name are of two types
        return None


def _exchange(operation: Any) -> Exchange | None:
    match operation:
        case Reserve(resources=had) | Unreserve(resources=had):
            reserves = isinstance(operation, Reserve)
            wrong = any(_is_no_reservation(kind, new=reserves) for kind, _ in had.items())
            less = _each(had, lambda kind: kind._replace(reservations=kind.reservations[:-1]))
            change = Exchange(less, had) if reserves else Exchange(had, less)
            return None if wrong or not had else change
        case Create(volumes=volumes):
            wrong = not all(is_volume(kind) and _may_be_one(kind) for kind, _ in volumes.items())
            return None if wrong or not volumes else Exchange(_each(volumes, _plain), volumes)
        case Destroy(volumes=volumes):
            wrong = not all(is_volume(kind) for kind, _ in volumes.items())
            return None if wrong or not volumes else Exchange(volumes, _each(volumes, _plain))
        case GrowVolume(volume=volume, addition=addition):
            kind = _resizable(volume)
            if kind is None or [each for each, _ in addition.items()] != [_plain(kind)]:
                return None
            both = volume + _each(addition, lambda _: kind)
            return Exchange(volume + addition, both)
        case ShrinkVolume(volume=volume, subtract=less_milli):
            kind = _resizable(volume)
            have = None if kind is None else volume.get(kind)
            if kind is None or not isinstance(have, int) or not 0 < less_milli < have:
                return None
            left = Resources({kind: have - less_milli})
            return Exchange(volume, left + Resources({_plain(kind): less_milli}))
    raise AssertionError(f"{operation} is not judged here")


def _is_no_reservation(kind: Kind, *, new: bool) -> bool:
    stack = kind.reservations
    return (
        not stack
        or stack[-1].type != "DYNAMIC"
        or stack[-1].role == "*"
        or any(not up.role.startswith(f"{low.role}/") for low, up in pairwise(stack))
        or (kind.disk is not None and kind.disk.persistence_id is not None)
        or (new and kind.revocable)
    )


def is_volume(kind: Kind) -> bool:
    return kind.name == "disk" and kind.disk is not None and kind.disk.persistence_id is not None


def _may_be_one(kind: Kind) -> bool:
    disk = kind.disk
    assert disk is not None
    named = is_id(disk.persistence_id or "") and bool(disk.container_path)
    return (
        named and bool(kind.reservations) and not kind.revocable and _source(kind) in _CARRY_VOLUMES
    )


def _source(kind: Kind) -> str | None:
    disk = kind.disk
    return None if disk is None or disk.source is None else disk.source.type


def _resizable(volume: Resources) -> Kind | None:
    """The one kind of it, if it is a volume that may get another size."""
    kinds = [kind for kind, _ in volume.items()]
    if len(kinds) != 1 or not is_volume(kinds[0]):
        return None
    # What is on BLOCK or RAW disks never was a volume: that there is none is another refusal.
    fixed = kinds[0].shared or _source(kinds[0]) == "MOUNT"
    return None if fixed else kinds[0]


def _plain(kind: Kind) -> Kind:
    """The disk under a volume."""
    disk = kind.disk
    source = None if disk is None else disk.source
    return kind._replace(disk=None if source is None else Disk(source), shared=False)


def _each(resources: Resources, change: Any) -> Resources:
    return Resources.total(Resources({change(kind): value}) for kind, value in resources.items())


# ---------------------------------------------------------------------------------- who may


def agent_can(agent: AgentEntry, operation: Any, change: Exchange) -> bool:
    can = agent.record.capabilities
    resizes = isinstance(operation, (GrowVolume, ShrinkVolume))
    refined = any(len(kind.reservations) > 1 for kind, _ in change.after.items())
    return (
        AgentCapability.AGENT_OPERATION_FEEDBACK in can
        and (not resizes or AgentCapability.RESIZE_VOLUME in can)
        and (not refined or AgentCapability.RESERVATION_REFINEMENT in can)
    )


def framework_may(framework: FrameworkEntry, role: str, operation: Any) -> bool:
    """May a framework do it with what is offered in the role?"""
    info = framework.info
    can = info.capabilities
    if isinstance(operation, Reserve):
        return not any(
            (kind.role != role and not kind.role.startswith(f"{role}/"))
            or (len(kind.reservations) > 1 and Capability.RESERVATION_REFINEMENT not in can)
            or info.principal not in (None, kind.reservations[-1].principal)
            for kind, _ in operation.resources.items()
        )
    if isinstance(operation, Create):
        return not any(
            info.principal not in (None, None if kind.disk is None else kind.disk.principal)
            or (kind.shared and Capability.SHARED_RESOURCES not in can)
            for kind, _ in operation.volumes.items()
        )
    return True


def is_used(agent: AgentEntry, operation: Any) -> bool:
    """Does it destroy a shared volume that is used? Only shared ones are offered to others."""
    if not isinstance(operation, Destroy):
        return False
    taken = [entry.info.resources for entry in agent.tasks.values() if entry.holds_resources]
    taken += [executor.info.resources for executor in agent.executors.values()]
    shared = [kind for kind, _ in operation.volumes.items() if kind.shared]
    return any(resources.get(kind) is not None for kind in shared for resources in taken)


def repeats_a_volume(total: Resources, operation: Any) -> bool:
    """Does it create a volume by a name that the role has on that agent, or two of one name?"""
    if not isinstance(operation, Create):
        return False
    new = _names(kind for kind, _ in operation.volumes.items())
    have = _names(kind for kind, _ in total.items())
    return len(set(new)) < len(new) or not set(new).isdisjoint(have)


def _names(kinds: Iterable[Kind]) -> list[tuple[str, str]]:
    return [
        (kind.role, kind.disk.persistence_id)
        for kind in kinds
        if kind.disk is not None and kind.disk.persistence_id is not None
    ]
