"""Promise 7, of one cycle: whose guarantees are unmet are served first, and what is taken back is
beyond a limit that is tighter now, or promised to somebody who has nothing."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from mezzo.cluster.model import Offer
from mezzo.core import Output, TimerFired
from mezzo.ids import OfferId
from mezzo.master.allocator.allocator import Allocator
from mezzo.master.allocator.quantities import measure
from mezzo.master.core import MasterCore
from mezzo.master.effects import ToFramework
from mezzo.master.timers import AllocationDue, CycleDue
from mezzo.messages.scheduler import Offers, Rescind

from ...daemons.masters import VirtualMaster
from ...watch import Watch
from ...world.watched import Broken

_CYCLES: Final = (AllocationDue, CycleDue)


class _Before(NamedTuple):
    """unmet: of top-level roles, by resource; none if something was promised before, which comes
    first. tightened: roles."""

    unmet: dict[str, dict[str, int]]
    tightened: tuple[str, ...]
    offers: dict[OfferId, Offer]


class CyclesKeepQuota(Watch):
    def __init__(self) -> None:
        self._before: _Before | None = None

    def master_steps(self, master: VirtualMaster, event: Any) -> None:
        self._before = None
        if type(event) is not TimerFired or type(event.key) not in _CYCLES:
            return
        core = master.core
        assert core is not None
        allocator = core.state.allocator
        unmet = allocator._books.quotas.any_unmet and not allocator._contention.promises
        if (unmet or allocator._tightened) and not allocator.paused:
            offers = dict(core.state.offers) if allocator._tightened else {}
            guarantees = _unmet(allocator) if unmet else {}
            self._before = _Before(guarantees, tuple(allocator._tightened), offers)

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:
        before = self._before
        if before is None:
            return
        core = master.core
        assert core is not None
        told = [each.event for each in output.effects if type(each) is ToFramework]
        if before.unmet:
            _first_come_guarantees(core, before.unmet, told)
        if before.tightened:
            _limits_are_kept(core, before)
            for each in told:
                if type(each) is Rescind:
                    _is_to_go(core, before, before.offers.get(each.offer_id))


def _unmet(allocator: Allocator) -> dict[str, dict[str, int]]:
    quotas = allocator._books.quotas
    return {top: unmet for top in quotas.roles() if (unmet := quotas.unmet(top))}


def _top(role: str) -> str:
    return role.split("/", 1)[0]


def _first_come_guarantees(
    core: MasterCore, unmet: dict[str, dict[str, int]], told: list[Any]
) -> None:
    """Whoever gets what it is guaranteed gets it before all who are guaranteed nothing more."""
    clients = core.state.allocator._books.tree.clients
    others: list[Offer] = []
    for each in told:
        if type(each) is not Offers:
            continue
        late = [o for o in each.offers if others and _is_due(o, unmet)]
        if late and clients[(late[0].framework_id, late[0].role)].wishes is None:
            raise Broken(
                f"promise 7: role {late[0].role} lacks {unmet[_top(late[0].role)]} of what it is "
                f"guaranteed, and is offered {late[0].id} after {others[0].role} {others[0].id}"
            )
        if not any(_top(offer.role) in unmet for offer in each.offers):
            others += each.offers


def _is_due(offer: Offer, unmet: dict[str, dict[str, int]]) -> bool:
    amounts = measure(offer.resources).open
    return any(amounts.get(name) for name in unmet.get(_top(offer.role), ()))


def _limits_are_kept(core: MasterCore, before: _Before) -> None:
    """Of what is beyond them nothing is offered any more."""
    quotas = core.state.allocator._books.quotas
    for top in before.tightened:
        over = quotas.over_limit(top)
        for offer in core.state.offers.values() if over else ():
            if _top(offer.role) == top and any(measure(offer.resources).open.get(n) for n in over):
                raise Broken(
                    f"promise 7: role {top} is over its limit by {over}, and {offer.id} to it "
                    f"stands: {offer.resources}"
                )


def _is_to_go(core: MasterCore, before: _Before, offer: Offer | None) -> None:
    """An offer that was there before the cycle and is rescinded."""
    if offer is None or _top(offer.role) in before.tightened:
        return
    if offer.agent_id not in core.state.agents:
        return  # it has gone in the same step
    promises = core.state.allocator._contention.promises
    if offer.agent_id not in {agent.id for agent in promises}:
        raise Broken(
            f"promise 7: {offer.id} to role {offer.role} is taken back, and the limits that are "
            f"tighter are those of {before.tightened}"
        )
