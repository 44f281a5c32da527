"""All books together: agents, clients in their tree, quotas, filters. Every change of who has what
goes through here, once, so that they agree."""

from __future__ import annotations

from mezzo.cluster.resources import Resources
from mezzo.ids import AgentId

from .agent_books import Agent
from .demand import Wish
from .drf_sorter import Tree
from .filters import Filters
from .nodes import ClientNode
from .quantities import Floors, Measure, add, cut, measure
from .quota import Quotas
from .terms import AgentTerms, AllocatorConfig, Client


class Books:
    def __init__(self, config: AllocatorConfig) -> None:
        self.config = config
        self.floors = Floors.of(config.min_allocatable)
        self.agents: dict[AgentId, Agent] = {}
        self.tree = Tree(config.fair_sharing_excluded)
        self.quotas = Quotas()
        self.filters = Filters()
        # When a client was first offered something of an agent, the oldest first.
        self.offered_s: dict[tuple[ClientNode, Agent], float] = {}
        self.now_s = 0.0
        self._own_floors: dict[Floors, int] = {}  # those of clients, and of how many
        self._stage = 0

    def next_stage(self) -> int:
        self._stage += 1
        return self._stage

    # ---- who there is

    def add_agent(self, agent_id: AgentId, terms: AgentTerms) -> Agent:
        agent = self.agents[agent_id] = Agent(agent_id, terms, self.config.region)
        self._count_total(agent.total, 1)
        return agent

    def remove_agent(self, agent: Agent) -> list[ClientNode]:
        """The agent is gone with all that clients had there; returns these clients."""
        held = dict.fromkeys([*agent.offered, *agent.allocated])
        for client, resources in list(agent.offered.items()):
            self.decline(client, agent, resources)
        for client, resources in list(agent.allocated.items()):
            self.release(client, agent, resources)
        self.filters.clear_agent(agent)
        self._count_total(agent.total, -1)
        self.quotas.forget_agent(agent)
        del self.agents[agent.id]
        return list(held)

    def set_total(self, agent: Agent, total: Resources) -> None:
        self._count_total(agent.total, -1)
        agent.set_total(total)
        self._count_total(total, 1)

    def _count_total(self, total: Resources, sign: int) -> None:
        amounts = measure(total)
        self.tree.count_total(amounts.all, sign)
        self.quotas.count_total(total, amounts.open, sign)

    def client(self, key: Client) -> ClientNode:
        """A client that is heard of for the first time wants nothing yet."""
        return self.tree.clients.get(key) or self.tree.add_client(key, self.floors)

    def remove_client(self, client: ClientNode) -> None:
        self.set_floors(client, self.floors)
        self.quotas.forget(client)
        self.tree.remove_client(client)

    def set_floors(self, client: ClientNode, floors: Floors) -> None:
        for old, sign in ((client.floors, -1), (floors, 1)):
            if old is not self.floors:
                left = self._own_floors.get(old, 0) + sign
                if left:
                    self._own_floors[old] = left
                else:
                    del self._own_floors[old]
        client.floors = floors

    # ---- who may have what

    def worth_offering(self, agent: Agent) -> bool:
        return agent.offerable and self.worth_more(agent)

    def worth_more(self, agent: Agent) -> bool:
        """Is enough left for anybody?"""
        free = agent.free
        if not free:
            return False
        return self.floors.met_by(free) or any(each.met_by(free) for each in self._own_floors)

    def may_use(self, client: ClientNode, agent: Agent) -> bool:
        """May the client, whatever is free there? Capabilities, region, constraints (Mesos
        `isCapableOfReceivingAgent`, `OfferConstraintsFilter`)."""
        terms = client.terms
        if agent.has_gpus and self.config.filter_gpu_resources and not terms.gpus:
            return False
        if agent.remote and not terms.region_aware:
            return False
        if not terms.constraints:
            return True
        constraints = terms.constraints.get(client.role)
        return constraints is None or constraints.admits(agent.terms)

    def assess(
        self, client: ClientNode, agent: Agent, free: Resources, *, noting: bool = False
    ) -> tuple[Resources, Wish | None] | None:
        """What of `free`, resources of the agent, an offer to the client would hold; of declared
        demand one unit, of the wish returned. None: no offer can be made.

        noting: if quota keeps something from the client, look again when it no longer may.
        """
        if not self.may_use(client, agent):
            return None
        part = agent.view(client.role, client.terms, free)
        wishes = client.wishes
        if wishes is None and not self._would_offer(client, agent, part):
            return None
        caps = self.quotas.caps(client.top)
        if caps is not None:
            whole, part = part, cut(part, caps)
            if part is not whole:
                if noting:
                    self.quotas.cut_short(client, measure(whole).open)
                if wishes is None and not self._would_offer(client, agent, part):
                    return None
        if wishes is None:
            return part, None
        unit = wishes.unit(part)
        if unit is None or Filters.hiding(client, agent, unit[1]):
            return None
        return unit[1], unit[0]

    @staticmethod
    def _would_offer(client: ClientNode, agent: Agent, part: Resources) -> bool:
        if not client.floors.met_by(part):
            return False
        return not agent.refusals or Filters.hiding(client, agent, part) is None

    # ---- the life of a grant

    def grant(
        self, client: ClientNode, agent: Agent, resources: Resources, amounts: Measure
    ) -> None:
        """Free, now offered. `amounts`: `measure(resources)`."""
        agent.take(resources)
        had = agent.offered.get(client)
        if had is None:
            client.offers += 1
            self.offered_s[(client, agent)] = self.now_s
            agent.offered[client] = resources
        else:
            agent.offered[client] = had + resources
        client.counters.granted += 1
        self.tree.charge(client, amounts.all, 1, grants=1)
        self.quotas.charge(client, amounts.open, 1)

    def use(self, client: ClientNode, agent: Agent, resources: Resources) -> None:
        """Offered, now allocated."""
        self._no_longer_offered(client, agent, resources)
        self._allocate(client, agent, resources)
        amounts = measure(resources)
        add(client.allocated, amounts.all)
        add(client.allocated_open, amounts.open)

    def decline(self, client: ClientNode, agent: Agent, resources: Resources) -> None:
        """Offered, now free."""
        self._no_longer_offered(client, agent, resources)
        amounts = measure(resources)
        self.tree.charge(client, amounts.all, -1)
        self.quotas.charge(client, amounts.open, -1)
        agent.give(resources)

    def _no_longer_offered(self, client: ClientNode, agent: Agent, resources: Resources) -> None:
        left = agent.offered[client] - resources
        if left:
            agent.offered[client] = left
            return
        del agent.offered[client]
        del self.offered_s[(client, agent)]
        client.offers -= 1

    def release(self, client: ClientNode, agent: Agent, resources: Resources) -> None:
        """Allocated, now free."""
        left = agent.allocated[client] - resources
        if left:
            agent.allocated[client] = left
        else:
            del agent.allocated[client]
            client.uses -= 1
        self._count_allocated(client, resources, -1)
        agent.give(resources)

    def occupy(self, client: ClientNode, agent: Agent, resources: Resources) -> None:
        """Resources of a task that was found there: allocated without a grant."""
        agent.take(resources)
        self._allocate(client, agent, resources)
        self._count_allocated(client, resources, 1)

    @staticmethod
    def _allocate(client: ClientNode, agent: Agent, resources: Resources) -> None:
        had = agent.allocated.get(client)
        if had is None:
            client.uses += 1
        agent.allocated[client] = resources if had is None else had + resources

    def _count_allocated(self, client: ClientNode, resources: Resources, sign: int) -> None:
        amounts = measure(resources)
        add(client.allocated, amounts.all, sign)
        add(client.allocated_open, amounts.open, sign)
        self.tree.charge(client, amounts.all, sign)
        self.quotas.charge(client, amounts.open, sign)

    def convert(
        self, client: ClientNode | None, agent: Agent, before: Resources, after: Resources
    ) -> None:
        """Raises NotContained, and changes nothing, if `before` is not there."""
        total = agent.total
        agent.convert(client, before, after)
        self._count_total(total, -1)
        self._count_total(agent.total, 1)
        if client is None:
            return
        for resources, sign in ((before, -1), (after, 1)):
            amounts = measure(resources)
            self.tree.charge(client, amounts.all, sign)
            self.quotas.charge(client, amounts.open, sign)
        if client not in agent.offered:  # it was all destroyed
            del self.offered_s[(client, agent)]
            client.offers -= 1
