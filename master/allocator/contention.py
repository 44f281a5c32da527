"""Nobody starves behind a framework that thinks. Beyond Mesos, where offers are held as long as
one likes; the problem is that of section 4.2 of the Omega paper (EuroSys 2013).

A client is hungry if it wants offers, has none, and nothing that is free can be offered to it. What
others hold unused it contends for: of the sum of all offers each contender is entitled to a part by
weight, level by level in the tree of roles. Offers that are older than the patience and beyond
their holder's part are withdrawn, the newest first (it has thought least about them), as far as
some hungry client could use them; what comes back is promised to that client and granted to it
before all else. The holder keeps its part, however long it thinks: what a hungry client got and
used up counts as had until the holder has answered the offers of that time.

This costs nothing unless a client is hungry, and then one look at each offer for each that is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

from mezzo.cluster.resources import Resources

from .agent_books import Agent
from .books import Books
from .nodes import ClientNode, Node
from .quantities import measure
from .terms import Withdraw

# So many offers are looked at in one cycle: the master has more to do.
LOOKS_PER_CYCLE: Final = 100_000
_ROUNDING_SHARE: Final = 1e-9


class _Given(NamedTuple):
    """What a hungry client got of a holder's offers: a dominant share, and when."""

    share: float
    at_s: float


class Contention:
    """Times are monotonic seconds. `promises`: who is to have what was withdrawn."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self.promises: dict[Agent, ClientNode] = {}
        self._look_s: dict[ClientNode, float] = {}  # when the hungry look at others' offers
        self._seen_s: dict[ClientNode, float] = {}  # of offers up to then it wants none
        self._given: dict[tuple[ClientNode, ClientNode], _Given] = {}  # holder, hungry
        self.looks = 0  # at offers, in the last cycle

    def forget(self, client: ClientNode) -> None:
        """The client is gone."""
        self.reconsider(client)
        self.promises = {a: c for a, c in self.promises.items() if c is not client}
        self._given = {pair: given for pair, given in self._given.items() if client not in pair}

    def reconsider(self, client: ClientNode) -> None:
        """The client may want now what it did not want before."""
        self._seen_s.pop(client, None)
        self._look_s.pop(client, None)

    def gave_back(self, client: ClientNode, resources: Resources) -> None:
        """The client declines some offers: of what was given to it only what it keeps counts."""
        if not self._given:
            return
        back = self._books.tree.dominant(measure(resources).all)
        for pair, given in list(self._given.items()):
            if pair[1] is client and back > 0:
                self._given[pair] = given._replace(share=max(0.0, given.share - back))
                back -= given.share

    @property
    def next_due_s(self) -> float | None:
        return min(self._look_s.values(), default=None)

    def take_promises(self) -> list[tuple[Agent, ClientNode]]:
        """The promises of the last cycle; they are kept in this one or forgotten."""
        promises, self.promises = self.promises, {}
        return list(promises.items())

    def settle(self, now_s: float) -> list[Withdraw]:
        """Called at the end of a cycle, when all that is free has been granted."""
        self.looks = 0
        patience_s = self._books.config.patience_s
        if patience_s is None:
            return []
        hungry = self._hungry(now_s, patience_s)
        if not hungry:
            return []
        overdue = [
            pair for pair, at_s in self._books.offered_s.items() if at_s + patience_s <= now_s
        ]
        wanting = []
        for client in hungry:
            if self.looks >= LOOKS_PER_CYCLE:
                break  # the others are still due: the next cycle goes on with them
            if self._wants_any(client, overdue, patience_s):
                wanting.append(client)
        if not wanting:
            return []
        out = self._divide(wanting, overdue, now_s)
        for client in wanting:
            self._look_s[client] = now_s + patience_s
        return out

    # ---- who is hungry

    def _hungry(self, now_s: float, patience_s: float) -> list[ClientNode]:
        """The hungry clients whose time to look it is."""
        books = self._books
        if not books.offered_s:
            self._look_s.clear()
            return []
        newest_s = next(reversed(books.offered_s.values()))
        oldest_s = next(iter(books.offered_s.values()))
        ready = []
        for client in books.tree.clients.values():
            if not client.open or client.offers or not _wants(client):
                self._look_s.pop(client, None)
                continue
            look_s = self._look_s.get(client)
            if look_s is None:
                seen_s = self._seen_s.get(client)
                if seen_s is not None and seen_s >= newest_s:
                    continue  # until something else is offered to somebody
                look_s = (oldest_s if seen_s is None else now_s) + patience_s
                self._look_s[client] = look_s
            if look_s <= now_s:
                ready.append(client)
        return ready

    def _wants_any(
        self,
        client: ClientNode,
        overdue: list[tuple[ClientNode, Agent]],
        patience_s: float,
    ) -> bool:
        """Does the client want any offer? If not, it is not asked again before there are others."""
        offered_s = self._books.offered_s
        seen_s = self._seen_s.get(client, -math.inf)
        for holder, agent in reversed(overdue):
            if offered_s[(holder, agent)] <= seen_s:
                break
            self.looks += 1
            if self._could_use(client, holder, agent):
                return True
        if overdue:
            self._seen_s[client] = offered_s[overdue[-1]]
        del self._look_s[client]
        later_s = next((s for s in offered_s.values() if s > self._seen_s.get(client, s)), None)
        if later_s is not None:
            self._look_s[client] = later_s + patience_s
        return False

    def _could_use(self, client: ClientNode, holder: ClientNode, agent: Agent) -> bool:
        if not agent.offerable or agent in self.promises:
            return False
        back = agent.free + agent.offered[holder]
        refused = agent.refusals.get(client)
        if refused is not None and refused[-1].resources is back:
            return False  # as a cycle does: mostly it has refused just that
        return self._books.assess(client, agent, back) is not None

    # ---- who gets what

    def _divide(
        self,
        wanting: list[ClientNode],
        overdue: list[tuple[ClientNode, Agent]],
        now_s: float,
    ) -> list[Withdraw]:
        books = self._books
        held = self._held()
        got = self._got(wanting)
        entitled = self._entitled([*held, *wanting], sum(held.values()) + sum(got.values()))
        keeps = books.config.thinker_keeps_part
        # Of declared demand: the units that are still to be found.
        open_units = {c: c.wishes.open_units for c in wanting if c.wishes is not None}
        of_holder: dict[ClientNode, list[tuple[float, Agent]]] = {}
        for holder, agent in overdue:
            size = self._size(holder, agent)
            of_holder.setdefault(holder, []).append((size, agent))
        out = []
        # The holder of most beyond its part gives first; of its offers the newest.
        for holder in sorted(of_holder, key=lambda each: entitled[each] * keeps - held[each]):
            for size, agent in reversed(of_holder[holder]):
                if held[holder] - size < entitled[holder] * keeps - _ROUNDING_SHARE:
                    continue
                for client in sorted(wanting, key=lambda each: got[each] / entitled[each]):
                    beyond = got[client] + size > entitled[client] + _ROUNDING_SHARE
                    if (got[client] and beyond) or open_units.get(client, 1) <= 0:
                        continue
                    if self._could_use(client, holder, agent):
                        break
                else:
                    continue
                held[holder] -= size
                got[client] += size
                given = self._given.get((holder, client))
                before = given.share if given is not None else 0.0
                self._given[(holder, client)] = _Given(before + size, now_s)
                self.promises[agent] = client
                if client.wishes is not None:
                    back = agent.free + agent.offered[holder]
                    seen = agent.view(client.role, client.terms, back)
                    open_units[client] -= client.wishes.units_in(seen)
                holder.counters.withdrawn += 1
                why = f"{client.terms.name} has no offer, and this one is beyond a fair part"
                out.append(Withdraw(*holder.key, agent.id, why))
        return out

    def _size(self, holder: ClientNode, agent: Agent) -> float:
        """The dominant share of what the client is offered of the agent."""
        return self._books.tree.dominant(measure(agent.offered[holder]).all)

    def _held(self) -> dict[ClientNode, float]:
        """The dominant share of all that is offered, by client."""
        held: dict[ClientNode, float] = {}
        for client, _ in self._books.offered_s:
            if client not in held:
                offered = {n: a - client.allocated.get(n, 0) for n, a in client.held.items()}
                held[client] = self._books.tree.dominant(offered)
        return held

    def _got(self, wanting: list[ClientNode]) -> dict[ClientNode, float]:
        """What hungry clients were given of offers that their holders still think about."""
        oldest_s: dict[ClientNode, float] = {}
        for (holder, _), at_s in self._books.offered_s.items():
            oldest_s.setdefault(holder, at_s)
        self._given = {
            (holder, client): given
            for (holder, client), given in self._given.items()
            if oldest_s.get(holder, math.inf) <= given.at_s
        }
        got = dict.fromkeys(wanting, 0.0)
        for (_, client), given in self._given.items():
            if client in got:
                got[client] += given.share
        return got

    def _entitled(
        self, contenders: Iterable[ClientNode], whole_share: float
    ) -> dict[ClientNode, float]:
        """The part of `whole_share` that is due to each, by the weights of the roles on the way."""
        below: dict[Node, dict[Node, None]] = {}
        clients = dict.fromkeys(contenders)
        for client in clients:
            node: Node = client
            while node.parent is not None:
                below.setdefault(node.parent, {})[node] = None
                node = node.parent
        parts: dict[Node, float] = {self._books.tree.root: whole_share}
        waiting = [self._books.tree.root]
        while waiting:
            node = waiting.pop()
            weights = sum(child.weight for child in below.get(node, ()))
            for child in below.get(node, ()):
                parts[child] = parts[node] * child.weight / weights
                waiting.append(child)
        return {client: parts[client] for client in clients}


def _wants(client: ClientNode) -> bool:
    return client.wishes is None or client.wishes.any_open
