"""Promise 7, from the other side: nobody is offered what it does not want.

Resources that a framework has declined, or let time out, it is not offered again on that agent in
that role, nor a part of them, before the time that it gave; and nothing in a role that it has
suppressed. Until it revives the role, or subscribes anew.
"""

from __future__ import annotations

from typing import Any, Final

from mezzo.cluster.model import Filters, Offer
from mezzo.cluster.resources import Resources
from mezzo.core import Output, TimerFired
from mezzo.ids import AgentId, FrameworkId
from mezzo.master.core import MasterCore
from mezzo.master.effects import ToFramework
from mezzo.master.events import AgentSaid, FrameworkSaid, StreamClosed
from mezzo.master.state.master_state import MasterState
from mezzo.messages.agent import ReregisterAgent
from mezzo.messages.scheduler import (
    Accept,
    Answered,
    Decline,
    Error,
    Offers,
    Revive,
    Subscribe,
    Suppress,
    UpdateFramework,
)

from ...daemons.masters import VirtualMaster
from ...watch import Watch
from ...world.watched import Broken
from ..terms import Terms

_DEFAULT_S: Final = 5.0
_LEAST_S: Final = 1.0  # a framework that uses nothing is not asked again at once, whatever it says
_YEAR_S: Final = 365 * 86400.0
Client = tuple[FrameworkId, str]  # in a role


class _Term:
    def __init__(self, core: MasterCore) -> None:
        self.core = core
        self.refused: dict[tuple[Client, AgentId], list[tuple[Resources, float]]] = {}
        self.suppressed: dict[Client, None] = {}
        self.given_back: list[Offer] = []  # in this step, perhaps
        self.left: FrameworkId | None = None  # whose stream ends in this step

    def refuse(self, offers: list[Offer], until_s: float) -> None:
        for offer in offers:
            client = (offer.framework_id, offer.role)
            if client not in self.suppressed:  # else it wants nothing anyway
                known = self.refused.setdefault((client, offer.agent_id), [])
                known[:] = [*known[-20:], (offer.resources, until_s)]

    def forget(self, framework_id: FrameworkId, roles: tuple[str, ...] | None = None) -> None:
        for key in [key for key in self.refused if key[0][0] == framework_id]:
            if roles is None or key[0][1] in roles:
                del self.refused[key]
        for client in [client for client in self.suppressed if client[0] == framework_id]:
            if roles is None or client[1] in roles:
                del self.suppressed[client]


class RefusalsHold(Watch):
    def __init__(self) -> None:
        self._terms = Terms(_Term)

    def master_steps(self, master: VirtualMaster, event: Any) -> None:
        term = self._terms.of(master)
        term.given_back, term.left = [], None
        state, kind = term.core.state, type(event)
        if kind is FrameworkSaid:
            call = event.call
            if type(call) is Decline or (type(call) is Accept and not call.operations):
                framework_id = state.framework_of.get(event.conn)
                known = [state.offers.get(id_) for id_ in dict.fromkeys(call.offer_ids)]
                mine = [o for o in known if o is not None and o.framework_id == framework_id]
                if type(call) is Decline or len(mine) == len(call.offer_ids) == 1:
                    term.given_back = mine
        elif kind is TimerFired and type(event.key) is tuple and event.key[0] == "offer":
            if (offer := state.offers.get(event.key[1])) is not None:
                term.given_back = [
                    each for each in state.offers.values() if _place(each) == _place(offer)
                ]  # fmt: skip
        elif kind is StreamClosed:
            term.left = state.framework_of.get(event.conn)
        elif kind is AgentSaid and type(event.message) is ReregisterAgent:
            _may_be_another(state, term, event.message)

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:
        term, now_s = self._terms.of(master), master.process.now().mono_s
        if type(event) is FrameworkSaid:
            self._called(term, event, output, now_s)
        elif term.left is not None:
            term.forget(term.left)
        elif term.given_back:
            whole = Resources.total(offer.resources for offer in term.given_back)
            for offer in term.given_back[:1]:
                key = ((offer.framework_id, offer.role), offer.agent_id)
                term.refused.setdefault(key, []).append((whole, now_s + _DEFAULT_S))
        for effect in output.effects:
            if type(effect) is ToFramework and type(effect.event) is Offers:
                for offer in effect.event.offers:
                    _look(master, term, offer, now_s)

    def _called(self, term: _Term, event: FrameworkSaid, output: Output[Any], now_s: float) -> None:
        state, call = term.core.state, event.call
        framework_id = state.framework_of.get(event.conn)
        if framework_id is None:
            return
        refused = any(
            type(each) is ToFramework
            and each.conn == event.conn
            and (type(each.event) is Error or (type(each.event) is Answered and each.event.refusal))
            for each in output.effects
        )
        match call:
            case _ if refused:
                pass
            case Decline(filters=filters) | Accept(filters=filters):
                given_back = [each for each in term.given_back if each.id not in state.offers]
                term.refuse(given_back, now_s + lasts_s(filters))
            case Revive(roles=roles):
                term.forget(framework_id, roles or None)
            case Suppress(roles=roles):
                own = state.frameworks[framework_id].info.all_roles
                term.suppressed |= {(framework_id, role): None for role in roles or own}
            case Subscribe(suppressed_roles=roles) | UpdateFramework(suppressed_roles=roles):
                term.forget(framework_id)
                term.suppressed |= {(framework_id, role): None for role in roles}


def _place(offer: Offer) -> tuple[FrameworkId, str, AgentId]:
    return offer.framework_id, offer.role, offer.agent_id


def lasts_s(filters: Filters) -> float:
    asked_s = filters.refuse_seconds
    return max(min(asked_s, _YEAR_S) if asked_s >= 0 else _DEFAULT_S, _LEAST_S)


def _may_be_another(state: MasterState, term: _Term, message: ReregisterAgent) -> None:
    """An agent that was given up, or says other things of itself, is to be judged anew."""
    info, known = message.info, state.agents.get(message.info.id or AgentId(""))
    if known is None or (known.info.attributes, known.info.domain) != (
        info.attributes,
        info.domain,
    ):
        for key in [key for key in term.refused if key[1] == info.id]:
            del term.refused[key]


def _look(master: VirtualMaster, term: _Term, offer: Offer, now_s: float) -> None:
    client = (offer.framework_id, offer.role)
    if client in term.suppressed:
        raise Broken(f"promise 7: {master.name} offers {offer.id} in role {offer.role}: suppressed")
    known = term.refused.get((client, offer.agent_id))
    if known is None:
        return
    known[:] = [each for each in known if each[1] > now_s]
    for resources, until_s in known:
        if offer.resources <= resources:
            raise Broken(
                f"promise 7: {master.name} offers {offer.resources} of {offer.hostname} to "
                f"{offer.framework_id} again, which refused {resources} for another "
                f"{until_s - now_s:.1f} s"
            )
