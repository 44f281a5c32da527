"""The allocator, as the master's core sees it: it is told every change and answers with grants.

Pure bookkeeping, by change: an agent or a client that nothing happened to costs a cycle nothing.
This file notes what changed; cycle.py has what that leads to, books.py who has what.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Final

from mezzo.cluster.resources import Resources
from mezzo.errors import BadRequest
from mezzo.ids import AgentId, FrameworkId

from .agent_books import Agent
from .books import Books
from .contention import Contention
from .cycle import Cycle
from .demand import Wishes
from .nodes import ClientNode
from .quantities import Floors
from .reasons import Verdict, explain
from .rescind_over_limit import over_limit
from .role_views import consumed, role_books
from .terms import (
    AgentTerms,
    AllocatorConfig,
    Client,
    Demand,
    FrameworkTerms,
    Grant,
    Quota,
    RoleBooks,
    Withdraw,
)

# A look at an agent takes about half of this. So a burst of changes that are told one by one, each
# of which lets a cycle look at many agents in vain, costs no more than half of the master's time.
LOOK_S: Final = 20e-6
FREE_LOOKS: Final = 100


class Allocator:
    """All times are monotonic seconds; `rng` shuffles the agents of a cycle."""

    def __init__(self, rng: random.Random, config: AllocatorConfig | None = None) -> None:
        self._rng = rng
        self._books = Books(config or AllocatorConfig())
        self._of_framework: dict[FrameworkId, dict[str, ClientNode]] = {}
        self._whitelist: frozenset[str] | None = None
        self._paused = False
        # What may lead to grants and has not been looked at yet.
        self._agents: dict[Agent, None] = {}
        self._clients: dict[ClientNode, None] = {}
        # Agents that have something left: clients that change look at them.
        self._leftover: dict[Agent, None] = {}
        self._contention = Contention(self._books)
        self._tightened: dict[str, None] = {}  # roles whose limit is lower than before
        self._rests_until_s = 0.0

    # ---- agents

    def add_agent(
        self, agent_id: AgentId, terms: AgentTerms, allocated: Mapping[Client, Resources]
    ) -> None:
        """An agent that was not there, with what its tasks already take."""
        agent = self._books.add_agent(agent_id, terms)
        agent.listed = self._is_listed(agent)
        for key, resources in allocated.items():
            if resources:
                self._books.occupy(self._client(key), agent, resources)
        self._agents[agent] = None

    def update_agent(self, agent_id: AgentId, terms: AgentTerms) -> None:
        """The agent has other resources, attributes, hostname or domain; its tasks stay counted.

        Rescind what does not fit the new resources first. Refusals are forgotten if more
        than resources changed: the frameworks may judge the agent otherwise now.
        """
        agent = self._books.agents[agent_id]
        if agent.terms[1:] != terms[1:]:
            self._books.filters.clear_agent(agent)
        agent.describe(terms, self._books.config.region)
        agent.listed = self._is_listed(agent)
        if agent.total != terms.total:
            self._books.set_total(agent, terms.total)
        self._agents[agent] = None

    def remove_agent(self, agent_id: AgentId) -> None:
        """The agent is gone, with everything that was allocated or offered on it."""
        agent = self._books.agents[agent_id]
        held = self._books.remove_agent(agent)
        self._agents.pop(agent, None)
        self._leftover.pop(agent, None)
        self._contention.promises.pop(agent, None)
        for client in held:
            self._settle(client, agent)
        self._books.quotas.wake_for_headroom()

    def set_agent_active(self, agent_id: AgentId, active: bool) -> None:
        """An inactive agent is not offered."""
        agent = self._books.agents[agent_id]
        agent.active = active
        self._agents[agent] = None

    def set_whitelist(self, hostnames: Iterable[str] | None) -> None:
        """Only agents of these hosts are offered; None: all are."""
        self._whitelist = None if hostnames is None else frozenset(hostnames)
        for agent in self._books.agents.values():
            listed = self._is_listed(agent)
            if listed is not agent.listed:
                self._agents[agent] = None
            agent.listed = listed

    def _is_listed(self, agent: Agent) -> bool:
        return self._whitelist is None or agent.terms.hostname in self._whitelist

    def available(self, agent_id: AgentId) -> Resources:
        """What is neither offered nor allocated."""
        return self._books.agents[agent_id].free

    # ---- frameworks

    def set_framework(self, framework_id: FrameworkId, terms: FrameworkTerms) -> None:
        """A framework is connected, or its terms changed; what it refused before is forgotten."""
        for role in terms.roles:
            self._client((framework_id, role))
        for role, client in list(self._of(framework_id).items()):
            self._forget_refusals(client)
            self._books.tree.set_open(client, False)  # its name, part of its place, may change
            client.terms = terms
            self._set_floors(client)
            client.connected = role in terms.roles
            self._open(client, client.connected and role not in terms.suppressed)
            self._drop_if_over(client)

    def deactivate_framework(self, framework_id: FrameworkId) -> None:
        """The framework is disconnected: no offers, filters forgotten; its tasks still count."""
        for client in self._of(framework_id).values():
            self._forget_refusals(client)
            self._open(client, False)
            client.connected = False

    def remove_framework(self, framework_id: FrameworkId) -> None:
        """The framework is completed. What is still allocated to it counts until it is released."""
        for client in list(self._of(framework_id).values()):
            self._forget_refusals(client)
            self._open(client, False)
            client.connected = False
            client.terms = client.terms._replace(roles=())
            self._drop_if_over(client)

    def suppress(self, framework_id: FrameworkId, roles: tuple[str, ...] = ()) -> None:
        """No offers in the roles (none named: in all)."""
        for client in self._named(framework_id, roles):
            self._open(client, False)

    def revive(self, framework_id: FrameworkId, roles: tuple[str, ...] = ()) -> None:
        """Refusals and suppression of the roles (none named: of all) are forgotten."""
        for client in self._named(framework_id, roles):
            # What the client did not refuse it has been offered, unless it was suppressed.
            if self._forget_refusals(client):
                self._clients[client] = None
            self._open(client, True)

    def set_demand(self, framework_id: FrameworkId, demands: tuple[Demand, ...]) -> None:
        """The framework's whole demand, in place of an earlier one. With any, a role that is not
        named wants nothing; with none, the framework no longer declares and is offered all."""
        for client in self._named(framework_id, ()):
            self._declare(client, demands)

    def keep_demand(self, framework_id: FrameworkId, demands: tuple[Demand, ...]) -> None:
        """The framework's roles may have changed. demands: what it declared in those that it still
        has: there it goes on, with what is used and offered by now."""
        for role, client in self._of(framework_id).items():
            if role not in client.terms.roles:
                client.wishes = None
            elif client.wishes is None or not demands:
                self._declare(client, demands)

    def _declare(self, client: ClientNode, demands: tuple[Demand, ...]) -> None:
        client.wishes = None
        if demands:
            client.wishes = Wishes(d for d in demands if d.role == client.role)
            for agent in self._books.agents.values():
                if client in agent.offered:
                    client.wishes.offered(agent, agent.offered[client])
        self._set_floors(client)
        self._clients[client] = None

    def _set_floors(self, client: ClientNode) -> None:
        """The least that is an offer: a wanted shape, the client's own minimum, or anybody's."""
        floors = self._books.floors
        sets = client.terms.min_allocatable.get(client.role)
        if client.wishes is not None and client.wishes.wishes:
            floors = Floors.of(wish.shape for wish in client.wishes.wishes)
        elif sets is not None:
            floors = Floors.of(sets)
        self._books.set_floors(client, floors)

    def _named(self, framework_id: FrameworkId, roles: tuple[str, ...]) -> list[ClientNode]:
        """The roles that are named, as far as they are the framework's; former ones are not."""
        return [
            client
            for role, client in self._of(framework_id).items()
            if role in client.terms.roles and (not roles or role in roles)
        ]

    def _open(self, client: ClientNode, open_: bool) -> None:
        if open_ and not client.open:
            self._clients[client] = None
        self._books.tree.set_open(client, open_)

    def _forget_refusals(self, client: ClientNode) -> bool:
        return self._books.filters.clear_client(client, self._books.agents.values())

    def _client(self, key: Client) -> ClientNode:
        client = self._books.client(key)
        self._of_framework.setdefault(key[0], {})[key[1]] = client
        return client

    def _of(self, framework_id: FrameworkId) -> dict[str, ClientNode]:
        return self._of_framework.get(framework_id, {})

    def _drop_if_over(self, client: ClientNode) -> None:
        """Forget a client that is in none of its framework's roles and has nothing left."""
        framework_id, role = client.key
        if role in client.terms.roles or not client.idle:
            return
        self._books.tree.set_open(client, False)
        self._forget_refusals(client)
        self._books.remove_client(client)
        self._contention.forget(client)
        self._clients.pop(client, None)
        del self._of_framework[framework_id][role]
        if not self._of_framework[framework_id]:
            del self._of_framework[framework_id]

    # ---- roles

    def set_weight(self, role: str, weight: float) -> None:
        """A weight is 1 if not set. A new one counts from the next grant on."""
        self._books.tree.set_weight(role, weight)

    def set_quota(self, role: str, quota: Quota | None) -> None:
        """The quota of a top-level role. The next cycle withdraws offers beyond a tighter limit."""
        self._books.quotas.set(role, quota)
        if self._books.quotas.over_limit(role):
            self._tightened[role] = None

    def consumed(self, role: str) -> dict[str, int]:
        """What counts against a limit, in thousandths: all that is reserved to the role and the
        roles below, and what is allocated (not only offered) there of the unreserved."""
        return consumed(self._books, role)

    def lacking(self) -> dict[str, int]:
        """How much more would have to be free for all guarantees that are not met, in thousandths
        of the unreserved and firm."""
        quotas = self._books.quotas
        return {n: -left for n in quotas.required() if (left := quotas.surplus(n)) < 0}

    def roles(self) -> list[RoleBooks]:
        """All roles that somebody is in, or that have a weight, quota or reservation."""
        return role_books(self._books)

    def share(self, client: Client) -> float:
        """The client's dominant share: the largest part of the cluster that it has of a scalar."""
        known = self._books.tree.clients.get(client)
        return 0.0 if known is None else self._books.tree.share(known)

    # ---- the life of a grant

    def use(
        self, client: Client, agent_id: AgentId, resources: Resources, *, task: bool = True
    ) -> None:
        """A task takes these resources of the offer; or, if not `task`, its executor, which is no
        task of the declared demand."""
        books = self._books
        node, agent = books.tree.clients[client], books.agents[agent_id]
        books.use(node, agent, resources)
        if task:
            node.counters.used += 1
            if node.wishes is not None:
                node.wishes.used(agent, resources)
        self._settle_wishes(node, agent)

    def decline(
        self,
        client: Client,
        agent_id: AgentId,
        resources: Resources,
        refused_until_s: float | None = None,
    ) -> None:
        """The resources are offered no more; with a time the client refuses them until then."""
        if not resources:
            return
        books = self._books
        node, agent = books.tree.clients[client], books.agents[agent_id]
        books.decline(node, agent, resources)
        self._contention.gave_back(node, resources)
        self._settle(node, agent)
        if refused_until_s is not None:
            node.counters.declined += 1
            if node.open:
                books.filters.add(node, agent, resources, refused_until_s)

    def release(self, client: Client, agent_id: AgentId, resources: Resources) -> None:
        """A task that took these is over. No error if its agent is gone: they went with it."""
        agent = self._books.agents.get(agent_id)
        if agent is None or not resources:
            return
        node = self._books.tree.clients[client]
        self._books.release(node, agent, resources)
        self._settle(node, agent)

    def occupy(self, client: Client, agent_id: AgentId, resources: Resources) -> None:
        """Something runs on the agent that was not granted: it was found there."""
        if resources:
            self._books.occupy(self._client(client), self._books.agents[agent_id], resources)

    def convert(
        self, client: Client | None, agent_id: AgentId, before: Resources, after: Resources
    ) -> None:
        """An operation (RESERVE, CREATE, ...) makes `after` out of `before`, in what the client is
        offered or, without one, in what is free.

        Raises NotContained, and changes nothing, if `before` is not there.
        """
        node = None if client is None else self._books.tree.clients[client]
        agent = self._books.agents[agent_id]
        self._books.convert(node, agent, before, after)
        self._agents[agent] = None

    def explain(
        self, framework_id: FrameworkId, role: str, agent_id: AgentId, now_s: float
    ) -> Verdict:
        """Why the agent is, or is not, offered to the framework in the role. Changes nothing.

        Raises BadRequest if one of them is not known.
        """
        books = self._books
        client = books.tree.clients.get((framework_id, role))
        if client is None:
            raise BadRequest(
                f"framework {framework_id} is not known in role {role!r}: name one of its roles"
            )
        agent = books.agents.get(agent_id)
        if agent is None:
            raise BadRequest(f"agent {agent_id} is not registered: name one that is")
        return explain(books, client, agent, now_s, paused=self._paused)

    def _settle_wishes(self, client: ClientNode, agent: Agent) -> None:
        """The client is offered less there: what it still wants it may get elsewhere."""
        left = agent.offered.get(client, Resources())
        if client.wishes is not None and client.wishes.returned(agent, left):
            self._clients[client] = None

    def _settle(self, client: ClientNode, agent: Agent) -> None:
        """The client gave something back."""
        self._settle_wishes(client, agent)
        if agent.id in self._books.agents:
            self._agents[agent] = None
        self._drop_if_over(client)

    # ---- cycles

    def pause(self) -> None:
        """No cycle until `resume`: after a failover guarantees need most agents back."""
        self._paused = True

    def resume(self) -> None:
        self._paused = False

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def wants_cycle(self) -> bool:
        return not self._paused and bool(
            self._agents or self._clients or self._tightened or self._books.quotas.woken
        )

    @property
    def rests_until_s(self) -> float:
        """No cycle should be before this time: the last one looked at many agents in vain. If it
        gave all that it looked at, the time is past."""
        return self._rests_until_s

    @property
    def next_due_s(self) -> float | None:
        """When time alone calls for a cycle: a refusal runs out, or patience."""
        if self._paused:
            return None
        due = (self._books.filters.next_expiry_s, self._contention.next_due_s)
        due_s = min((at_s for at_s in due if at_s is not None), default=None)
        return None if due_s is None else max(due_s, self._rests_until_s)

    def cycle(self, now_s: float) -> list[Grant | Withdraw]:
        """Give what is free to whom it is due."""
        if self._paused:
            return []
        books = self._books
        books.now_s = now_s
        for agent, client in books.filters.expire(now_s):
            self._agents[agent] = None
            self._contention.reconsider(client)
        out: list[Grant | Withdraw] = []
        for role in self._tightened:
            out += over_limit(books, role)
        self._tightened.clear()
        books.quotas.note_idle(self._agents)
        books.quotas.wake_for_headroom()
        self._clients.update(books.quotas.woken)
        books.quotas.woken.clear()
        agents, clients = self._agents, {c: None for c in self._clients if c.open}
        self._agents, self._clients = {}, {}
        for client in clients:
            self._contention.reconsider(client)
        promises = self._contention.take_promises()
        cycle = Cycle(books, agents, clients, self._leftover, promises, self._rng)
        grants = cycle.run()
        out += grants
        out += self._contention.settle(now_s)
        in_vain = len(cycle.pool) + self._contention.looks - len(grants)
        self._rests_until_s = now_s + max(0, in_vain - FREE_LOOKS) * LOOK_S
        for agent in (*agents, *cycle.pool):
            if agent.free and agent.offerable:
                self._leftover[agent] = None
            else:
                self._leftover.pop(agent, None)
        books.quotas.note_surplus()
        return out
