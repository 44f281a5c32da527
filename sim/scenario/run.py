"""Run a scenario and measure it. The result is plain data: see report.py and plot.py."""

from __future__ import annotations

from dataclasses import dataclass, field

from mezzo.cluster.amounts import Thousandths

from ..world.network import Network
from ..world.world import World
from .jobs import draw_jobs
from .scenario_cluster import ScenarioCluster
from .scenario_faults import ScenarioFaults
from .scenario_file import Scenario
from .workloads import VirtualFramework


@dataclass(slots=True)
class Sample:
    """One moment. Shares are parts of what the agents that are up have; dominant ones where they
    are of a framework. `agents`: how many are up."""

    at_s: float
    agents: int
    used: dict[str, float]  # by resource
    offered: dict[str, float]
    share: dict[str, float] = field(default_factory=dict)  # by framework: what its tasks take
    held: dict[str, float] = field(default_factory=dict)  # what it is offered and thinks about
    waiting: dict[str, int] = field(default_factory=dict)  # jobs


@dataclass(slots=True)
class Run:
    """A finished run: the frameworks with their jobs and tallies, and the samples."""

    scenario: Scenario
    frameworks: list[VirtualFramework]
    samples: list[Sample]
    faults: dict[str, int]
    steps: int  # of all cores


class ScenarioRun:
    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self.world = World(scenario.seed)
        network = Network(self.world)
        self.cluster = ScenarioCluster(scenario, network)
        self.frameworks = [
            VirtualFramework(network, plan, draw_jobs(scenario, plan), self.cluster.find)
            for plan in scenario.frameworks
        ]
        for framework in self.frameworks:
            self.cluster.election.watch(framework.client.leader_is)
        self._faults = ScenarioFaults(self.world, self.cluster)
        self._samples: list[Sample] = []

    def run(self) -> Run:
        scenario = self._scenario
        self.cluster.start(scenario)
        for framework in self.frameworks:
            framework.start()
        self._faults.start(scenario)
        self.world.after(scenario.sampling_s, self._sample)
        self.world.run(scenario.duration_s)
        return Run(scenario, self.frameworks, self._samples, self._faults.struck, self.world.steps)

    def _sample(self) -> None:
        total: dict[str, Thousandths] = {}
        agents = [agent for agent in self.cluster.agents if agent.up]
        for agent in agents:
            for kind, value in agent.info.resources.items():
                if isinstance(value, int):
                    total[kind.name] = total.get(kind.name, 0) + value
        used = {each.plan.name: each.in_use() for each in self.frameworks}
        held = {each.plan.name: each.held() for each in self.frameworks}
        self._samples.append(
            Sample(
                self.world.now_s,
                len(agents),
                _parts(total, list(used.values())),
                _parts(total, list(held.values())),
                {name: _dominant(total, amounts) for name, amounts in used.items()},
                {name: _dominant(total, amounts) for name, amounts in held.items()},
                {each.plan.name: each.waiting for each in self.frameworks},
            )
        )
        self.world.after(self._scenario.sampling_s, self._sample)


def _parts(
    total: dict[str, Thousandths], amounts: list[dict[str, Thousandths]]
) -> dict[str, float]:
    return {
        name: sum(each.get(name, 0) for each in amounts) / whole for name, whole in total.items()
    }


def _dominant(total: dict[str, Thousandths], amounts: dict[str, Thousandths]) -> float:
    parts = (amount / total[name] for name, amount in amounts.items() if total.get(name))
    return max(parts, default=0.0)


def run(scenario: Scenario) -> Run:
    """The whole run. A pure function of the scenario."""
    return ScenarioRun(scenario).run()
