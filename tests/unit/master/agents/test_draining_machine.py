"""Random clusters whose agents are drained, deactivated, called gone and taken back."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from mezzo.cluster.model import DrainConfig, DrainState
from mezzo.ids import AgentId
from mezzo.master.agents import draining
from mezzo.master.state.records import AgentRecord
from mezzo.master.tables import AGENTS
from mezzo.master.timers import DrainAskDue
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.record import replace

from ..process.test_machine import MasterMachine, some
from ..world import Agent


class DrainMachine(MasterMachine):
    def __init__(self) -> None:
        super().__init__()
        self.gone: dict[AgentId, None] = {}

    def any_agent(self, number: int) -> Agent | None:
        """Connected or not, known to the master."""
        known = [
            each
            for each in self.agents
            if each.id in self.state.agents or each.id in self.state.unreachable
        ]
        return known[number % len(known)] if known else None

    def record(self, agent: Agent) -> AgentRecord:
        return AGENTS.decode(self.world.stored[f"agent/{agent.id}"])

    @rule(number=some)
    def agent_becomes_unreachable(self, number: int) -> None:
        if agent := self.agent(number):
            agent.disconnect()
            self.time_passes(100.0)

    # ---- what operators do

    @rule(number=some, grace_s=st.sampled_from([None, 0.0, 5.0]), gone=st.booleans())
    def agent_is_drained(self, number: int, grace_s: float | None, gone: bool) -> None:
        if agent := self.any_agent(number):
            agent.heard(am.DrainAgent)
            assert self.world.ask(om.DrainAgent(agent.id, grace_s, gone)) == om.Done()
            told = agent.heard(am.DrainAgent)
            assert told == [] or told[-1].config == DrainConfig(grace_s, gone)

    @rule(number=some)
    def agent_is_deactivated(self, number: int) -> None:
        if agent := self.any_agent(number):
            assert self.world.ask(om.DeactivateAgent(agent.id)) == om.Done()
            assert self.record(agent).deactivated

    @rule(number=some)
    def agent_is_taken_back(self, number: int) -> None:
        if agent := self.any_agent(number):
            before = self.record(agent)
            answer = self.world.ask(om.ReactivateAgent(agent.id))
            if before.drain is not None and before.drain.state is DrainState.DRAINING:
                assert isinstance(answer, om.Refused)
                assert self.record(agent) == before
            else:
                after = self.record(agent)
                assert (answer, after.deactivated, after.drain) == (om.Done(), False, None)

    @rule(number=some)
    def agent_is_called_gone(self, number: int) -> None:
        if agent := self.any_agent(number):
            assert self.world.ask(om.MarkAgentGone(agent.id)) == om.Done()
            assert agent.id in self.state.gone_since_s

    # ---- what always holds

    @invariant()
    def what_operators_did_is_stored(self) -> None:
        for agent in self.state.agents.values():
            stored = AGENTS.decode(self.world.stored[f"agent/{agent.id}"])
            # What operations make of its resources the agent itself keeps.
            known = replace(agent.record, info=stored.info)
            assert stored == known
        for lost in self.state.unreachable.values():
            assert AGENTS.decode(self.world.stored[f"agent/{lost.id}"]) == lost.record

    @invariant()
    def only_active_agents_are_offered(self) -> None:
        for agent in self.state.agents.values():
            assert agent.active or not agent.offers

    @invariant()
    def a_drain_ends_at_once_when_all_else_has(self) -> None:
        """Or, if the agent may still run what nobody here knows of any more, once it has told that
        it does not: it will be asked."""
        for agent in self.state.agents.values():
            is_draining = agent.drain is not None and agent.drain.state is DrainState.DRAINING
            assert agent.record.deactivated or agent.drain is None
            if is_draining and agent.connected and not (agent.tasks or agent.operations):
                assert agent.dismissed
                assert DrainAskDue(agent.id) in self.world.timers

    @invariant()
    def gone_is_for_ever(self) -> None:
        self.gone |= self.state.gone_since_s
        assert set(self.gone) == set(self.state.gone_since_s)
        assert not set(self.gone) & {*self.state.agents, *self.state.unreachable}

    # ---- the end

    def teardown(self) -> None:
        """What drains is drained, as all has ended; the rest can be taken back."""
        self.agents = [agent for agent in self.agents if agent.id not in self.gone]
        super().teardown()
        self.time_passes(draining.ASK_EVERY_S)
        for agent in list(self.state.agents.values()):
            if agent.connected:
                assert agent.drain is None or agent.drain.state is DrainState.DRAINED
                assert self.world.ask(om.ReactivateAgent(agent.id)) == om.Done()
                assert agent.active
        self.check_replica()


class TestDrains(DrainMachine.TestCase):  # type: ignore[misc, name-defined]
    settings = settings(
        max_examples=80,
        stateful_step_count=50,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
