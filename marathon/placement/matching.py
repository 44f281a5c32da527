"""Does an offer fit an app? Yes with what is taken, or no with the first reason (section 9)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mezzo.cluster.amounts import Ranges, Value, to_milli
from mezzo.cluster.model import Attribute, Offer
from mezzo.cluster.resources import Kind, Resources
from mezzo.units import PORT_MAX

from ..model.app import App
from ..state.census import Census
from .constraints import satisfied
from .host_ports import pick_host_ports, wanted_host_ports


class Reason(StrEnum):
    """Why not. In the order in which reasons are looked at: /v2/queue shows them as a funnel."""

    ROLE = "UnfulfilledRole"
    CONSTRAINT = "UnfulfilledConstraint"
    RESERVATION = "NoCorrespondingReservationFound"
    MAINTENANCE = "AgentMaintenance"
    CPUS = "InsufficientCpus"
    MEM = "InsufficientMemory"
    DISK = "InsufficientDisk"
    GPUS = "InsufficientGpus"
    PORTS = "InsufficientPorts"
    SCARCE = "DeclinedScarceResources"
    FAULT = "AppFault"  # the app's data makes no sense; the queue's item tells what was wrong


_ALL_PORTS: Final = Ranges(((1, PORT_MAX),))
_SCALARS = (("cpus", Reason.CPUS), ("mem", Reason.MEM), ("disk", Reason.DISK))


@dataclass(frozen=True, slots=True)
class Match:
    """The part of an offer for one instance. host_ports: by port index, None publishes nothing."""

    resources: Resources
    host_ports: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class OfferedPlace:
    """The place that an offer comes from, as constraints see it."""

    host: str
    region: str | None
    zone: str | None
    attributes: tuple[Attribute, ...]

    @staticmethod
    def of(offer: Offer) -> OfferedPlace:
        domain = offer.domain
        return OfferedPlace(
            offer.hostname,
            domain.region if domain else None,
            domain.zone if domain else None,
            offer.attributes,
        )


def match(
    app: App,
    place: OfferedPlace,
    left: Resources,
    census: Census,
    rng: random.Random,
) -> Match | Reason:
    """One more instance of `app` on what is `left` of an offer from `place`."""
    roles = app.accepted_resource_roles or (app.role, "*")
    usable = _usable(left, roles)
    if not any(kind.name in ("cpus", "mem") for kind, _ in usable):
        return Reason.ROLE
    for constraint in app.constraints:
        if not satisfied(constraint, place, census, app.instances):
            return Reason.CONSTRAINT
    taken: dict[Kind, Value] = {}
    for (name, reason), amount in zip(_SCALARS, (app.cpus, app.mem, app.disk), strict=True):
        if not _take(name, to_milli(amount), usable, taken):
            return reason
    offered = [
        (kind, _ports(value))
        for kind, value in usable
        if kind.name == "ports" and isinstance(value, Ranges)
    ]
    picked = pick_host_ports(wanted_host_ports(app), offered, rng)
    if picked is None:
        return Reason.PORTS
    host_ports, ranges = picked
    return Match(Resources({**taken, **ranges}), host_ports)


def _usable(left: Resources, roles: Sequence[str]) -> list[tuple[Kind, Value]]:
    """The resources that the roles may use, reserved ones first. No volumes, nothing revocable."""
    kinds = [
        (kind, value)
        for kind, value in left.items()
        if kind.role in roles and kind.disk is None and not kind.revocable and not kind.shared
    ]
    if all(kind.role == "*" for kind, _ in kinds):
        return kinds
    return sorted(kinds, key=lambda item: (item[0].role == "*", item[0].role))


def _ports(offered: Ranges) -> Ranges:
    """The offered ports that exist: an agent may offer any numbers."""
    pairs = offered.pairs
    if not pairs or (pairs[0][0] > 0 and pairs[-1][1] <= PORT_MAX):
        return offered
    return offered.minus(offered.minus(_ALL_PORTS))


def _take(
    name: str, needed: int, usable: Sequence[tuple[Kind, Value]], taken: dict[Kind, Value]
) -> bool:
    for kind, value in usable:
        if needed and kind.name == name and isinstance(value, int):
            part = min(needed, value)
            taken[kind] = part
            needed -= part
    return needed == 0
