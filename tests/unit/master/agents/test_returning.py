"""An agent comes back: its tasks, what it reports of them, what became of it meanwhile."""

from __future__ import annotations

import pytest

from mezzo.cluster.model import (
    AgentCapability,
    Task,
)
from mezzo.cluster.resources import Resources
from mezzo.cluster.states import Reason, TaskState
from mezzo.ids import TaskId
from mezzo.master.events import AgentSaid
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.record import replace

from ..world import BIG, SMALL, World, record, task

S = TaskState


def test_a_lost_task_may_come_back(world: World) -> None:
    agent, framework = world.agent(), world.framework(checkpoint=False)
    framework.launch("t1")
    agent.disconnect()
    framework.say(sm.Revive())
    agent.reregister()
    assert framework.offer().resources == BIG - SMALL
    assert [s.state for s in framework.reconcile(("t1", agent.id))] == [S.STAGING]
    assert "t1" not in world.core.state.frameworks[framework.id].completed


def test_an_agent_with_a_new_stream_goes_on_as_before(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    old = agent.conn
    agent.reregister()
    assert old not in world.peers, "the old stream is closed"
    assert agent.heard(am.AgentReregistered) == [am.AgentReregistered(agent.id)]
    assert framework.updates() == []
    sent = agent.update(info, framework.id, S.RUNNING)
    assert framework.updates() == [sent]


def test_reregistering_twice_on_one_stream_changes_nothing(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    framework.launch("t1")
    for _ in range(2):
        agent.say(agent.report())
    assert agent.heard(am.AgentReregistered) == [am.AgentReregistered(agent.id)] * 2
    framework.say(sm.Revive())
    assert framework.offer().resources == BIG - SMALL


@pytest.mark.parametrize("aware", [True, False])
def test_an_unreachable_agent_that_returns_has_its_tasks_back(world: World, aware: bool) -> None:
    """Behaviour 92."""
    agent, framework = world.agent(), world.framework(aware=aware)
    info = framework.launch("t1")
    agent.update(info, framework.id, S.RUNNING)
    agent.disconnect()
    world.advance(100)
    framework.updates()
    agent.reregister()
    (status,) = framework.updates()
    assert (status.state, status.reason) == (S.RUNNING, Reason.AGENT_REREGISTERED)
    assert (status.uuid, status.agent_id) == (None, agent.id)
    assert record(world, agent).condition == "ADMITTED"
    framework.say(sm.Revive())
    assert framework.offer().resources == BIG - SMALL
    assert [s.state for s in framework.reconcile(("t1", agent.id))] == [S.RUNNING]
    entry = world.core.state.frameworks[framework.id]
    assert (list(entry.tasks), list(entry.unreachable)) == (["t1"], [])


def test_a_task_that_ended_during_the_partition_is_told_once_and_reliably(world: World) -> None:
    """Behaviour 93."""
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    agent.disconnect()
    world.advance(100)
    framework.updates()
    agent.tasks[(framework.id, info.task_id)] = replace(
        agent.tasks[(framework.id, info.task_id)], state=S.FAILED
    )
    agent.reregister()
    assert framework.updates() == []
    sent = agent.update(info, framework.id, S.FAILED)
    assert framework.updates() == [sent]
    framework.acknowledge(sent)
    assert not world.core.state.frameworks[framework.id].tasks


def test_an_unreachable_task_that_its_agent_does_not_know_is_asked_for(world: World) -> None:
    agent, framework = world.agent(), world.framework(aware=False)
    info = framework.launch("t1")
    agent.disconnect()
    world.advance(100)
    framework.updates()
    agent.tasks.clear()
    agent.reregister()
    assert agent.heard(am.AgentReregistered) == [
        am.AgentReregistered(agent.id, (am.KnownTask(framework.id, info.task_id),))
    ]
    framework.acknowledge(agent.update(info, framework.id, S.LOST))
    entry = world.core.state.frameworks[framework.id]
    assert not entry.tasks
    assert not entry.unreachable
    framework.say(sm.Revive())
    assert framework.held == BIG


def test_a_launch_that_was_lost_on_the_way_is_asked_for(world: World) -> None:
    """Behaviour 96."""
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    agent.tasks.clear()
    agent.reregister()
    (answer,) = agent.heard(am.AgentReregistered)
    assert answer.reconcile == (am.KnownTask(framework.id, info.task_id),)
    framework.acknowledge(agent.update(info, framework.id, S.DROPPED))
    framework.say(sm.Revive())
    assert framework.offer().resources == BIG


def test_an_end_that_the_agent_has_forgotten_is_forgotten_here_as_well(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    agent.update(info, framework.id, S.FINISHED)
    agent.tasks.clear()  # the last leader passed the acknowledgement on, say
    agent.reregister()
    assert agent.heard(am.AgentReregistered) == [am.AgentReregistered(agent.id)]
    entry = world.core.state.frameworks[framework.id]
    assert (list(entry.tasks), list(entry.completed)) == ([], [info.task_id])


def test_a_framework_removed_meanwhile_is_shut_down_on_the_agent(world: World) -> None:
    """Behaviour 54."""
    agent, framework = world.agent(), world.framework()
    framework.launch("t1")
    agent.disconnect()
    framework.say(sm.Teardown())
    agent.reregister()
    assert agent.heard(am.ShutdownFramework) == [am.ShutdownFramework(framework.id)]
    other = world.framework()
    assert other.offer().resources == BIG


def test_updates_of_a_removed_agent_are_ignored(world: World) -> None:
    """Behaviour 94."""
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    agent.ignores.add(am.Ping)
    world.advance(100)
    framework.updates()
    agent.connect()  # a stream, but not registered
    agent.update(info, framework.id, S.FINISHED)
    assert framework.updates() == []
    assert agent.heard(am.UpdateAcknowledged) == []


def test_an_agent_may_come_back_with_more(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    framework.launch("t1")
    agent.info = replace(agent.info, resources=Resources.of(cpus=8, mem=4000))
    agent.reregister()
    framework.say(sm.Revive())
    assert framework.offer().resources == Resources.of(cpus=7, mem=3900)
    assert record(world, agent).info == agent.info


def test_a_reboot_and_another_program_are_stored(world: World) -> None:
    agent = world.agent()
    agent.boot_id, agent.version = "boot-2", "1.1"
    agent.capabilities = (AgentCapability.MULTI_ROLE,)
    agent.reregister()
    stored = record(world, agent)
    assert (stored.boot_id, stored.version, stored.capabilities) == (
        "boot-2",
        "1.1",
        (AgentCapability.MULTI_ROLE,),
    )
    (view,) = world.ask(om.GetAgents()).agents  # type: ignore[union-attr]
    assert (view.version, view.capabilities) == ("1.1", (AgentCapability.MULTI_ROLE,))
    written = len(world.writes)
    agent.reregister()
    assert len(world.writes) == written, "what is stored already is not stored again"


def test_an_agent_that_shrank_offers_nothing_that_runs_already(world: World) -> None:
    agent, framework = world.agent(Resources.of(cpus=6, mem=600)), world.framework()
    half = Resources.of(cpus=3, mem=300)
    one, two = task("t1", agent.id, half), task("t2", agent.id, half)
    framework.accept([framework.offer()], one, two)
    agent.info = replace(agent.info, resources=Resources.of(cpus=4, mem=400))
    agent.reregister()
    framework.say(sm.Revive())
    assert not framework.offers
    agent.update(one, framework.id, S.FINISHED)
    assert framework.offer().resources == Resources.of(cpus=1, mem=100)
    agent.update(two, framework.id, S.FINISHED)
    assert framework.held == agent.info.resources


def test_a_task_that_nobody_knew_of_takes_its_resources(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    found = Task(
        "x", TaskId("x"), agent.id, framework_id=framework.id, state=S.RUNNING, resources=SMALL
    )
    agent.reregister(found)
    assert framework.offer().resources == BIG - SMALL
    agent.tasks[(framework.id, found.task_id)] = found
    agent.update(found, framework.id, S.FINISHED)
    assert framework.held == BIG


def test_a_second_task_of_the_same_id_is_killed(world: World) -> None:
    """Its framework gave the id again while the first one's agent was away."""
    framework = world.framework()
    first = world.agent()
    framework.launch("t1")
    world.restart()
    framework.subscribe()
    second = world.agent()
    framework.launch("t1", agent=second)
    first.reregister()
    assert first.heard(am.KillTask) == [am.KillTask(framework.id, TaskId("t1"))]
    second.disconnect()
    first.disconnect()
    world.advance(100)
    assert not world.core.state.agents


@pytest.mark.parametrize("away", ["connected", "disconnected", "unreachable"])
def test_a_report_that_was_under_way_for_long_changes_nothing(world: World, away: str) -> None:
    """Simulator, seed 1860: sent before a crash, it arrived after the task had ended, brought the
    task back to life and cut the agent off."""
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    late = world.open(agent)
    report = agent.report()
    agent.reregister()
    sent = agent.update(info, framework.id, S.FINISHED)
    framework.acknowledge(sent)
    framework.updates()
    if away != "connected":
        agent.disconnect()
    if away == "unreachable":
        world.advance(100)
    conn = agent.conn
    world.feed(AgentSaid(late, report))
    assert late not in world.peers, "its stream is closed"
    assert agent.conn == conn
    assert (agent.id in world.core.state.unreachable) == (away == "unreachable")
    assert framework.reconcile() == []
    agent.reregister()
    assert agent.heard(am.AgentReregistered)[-1].reconcile == ()
