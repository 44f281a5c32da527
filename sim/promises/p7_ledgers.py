"""Promise 7, the ledgers of it: what is counted as it changes is what comes of counting it anew.

Shares, guarantees and limits are all of sums that no step makes as a whole. Here they are: of what
the books say is at which agent, who is offered and who has what of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from mezzo.core import Output
from mezzo.master.allocator.books import Books
from mezzo.master.allocator.quantities import measure

from ..masters import VirtualMaster
from ..watch import Broken, Watch

_LOOK_EVERY: Final = 100  # steps of one master


class LedgersAddUp(Watch):
    def __init__(self) -> None:
        self._steps: Counter[str] = Counter()

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:  # noqa: ANN401
        self._steps[master.name] += 1
        core = master.core
        if core is not None and self._steps[master.name] % _LOOK_EVERY == 0:
            _check(core.state.allocator._books)


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


def _same(what: str, counted: Mapping[str, int], anew: Mapping[str, int]) -> None:
    for name in {**counted, **anew}:
        if counted.get(name, 0) != anew.get(name, 0):
            raise Broken(
                f"promise 7: {what}: {name} is {counted.get(name, 0)} by the ledger, and "
                f"{anew.get(name, 0)} when added up"
            )
