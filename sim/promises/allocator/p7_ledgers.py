"""Promise 7, its ledgers: a sum that is kept by change is the same as one made anew.

Shares, guarantees and limits are all of sums that no step makes as a whole. Here they are made, of
what the books say of each agent: what is there, offered to whom, and had by whom.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from mezzo.core import Output
from mezzo.master.allocator.agent_books import Agent
from mezzo.master.allocator.allocator import Allocator
from mezzo.master.allocator.books import Books
from mezzo.master.allocator.demand import Wish
from mezzo.master.allocator.drf_sorter import Tree
from mezzo.master.allocator.filters import Filters
from mezzo.master.allocator.nodes import ClientNode, Node
from mezzo.master.allocator.quantities import measure
from mezzo.master.allocator.quota import Quotas
from mezzo.master.events import FrameworkSaid
from mezzo.messages.scheduler import Decline

from ...daemons.masters import VirtualMaster
from ...watch import Watch
from ...world.watched import Broken

_LOOK_EVERY: Final = 100  # steps of one master
_ALL_EVERY: Final = 300
_STALE_MAX: Final = 64  # refusals that are over and not forgotten, beside as many as there are


class LedgersAddUp(Watch):
    def __init__(self) -> None:
        self._steps: Counter[str] = Counter()
        self._noted: dict[str, int] = {}  # refusals, those included that are over

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:
        self._steps[master.name] += 1
        core = master.core
        if core is None:
            return
        allocator = core.state.allocator
        books = allocator._books
        if books.quotas.woken:
            _nobody_waits_who_is_awake(books.quotas)
        before, noted = self._noted.get(master.name, 0), books.filters._pairs
        if noted != before:
            self._noted[master.name] = noted
            if before < noted > _STALE_MAX and type(event) is FrameworkSaid:
                _few_are_stale(event, books.filters)
        if self._steps[master.name] % _LOOK_EVERY == 0:
            _check(books)
            if self._steps[master.name] % _ALL_EVERY == 0:
                _refusals(books)
                _tree(books.tree)
                _what_changed(allocator)


def _check(books: Books) -> None:
    totals: Counter[str] = Counter()
    open_: Counter[str] = Counter()
    taken: Counter[str] = Counter()
    reserved: dict[str, Counter[str]] = {}
    charged: dict[str, Counter[str]] = {}
    held: dict[object, Counter[str]] = {}
    for agent in books.agents.values():
        amounts = measure(agent.total)
        totals.update(amounts.all)
        open_.update(amounts.open)
        for kind, value in agent.total.items():
            if kind.reservations and type(value) is int:
                reserved.setdefault(kind.role, Counter())[kind.name] += value
                charged.setdefault(kind.role.split("/", 1)[0], Counter())[kind.name] += value
        for client, resources in (*agent.offered.items(), *agent.allocated.items()):
            amounts = measure(resources)
            taken.update(amounts.open)
            charged.setdefault(client.top, Counter()).update(amounts.open)
            held.setdefault(client, Counter()).update(amounts.all)
    quotas = books.quotas
    _same("there", books.tree.totals, totals)
    _same("free to be guaranteed", quotas._total, open_)
    _same("taken of it", quotas._taken, taken)
    for role in {*reserved, *quotas.reserved}:
        _same(f"reserved to {role}", quotas.reserved.get(role, {}), reserved.get(role, {}))
    required: Counter[str] = Counter()
    for top in {*charged, *quotas._roles}:
        had = quotas._roles.get(top)
        _same(f"charged to {top}", had.charged if had else {}, charged.get(top, {}))
        required.update(quotas.unmet(top))
    _same("kept for guarantees", quotas.required(), required)
    _clients(books, held)


def _clients(books: Books, held: Mapping[object, Mapping[str, int]]) -> None:
    agents = books.agents.values()
    refusals: Counter[object] = Counter()
    for agent in agents:
        for client, each in agent.refusals.items():
            refusals[client] += len(each)
    for client in books.tree.clients.values():
        _same(f"held by {client.key}", client.held, held.get(client, {}))
        counted = {"offers": client.offers, "uses": client.uses, "refusals": client.refusals}
        anew = {
            "offers": sum(client in agent.offered for agent in agents),
            "uses": sum(client in agent.allocated for agent in agents),
            "refusals": refusals[client],
        }
        _same(f"of {client.key}", counted, anew)
    times = {"offers that are timed": len(books.offered_s), "refusals": len(books.filters)}
    anew = {"offers that are timed": sum(len(a.offered) for a in agents)}
    _same("of all", times, anew | {"refusals": refusals.total()})
    own = Counter(c.floors for c in books.tree.clients.values() if c.floors is not books.floors)
    if books._own_floors != own:
        raise Broken(f"promise 7: minimal offers are {books._own_floors}, counted anew {own}")
    for client in books.tree.clients.values():
        for wish in client.wishes.wishes if client.wishes is not None else ():
            _wish(client, wish)


def _wish(client: ClientNode, wish: Wish) -> None:
    """Pending units are offered, and no more than are wanted."""
    by_agent = {agent.id: units for agent, units in wish.on.items() if isinstance(agent, Agent)}
    fits = {
        agent.id: wish.units_in(agent.offered[client]) if client in agent.offered else 0
        for agent in wish.on
        if isinstance(agent, Agent)
    }
    if (
        wish.pending != sum(by_agent.values())
        or wish.pending > wish.left
        or any(not 0 < units <= fits[agent_id] for agent_id, units in by_agent.items())
    ):
        raise Broken(
            f"promise 7: of {wish.left} units that {client.key} wants {wish.pending} are pending, "
            f"by agent {by_agent}; of what it is offered there, {fits}"
        )


# ---------------------------------------------------------------------------------- refusals


def _few_are_stale(event: FrameworkSaid, filters: Filters) -> None:
    """As a refusal is noted, stale entries are forgotten before they are too many."""
    if type(event.call) is Decline and filters._pairs > 2 * len(filters) + _STALE_MAX:
        raise Broken(
            f"promise 7: of {filters._pairs} refusals that end some time {len(filters)} hold"
        )


def _refusals(books: Books) -> None:
    """Each refusal has its time at which it is over, and is found then."""
    filters = books.filters
    due = {tick: set(each.each()) for tick, each in filters._due.items()}
    pairs = sum(len(each.pairs) // 2 for each in filters._due.values())
    _same("refusals to be over", {"in all": filters._pairs}, {"in all": pairs})
    if sorted(filters._ticks) != sorted(due):
        raise Broken(f"promise 7: refusals end at {sorted(due)}, looked at {filters._ticks}")
    for agent in books.agents.values():
        for client, each in agent.refusals.items():
            for refusal in each:
                if (agent, client) not in due.get(refusal.until_tick, ()):
                    raise Broken(f"promise 7: {client.key} refuses {agent.id} for ever")


# ---------------------------------------------------------------------------------- turns


def _tree(tree: Tree) -> None:
    waiting: list[Node] = [tree.root]
    while waiting:
        node = waiting.pop()
        children = node.children.values()
        waiting += children
        if not isinstance(node, ClientNode):
            _order(tree, node)
        if node.parent is not None and not isinstance(node, ClientNode):
            held = Counter[str]()
            for child in children:
                held.update(child.held)
            _same(f"held below {node.path}", node.held, held)
            open_ = {"clients": sum(child.open for child in children)}
            _same(f"that take part below {node.path}", {"clients": node.open}, open_)


def _order(tree: Tree, node: Node) -> None:
    """A node that is not about to be moved is at the place of its share."""
    children = node.children.values()
    strangers = [each.path for each in node.moved if node.children.get(each.name) is not each]
    strangers += [place[3] for place in node.order if place[4].place is not place]
    if strangers:
        raise Broken(f"promise 7: below {node.path} are {strangers} no more, and have a turn")
    if node.generation != tree._generation:
        return  # all are put in order anew
    for child in children:
        if child in node.moved:
            continue
        place = child.place[:4] if child.place is not None else None
        anew = tree.place(child)[:4] if child.open else None
        if place != anew:
            raise Broken(f"promise 7: the turn of {child.path} is at {place}, and should at {anew}")


# ---------------------------------------------------------------------------------- what changed


def _nobody_waits_who_is_awake(quotas: Quotas) -> None:
    """A role that is woken wakes all its clients that others' guarantees keep something from."""
    for name, role in quotas._roles.items():
        if role.quota is None or not role.quota.guarantees:
            continue
        both = [client.key for client in quotas.woken if client in role.kept_from]
        if both:
            raise Broken(f"promise 7: of role {name} are woken, and wait on: {both}")


def _what_changed(allocator: Allocator) -> None:
    """Of agents that the next cycle does not look at anyway."""
    books = allocator._books
    idle = books.quotas._idle_of
    free: Counter[str] = Counter()
    for each in idle.values():
        free.update(each)
    _same("free and away", books.quotas._idle, free)
    for agent in books.agents.values():
        if agent in allocator._agents:
            continue
        if agent.free and agent.offerable and agent not in allocator._leftover:
            raise Broken(f"promise 7: {agent.free} is left of {agent.id}, and nobody looks at it")
        if agent.offerable == (agent in idle):
            raise Broken(f"promise 7: {agent.id} counts as away, or as there, and is not")
        if not agent.offerable:
            _same(f"free at {agent.id}, which is away", idle[agent], measure(agent.free).open)


def _same(what: str, counted: Mapping[str, int], anew: Mapping[str, int]) -> None:
    for name in {**counted, **anew}:
        if counted.get(name, 0) != anew.get(name, 0):
            raise Broken(
                f"promise 7: {what}: {name} is {counted.get(name, 0)} by the ledger, and "
                f"{anew.get(name, 0)} when added up"
            )
