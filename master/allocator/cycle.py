"""One allocation cycle: progressive filling, by change.

The client whose turn it is takes from the first agent (in random order) that it may have something
of: all that it may see there, as in Mesos (coarse grained), or one unit of its declared demand.
Then it steps back in the queue to its new place. A client that finds nothing is out. First come the
roles whose guarantees are unmet, then all.

Looked at are (agents that changed x all clients) and (clients that changed x agents with something
left): of all other pairs it is known that nothing can be given. Within a cycle what is free, what
quota leaves and the surplus over the headroom only shrink, so what can't be given once can't be
given later either: no client looks at an agent twice in a stage, and agents with nothing left are
skipped at no cost.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

from mezzo.cluster.resources import Resources

from .agent_books import Agent
from .books import Books
from .nodes import ClientNode, Node
from .quantities import measure
from .terms import Grant
from .turns import Turns


class Cycle:
    """agents: those that changed. clients: those that changed. rest: agents that did not change and
    have something left. All may name some that can't be offered.
    promises: agents that were taken from others for the sake of these clients."""

    def __init__(
        self,
        books: Books,
        agents: Iterable[Agent],
        clients: dict[ClientNode, None],
        rest: Iterable[Agent],
        promises: Iterable[tuple[Agent, ClientNode]],
        rng: random.Random,
    ) -> None:
        self._books = books
        self._clients = clients
        self._made: dict[tuple[ClientNode, Agent], Resources] = {}
        for agent, client in promises:
            self._keep_promise(agent, client)
        pool = [agent for agent in agents if books.worth_offering(agent)]
        rng.shuffle(pool)
        self._changed = len(pool)
        if clients:
            changed = dict.fromkeys(pool)
            others = [a for a in rest if a not in changed and books.worth_offering(a)]
            rng.shuffle(others)
            pool += others
        self._pool = pool
        # The next agent with something left, itself included; paths are compressed in use.
        self._next = list(range(len(pool) + 1))
        self._left = len(pool)
        self._special: dict[str, list[int]] | None = None

    def run(self) -> list[Grant]:
        tree = self._books.tree
        if self._pool:
            if self._books.quotas.any_unmet:
                self._stage(Turns(tree, tree.root, self._is_unmet), guarantees=True)
            self._stage(Turns(tree, tree.root), guarantees=False)
        return [
            Grant(*client.key, agent.id, resources)
            for (client, agent), resources in self._made.items()
        ]

    @property
    def pool(self) -> list[Agent]:
        return self._pool

    def _is_unmet(self, role: Node) -> bool:
        return bool(self._books.quotas.unmet(role.path))

    def _stage(self, turns: Turns, *, guarantees: bool) -> None:
        stage = self._books.next_stage()
        while self._left and (client := turns.next()) is not None:
            if client.stage != stage:
                client.stage = stage
                client.cursor = 0
            turns.settle(self._serve(client, guarantees))

    def _keep_promise(self, agent: Agent, client: ClientNode) -> None:
        if client.open and self._books.worth_offering(agent):
            while self._give(client, agent, guarantees=False) and client.wishes is not None:
                pass

    # ---- one turn

    def _serve(self, client: ClientNode, guarantees: bool) -> bool:
        """Give the client something of the next agent that it may have."""
        books = self._books
        if client.wishes is not None and not client.wishes.any_open:
            return False
        caps = books.quotas.caps(client.top)
        if caps is not None and not client.floors.within(caps):
            # Of what is unreserved and firm no offer can be made to the client.
            return self._serve_special(client, guarantees)
        pool, following = self._pool, self._next
        end = len(pool) if client in self._clients else self._changed
        at = self._find(client.cursor)
        while at < end:
            agent = pool[at]
            refused = agent.refusals.get(client)
            # Mostly the client has refused just what is free: no need to look closer.
            if (refused is None or refused[-1].resources is not agent.free) and self._give(
                client, agent, guarantees
            ):
                # Whole agents: the client has all that it may have there.
                client.cursor = at if client.wishes is not None else at + 1
                if not books.worth_more(agent):
                    self._drop(at)
                return True
            at += 1
            if following[at] != at:
                at = self._find(at)
        client.cursor = at
        return False

    def _serve_special(self, client: ClientNode, guarantees: bool) -> bool:
        """As `_serve`, where only what is reserved to it or revocable can be an offer."""
        self._books.quotas.cut_short(client, None)
        if self._special is None:
            self._special = self._index_special()
        places = self._special.get(client.top, [])
        if client.terms.revocable:
            places = sorted({*places, *self._special.get("", [])})
        end = len(self._pool) if client in self._clients else self._changed
        for at in places:
            if client.cursor <= at < end and self._give(client, self._pool[at], guarantees):
                client.cursor = at if client.wishes is not None else at + 1
                return True
        return False

    def _index_special(self) -> dict[str, list[int]]:
        """Where in the pool something reserved to a top-level role is, and (under "") revocable."""
        index: dict[str, list[int]] = {}
        for at, agent in enumerate(self._pool):
            if agent.plain:
                continue
            tops = {
                "" if kind.revocable else kind.role.split("/", 1)[0]: None
                for kind, _ in agent.free.items()
                if kind.reservations or kind.revocable
            }
            for top in tops:
                index.setdefault(top, []).append(at)
        return index

    def _find(self, at: int) -> int:
        following = self._next
        while (skip := following[at]) != at:
            following[at] = at = following[skip]
        return at

    def _drop(self, at: int) -> None:
        self._next[at] = at + 1
        self._left -= 1

    # ---- one pair

    def _give(self, client: ClientNode, agent: Agent, guarantees: bool) -> bool:
        books = self._books
        part = books.assess(client, agent, agent.free, noting=True)
        if part is None:
            return False
        resources, wish = part
        amounts = measure(resources)
        if guarantees:
            unmet = books.quotas.unmet(client.top)
            if not any(amounts.open.get(name) for name in unmet):
                return False
        if wish is not None:
            wish.note(agent, 1)
        books.grant(client, agent, resources, amounts)
        made = self._made.get((client, agent))
        self._made[(client, agent)] = resources if made is None else made + resources
        return True
