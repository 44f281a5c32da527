"""Tasks at the master: updates, acknowledgements, kills, reconciliation."""

from __future__ import annotations

import pytest

from mezzo.cluster.model import ContainerStatus, KillPolicy
from mezzo.cluster.resources import Resources
from mezzo.cluster.states import Reason, Source, TaskState
from mezzo.ids import AgentId, TaskId
from mezzo.master.events import StreamClosed
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm

from ..world import BIG, SMALL, World, task

S = TaskState


# ---- updates and acknowledgements


def test_an_update_reaches_the_framework_and_its_acknowledgement_the_agent(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    sent = agent.update(info, framework.id, S.RUNNING, healthy=True)
    assert framework.updates() == [sent]
    framework.acknowledge(sent)
    assert agent.heard(am.UpdateAcknowledged) == [
        am.UpdateAcknowledged(framework.id, info.task_id, sent.uuid or b"")
    ]


def test_a_repeated_update_is_forwarded_again(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    sent = agent.update(info, framework.id, S.RUNNING)
    agent.say(am.StatusUpdate(framework.id, sent, S.RUNNING))
    assert framework.updates() == [sent, sent]


def test_the_latest_state_frees_resources_before_its_update_arrives(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    agent.update(info, framework.id, S.RUNNING, latest=S.FINISHED)
    assert framework.offer().resources == BIG
    entry = world.core.state.frameworks[framework.id].tasks[info.task_id]
    assert (entry.state, entry.view().status_update_state) == (S.FINISHED, S.RUNNING)


def test_resources_are_freed_once(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    agent.update(info, framework.id, S.RUNNING, latest=S.FINISHED)
    for _ in range(3):
        agent.update(info, framework.id, S.FINISHED)
    framework.decline()
    world.advance(10)
    assert framework.offer().resources == BIG


def test_a_terminal_task_is_kept_until_it_is_acknowledged(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    sent = agent.update(info, framework.id, S.FAILED)
    entry = world.core.state.frameworks[framework.id]
    assert list(entry.tasks) == ["t1"]
    framework.acknowledge(sent)
    assert not entry.tasks
    assert [(t.task_id, t.state) for t in entry.completed.values()] == [("t1", S.FAILED)]


def test_an_end_is_over_once_acknowledged_even_if_an_older_update_comes_late(
    world: World,
) -> None:
    """Simulator, seed 4118: the end was awaited for ever, and its agent never drained."""
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    agent.update(info, framework.id, S.RUNNING)
    (late,) = agent.unheard()
    end = agent.update(info, framework.id, S.KILLED)
    agent.say(late)
    framework.acknowledge(end)
    assert not world.core.state.frameworks[framework.id].tasks
    assert not world.core.state.agents[agent.id].tasks


def test_a_late_or_wrong_ack_is_dropped_silently(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    first = agent.update(info, framework.id, S.RUNNING)
    last = agent.update(info, framework.id, S.FINISHED)
    framework.acknowledge(first)
    assert framework.heard(sm.Error) == []
    assert list(world.core.state.frameworks[framework.id].tasks) == ["t1"]
    framework.acknowledge(last)
    framework.acknowledge(last)
    framework.say(sm.Acknowledge(AgentId("unknown"), info.task_id, last.uuid or b""))
    framework.say(sm.Acknowledge(agent.id, TaskId("unknown"), last.uuid or b""))
    assert framework.heard(sm.Error) == []
    assert framework.conn is not None


def test_an_ack_is_not_sent_to_an_agent_that_is_away(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    sent = agent.update(info, framework.id, S.FINISHED)
    agent.disconnect()
    framework.acknowledge(sent)
    assert list(world.core.state.frameworks[framework.id].tasks) == ["t1"]
    agent.reregister()
    agent.say(am.StatusUpdate(framework.id, sent, S.FINISHED))
    framework.acknowledge(sent)
    assert not world.core.state.frameworks[framework.id].tasks
    assert not agent.tasks


def test_a_disconnected_framework_gets_the_update_later(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    framework.disconnect()
    sent = agent.update(info, framework.id, S.FINISHED)
    framework.subscribe()
    assert framework.updates() == []
    agent.say(am.StatusUpdate(framework.id, sent, S.FINISHED))  # as it repeats it
    assert framework.updates() == [sent]


@pytest.mark.parametrize(("aware", "told"), [(True, S.DROPPED), (False, S.LOST)])
def test_a_launch_that_never_arrived_is_told_in_the_words_that_the_framework_knows(
    world: World, aware: bool, told: TaskState
) -> None:
    agent, framework = world.agent(), world.framework(aware=aware)
    info = framework.launch("t1")
    agent.update(info, framework.id, S.DROPPED)
    assert [status.state for status in framework.updates()] == [told]
    assert framework.offer().resources == BIG


def test_an_update_of_a_removed_framework_makes_the_agent_forget_it(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    framework.say(sm.Teardown())
    agent.heard(am.ShutdownFramework)
    agent.update(info, framework.id, S.KILLED)
    assert agent.heard(am.ShutdownFramework) == [am.ShutdownFramework(framework.id)]


def test_a_task_does_not_rise_from_the_dead(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    agent.update(info, framework.id, S.FINISHED)
    agent.update(info, framework.id, S.RUNNING)
    assert world.core.state.frameworks[framework.id].tasks[info.task_id].state is S.FINISHED


@pytest.mark.parametrize("end", [state for state in S if state.terminal])
@pytest.mark.parametrize("before", [S.STAGING, S.STARTING, S.RUNNING, S.KILLING])
def test_every_end_frees_and_is_over_once_acknowledged(
    world: World, before: TaskState, end: TaskState
) -> None:
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    if before is not S.STAGING:
        agent.update(info, framework.id, before)
    # Also if the agent should contradict itself: nothing follows a terminal status.
    framework.acknowledge(agent.update(info, framework.id, end, latest=before))
    assert not world.core.state.frameworks[framework.id].tasks
    assert framework.offer().resources == BIG


def test_statuses_are_kept_one_for_each_run_of_a_state_without_their_data(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    agent.update(info, framework.id, S.RUNNING, data=b"secret")
    agent.update(info, framework.id, S.RUNNING, healthy=False)
    agent.update(info, framework.id, S.FAILED)
    (seen,) = world.ask(om.GetTasks()).tasks  # type: ignore[union-attr]
    assert [(s.state, s.healthy, s.data) for s in seen.statuses] == [
        (S.RUNNING, False, None),
        (S.FAILED, None, None),
    ]


def test_completed_tasks_are_bounded() -> None:
    world = World(max_completed_tasks_per_framework=2)
    agent, framework = world.agent(), world.framework()
    for number in range(4):
        info = framework.launch(f"t{number}")
        framework.acknowledge(agent.update(info, framework.id, S.FINISHED))
    assert list(world.core.state.frameworks[framework.id].completed) == ["t2", "t3"]


# ---- killing


def test_a_kill_goes_to_the_agent_each_time_it_is_asked(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    policy = KillPolicy(7.0)
    for _ in range(2):
        framework.say(sm.Kill(info.task_id, agent.id, policy))
    assert agent.heard(am.KillTask) == [am.KillTask(framework.id, info.task_id, policy)] * 2


def test_a_kill_that_names_the_wrong_agent_is_ignored(world: World) -> None:
    """Behaviour 27."""
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    framework.say(sm.Kill(info.task_id, AgentId("other")))
    assert agent.heard(am.KillTask) == []
    assert framework.updates() == []


def test_a_kill_of_an_unknown_task_is_answered_as_by_reconciliation(world: World) -> None:
    """Behaviour 27."""
    agent, framework = world.agent(), world.framework()
    framework.say(sm.Kill(TaskId("unknown")))
    framework.say(sm.Kill(TaskId("unknown"), agent.id))
    assert [(s.state, s.reason) for s in framework.updates()] == [
        (S.UNKNOWN, Reason.RECONCILIATION),
        (S.GONE, Reason.RECONCILIATION),
    ]


def test_a_kill_waits_for_an_agent_that_is_away(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    agent.disconnect()
    framework.say(sm.Kill(info.task_id))
    agent.reregister()
    assert agent.heard(am.KillTask) == [am.KillTask(framework.id, info.task_id)]


def test_a_kill_waits_for_an_agent_that_is_unreachable(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    agent.disconnect()
    world.advance(100)
    framework.updates()
    framework.say(sm.Kill(info.task_id))
    assert [s.state for s in framework.updates()] == [S.UNREACHABLE]
    agent.reregister()
    assert agent.heard(am.KillTask) == [am.KillTask(framework.id, info.task_id)]


def test_a_kill_of_a_launch_that_never_arrived_ends_the_task_as_killed(world: World) -> None:
    """Behaviour 28."""
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    agent.disconnect()
    agent.tasks.clear()
    framework.say(sm.Kill(info.task_id))
    agent.reregister()
    (status,) = framework.updates()
    assert (status.state, status.reason) == (S.KILLED, Reason.TASK_KILLED_DURING_LAUNCH)
    assert agent.heard(am.AgentReregistered)[0].reconcile == ()
    assert agent.heard(am.KillTask) == []
    assert framework.offer().resources == BIG
    assert list(world.core.state.frameworks[framework.id].completed) == ["t1"]


def test_a_report_that_crosses_a_launch_and_its_kill_ends_nothing(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    before = agent.report()
    info = framework.launch("t1")
    framework.say(sm.Kill(info.task_id))
    agent.say(before)
    assert framework.updates() == []
    framework.acknowledge(agent.update(info, framework.id, S.KILLED))
    assert framework.offer().resources == BIG


def test_an_acknowledgement_with_bytes_that_are_no_uuid_is_refused(world: World) -> None:
    """Behaviour 10."""
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    agent.update(info, framework.id, S.FINISHED)
    framework.say(sm.Acknowledge(agent.id, info.task_id, b"short"))
    (answer,) = framework.heard(sm.Answered)
    assert answer == sm.Answered("ACKNOWLEDGE", answer.refusal)
    assert "has 5 bytes, not 16" in (answer.refusal or "")
    assert agent.heard(am.UpdateAcknowledged) == []


# ---- reconciliation


def test_reconciling_all_tells_every_known_task_its_state(world: World) -> None:
    """Behaviour 110."""
    agent, framework = world.agent(), world.framework()
    offer = framework.offer()
    tasks = [task(f"t{number}", agent.id, SMALL) for number in range(3)]
    framework.accept([offer], *tasks)
    container = ContainerStatus(executor_pid=7)
    agent.update(
        *(tasks[1], framework.id, S.RUNNING),
        healthy=True,
        data=b"x",
        container_status=container,
    )
    framework.acknowledge(agent.update(tasks[2], framework.id, S.FINISHED))
    answers = framework.reconcile()
    assert [(s.task_id, s.state) for s in answers] == [("t0", S.STAGING), ("t1", S.RUNNING)]
    for status in answers:
        assert (status.source, status.reason) == (Source.MASTER, Reason.RECONCILIATION)
        assert (status.uuid, status.data) == (None, None)
        assert status.message
    assert (answers[1].healthy, answers[1].container_status) == (True, container)


def test_an_unacknowledged_end_is_told_as_it_was_sent_last(world: World) -> None:
    """Behaviour 112."""
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    agent.update(info, framework.id, S.RUNNING, latest=S.FINISHED)
    assert [s.state for s in framework.reconcile(("t1", agent.id))] == [S.RUNNING]
    agent.update(info, framework.id, S.FINISHED)
    assert [s.state for s in framework.reconcile(("t1", None))] == [S.FINISHED]
    assert [s.state for s in framework.reconcile()] == [S.FINISHED]


@pytest.mark.parametrize("aware", [True, False])
def test_unknown_tasks_are_gone_unreachable_or_unknown_by_their_agent(
    world: World, aware: bool
) -> None:
    """Behaviour 111."""
    framework = world.framework(aware=aware, failover_timeout=1e6)
    here, away = world.agent(), world.agent()
    away.disconnect()
    world.advance(100)
    lost_s = framework.reconcile(("x", away.id))[0].unreachable_time
    assert lost_s is not None
    answers = framework.reconcile(
        ("a", here.id), ("b", away.id), ("c", AgentId("nobody")), ("d", None)
    )
    wanted = [S.GONE, S.UNREACHABLE, S.UNKNOWN, S.UNKNOWN] if aware else [S.LOST] * 4
    assert [s.state for s in answers] == wanted
    assert [s.unreachable_time for s in answers] == [None, lost_s, None, None]


def test_no_answer_while_an_agent_may_still_bring_the_task(world: World) -> None:
    """Behaviour 59."""
    agent, framework = world.agent(), world.framework()
    framework.launch("t1")
    world.restart()
    framework.subscribe()
    assert framework.reconcile(("t1", agent.id), ("t1", None)) == []
    assert [s.state for s in framework.reconcile(("t1", AgentId("nobody")))] == [S.UNKNOWN]
    agent.reregister()
    assert [s.state for s in framework.reconcile(("t1", agent.id))] == [S.STAGING]


def test_an_agent_that_is_only_disconnected_still_has_its_tasks(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t1")
    agent.update(info, framework.id, S.RUNNING)
    agent.disconnect()
    assert [s.state for s in framework.reconcile(("t1", agent.id))] == [S.RUNNING]


# ---- bookkeeping


def test_messages_on_streams_that_are_over_are_not_heard(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    framework.launch("t1", Resources.of(cpus=1))
    conn = agent.conn
    assert conn is not None
    agent.disconnect()
    world.feed(StreamClosed(conn))  # told twice
    agent.conn = conn
    agent.update(task("t1", agent.id), framework.id, S.FINISHED)
    assert framework.updates() == []
    assert world.core.state.frameworks[framework.id].tasks[TaskId("t1")].state is S.STAGING
