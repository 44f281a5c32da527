"""What could not be sent to an agent, or read of a framework's ACCEPT: its owner is told."""

from __future__ import annotations

from mezzo.cluster.description import DESCRIPTION_MAX_BYTES
from mezzo.cluster.model import ExecutorInfo, ExecutorType, Filters, Label
from mezzo.cluster.operations import Launch, LaunchGroup
from mezzo.cluster.resources import Resources
from mezzo.cluster.states import Reason, TaskState
from mezzo.ids import ConnId, ExecutorId, TaskId
from mezzo.master.events import LaunchUnsent
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.record import encode

from ..world import BIG, SMALL, World, task


def test_a_launch_that_could_not_be_sent_ends_its_task_and_frees_what_it_took(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    framework.launch("t", BIG)
    (run,) = agent.heard(am.RunTask)
    world.feed(LaunchUnsent(_conn(agent.conn), run, "TaskInfo.data takes too much"))
    (status,) = framework.updates()
    assert (status.task_id, status.state) == ("t", TaskState.ERROR)
    assert (status.reason, status.agent_id) == (Reason.TASK_INVALID, agent.id)
    assert status.message == "the task could not be sent to its agent: TaskInfo.data takes too much"
    framework.say(sm.Revive())
    assert framework.offer().resources == BIG
    told = world.ask(om.GetTasks())
    assert isinstance(told, om.Tasks)
    assert [(each.task_id, each.state) for each in told.completed_tasks] == [("t", TaskState.ERROR)]
    metrics = world.ask(om.GetMetrics())
    assert isinstance(metrics, om.Metrics)
    counted = {metric.name: metric.value for metric in metrics.metrics}
    assert counted["master/tasks_error"] == 1
    assert counted["master/task_error/source_master/reason_task_invalid"] == 1


def test_a_task_whose_description_is_large_is_refused_alone(world: World) -> None:
    """Masters and gateways keep it: the command and the data, which they don't, may be large."""
    agent, framework = world.agent(), world.framework()
    offer = framework.offer()
    framework.accept(
        [offer],
        task("labels", agent.id, labels=(Label("a", "x" * DESCRIPTION_MAX_BYTES),)),
        task("data", agent.id, data=bytes(DESCRIPTION_MAX_BYTES)),
    )
    assert [run.task.task_id for run in agent.heard(am.RunTask)] == ["data"]
    status = framework.updates()[0]
    assert (status.task_id, status.state) == ("labels", TaskState.ERROR)
    assert "health check take 262" in (status.message or "")


def test_of_tasks_that_have_ended_little_is_remembered(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    small, large = (Label("a", "x" * size) for size in (100, 60_000))
    infos = [task(name, agent.id, labels=(label,)) for name, label in (("s", small), ("l", large))]
    framework.accept([framework.offer()], *infos)
    for info in infos:
        said = {"message": "m" * 100_000, "data": bytes(100_000)}
        agent.update(info, framework.id, TaskState.FAILED, **said)
        framework.acknowledge(framework.updates()[-1])
    told = world.ask(om.GetTasks())
    assert isinstance(told, om.Tasks)
    assert [each.labels for each in told.completed_tasks] == [(small,), ()]
    assert all(len(encode(each)) < 20_000 for each in told.completed_tasks)


def test_a_group_that_could_not_be_sent_ends_with_all_of_its_tasks(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    executor = ExecutorInfo(ExecutorId("e"), type=ExecutorType.DEFAULT, resources=SMALL)
    framework.operate(LaunchGroup(executor, (task("a", agent.id), task("b", agent.id))))
    (run,) = agent.heard(am.RunGroup)
    world.feed(LaunchUnsent(_conn(agent.conn), run, "no"))
    assert [(each.task_id, each.state) for each in framework.updates()] == [
        ("a", TaskState.ERROR),
        ("b", TaskState.ERROR),
    ]
    framework.say(sm.Revive())
    assert framework.held == BIG


def test_of_a_stream_that_is_over_the_agents_word_is_awaited(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    framework.launch("t")
    (run,) = agent.heard(am.RunTask)
    conn = _conn(agent.conn)
    agent.disconnect()
    world.feed(LaunchUnsent(conn, run, "no"))
    assert framework.updates() == []
    agent.tasks.clear()
    agent.connect()
    agent.reregister()
    assert TaskId("t") in [each.task_id for each in agent.heard(am.AgentReregistered)[0].reconcile]


def test_a_task_that_has_been_heard_of_since_is_left_alone(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    info = framework.launch("t")
    (run,) = agent.heard(am.RunTask)
    agent.update(info, framework.id, TaskState.RUNNING)
    framework.updates()
    world.feed(LaunchUnsent(_conn(agent.conn), run, "no"))
    assert framework.updates() == []


# ---- what could not be read


def test_the_part_of_an_accept_that_made_no_sense_is_answered_and_the_rest_goes_on(
    world: World,
) -> None:
    agent, framework = world.agent(), world.framework()
    offer = framework.offer()
    framework.offers.clear()
    unreadable = (
        sm.Unreadable("why t", TaskId("bad")),
        sm.Unreadable("why g", TaskId("grouped"), group=True),
        sm.Unreadable("why r", operation_id="r"),
        sm.Unreadable("why x"),
    )
    good = Launch((task("good", agent.id),))
    framework.say(sm.Accept((offer.id,), (good,), Filters(3600), unreadable))
    assert [run.task.task_id for run in agent.heard(am.RunTask)] == ["good"]
    (operation,) = framework.heard(sm.UpdateOperationStatus)
    assert (operation.status.operation_id, operation.status.message) == ("r", "why r")
    assert framework.heard(sm.Answered) == [sm.Answered("ACCEPT", "why x")]
    assert [(each.task_id, each.reason, each.message) for each in framework.updates()] == [
        ("bad", Reason.TASK_INVALID, "why t"),
        ("grouped", Reason.TASK_GROUP_INVALID, "why g"),
    ]


def test_when_nothing_could_be_read_the_offer_goes_back(world: World) -> None:
    world.agent()
    framework = world.framework()
    offer = framework.offer()
    framework.offers.clear()
    framework.say(sm.Accept((offer.id,), unreadable=(sm.Unreadable("no", TaskId("bad")),)))
    assert framework.held == Resources()
    world.advance(6)
    assert framework.held == BIG


def _conn(conn: ConnId | None) -> ConnId:
    assert conn is not None
    return conn
