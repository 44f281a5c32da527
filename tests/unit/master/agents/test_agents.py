"""Agents at the master: admission, pings, loss, return, leaving."""

from __future__ import annotations

import pytest

from mezzo.cluster.states import Reason, TaskState
from mezzo.ids import AgentId, ConnId
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm

from ..world import BIG, SMALL, World, record

S = TaskState


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
