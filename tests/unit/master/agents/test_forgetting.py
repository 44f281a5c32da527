"""What is known of agents that are not there is bounded, and goes in small steps."""

from __future__ import annotations

from mezzo.cluster.model import (
    Attribute,
)
from mezzo.cluster.resources import Resources
from mezzo.cluster.states import TaskState
from mezzo.messages import agent as am
from mezzo.messages import operator as om

from ..world import World, task

S = TaskState


def test_unreachable_agents_are_forgotten_by_age_and_their_tasks_with_them() -> None:
    """Behaviour 97."""
    world = World(registry_max_agent_age_s=7200.0)
    framework = world.framework(failover_timeout=1e9)
    agent = world.agent()
    framework.launch("t1")
    agent.disconnect()
    world.advance(7000)
    assert [s.state for s in framework.reconcile(("t1", agent.id))] == [S.UNREACHABLE]
    world.advance(1800)
    assert [s.state for s in framework.reconcile(("t1", agent.id))] == [S.UNKNOWN]
    assert framework.reconcile() == []
    assert not any(key.startswith("agent/") for key in world.stored)


def test_unreachable_agents_beyond_the_bound_go_oldest_first() -> None:
    """Behaviour 97."""
    world = World(registry_max_agent_count=2)
    agents = [world.agent() for _ in range(4)]
    for agent in agents:
        agent.disconnect()
        world.advance(1)
    world.advance(1000)
    assert list(world.core.state.unreachable) == [agent.id for agent in agents[2:]]
    assert sorted(world.stored) == [f"agent/{agent.id}" for agent in agents[2:]]


def test_gone_agents_are_forgotten_by_age_and_beyond_the_bound() -> None:
    """Behaviour 97: Mesos has both lists."""
    world = World(registry_max_agent_age_s=7200.0, registry_max_agent_count=2)
    agents = [world.agent() for _ in range(3)]
    for agent in agents:
        world.ask(om.MarkAgentGone(agent.id))
        world.advance(1)
    world.restart()
    world.advance(1000)
    assert sorted(world.stored) == [f"agent/{agent.id}" for agent in agents[1:]]
    world.advance(7200)
    assert world.stored == {}
    agents[2].reregister()
    assert agents[2].heard(am.AgentReregistered)


def test_unreachable_tasks_are_bounded() -> None:
    world = World(max_unreachable_tasks_per_framework=2)
    agent, framework = world.agent(), world.framework()
    tasks = [task(f"t{number}", agent.id, Resources.of(cpus=1)) for number in range(4)]
    framework.accept([framework.offer()], *tasks)
    agent.disconnect()
    world.advance(100)
    assert list(world.core.state.frameworks[framework.id].unreachable) == ["t2", "t3"]
    agent.reregister()
    assert list(world.core.state.frameworks[framework.id].tasks) == ["t2", "t3", "t0", "t1"]


def test_agents_that_fall_silent_at_once_fit_into_the_store() -> None:
    """Each describes itself at length; a transaction of ZooKeeper takes a megabyte."""
    world = World(max_agent_ping_timeouts=1)
    text = "x" * 60_000
    agents = [world.agent(attributes=(Attribute("a", text=text),)) for _ in range(30)]
    for agent in agents:
        agent.disconnect()
    world.largest_commit = 0
    world.advance(31)
    assert len(world.core.state.unreachable) == 30
    assert world.largest_commit * len(text) < 600_000


def test_many_agents_are_lost_and_forgotten_in_small_commits() -> None:
    world = World(registry_max_agent_age_s=3600.0, agent_reregister_timeout_s=60.0)
    for _ in range(2500):
        world.agent(Resources())
    world.restart()
    world.largest_commit = 0
    world.advance(61)
    assert len(world.core.state.unreachable) == 2500
    assert world.largest_commit <= 100
    world.advance(5000)
    assert len(world.core.state.unreachable) == 0
    assert world.largest_commit <= 1000
