"""The daemons of a scenario: real masters, real or light agents, in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from mezzo.agent.effects import AgentEffect, Exit
from mezzo.agent.events import ShutdownRequested
from mezzo.cluster.amounts import Thousandths, to_milli
from mezzo.cluster.model import AgentInfo, Attribute, MasterInfo
from mezzo.errors import BadConfig
from mezzo.master.allocator.terms import AllocatorConfig
from mezzo.master.config import MasterConfig
from mezzo.master.effects import Answer, MasterEffect
from mezzo.messages.operator import (
    OperatorCall,
    QuotaConfig,
    Refused,
    UpdateQuota,
    UpdateWeights,
    WeightInfo,
)
from mezzo.store.memory import MemoryDisk

from ..daemons.agents import VirtualAgent
from ..daemons.containers import Machine
from ..daemons.master_link import Client, Server
from ..daemons.masters import VirtualMaster
from ..world.network import Network
from ..world.sessions import Election
from .light_agents import LightAgent
from .scenario_file import Amounts, Group, MasterPlan, RolePlan, Scenario, to_resources


class Agent(Protocol):
    """The calls of a scenario to an agent, real or light."""

    name: str
    info: AgentInfo
    client: Client

    @property
    def up(self) -> bool: ...
    def start(self) -> None: ...
    def leave(self) -> None: ...
    def lose_power(self, for_s: float) -> None: ...


class ScenarioMaster(VirtualMaster):
    """What it refuses is wrong in the scenario: nobody else asks it for anything."""

    def _perform(self, effect: MasterEffect) -> None:
        if isinstance(effect, Answer) and isinstance(effect.response, Refused):
            raise BadConfig(
                f"the masters refuse the roles of the scenario: {effect.response.message}"
            )
        super()._perform(effect)


def _config(flags: MasterPlan, info: MasterInfo) -> MasterConfig:
    return MasterConfig(
        info,
        agent_ping_timeout_s=flags.agent_ping_timeout_s,
        offer_timeout_s=flags.offer_timeout_s,
        refuse_min_s=flags.refuse_min_s,
        allocator=AllocatorConfig(
            patience_s=flags.patience_s, thinker_keeps_part=flags.thinker_keeps
        ),
    )


def _calls(roles: dict[str, RolePlan]) -> tuple[OperatorCall, ...]:
    """The calls of an operator that make the roles as the scenario has them."""
    weights = UpdateWeights(tuple(WeightInfo(plan.weight, role) for role, plan in roles.items()))
    quotas = tuple(
        QuotaConfig(role, _milli(plan.guarantee), _milli(plan.limit))
        for role, plan in roles.items()
        if plan.guarantee or plan.limit
    )
    # By force: the agents that it is to be of may join later.
    return (weights, UpdateQuota(quotas, force=True)) if quotas else (weights,)


def _milli(amounts: Amounts) -> dict[str, Thousandths]:
    return {name: to_milli(amount) for name, amount in amounts.items()}


class RealAgent(VirtualAgent):
    """The agent's core, able to leave for good."""

    def __init__(
        self,
        network: Network,
        info: AgentInfo,
        find: Callable[[str], Server | None],
    ) -> None:
        self.info = info
        self._gone = False
        machine = Machine(network.world, info.hostname, lambda *_: None)
        super().__init__(
            network,
            info.hostname,
            info.resources,
            machine,
            find,
            observe=lambda *_: None,
            attributes=info.attributes,
        )

    @property
    def up(self) -> bool:
        return self.process.up

    def start(self) -> None:
        if not self._gone:
            super().start()

    def leave(self) -> None:
        self.process.post(ShutdownRequested())

    def lose_power(self, for_s: float) -> None:
        self.crash(for_s, reboot=True)

    def _perform(self, effect: AgentEffect) -> None:
        if isinstance(effect, Exit) and effect.wanted:
            self._gone = True
            self.process.crash(effect.message)
        else:
            super()._perform(effect)


class ScenarioCluster:
    """All daemons of a scenario but its frameworks."""

    def __init__(self, scenario: Scenario, network: Network) -> None:
        self.network = network
        self.disk = MemoryDisk()
        self.election = Election(network.world, self.disk)
        config = partial(_config, scenario.master)
        self.masters = [
            ScenarioMaster(network, f"master{i}", self.disk, self.election, lambda *_: None, config)
            for i in range(scenario.cluster.masters)
        ]
        self._servers: dict[str, Server] = {master.name: master for master in self.masters}
        light = scenario.cluster.agents == "light"
        self.groups: dict[str, list[Agent]] = {}
        for group in scenario.cluster.groups:
            self.groups[group.name] = [
                LightAgent(network, info, self.find)
                if light
                else RealAgent(network, info, self.find)
                for info in _infos(group)
            ]
            for agent in self.groups[group.name]:
                self.election.watch(agent.client.leader_is)

    @property
    def agents(self) -> list[Agent]:
        return [agent for group in self.groups.values() for agent in group]

    @property
    def leader(self) -> ScenarioMaster | None:
        return next((master for master in self.masters if master.process.up), None)

    def find(self, name: str) -> Server | None:
        return self._servers.get(name)

    def start(self, scenario: Scenario) -> None:
        world = self.network.world
        for master in self.masters:
            master.stand()
        if scenario.roles:
            self._ask(_calls(scenario.roles))
        for group in scenario.cluster.groups:
            for agent in self.groups[group.name]:
                # Machines do not come up in one instant.
                world.after(group.join_s + world.between(0.0, 1.0), agent.start)
                if group.leave_s is not None:
                    world.after(group.leave_s, agent.leave)

    def _ask(self, calls: tuple[OperatorCall, ...]) -> None:
        leader = self.leader
        if leader is None:
            self.network.world.after(0.01, self._ask, calls)
            return
        for call in calls:
            leader.ask(call)


def _infos(group: Group) -> list[AgentInfo]:
    resources = to_resources(group.resources)
    attributes = tuple(Attribute(name, text=text) for name, text in group.attributes.items())
    return [
        AgentInfo(hostname=f"{group.name}-{i}", resources=resources, attributes=attributes)
        for i in range(group.count)
    ]
