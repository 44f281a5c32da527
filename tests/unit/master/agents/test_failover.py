"""A new leader: what it reads from the store, and what agents and frameworks bring back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzo.cluster.model import ContainerStatus, Task, TaskStatus
from mezzo.cluster.states import Reason, TaskState
from mezzo.core import Instant, Put
from mezzo.ids import AgentId
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.record import replace

from ..world import BIG, SMALL, World

S = TaskState


def replace_wall(now: Instant, wall_s: float) -> Instant:
    return Instant(wall_s, now.mono_s)


def tasks_of(world: World) -> list[tuple[str, str]]:
    tasks = world.ask(om.GetTasks())
    assert isinstance(tasks, om.Tasks)
    return sorted((task.task_id, task.state) for task in tasks.tasks)


def test_the_same_tasks_are_listed_and_nobody_is_told_anything_new(world: World) -> None:
    """Behaviour 56."""
    agents = [world.agent() for _ in range(2)]
    framework = world.framework()
    for number, agent in enumerate(agents):
        info = framework.launch(f"t{number}", agent=agent)
        agent.update(info, framework.id, S.RUNNING)
    before = tasks_of(world)
    framework.updates()
    world.restart()
    assert tasks_of(world) == []
    framework.subscribe()
    for agent in agents:
        agent.reregister()
    assert tasks_of(world) == before
    assert framework.updates() == []
    assert [agent.heard(am.AgentReregistered)[0].reconcile for agent in agents] == [(), ()]
    framework.say(sm.Revive())
    assert [offer.resources for offer in framework.offers.values()] == [BIG - SMALL] * 2


def test_the_health_and_the_container_of_a_task_are_told_after_a_failover(world: World) -> None:
    """Its agent has told them once, and tells them only when they change."""
    agent, framework = world.agent(), world.framework()
    info, container = framework.launch("t1"), ContainerStatus(executor_pid=7)
    told = agent.update(*(info, framework.id, S.RUNNING), healthy=True, container_status=container)
    framework.acknowledge(told)
    world.restart()
    framework.subscribe()
    agent.reregister()
    (answer,) = framework.reconcile()
    assert (answer.healthy, answer.container_status) == (True, container)


def test_what_a_report_brings_of_a_task_is_told_before_its_update_comes(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    info, container = framework.launch("t1"), ContainerStatus(executor_pid=7)
    key = (framework.id, info.task_id)
    status = TaskStatus(info.task_id, S.RUNNING, healthy=True, container_status=container)
    agent.tasks[key] = replace(agent.tasks[key], state=S.RUNNING, statuses=(status,))
    agent.reregister()
    (answer,) = framework.reconcile()
    assert (answer.state, answer.healthy) == (S.RUNNING, True)
    assert answer.container_status == container


def test_the_container_of_a_task_is_told_though_its_last_status_names_none(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    info, container = framework.launch("t1"), ContainerStatus(executor_pid=7)
    key = (framework.id, info.task_id)
    began = TaskStatus(info.task_id, S.STARTING, container_status=container)
    runs = TaskStatus(info.task_id, S.RUNNING, healthy=False)
    agent.tasks[key] = replace(agent.tasks[key], state=S.RUNNING, statuses=(began, runs))
    world.restart()
    framework.subscribe()
    agent.reregister()
    (answer,) = framework.reconcile()
    assert (answer.state, answer.healthy, answer.container_status) == (S.RUNNING, False, container)


def test_the_health_and_the_container_of_a_task_come_back_with_its_agent(world: World) -> None:
    agent, framework = world.agent(), world.framework(failover_timeout=1e6)
    info, container = framework.launch("t1"), ContainerStatus(executor_pid=7)
    agent.update(*(info, framework.id, S.RUNNING), healthy=False, container_status=container)
    agent.disconnect()
    world.advance(100)
    framework.updates()
    agent.reregister()
    (status,) = framework.updates()
    (answer,) = framework.reconcile(("t1", agent.id))
    for each in (status, answer):
        assert (each.healthy, each.container_status) == (False, container)


def test_the_id_of_a_framework_survives(world: World) -> None:
    framework = world.framework()
    world.restart()
    framework.subscribe()
    assert framework.heard(sm.Subscribed)[-1].framework_id == framework.id == "m1-0000"
    assert world.framework().id == "m2-0000"


def test_an_agent_that_is_back_before_its_framework_keeps_its_tasks(world: World) -> None:
    """Behaviour 57."""
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    world.restart()
    agent.reregister()
    agent.update(info, framework.id, S.RUNNING)
    (view,) = world.ask(om.GetFrameworks()).frameworks  # type: ignore[union-attr]
    assert (view.recovered, view.connected, view.active) == (True, False, False)
    assert agent.heard(am.ShutdownFramework) == []
    framework.subscribe()
    (view,) = world.ask(om.GetFrameworks()).frameworks  # type: ignore[union-attr]
    assert (view.recovered, view.connected) == (False, True)
    assert [s.state for s in framework.reconcile()] == [S.RUNNING]
    assert framework.held == BIG - SMALL


def test_a_framework_that_only_its_agent_knows_is_held_for_it(world: World) -> None:
    """The store was made anew."""
    agent, framework = world.agent(), world.framework(failover_timeout=0.0)
    framework.launch("t1")
    world.stored.clear()
    world.restart()
    agent.reregister()
    assert agent.heard(am.ShutdownFramework) == []
    assert f"framework/{framework.id}" in world.stored
    framework.subscribe()
    assert [s.task_id for s in framework.reconcile()] == ["t1"]


def test_a_framework_that_only_its_agent_knows_is_not_held_for_ever(world: World) -> None:
    agent, framework = world.agent(), world.framework(failover_timeout=0.0)
    framework.launch("t1")
    world.stored.clear()
    world.restart()
    agent.reregister()
    world.advance(601)
    assert agent.heard(am.ShutdownFramework) == [am.ShutdownFramework(framework.id)]


def test_a_framework_may_bring_an_id_that_nobody_knows(world: World) -> None:
    framework = world.framework()
    world.stored.clear()
    world.restart()
    framework.inbox.clear()
    framework.subscribe()
    assert framework.heard(sm.Subscribed)[0].framework_id == framework.id


def test_an_agent_that_stays_away_is_unreachable_after_10_minutes(world: World) -> None:
    """Behaviour 58."""
    gone, back = world.agent(), world.agent()
    framework = world.framework()
    world.restart()
    framework.subscribe()
    back.reregister()
    (info,) = world.ask(om.GetAgents()).recovered_agents  # type: ignore[union-attr]
    assert info.id == gone.id
    world.advance(599)
    assert framework.heard(sm.Failure) == []
    world.advance(2)
    assert framework.heard(sm.Failure) == [sm.Failure(gone.id)]
    assert list(world.core.state.agents) == [back.id]
    assert [s.state for s in framework.reconcile(("t", gone.id))] == [S.UNREACHABLE]


def test_who_was_unreachable_stays_so_and_is_told_when_it_returns(world: World) -> None:
    agent, framework = world.agent(), world.framework(failover_timeout=1e6)
    framework.launch("t1")
    agent.disconnect()
    world.advance(100)
    world.restart()
    framework.subscribe()
    framework.updates()
    assert [s.state for s in framework.reconcile(("t1", agent.id))] == [S.UNREACHABLE]
    agent.reregister()
    (status,) = framework.updates()
    assert status.reason is Reason.AGENT_REREGISTERED


def test_a_framework_removed_before_the_failover_is_shut_down_when_its_agent_is_back(
    world: World,
) -> None:
    agent, framework = world.agent(), world.framework()
    framework.launch("t1")
    world.restart()
    assert world.ask(om.Teardown(framework.id)) == om.Done()
    agent.reregister()
    assert agent.heard(am.ShutdownFramework) == [am.ShutdownFramework(framework.id)]
    world.framework()
    assert world.core.state.allocator.available(agent.id).cpus == 0


def test_an_end_that_was_not_acknowledged_is_told_again_after_the_failover(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    sent = agent.update(info, framework.id, S.FINISHED)
    world.restart()
    framework.subscribe()
    framework.updates()
    agent.reregister()
    assert framework.updates() == []
    agent.say(am.StatusUpdate(framework.id, sent, S.FINISHED))
    assert framework.updates() == [sent]
    framework.acknowledge(sent)
    assert not world.core.state.frameworks[framework.id].tasks
    assert not agent.tasks


@pytest.mark.parametrize("back", [S.STARTING, S.RUNNING, S.KILLING])
def test_a_state_learnt_from_the_agents_report_is_published(world: World, back: TaskState) -> None:
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    world.operator()
    key = (framework.id, info.task_id)
    agent.tasks[key] = replace(agent.tasks[key], state=back)
    agent.reregister()
    (added,) = [event for _, event in world.published if isinstance(event, om.TaskAdded)]
    assert (added.task.task_id, added.task.state) == ("t1", back)


@given(st.data())
def test_a_new_leader_comes_up_from_any_prefix_of_the_writes(data: st.DataObject) -> None:
    """A crash cuts the writes of the last leader anywhere between two steps."""
    world = World(max_completed_frameworks=1)
    agents = [world.agent() for _ in range(3)]
    frameworks = [world.framework() for _ in range(3)]
    agents[0].disconnect()
    frameworks[0].say(sm.Teardown())
    world.advance(100)
    agents[1].say(am.UnregisterAgent())
    agents[0].reregister()
    frameworks[1].disconnect()
    world.advance(30)
    frameworks[1].subscribe()
    frameworks[2].say(sm.Teardown())
    writes = world.writes[: data.draw(st.integers(0, len(world.writes)))]
    stored: dict[str, bytes] = {}
    for write in writes:
        if isinstance(write, Put):
            stored[write.key] = write.value
        else:
            stored.pop(write.key, None)

    after = World(stored=stored)
    known = set(after.core.state.agents) | set(after.core.state.unreachable)
    assert {f"agent/{each}" for each in known} == {key for key in stored if "agent" in key}
    alive, over = set(after.core.state.frameworks), set(after.core.state.completed)
    assert {f"framework/{each}" for each in alive | over} == {
        key for key in stored if "framework" in key
    }
    for agent in agents:
        agent.world = after
        agent.conn = None
        agent.inbox.clear()
        agent.reregister()
        assert agent.heard(am.AgentReregistered)
    for framework in frameworks:
        framework.world = after
        framework.conn = None
        framework.inbox.clear()
        framework.subscribe()
        assert framework.heard(sm.Error if framework.id in over else sm.Subscribed)
    after.advance(10_000)
    assert len(after.core.state.agents) == 3


def test_a_report_may_repeat_what_is_known(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    framework.launch("t1")
    known = next(iter(agent.tasks.values()))
    doubled: list[Task] = [known, known]
    agent.reregister(*doubled)
    framework.say(sm.Revive())
    assert framework.held == BIG - SMALL


@pytest.mark.parametrize("years", [-30, 30])
def test_a_deadline_is_never_longer_than_the_failover_timeout(world: World, years: int) -> None:
    """Whatever the next leader's clock says."""
    framework = world.framework(failover_timeout=1000.0)
    framework.disconnect()
    world.advance(100)
    world.now = replace_wall(world.now, world.now.wall_s + years * 365 * 86400.0)
    world.restart()
    world.advance(1001)
    assert framework.id not in world.core.state.frameworks


def test_a_store_that_has_forgotten_everything_calls_no_running_task_unknown(
    world: World,
) -> None:
    """ZooKeeper was emptied: who comes with an id that nobody knows has agents that will come, too,
    and may be told nothing of their tasks before. It would replace them."""
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    agent.update(info, framework.id, S.RUNNING)
    world.stored.clear()
    world.restart()
    framework.subscribe()
    asked = ("t1", info.agent_id)
    assert framework.reconcile(asked, ("t2", None)) == []
    agent.reregister()
    assert [status.state for status in framework.reconcile(asked)] == [S.RUNNING]


def test_what_has_not_come_back_in_its_time_is_unknown(world: World) -> None:
    framework = world.framework()
    lost = world.agent().id
    world.stored.clear()
    world.restart()
    framework.subscribe()
    assert framework.reconcile(("t1", lost)) == []
    world.advance(world.core.state.config.agent_reregister_timeout_s + 1)
    assert [status.state for status in framework.reconcile(("t1", lost))] == [S.UNKNOWN]


def test_of_agents_that_are_known_nothing_unknown_may_appear_even_in_an_empty_store(
    world: World,
) -> None:
    """One that is back has told all that it has, one that is away or gone is no longer waited for:
    only of those that nobody knows something may come."""
    framework = world.framework()
    world.stored.clear()
    world.restart()
    framework.subscribe()
    here, away, gone = (world.agent() for _ in range(3))
    away.disconnect()
    world.advance(100)  # it is called unreachable; agents may come back for much longer
    world.ask(om.MarkAgentGone(gone.id))
    assert world.now.mono_s < world.core.state.recovery_over_s
    states = {
        agent.id: [status.state for status in framework.reconcile(("x", agent.id))]
        for agent in (here, away, gone)
    }
    assert states == {here.id: [S.GONE], away.id: [S.UNREACHABLE], gone.id: [S.GONE_BY_OPERATOR]}
    assert framework.reconcile(("x", AgentId("nobody"))) == []


def test_who_asked_for_all_is_told_of_the_tasks_of_agents_that_come_later(world: World) -> None:
    """A framework that failed over itself meanwhile may not know them: it would let them run."""
    early, late = world.agent(), world.agent()
    framework = world.framework()
    for number, agent in enumerate((early, late)):
        agent.update(framework.launch(f"t{number}", agent=agent), framework.id, S.RUNNING)
    framework.updates()
    world.restart()
    framework.subscribe()
    early.reregister()
    assert [status.task_id for status in framework.reconcile()] == ["t0"]
    late.reregister()
    assert [(s.task_id, s.state, s.uuid) for s in framework.updates()] == [("t1", S.RUNNING, None)]
    late.disconnect()
    late.reregister()
    assert framework.updates() == []
