"""Agents at the master: admission, pings, loss, return, leaving."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mezzo.cluster.amounts import MILLI, SUM_MAX, Ranges
from mezzo.cluster.model import (
    AgentCapability,
    AgentInfo,
    Attribute,
    FaultDomain,
    FrameworkInfo,
    Task,
)
from mezzo.cluster.resources import Kind, Resources
from mezzo.cluster.states import Reason, TaskState
from mezzo.ids import AgentId, ConnId, FrameworkId, TaskId
from mezzo.master.events import AgentSaid
from mezzo.master.state.records import AgentRecord
from mezzo.master.tables import AGENTS
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.record import replace

from ..world import BIG, SMALL, Agent, World, task

S = TaskState


def record(world: World, agent: Agent) -> AgentRecord:
    return AGENTS.decode(world.stored[f"agent/{agent.id}"])


# ---- admission


def test_an_agent_gets_an_id_that_is_stored(world: World) -> None:
    agent = world.agent()
    assert agent.heard(am.AgentRegistered) == [am.AgentRegistered(AgentId("m1-S0"))]
    stored = record(world, agent)
    assert (stored.info, stored.condition) == (agent.info, "ADMITTED")


def test_a_registration_repeated_on_its_stream_is_answered_again(world: World) -> None:
    agent = world.agent()
    agent.say(am.RegisterAgent(agent.info, "1.0", "boot-1"))
    assert len(set(agent.heard(am.AgentRegistered))) == 1
    assert list(world.core.state.agents) == [agent.id]


def test_an_agent_that_never_heard_its_id_leaves_no_trace(world: World) -> None:
    first = world.agent(hostname="h")
    first.disconnect()
    second = world.agent(hostname="h")
    assert list(world.core.state.agents) == [second.id]
    assert list(world.stored) == [f"agent/{second.id}"]
    assert ("ping", first.id) not in world.timers


def test_a_new_agent_at_the_address_of_one_with_tasks_makes_that_unreachable(world: World) -> None:
    """It lost its memory, and with it whatever it knew of its tasks."""
    framework = world.framework()
    old = world.agent(hostname="h")
    framework.launch("t1")
    new = world.agent(hostname="h")
    (status,) = framework.updates()
    assert (status.state, status.agent_id) == (S.UNREACHABLE, old.id)
    assert old.conn is None
    assert list(world.core.state.agents) == [new.id]
    assert record(world, old).condition == "UNREACHABLE"


def test_agents_at_other_ports_of_a_host_are_others(world: World) -> None:
    world.agent(hostname="h", port=1)
    world.agent(hostname="h", port=2)
    assert len(world.core.state.agents) == 2


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
    agent.reregister(Task("t", TaskId("t"), name, agent.id, TaskState.RUNNING))
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


# ---- pings and loss


def test_an_agent_that_answers_its_pings_stays(world: World) -> None:
    agent = world.agent()
    world.advance(86400)
    assert agent.conn is not None
    assert agent.heard(am.Ping)[:3] == [
        am.Ping(True, 1, 0),
        am.Ping(True, 2, 1),
        am.Ping(True, 3, 2),
    ]


@pytest.mark.parametrize("aware", [True, False])
def test_five_missed_pings_make_an_agent_unreachable(world: World, aware: bool) -> None:
    """Behaviour 91."""
    world.operator()
    agent = world.agent()
    framework, other = world.framework(aware=aware), world.framework()
    framework.launch("t1")
    framework.say(sm.Revive())
    agent.ignores.add(am.Ping)
    world.advance(15 * 6 - 1)
    assert world.peers[agent.conn or ConnId(0)] is agent
    world.advance(2)
    assert agent not in world.peers.values(), "its stream is closed"
    (status,) = framework.updates()
    assert status.state is (S.UNREACHABLE if aware else S.LOST)
    assert (status.reason, status.agent_id) == (Reason.AGENT_REMOVED, agent.id)
    assert status.unreachable_time == pytest.approx(world.now.wall_s, abs=2)
    assert status.uuid is None
    assert framework.heard(sm.Failure) == [sm.Failure(agent.id)]
    assert other.heard(sm.Failure) == [sm.Failure(agent.id)]
    assert len(framework.heard(sm.Rescind) + other.heard(sm.Rescind)) == 1
    assert record(world, agent).condition == "UNREACHABLE"
    assert om.AgentRemoved(agent.id) in [event for _, event in world.published]
    assert not any(isinstance(key, tuple) and key[0] == "ping" for key in world.timers)


def test_it_is_stored_before_anybody_hears_of_it(world: World) -> None:
    agent = world.agent()
    framework = world.framework()
    framework.launch("t1")
    agent.disconnect()
    world.advance(89)
    stored_before = record(world, agent).condition
    world.advance(2)
    assert (stored_before, record(world, agent).condition) == ("ADMITTED", "UNREACHABLE")


def test_a_disconnected_agent_keeps_its_tasks_but_not_its_offers(world: World) -> None:
    world.operator()
    agent, framework = world.agent(), world.framework()
    framework.launch("t1")
    framework.say(sm.Revive())
    agent.disconnect()
    assert not framework.offers
    assert framework.updates() == []
    (view,) = world.ask(om.GetAgents()).agents  # type: ignore[union-attr]
    assert not view.active
    world.advance(60)
    assert not framework.offers
    agent.reregister()
    assert framework.offer().resources == BIG - SMALL


def test_without_checkpoints_a_disconnected_agents_tasks_are_lost_at_once(world: World) -> None:
    """Behaviour 48."""
    agent = world.agent()
    plain, keeping = world.framework(checkpoint=False), world.framework()
    first, second = (plain, keeping) if plain.offers else (keeping, plain)
    first.launch("t1")
    first.say(sm.Suppress())
    second.launch("t2")
    agent.disconnect()
    (status,) = plain.updates()
    assert (status.state, status.reason) == (S.LOST, Reason.AGENT_DISCONNECTED)
    assert keeping.updates() == []


def test_a_lost_task_may_come_back(world: World) -> None:
    agent, framework = world.agent(), world.framework(checkpoint=False)
    framework.launch("t1")
    agent.disconnect()
    framework.say(sm.Revive())
    agent.reregister()
    assert framework.offer().resources == BIG - SMALL
    assert [s.state for s in framework.reconcile(("t1", agent.id))] == [S.STAGING]
    assert "t1" not in world.core.state.frameworks[framework.id].completed


# ---- leaving


def test_an_agent_that_leaves_is_forgotten(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    framework.say(sm.Revive())
    agent.say(am.UnregisterAgent())
    assert not framework.offers
    assert framework.heard(sm.Failure) == [sm.Failure(agent.id)]
    assert agent.conn is None
    assert not any(key.startswith("agent/") for key in world.stored)
    assert not world.core.state.unreachable
    agent.reregister()  # started again on its work directory
    assert agent.heard(am.AgentReregistered)
    assert record(world, agent).condition == "ADMITTED"


@pytest.mark.parametrize("aware", [True, False])
def test_tasks_of_an_agent_that_leaves_are_gone(world: World, aware: bool) -> None:
    agent, framework = world.agent(), world.framework(aware=aware)
    framework.launch("t1")
    agent.say(am.UnregisterAgent())
    assert [s.state for s in framework.updates()] == [S.GONE if aware else S.LOST]
    assert not world.core.state.frameworks[framework.id].tasks


# ---- return


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


# ---- changed resources


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
    found = Task("x", TaskId("x"), framework.id, agent.id, S.RUNNING, resources=SMALL)
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


# ---- forgetting


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


# ---- whoever gets no answer


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


# ---- addresses


def test_the_address_of_an_agent_is_in_its_offers_and_views(world: World) -> None:
    """Clients of Mesos take it from `slave(1)@ip:port`."""
    framework = world.framework()
    agent = world.agent(hostname="h", ip="10.0.0.7", port=5051)
    offer = framework.offer(agent)
    assert offer.url is not None
    assert (offer.url.address.ip, offer.url.address.hostname) == ("10.0.0.7", "h")
    agents = world.ask(om.GetAgents())
    assert isinstance(agents, om.Agents)
    assert [each.pid for each in agents.agents] == ["slave(1)@10.0.0.7:5051"]
