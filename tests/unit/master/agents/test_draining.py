"""Agents that operators deactivate, drain or call gone."""

from __future__ import annotations

import pytest

from mezzo.cluster.model import DrainConfig, DrainInfo, DrainState
from mezzo.cluster.states import Reason, TaskState
from mezzo.ids import AgentId
from mezzo.master.agents.draining import ASK_EVERY_S
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm

from ..world import Agent, World

S = TaskState
DRAINING, DRAINED = DrainState.DRAINING, DrainState.DRAINED


def view(world: World, agent: Agent) -> om.AgentView:
    answer = world.ask(om.GetAgents())
    assert isinstance(answer, om.Agents)
    return next(each for each in answer.agents if each.agent_info.id == agent.id)


def refused(world: World, call: om.OperatorCall) -> str:
    before = dict(world.stored)
    answer = world.ask(call)
    assert isinstance(answer, om.Refused)
    assert world.stored == before
    return answer.message


# ---- deactivate


def test_a_deactivated_agent_is_not_offered_until_it_is_reactivated(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    assert world.ask(om.DeactivateAgent(agent.id)) == om.Done()
    assert len(framework.heard(sm.Rescind)) == 1
    assert (view(world, agent).active, view(world, agent).deactivated) == (False, True)
    world.advance(100)
    assert framework.offers == {}
    assert world.ask(om.ReactivateAgent(agent.id)) == om.Done()
    assert framework.offer(agent)
    assert view(world, agent).active


def test_what_runs_on_a_deactivated_agent_goes_on(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    world.ask(om.DeactivateAgent(agent.id))
    agent.update(info, framework.id, S.RUNNING)
    assert [status.state for status in framework.updates()] == [S.RUNNING]


def test_deactivation_survives_a_failover_and_a_partition(world: World) -> None:
    """Behaviour 64."""
    agent = world.agent()
    world.ask(om.DeactivateAgent(agent.id))
    world.restart()
    framework = world.framework()
    agent.reregister()
    assert framework.offers == {}
    agent.disconnect()
    world.advance(100)
    assert agent.id in world.core.state.unreachable
    agent.reregister()
    assert (framework.offers, view(world, agent).deactivated) == ({}, True)


# ---- drain


def test_a_busy_agent_is_drained_when_all_has_ended_and_is_acknowledged(world: World) -> None:
    """Behaviour 102."""
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    framework.say(sm.Revive())
    assert world.ask(om.DrainAgent(agent.id, 5.0)) == om.Done()
    assert framework.offers == {}, "what is free is rescinded"
    assert agent.heard(am.DrainAgent) == [am.DrainAgent(DrainConfig(5.0))]
    assert view(world, agent).drain_info == DrainInfo(DRAINING, DrainConfig(5.0))
    assert view(world, agent).estimated_drain_start_time == world.now.wall_s
    agent.update(info, framework.id, S.KILLED, reason=Reason.AGENT_DRAINING)
    (status,) = framework.updates()
    assert (status.state, status.reason) == (S.KILLED, Reason.AGENT_DRAINING)
    assert view(world, agent).drain_info == DrainInfo(DRAINING, DrainConfig(5.0))
    framework.acknowledge(status)
    assert view(world, agent).drain_info == DrainInfo(DRAINED, DrainConfig(5.0))
    world.advance(100)
    assert framework.offers == {}


def state_of(world: World, agent: Agent) -> DrainState:
    info = view(world, agent).drain_info
    assert info is not None
    return info.state


def test_an_agent_is_not_drained_before_the_tasks_of_a_removed_framework_have_ended(
    world: World,
) -> None:
    """Simulator, seed 870: it counted as drained while they had their grace."""
    agent, framework = world.agent(), world.framework()
    framework.launch("t1")
    world.ask(om.DrainAgent(agent.id))
    running = dict(agent.tasks)
    framework.say(sm.Teardown())
    agent.tasks.update(running)
    assert state_of(world, agent) is DRAINING
    world.advance(ASK_EVERY_S)
    assert agent.heard(am.ShutdownFramework) == [am.ShutdownFramework(framework.id)] * 2
    assert state_of(world, agent) is DRAINING, "its report has it"
    assert not agent.tasks, "by now it has ended"
    world.advance(ASK_EVERY_S)
    assert state_of(world, agent) is DRAINED


def test_an_agent_that_was_away_when_a_framework_was_removed_is_drained_once_it_has_told(
    world: World,
) -> None:
    agent, framework = world.agent(), world.framework()
    framework.launch("t1")
    agent.disconnect()
    framework.say(sm.Teardown())
    world.ask(om.DrainAgent(agent.id))
    assert state_of(world, agent) is DRAINING
    agent.reregister()
    assert state_of(world, agent) is DRAINING
    world.advance(ASK_EVERY_S)
    assert state_of(world, agent) is DRAINED


def test_an_idle_agent_is_drained_at_once_and_taken_back(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    world.ask(om.DrainAgent(agent.id))
    assert view(world, agent).drain_info == DrainInfo(DRAINED)
    assert world.ask(om.ReactivateAgent(agent.id)) == om.Done()
    assert agent.heard(am.ReactivateAgent) == [am.ReactivateAgent()]
    assert view(world, agent).drain_info is None
    assert framework.offer(agent)


def test_an_unreachable_agent_drains_when_it_returns(world: World) -> None:
    """Behaviour 103."""
    agent, framework = world.agent(), world.framework()
    framework.launch("t1")
    agent.disconnect()
    world.advance(100)
    assert world.ask(om.DrainAgent(agent.id, 1.0)) == om.Done()
    world.restart()
    agent.reregister()
    assert agent.heard(am.DrainAgent) == [am.DrainAgent(DrainConfig(1.0))]
    assert view(world, agent).drain_info == DrainInfo(DRAINING, DrainConfig(1.0))


def test_with_mark_gone_a_drained_agent_becomes_gone(world: World) -> None:
    """Behaviour 103."""
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    world.ask(om.DrainAgent(agent.id, mark_gone=True))
    agent.update(info, framework.id, S.GONE_BY_OPERATOR, reason=Reason.AGENT_DRAINING)
    framework.acknowledge(framework.updates()[0])
    assert len(agent.heard(am.ShutdownAgent)) == 1
    agent.tasks.clear()
    agent.reregister()
    assert "marked gone" in agent.heard(am.ShutdownAgent)[0].message


def test_a_drain_is_told_again_after_every_registration(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    framework.launch("t1")
    world.ask(om.DrainAgent(agent.id))
    agent.heard(am.DrainAgent)
    world.restart()
    framework.subscribe()
    agent.reregister()
    order = [type(each) for each in agent.inbox]
    assert order.index(am.AgentReregistered) < order.index(am.DrainAgent)


def test_a_draining_agent_cannot_be_reactivated(world: World) -> None:
    """Behaviour 104."""
    agent, framework = world.agent(), world.framework()
    framework.launch("t1")
    world.ask(om.DrainAgent(agent.id))
    assert "wait until it is DRAINED" in refused(world, om.ReactivateAgent(agent.id))


def test_draining_once_more_changes_how(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    framework.launch("t1")
    world.ask(om.DrainAgent(agent.id, 600.0))
    world.ask(om.DrainAgent(agent.id, 1.0, mark_gone=True))
    assert agent.heard(am.DrainAgent)[-1] == am.DrainAgent(DrainConfig(1.0, mark_gone=True))


def test_an_agent_that_cannot_drain_is_not_asked_to(world: World) -> None:
    agent = Agent(world, world.agent().info.__class__("old"))
    agent.capabilities = ()
    agent.register()
    assert "can't drain" in refused(world, om.DrainAgent(agent.id))


@pytest.mark.parametrize(
    "call",
    [
        om.DrainAgent(AgentId("x")),
        om.DeactivateAgent(AgentId("x")),
        om.ReactivateAgent(AgentId("x")),
        om.MarkAgentGone(AgentId("x")),
    ],
)
def test_an_unknown_agent_is_refused(world: World, call: om.OperatorCall) -> None:
    assert "agent x is not known" in refused(world, call)


def test_a_negative_grace_period_is_refused(world: World) -> None:
    agent = world.agent()
    assert "seconds from 0 up" in refused(world, om.DrainAgent(agent.id, -1.0))


# ---- gone


@pytest.mark.parametrize("aware", [True, False])
def test_tasks_of_an_agent_marked_gone_are_gone_by_operator(world: World, aware: bool) -> None:
    agent, framework = world.agent(), world.framework(aware=aware)
    framework.launch("t1")
    assert world.ask(om.MarkAgentGone(agent.id)) == om.Done()
    (status,) = framework.updates()
    assert status.state is (S.GONE_BY_OPERATOR if aware else S.LOST)
    assert status.reason is Reason.AGENT_REMOVED_BY_OPERATOR
    assert len(agent.heard(am.ShutdownAgent)) == 1
    assert framework.heard(sm.Failure) == [sm.Failure(agent.id)]


def test_an_unreachable_agent_can_be_marked_gone_and_its_tasks_with_it(world: World) -> None:
    agent, framework = world.agent(), world.framework(failover_timeout=1e6)
    framework.launch("t1")
    agent.disconnect()
    world.advance(100)
    framework.updates()
    world.ask(om.MarkAgentGone(agent.id))
    assert [status.state for status in framework.updates()] == [S.GONE_BY_OPERATOR]
    world.restart()
    framework.subscribe()
    framework.updates()
    assert [s.state for s in framework.reconcile(("t1", agent.id))] == [S.GONE_BY_OPERATOR]
    agent.reregister()
    assert "marked gone" in agent.heard(am.ShutdownAgent)[0].message


def test_marking_gone_twice_is_no_error(world: World) -> None:
    agent = world.agent()
    world.ask(om.MarkAgentGone(agent.id))
    assert world.ask(om.MarkAgentGone(agent.id)) == om.Done()
    assert "it never comes back" in refused(world, om.DrainAgent(agent.id))
