"""Promise 7: quota holds. Of what a role may have at most, no offer gives it more."""

from __future__ import annotations

from typing import Any

from mezzo.amounts import Thousandths
from mezzo.core import Output
from mezzo.master.events import ToFramework
from mezzo.master.state import MasterState
from mezzo.messages.scheduler import Offers

from ..admin import Admin
from ..masters import VirtualMaster
from ..watch import Broken, Watch


class LimitsAreKept(Watch):
    """A limit may be set below what its role has: then it gets no more of it."""

    def __init__(self, admin: Admin, unkept: str) -> None:
        """unkept: a role whose limit hostile people remove now and then (`hostile.people`)."""
        self._admin = admin
        self._unkept = unkept

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:  # noqa: ANN401
        limits = self._admin.limits
        if not limits or master.process.epoch != master.process.disk.epoch:
            return
        offered = {
            (offer.role, name): offer.id
            for effect in output.effects
            if isinstance(effect, ToFramework) and isinstance(effect.event, Offers)
            for offer in effect.event.offers
            for name in limits.get(offer.role, ())
            if offer.role != self._unkept
            and offer.resources.filter(role="*").milli(name)  # what is reserved counts already
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


def _has(state: MasterState, role: str, name: str) -> Thousandths:
    """Offered or allocated."""
    offered = sum(o.resources.milli(name) for o in state.offers.values() if o.role == role)
    return offered + sum(
        entry.info.resources.milli(name)
        for agent in state.agents.values()
        for entry in agent.tasks.values()
        if entry.holds_resources and entry.info.role == role
    )
