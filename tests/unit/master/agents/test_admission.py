"""Who may be an agent: what it says of itself, its version, its domain, its id."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mezzo.cluster.amounts import MILLI, SUM_MAX, Ranges
from mezzo.cluster.model import (
    AgentInfo,
    Attribute,
    FaultDomain,
    FrameworkInfo,
    Task,
)
from mezzo.cluster.resources import Kind, Resources
from mezzo.cluster.states import TaskState
from mezzo.ids import AgentId, FrameworkId, TaskId
from mezzo.master.tables import AGENTS
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.record import replace

from ..world import Agent, World, record

S = TaskState


@pytest.mark.parametrize(
    ("resources", "name"),
    [
        (Resources.of(cpus=1.1e12), "cpus"),
        (Resources({Kind("mem"): SUM_MAX * MILLI}), "mem"),
        (Resources({Kind("uids"): Ranges(((0, 2**63 - 1),))}), "uids"),
    ],
    ids=["cpus", "mem", "ranges"],
)
def test_an_agent_that_claims_more_than_any_machine_has_is_refused(
    world: World, resources: Resources, name: str
) -> None:
    """What a cluster adds up to must be a number that a message can hold."""
    agent = world.agent(resources, hostname="h")
    (refused,) = agent.heard(am.ShutdownAgent)
    assert refused.message.startswith(f"{name} of agent 'h' is ")
    assert "it must be a number from 0 to 1000000000000" in refused.message
    assert world.stored == {}


def test_an_agent_that_describes_itself_at_length_is_refused(world: World) -> None:
    agent = world.agent(attributes=(Attribute("a", text="x" * 100_000),))
    (refusal,) = agent.heard(am.ShutdownAgent)
    assert "takes 100" in refusal.message
    assert world.stored == {}


@pytest.mark.parametrize("bad", ["", "a/b", "a\nb"])
def test_an_id_that_could_not_be_stored_is_refused(world: World, bad: str) -> None:
    agent = world.agent()
    before = dict(world.stored)
    stranger = Agent(world, AgentInfo("h", id=AgentId(bad)))
    stranger.reregister()
    assert stranger.heard(am.ShutdownAgent)
    assert world.stored == before
    agent.disconnect()
    name = FrameworkId(bad)
    agent.frameworks[name] = FrameworkInfo("root", "x", id=name)
    agent.reregister(Task("t", TaskId("t"), agent.id, framework_id=name, state=TaskState.RUNNING))
    assert agent.heard(am.ShutdownFramework) == [am.ShutdownFramework(name)]
    assert not agent.heard(am.ShutdownAgent)


def test_reregistering_needs_an_id_and_a_stream_of_its_own(world: World) -> None:
    agent, other = world.agent(), world.agent()
    agent.say(am.ReregisterAgent(replace(agent.info, id=None), "1.0", "boot-1"))
    assert "register instead" in agent.heard(am.ShutdownAgent)[0].message
    agent.say(am.ReregisterAgent(other.info, "1.0", "boot-1"))
    assert f"is that of agent {agent.id}" in agent.heard(am.ShutdownAgent)[0].message
    assert world.core.state.agents[other.id].conn == other.conn


def test_an_agent_marked_gone_is_refused_for_ever(world: World) -> None:
    agent = world.agent()
    gone = replace(record(world, agent), condition="GONE", since_s=1.0)
    world.stored[f"agent/{agent.id}"] = AGENTS.encode(gone)
    world.restart()
    agent.reregister()
    assert "marked gone" in agent.heard(am.ShutdownAgent)[0].message
    framework = world.framework()
    (answer,) = framework.reconcile(("t", agent.id))
    assert answer.state is S.GONE_BY_OPERATOR


@pytest.mark.parametrize("version", ["0.28.2", "0.9", "", "one", "1.x.0", "-1.0.0"])
def test_an_agent_of_no_or_an_old_version_is_ignored(world: World, version: str) -> None:
    agent = Agent(world, AgentInfo("h"))
    agent.version = version
    agent.register()
    assert (agent.inbox, world.stored) == ([], {})
    assert f"agent h is of version {version!r}" in world.ignored[0]


@pytest.mark.parametrize(
    "hostname", ["", "a/b", "a b", "h\n", "\x1b[2J", "\u202e", "h" * 254, "x:80/path?"]
)
def test_an_agent_without_a_name_that_machines_have_is_ignored(world: World, hostname: str) -> None:
    """It becomes part of links, of `host:port` and of variables of tasks."""
    Agent(world, AgentInfo(hostname)).register()
    assert (world.stored, world.core.state.agents) == ({}, {})
    assert "its hostname must" in world.ignored[0]
    assert world.ignored[0].isprintable()
    assert len(world.ignored[0]) < 300


@given(st.text(max_size=20) | st.builds("{}.{}".format, st.integers(), st.text("09.-", max_size=9)))
@example("9" * 5_000)
@example("1." + "0" * 5_000)
def test_no_version_of_an_agent_stops_the_master(version: str) -> None:
    world = World()
    agent = Agent(world, AgentInfo("h"))
    agent.version = version
    agent.register()
    assert bool(agent.heard(am.AgentRegistered)) != bool(world.ignored)
    assert all(len(why) < 200 for why in world.ignored)


@pytest.mark.parametrize("version", ["1.0.0", "1", "1.11.0-rc1", "2.0+build.7"])
def test_an_agent_of_a_later_version_is_admitted(world: World, version: str) -> None:
    agent = Agent(world, AgentInfo("h"))
    agent.version = version
    agent.register()
    assert agent.heard(am.AgentRegistered)


def test_an_agent_with_a_domain_is_ignored_by_a_master_without_and_its_tasks_go_on() -> None:
    world = World(domain=FaultDomain("r", "z"))
    agent, framework = world.agent(domain=FaultDomain("r", "y")), world.framework()
    framework.launch("t1")
    world.domain = None
    world.restart()
    framework.subscribe()
    stored = dict(world.stored)
    agent.reregister()
    assert {type(message) for message in agent.inbox} & {am.ShutdownAgent} == set()
    assert agent.heard(am.AgentReregistered) == []
    assert (world.stored, list(agent.tasks)) == (stored, [(framework.id, "t1")])
    assert "has the domain r/y and this master has none" in world.ignored[0]
    world.domain = FaultDomain("r", "z")
    world.restart()
    framework.subscribe()
    agent.reregister()
    assert [s.state for s in framework.reconcile()] == [S.STAGING]


def test_an_agent_without_a_domain_is_ignored_where_one_is_required() -> None:
    world = World(domain=FaultDomain("r", "z"), require_agent_domain=True)
    assert world.agent(domain=FaultDomain("s", "z")).heard(am.AgentRegistered)
    assert world.agent().heard(am.AgentRegistered) == []
    assert "--require-agent-domain" in world.ignored[0]


def test_an_agent_that_is_gone_must_exit_whatever_its_version(world: World) -> None:
    agent = world.agent()
    world.ask(om.MarkAgentGone(agent.id))
    agent.version = "0.1"
    agent.heard(am.ShutdownAgent)
    agent.reregister()
    assert agent.heard(am.ShutdownAgent)
