"""Promise 7: quota holds. Of what a role may have at most, no offer gives it more."""

from __future__ import annotations

from typing import Any

from mezzo.cluster.amounts import Thousandths
from mezzo.core import Output
from mezzo.master.effects import ToFramework
from mezzo.master.events import OperatorAsked
from mezzo.master.state.master_state import MasterState
from mezzo.messages import operator as om
from mezzo.messages.scheduler import Offers

from ...actors.admin import Admin
from ...daemons.masters import VirtualMaster
from ...watch import Watch
from ...world.watched import Broken
from .sums import reserved, taken


class LimitsAreKept(Watch):
    """A limit may be set below what its role has: then it gets no more of it."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._meddled: set[str] = set()  # roles whose limits somebody else has changed since

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:
        if type(event) is OperatorAsked:
            self._meddled |= _changed_by_others(event.call)
        limits = self._admin.limits
        if not limits or master.process.epoch != master.process.disk.epoch:
            return
        offered = {
            (offer.role, name): offer.id
            for effect in output.effects
            if isinstance(effect, ToFramework) and isinstance(effect.event, Offers)
            for offer in effect.event.offers
            for name in limits.get(offer.role, ())
            if offer.role not in self._meddled
            # What is reserved counts already, what is revocable never does.
            and offer.resources.filter(role="*", revocable=False).milli(name)
        }
        core = master.core
        assert core is not None
        for (role, name), offer_id in offered.items():
            has, limit = _has(core.state, role, name), limits[role][name]
            if has > limit:
                raise Broken(
                    f"promise 7: with {offer_id} role {role} has {has} thousandths of {name}, its "
                    f"limit is {limit}"
                )


def _changed_by_others(call: om.OperatorCall) -> set[str]:
    """Hostile people (`hostile.people`) do so; the admin alone sets limits by force."""
    match call:
        case om.RemoveQuota(role=role):
            return {role}
        case om.SetQuota(quota_request=om.QuotaRequest(role=role)) if role is not None:
            return {role}
        case om.UpdateQuota(quota_configs=configs, force=False):
            return {config.role for config in configs}
    return set()


def _has(state: MasterState, role: str, name: str) -> Thousandths:
    """What is reserved to it, in use or not, and what else of the firm is offered or allocated."""
    own = sum(part.milli(name) for owner, part in reserved(state) if owner == role)
    parts = [offer.resources for offer in state.offers.values() if offer.role == role]
    parts += [part for _, _, owner, part in taken(state) if owner == role]
    return own + sum(part.filter(role="*", revocable=False).milli(name) for part in parts)
