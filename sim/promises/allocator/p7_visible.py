"""Promise 7: an offer holds what its framework can use in its role, and nothing else.

Reserved resources are for the role and the roles below it; revocable, shared or twice reserved ones
are for frameworks that say that they know of these, and agents with GPUs for those that want some.
"""

from __future__ import annotations

from typing import Any

from mezzo.cluster.model import Capability, Offer
from mezzo.cluster.resources import Kind
from mezzo.core import Output

from ...daemons.masters import VirtualMaster
from ...watch import Watch
from ...world.watched import Broken
from .offered import offered


class OffersAreOfUse(Watch):
    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:
        for framework, offers in offered(master, output):
            for offer in offers:
                _look(master, offer, framework.info.capabilities)


def _look(master: VirtualMaster, offer: Offer, can: tuple[Capability, ...]) -> None:
    for kind, _ in offer.resources.items():
        if why := _unfit(kind, offer.role, can):
            raise Broken(
                f"promise 7: {master.name} offers {kind} in role {offer.role} to "
                f"{offer.framework_id}, which can {[*can]}: {why}"
            )


def _unfit(kind: Kind, role: str, can: tuple[Capability, ...]) -> str:
    owner = kind.role
    if owner not in ("*", role) and not role.startswith(f"{owner}/"):
        return f"it is reserved to {owner}"
    for needed, capability in (
        (kind.revocable, Capability.REVOCABLE_RESOURCES),
        (kind.shared, Capability.SHARED_RESOURCES),
        (len(kind.reservations) > 1, Capability.RESERVATION_REFINEMENT),
        (kind.name == "gpus", Capability.GPU_RESOURCES),
    ):
        if needed and capability not in can:
            return f"{capability} is missing"
    return ""
