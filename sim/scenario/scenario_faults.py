"""The faults of a scenario, when the file says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..world.world import World
from .scenario_cluster import Agent, ScenarioCluster
from .scenario_file import FaultPlan, Scenario


class ScenarioFaults:
    """`struck` counts, by kind."""

    def __init__(self, world: World, cluster: ScenarioCluster) -> None:
        self._world = world
        self._cluster = cluster
        self._partitions: dict[int, list[tuple[str, str]]] = {}
        self._numbers = 0
        self.struck: dict[str, int] = {}
        self._acts: Final[dict[str, Callable[[FaultPlan], None]]] = {
            "crash master": self._crash_master,
            "lose agents": self._lose_agents,
            "partition agents": self._partition_agents,
            "stop store": self._stop_store,
        }

    def start(self, scenario: Scenario) -> None:
        for plan in scenario.faults:
            if plan.at_s is not None:
                self._world.after(plan.at_s, self._strike, plan)
            else:
                self._next(plan)

    def _next(self, plan: FaultPlan) -> None:
        assert plan.every_s is not None
        self._world.after(self._world.rng.expovariate(1 / plan.every_s), self._strike, plan)

    def _strike(self, plan: FaultPlan) -> None:
        self._world.tell(f"fault: {plan.do}")
        self.struck[plan.do] = self.struck.get(plan.do, 0) + 1
        self._acts[plan.do](plan)
        if plan.every_s is not None:
            self._next(plan)

    def _victims(self, plan: FaultPlan) -> list[Agent]:
        agents = self._cluster.agents
        if plan.group is not None:
            agents = self._cluster.groups[plan.group]
        agents = [agent for agent in agents if agent.up]
        return self._world.rng.sample(agents, min(plan.count, len(agents)))

    # ---- the kinds

    def _crash_master(self, plan: FaultPlan) -> None:
        leader = self._cluster.leader
        if leader is not None:
            leader.crash(plan.for_s)

    def _lose_agents(self, plan: FaultPlan) -> None:
        for agent in self._victims(plan):
            agent.lose_power(plan.for_s)

    def _partition_agents(self, plan: FaultPlan) -> None:
        number = self._numbers = self._numbers + 1
        self._partitions[number] = [
            (agent.name, master.name)
            for agent in self._victims(plan)
            for master in self._cluster.masters
        ]
        self._part(number)
        self._world.after(plan.for_s, self._mend, number)

    def _part(self, number: int) -> None:
        for a, b in self._partitions[number]:
            self._cluster.network.partition(a, b)

    def _mend(self, number: int) -> None:
        """The network heals as a whole; the other partitions go on."""
        del self._partitions[number]
        self._cluster.network.heal()
        for other in self._partitions:
            self._part(other)

    def _stop_store(self, plan: FaultPlan) -> None:
        self._cluster.disk.reachable = False
        self._world.after(plan.for_s, self._store_back)

    def _store_back(self) -> None:
        self._cluster.disk.reachable = True
