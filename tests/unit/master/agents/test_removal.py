"""How agents are called unreachable: one after the other, not too many, and leases first."""

from __future__ import annotations

import pytest

from mezzo.cluster.model import MasterInfo
from mezzo.cluster.states import Reason, TaskState
from mezzo.errors import BadRequest
from mezzo.ids import AgentId
from mezzo.master.config import MasterConfig
from mezzo.master.state.ping_schedule import Pings
from mezzo.master.tasks import unique_leases
from mezzo.messages import agent as am
from mezzo.messages import scheduler as sm

from ..world import Agent, Framework, World, task

S = TaskState
SILENT_S = 6 * 15.0  # a ping, five that are missed


def counted(world: World) -> tuple[int, int, int]:
    """Removals scheduled, completed, canceled."""
    counters = world.core.state.counters
    names = ("scheduled", "completed", "canceled")
    scheduled, completed, canceled = (counters.get(f"slave_unreachable_{n}", 0) for n in names)
    return scheduled, completed, canceled


def launch_unique(world: World, framework: Framework, agent: Agent, lease_s: float = 60.0) -> None:
    offer = framework.offer(agent)
    framework.accept([offer], task("unique", agent.id, unique_lease=lease_s), refuse_s=3600)


# ---- the rate limit


def test_agents_are_called_unreachable_one_in_each_interval() -> None:
    world = World(agent_removal_interval_s=600.0)
    agents = [world.agent() for _ in range(3)]
    for agent in agents:
        agent.disconnect()
    world.advance(SILENT_S)
    assert len(world.core.state.unreachable) == 1
    world.advance(599)
    assert len(world.core.state.unreachable) == 1
    world.advance(2)
    assert len(world.core.state.unreachable) == 2
    assert counted(world) == (3, 2, 0)


def test_an_agent_that_is_heard_of_meanwhile_is_not_removed() -> None:
    world = World(agent_removal_interval_s=600.0)
    first, second = world.agent(), world.agent()
    first.disconnect()
    second.disconnect()
    world.advance(SILENT_S)
    (back,) = [a for a in (first, second) if a.id in world.core.state.agents]
    back.reregister()
    world.advance(1200)
    assert back.id in world.core.state.agents
    assert counted(world) == (2, 1, 1)


def test_without_a_limit_all_go_at_once(world: World) -> None:
    agents = [world.agent() for _ in range(3)]
    for agent in agents:
        agent.disconnect()
    world.advance(SILENT_S)
    assert len(world.core.state.unreachable) == 3


# ---- after a failover


@pytest.mark.parametrize(("limit", "gives_up"), [(0.5, True), (0.7, False), (1.0, False)])
def test_with_too_many_agents_missing_the_master_gives_up_instead(
    limit: float, gives_up: bool
) -> None:
    """Behaviour 60: 2 of 3 do not come back."""
    world = World(recovery_agent_removal_limit=limit)
    agents = [world.agent() for _ in range(3)]
    world.restart()
    agents[0].reregister()
    world.advance(601)
    assert bool(world.gave_up) is gives_up
    assert len(world.core.state.unreachable) == (0 if gives_up else 2)


def test_recovered_agents_are_rationed_as_well() -> None:
    world = World(agent_removal_interval_s=600.0)
    for _ in range(3):
        world.agent()
    world.restart()
    world.advance(601)
    assert len(world.core.state.unreachable) == 1
    world.advance(1200)
    assert len(world.core.state.unreachable) == 3


# ---- leases of unique tasks


def test_a_unique_task_is_unreachable_only_after_lease_drift_and_margin(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    world.advance(30)  # two pings were answered
    launch_unique(world, framework, agent, lease_s=300.0)
    agent.disconnect()
    world.advance(300 * 1.01 + 4)
    assert framework.updates() == []
    world.advance(2)
    assert [status.state for status in framework.updates()] == [S.UNREACHABLE]


def test_the_lease_counts_from_the_last_answer(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    launch_unique(world, framework, agent, lease_s=300.0)
    world.advance(100)
    agent.ignores.add(am.Ping)  # the last answer was after 90 s
    world.advance(90 + 300 * 1.01 + 4 - 100)
    assert framework.updates() == []
    world.advance(2)
    assert [status.state for status in framework.updates()] == [S.UNREACHABLE]


def test_an_agent_that_answers_again_keeps_its_unique_task(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    launch_unique(world, framework, agent, lease_s=300.0)
    agent.ignores.add(am.Ping)
    world.advance(200)
    agent.ignores.discard(am.Ping)
    world.advance(1000)
    assert framework.updates() == []
    assert agent.id in world.core.state.agents


def test_an_unaware_framework_is_told_no_earlier(world: World) -> None:
    agent, framework = world.agent(hostname="h"), world.framework(aware=False)
    launch_unique(world, framework, agent, lease_s=300.0)
    agent.disconnect()
    world.agent(hostname="h")  # it lost its memory; the task may still run
    assert framework.updates() == []
    world.advance(310)
    assert [status.state for status in framework.updates()] == [S.LOST]


@pytest.mark.parametrize(("lease_s", "why"), [(44.0, "at least 45"), (590.0, "must end within")])
def test_a_lease_that_cannot_be_kept_is_refused(lease_s: float, why: str) -> None:
    config = MasterConfig(MasterInfo("m", 0, 5050))
    with pytest.raises(BadRequest, match=why):
        unique_leases.check(config, task("t", AgentId("a"), unique_lease=lease_s))
    unique_leases.check(config, task("t", AgentId("a"), unique_lease=60.0))
    unique_leases.check(config, task("t", AgentId("a")))


# ---- pings


def test_agents_of_one_moment_get_one_and_the_same_ping(world: World) -> None:
    """Ten thousand of them are encoded once."""
    agents = [world.agent() for _ in range(3)]
    world.advance(31)
    pings = [agent.heard(am.Ping) for agent in agents]
    assert len(pings[0]) == 2
    assert all(one is other for one, other in zip(pings[0], pings[1], strict=True))
    assert pings[0] == pings[2] == [am.Ping(True, 1, 0), am.Ping(True, 2, 1)]


def test_an_agent_that_did_not_answer_is_told_what_it_was_heard_of_last(world: World) -> None:
    agent = world.agent()
    world.advance(16)
    agent.ignores.add(am.Ping)
    world.advance(30)
    assert agent.heard(am.Ping) == [am.Ping(True, 1, 0), am.Ping(True, 2, 1), am.Ping(True, 3, 1)]


def test_a_framework_hears_nothing_of_pings(world: World) -> None:
    world.agent()
    framework = world.framework()
    framework.decline(3600)
    framework.inbox.clear()
    world.advance(60)
    assert {type(event) for event in framework.inbox} == {sm.Heartbeat}


def test_those_added_at_one_moment_are_due_together_and_once() -> None:
    pings = Pings()
    a, b, c = (AgentId(name) for name in "abc")
    pings.add(a, 0.0, 15.0)
    pings.add(b, 0.1, 15.0)
    pings.add(c, 5.0, 15.0)
    assert pings.next_s == 15.0
    assert pings.take(14.9) == []
    assert pings.take(15.2) == [a, b]
    pings.remove(c)
    assert (pings.next_s, pings.agents) == (None, set())


def test_a_launch_with_a_lease_that_cannot_be_kept_is_an_error(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    launch_unique(world, framework, agent, lease_s=5.0)
    (status,) = framework.updates()
    assert (status.state, status.reason) == (S.ERROR, Reason.TASK_INVALID)
    assert "at least 45" in (status.message or "")


def test_who_answers_meanwhile_takes_nobodys_turn() -> None:
    """A partition heals for all but one: that one is next, and so is who falls silent later."""
    world = World(agent_removal_interval_s=1200.0)
    agents = [world.agent() for _ in range(10)]
    for agent in agents:
        agent.disconnect()
    world.advance(SILENT_S)
    first = next(iter(world.core.state.unreachable))
    *back, lost = [agent for agent in agents if agent.id != first]
    for agent in back:
        agent.reregister()
    world.advance(1200)
    assert list(world.core.state.unreachable) == [first, lost.id]
    back[0].disconnect()
    world.advance(1201)
    assert list(world.core.state.unreachable) == [first, lost.id, back[0].id]


def test_a_unique_task_launched_while_its_agent_waits_for_removal_has_its_lease(
    world: World,
) -> None:
    agent, framework = world.agent(), world.framework()
    framework.accept([framework.offer()], task("short", agent.id, unique_lease=200.0))
    agent.ignores.add(am.Ping)
    world.advance(SILENT_S)
    offer = framework.offer(agent)
    framework.accept([offer], task("long", agent.id, unique_lease=400.0), refuse_s=3600)
    world.advance(400 * 1.01 + 4 - SILENT_S)
    assert framework.updates() == []
    world.advance(2)
    assert [status.state for status in framework.updates()] == [S.UNREACHABLE] * 2


def test_after_a_failover_an_agent_that_was_replaced_may_still_run_unique_tasks(
    world: World,
) -> None:
    """The new leader knows neither its tasks nor when it was heard of."""
    agent, framework = world.agent(hostname="h"), world.framework(failover_timeout=1e6)
    launch_unique(world, framework, agent, lease_s=500.0)
    world.advance(1000)
    world.restart()
    framework.subscribe()
    world.agent(hostname="h")
    assert framework.reconcile(("unique", agent.id)) == []
    world.advance(599)
    assert framework.reconcile(("unique", agent.id)) == []
    world.advance(2)
    assert [s.state for s in framework.reconcile(("unique", agent.id))] == [S.UNREACHABLE]
