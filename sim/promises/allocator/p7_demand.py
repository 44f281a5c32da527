"""Promise 7 for who declares what it wants: it is offered that, and no more.

In a role in which so many tasks of some shapes are wanted, each offer holds whole units of them,
and all that is offered at once is no more than is not launched yet. A role of which nothing was
said, by a framework that has declared something, is offered nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any, Final

from mezzo.cluster.amounts import Items, Ranges
from mezzo.cluster.model import Offer
from mezzo.cluster.resources import Resources
from mezzo.core import Output
from mezzo.ids import FrameworkId, OfferId
from mezzo.master.core import MasterCore
from mezzo.master.effects import ToAgent, ToFramework
from mezzo.master.events import FrameworkSaid
from mezzo.master.state.master_state import MasterState
from mezzo.messages import agent as am
from mezzo.messages import scheduler as sm

from ...daemons.masters import VirtualMaster
from ...watch import Watch
from ...world.watched import Broken
from ..terms import Terms

_FEW: Final = 6  # of more units, or shapes, the sum could be made in too many ways
Amounts = dict[str, int]  # by name, in thousandths; of what is counted, a thousand each
Client = tuple[FrameworkId, str]  # a framework in one of its roles
Units = tuple[int, ...]  # by wish


class _Wishes:
    """Of one client. left: units that are not launched. offered: what is held of them."""

    def __init__(self, demands: Iterable[tuple[Amounts, int]]) -> None:
        wishes = [(shape, count) for shape, count in demands if shape]
        self.shapes = [shape for shape, _ in wishes]
        self.left = [count for _, count in wishes]
        self.offered: dict[OfferId, Units] = {}

    def units_in(self, amounts: Amounts) -> Units | None:
        """How many of each shape make just that."""
        counts = [range(min(left, _FEW) + 1) for left in self.left]
        for units in product(*counts):
            made: Counter[str] = Counter()
            for number, shape in zip(units, self.shapes, strict=True):
                made.update({name: number * amount for name, amount in shape.items()})
            if +made == amounts:
                return units
        return None

    @property
    def few(self) -> bool:
        return len(self.shapes) <= 2 and all(left <= _FEW for left in self.left)


class _Term:
    def __init__(self, core: MasterCore) -> None:
        self.core = core
        self.wishes: dict[Client, _Wishes] = {}
        self.used: list[Offer] = []  # by the call of this step

    def forget(self, framework_id: FrameworkId) -> None:
        for client in [client for client in self.wishes if client[0] == framework_id]:
            del self.wishes[client]

    def keep(self, framework_id: FrameworkId, roles: Sequence[str]) -> None:
        """Its demand goes on in the roles that it still has, if there is some in any of them."""
        own = [client for client in self.wishes if client[0] == framework_id]
        kept = [client for client in own if client[1] in roles]
        if not any(self.wishes[client].shapes for client in kept):
            kept = []
        for client in own:
            if client not in kept:
                del self.wishes[client]


class NoMoreThanIsWanted(Watch):
    def __init__(self) -> None:
        self._terms = Terms(_Term)

    def master_steps(self, master: VirtualMaster, event: Any) -> None:
        if type(event) is FrameworkSaid and isinstance(event.call, sm.Accept):
            term = self._terms.of(master)
            if term.wishes:
                found = [term.core.state.offers.get(id_) for id_ in event.call.offer_ids]
                term.used = [offer for offer in found if offer is not None]

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:
        if type(event) is FrameworkSaid:
            term = self._terms.of(master)
            _said(term, event, output)
            term.used = []
        elif (known := self._terms.latest(master)) is None or not known.wishes:
            return
        else:
            term = self._terms.of(master)
        for effect in output.effects if term.wishes else ():
            if type(effect) is ToFramework and isinstance(effect.event, sm.Offers):
                for offer in effect.event.offers:
                    wishes = term.wishes.get((offer.framework_id, offer.role))
                    if wishes is not None and (wrong := _offered(term.core.state, wishes, offer)):
                        raise Broken(f"promise 7: {master.name} offers {offer}: {wrong}")


def _said(term: _Term, event: FrameworkSaid, output: Output[Any]) -> None:
    state, call = term.core.state, event.call
    framework_id = state.framework_of.get(event.conn)
    if framework_id is None or event.framework_id not in (None, framework_id):
        return
    told = [e.event for e in output.effects if type(e) is ToFramework and e.conn == event.conn]
    if isinstance(call, sm.Subscribe):
        term.forget(framework_id)
    elif isinstance(call, sm.UpdateFramework):
        term.keep(framework_id, state.frameworks[framework_id].info.all_roles)
    elif isinstance(call, sm.Request):
        if not any(isinstance(each, sm.Answered) for each in told):
            term.forget(framework_id)
            _declared(term, state, framework_id, call)
    elif isinstance(call, sm.Accept) and term.used:
        _launched(term, framework_id, output)


def _declared(term: _Term, state: MasterState, framework_id: FrameworkId, call: sm.Request) -> None:
    framework = state.frameworks[framework_id]
    roles = framework.info.all_roles
    demands: dict[str, list[tuple[Amounts, int]]] = {}
    for each in call.requests:
        if each.count is not None:
            for role in roles if each.role is None else (each.role,):
                demands.setdefault(role, []).append((_amounts(each.resources), each.count))
    if not demands:
        return  # it is offered all, as before
    held: dict[str, list[Offer]] = {}
    for offer_id in framework.offers:
        offer = state.offers[offer_id]
        held.setdefault(offer.role, []).append(offer)
    for role in roles:
        wishes = _Wishes(demands.get(role, []))
        if wishes.few and _counts(wishes, held.get(role, [])):
            term.wishes[(framework_id, role)] = wishes


def _counts(wishes: _Wishes, held: Sequence[Offer]) -> bool:
    """What it has been offered before it said so. Not of two shapes at once, of which it is not
    said how they count."""
    for offer in held:
        units = wishes.units_in(_amounts(offer.resources))
        if units is None or sum(count > 0 for count in units) > 1:
            return False
        wishes.offered[offer.id] = units
    return len({offer.agent_id for offer in held}) == len(held)


def _launched(term: _Term, framework_id: FrameworkId, output: Output[Any]) -> None:
    client = framework_id, term.used[0].role
    wishes = term.wishes.get(client)
    if wishes is None:
        return
    for task in _tasks(output):
        amounts = _amounts(task)
        if amounts not in wishes.shapes:
            del term.wishes[client]  # as how many units it counts depends on what else is offered
            return
        at = wishes.shapes.index(amounts)
        wishes.left[at] = max(0, wishes.left[at] - 1)


def _tasks(output: Output[Any]) -> Iterator[Resources]:
    """What each takes that is launched."""
    for effect in output.effects:
        if type(effect) is ToAgent and isinstance(effect.message, am.RunTask):
            yield effect.message.task.resources
        elif type(effect) is ToAgent and isinstance(effect.message, am.RunGroup):
            yield from (task.resources for task in effect.message.tasks)


def _offered(state: MasterState, wishes: _Wishes, offer: Offer) -> str:
    units = wishes.units_in(_amounts(offer.resources))
    wanted = list(zip(wishes.left, wishes.shapes, strict=True))
    if units is None or not any(units):
        return f"wanted are {wanted}"
    wishes.offered = {id_: each for id_, each in wishes.offered.items() if id_ in state.offers}
    wishes.offered[offer.id] = units
    sums = [sum(counts) for counts in zip(*wishes.offered.values(), strict=True)]
    if any(count > left for count, left in zip(sums, wishes.left, strict=True)):
        return f"with what it has {sums} units are offered, and wanted are {wanted}"
    return ""


def _amounts(resources: Resources) -> Amounts:
    amounts: Counter[str] = Counter()
    for kind, value in resources.items():
        if isinstance(value, Ranges):
            amounts[kind.name] += 1000 * sum(last - begin + 1 for begin, last in value.pairs)
        elif isinstance(value, Items):
            amounts[kind.name] += 1000 * len(value.members)
        else:
            amounts[kind.name] += value
    return +amounts
