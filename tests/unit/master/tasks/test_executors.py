"""Executors at the master: charged once, told of in offers, spoken to, ended."""

from __future__ import annotations

from typing import Any

import pytest

from mezzo.cluster.model import (
    Capability,
    CommandInfo,
    ContainerInfo,
    ContainerType,
    ExecutorInfo,
    ExecutorType,
    NetworkInfo,
    TaskInfo,
)
from mezzo.cluster.operations import LaunchGroup
from mezzo.cluster.resources import Kind, Resources
from mezzo.cluster.states import Reason, Source, TaskState
from mezzo.ids import AgentId, ExecutorId, FrameworkId
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.record import replace

from ..world import BIG, SMALL, Agent, Framework, World, task

S = TaskState
COST = Resources.of(cpus=0.5, mem=200)
EXECUTOR = ExecutorInfo(ExecutorId("e"), command=CommandInfo("run"), resources=COST)
DEFAULT = replace(EXECUTOR, type=ExecutorType.DEFAULT, command=None)


def run(task_id: str, agent: Agent, executor: ExecutorInfo = EXECUTOR, **more: Any) -> TaskInfo:
    return task(task_id, agent.id, command=None, executor=executor, **more)


def launch(framework: Framework, *tasks: TaskInfo) -> None:
    """With what is offered; the rest comes back at once."""
    framework.accept(list(framework.offers.values()), *tasks, refuse_s=0)


def launch_group(framework: Framework, executor: ExecutorInfo, *tasks: TaskInfo) -> None:
    framework.operate(LaunchGroup(executor, tasks), refuse_s=0)


def started(world: World) -> tuple[Agent, Framework]:
    """With an executor that has told of itself."""
    agent, framework = world.agent(), world.framework()
    launch(framework, run("t1", agent))
    agent.update(run("t1", agent), framework.id, S.RUNNING)
    return agent, framework


@pytest.mark.parametrize(("user", "shown"), [("worker", "worker"), (None, "root")])
def test_a_task_runs_as_the_user_of_its_executor_or_else_of_its_framework(
    world: World, user: str | None, shown: str
) -> None:
    agent, framework = world.agent(), world.framework()
    launch(framework, run("t1", agent, replace(EXECUTOR, command=CommandInfo("run", user=user))))
    tasks = world.ask(om.GetTasks())
    assert isinstance(tasks, om.Tasks)
    assert [each.user for each in tasks.tasks] == [shown]


# ---- charged


def test_an_executors_resources_are_charged_once_however_many_tasks_it_runs(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    launch(framework, run("t1", agent), run("t2", agent))
    assert framework.held == BIG - SMALL - SMALL - COST
    launch(framework, run("t3", agent))
    assert framework.held == BIG - SMALL - SMALL - SMALL - COST
    filled = replace(EXECUTOR, framework_id=framework.id)
    assert [order.task.executor for order in agent.heard(am.RunTask)] == [filled] * 3
    seen = world.ask(om.GetExecutors())
    assert seen == om.Executors((om.ExecutorView(filled, agent.id),))


def test_offers_name_the_frameworks_executors_on_the_agent(world: World) -> None:
    agent, framework = started(world)
    assert framework.offer().executor_ids == ("e",)
    elsewhere = world.agent()
    assert framework.offer(elsewhere).executor_ids == ()
    framework.decline(3600)
    other = world.framework()
    assert other.offer(agent).executor_ids == ()


def test_the_end_of_its_tasks_does_not_free_an_executor_but_its_own_does(world: World) -> None:
    """Behaviour 29."""
    agent, framework = started(world)
    framework.acknowledge(agent.update(run("t1", agent), framework.id, S.FINISHED))
    framework.decline(0)
    world.advance(2)
    assert framework.held == BIG - COST
    framework.say(sm.Shutdown(EXECUTOR.executor_id, agent.id))
    assert agent.heard(am.ShutdownExecutor) == [
        am.ShutdownExecutor(framework.id, EXECUTOR.executor_id)
    ]
    agent.say(am.ExecutorExited(framework.id, EXECUTOR.executor_id, 256))
    assert framework.heard(sm.Failure) == [sm.Failure(agent.id, EXECUTOR.executor_id, 256)]
    framework.decline(0)
    world.advance(2)
    assert framework.held == BIG


def test_an_executor_that_its_agent_refused_takes_nothing(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    launch(framework, run("t1", agent), run("t2", agent))
    for name in ("t1", "t2"):
        agent.update(run(name, agent), framework.id, S.ERROR, source=Source.AGENT)
    framework.decline(0)
    world.advance(2)
    assert framework.held == BIG
    assert world.ask(om.GetExecutors()) == om.Executors()


def test_shutting_down_an_unknown_executor_is_told_to_nobody(world: World) -> None:
    agent, framework = started(world)
    for wrong in (
        sm.Shutdown(ExecutorId("other"), agent.id),
        sm.Shutdown(EXECUTOR.executor_id, AgentId("other")),
    ):
        framework.say(wrong)
    assert agent.heard(am.ShutdownExecutor) == []
    assert framework.heard(sm.Error) == []


def test_an_executor_ends_with_its_framework(world: World) -> None:
    """Behaviour 24."""
    agent, framework = started(world)
    framework.acknowledge(agent.update(run("t1", agent), framework.id, S.FINISHED))
    framework.say(sm.Teardown())
    assert agent.heard(am.ShutdownFramework) == [am.ShutdownFramework(framework.id)]
    assert world.framework().held == BIG


# ---- words


def test_a_message_passes_unchanged_both_ways(world: World) -> None:
    """Behaviour 26."""
    agent, framework = started(world)
    data = bytes(range(256))
    framework.say(sm.Message(agent.id, EXECUTOR.executor_id, data))
    assert agent.heard(am.FrameworkMessage) == [
        am.FrameworkMessage(framework.id, EXECUTOR.executor_id, data)
    ]
    agent.say(am.ExecutorMessage(framework.id, EXECUTOR.executor_id, data))
    assert framework.heard(sm.Message) == [sm.Message(agent.id, EXECUTOR.executor_id, data)]


def test_a_message_to_nobody_is_lost(world: World) -> None:
    agent, framework = started(world)
    framework.say(sm.Message(AgentId("other"), EXECUTOR.executor_id, b"x"))
    agent.say(am.ExecutorMessage(FrameworkId("other"), EXECUTOR.executor_id, b"x"))
    agent.say(am.ExecutorExited(FrameworkId("other"), EXECUTOR.executor_id, 0))
    agent.disconnect()
    framework.say(sm.Message(agent.id, EXECUTOR.executor_id, b"x"))
    assert agent.heard(am.FrameworkMessage) == []
    assert framework.heard(sm.Message) == []
    assert framework.heard(sm.Failure) == []
    assert framework.heard(sm.Error) == []


# ---- return and loss


def test_the_next_master_learns_executors_and_their_roles_from_the_agents(world: World) -> None:
    agent = world.agent()
    framework = world.framework(capabilities=(Capability.MULTI_ROLE,), roles=("a", "b"))
    offer = framework.offer()
    launch(framework, run("t1", agent))
    agent.update(run("t1", agent), framework.id, S.RUNNING)
    world.restart()
    framework.subscribe()
    agent.reregister()
    (executor,) = world.core.state.agents[agent.id].executors.values()
    assert (executor.role, executor.seen) == (offer.role, True)
    assert framework.held == BIG - SMALL - COST


def test_an_executor_that_the_agent_does_not_report_is_gone(world: World) -> None:
    agent, framework = started(world)
    agent.disconnect()
    agent.executors.clear()
    agent.reregister()
    assert world.ask(om.GetExecutors()) == om.Executors()
    assert framework.held == BIG - SMALL


def test_an_executor_that_the_master_did_not_know_is_counted(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    framework.decline()
    world.operator()
    agent.frameworks[framework.id] = framework.info
    stranger = replace(EXECUTOR, framework_id=FrameworkId("gone"))
    known = replace(EXECUTOR, framework_id=framework.id)
    agent.executors = {(FrameworkId("a"), ExecutorId("e")): known}
    agent.executors[(FrameworkId("b"), ExecutorId("e"))] = stranger
    agent.disconnect()
    agent.reregister()
    world.advance(1.0)
    events = [event for _, event in world.published]
    seen = [event.framework for event in events if isinstance(event, om.FrameworkUpdated)]
    assert seen[-1].allocated_resources == COST
    framework.say(sm.Revive())
    assert framework.held == BIG - COST
    assert agent.heard(am.ShutdownFramework) == [am.ShutdownFramework(FrameworkId("gone"))]


def test_the_executors_of_a_lost_agent_go_with_it(world: World) -> None:
    agent, framework = started(world)
    agent.disconnect()
    world.advance(100)
    assert world.ask(om.GetExecutors()) == om.Executors()
    assert framework.heard(sm.Failure) == [sm.Failure(agent.id)]
    agent.reregister()
    assert framework.held == BIG - SMALL - COST


def test_a_report_that_crosses_a_launch_does_not_end_its_executor(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    before = agent.report()
    launch(framework, run("t1", agent))
    agent.say(before)
    assert framework.offer().executor_ids == ("e",)
    assert framework.held == BIG - SMALL - COST


# ---- validity


@pytest.mark.parametrize(
    ("executor", "complaint"),
    [
        (replace(EXECUTOR, executor_id=ExecutorId("")), "executor_id is empty"),
        (replace(EXECUTOR, executor_id=ExecutorId("a/b")), "holds '/'"),
        (replace(EXECUTOR, framework_id=FrameworkId("other")), "executor.framework_id is other"),
        (replace(EXECUTOR, command=None), "executor.command is missing"),
        (DEFAULT, "launched as a group"),
        (replace(EXECUTOR, resources=Resources.of(cpus=4)), "uses more resources"),
        (
            replace(EXECUTOR, resources=Resources({Kind("cpus", revocable=True): 10})),
            "revocable and non-revocable cpus",
        ),
        (
            replace(EXECUTOR, resources=Resources.of(ports=[(31000, 31000)])),
            "task and executor use the same ports",
        ),
    ],
)
def test_a_wrong_executor_is_an_error(world: World, executor: ExecutorInfo, complaint: str) -> None:
    agent, framework = world.agent(), world.framework()
    wanted = SMALL + Resources.of(ports=[(31000, 31001)])
    launch(framework, run("wrong", agent, executor, resources=wanted), run("right", agent))
    (status,) = framework.updates()
    assert (status.task_id, status.state, status.reason) == ("wrong", S.ERROR, Reason.TASK_INVALID)
    assert complaint in (status.message or "")
    assert [order.task.task_id for order in agent.heard(am.RunTask)] == ["right"]


def test_one_executor_id_means_one_description(world: World) -> None:
    agent, framework = started(world)
    framework.updates()
    launch(framework, run("t2", agent, replace(EXECUTOR, name="other")))
    assert "as another description" in (framework.updates()[0].message or "")
    world.advance(2)
    same = replace(EXECUTOR, framework_id=framework.id)
    launch(framework, run("t3", agent, same))
    assert framework.updates() == []


def test_an_executor_runs_tasks_of_one_role(world: World) -> None:
    framework = world.framework(capabilities=(Capability.MULTI_ROLE,), roles=("a", "b"))
    agent = world.agent(Resources.parse("cpus(a):2;mem(a):999;cpus(b):2;mem(b):999"))
    by_role = {offer.role: offer for offer in framework.offers.values()}
    static = {role: offer.resources for role, offer in by_role.items()}
    for role, name in (("a", "t1"), ("b", "t2")):
        executor = replace(EXECUTOR, resources=Resources())
        info = run(name, agent, executor, resources=static[role])
        framework.accept([by_role[role]], info)
    (status,) = framework.updates()
    assert status.task_id == "t2"
    assert "runs for role 'a'" in (status.message or "")


# ---- groups


@pytest.mark.parametrize("executor", [DEFAULT, replace(EXECUTOR, type=ExecutorType.CUSTOM)])
def test_a_group_is_launched_as_one(world: World, executor: ExecutorInfo) -> None:
    agent, framework = world.agent(), world.framework()
    tasks = (task("t1", agent.id), task("t2", agent.id))
    launch_group(framework, executor, *tasks)
    filled = replace(executor, framework_id=framework.id)
    assert agent.heard(am.RunGroup) == [am.RunGroup(framework.info, filled, tasks, "*")]
    assert framework.held == BIG - SMALL - SMALL - COST
    known = world.core.state.frameworks[framework.id].tasks.values()
    assert [entry.info.executor_id for entry in known] == ["e", "e"]
    launch_group(framework, executor, task("t3", agent.id))
    assert framework.held == BIG - SMALL - SMALL - SMALL - COST


DOCKER = ContainerInfo(ContainerType.DOCKER)
NETWORK = ContainerInfo(ContainerType.MESOS, network_infos=(NetworkInfo(),))


@pytest.mark.parametrize(
    ("executor", "change", "complaint"),
    [
        (EXECUTOR, {}, "executor.type must be DEFAULT or CUSTOM"),
        (replace(DEFAULT, command=CommandInfo("x")), {}, "one of type DEFAULT has none"),
        (replace(DEFAULT, container=DOCKER), {}, "can't have Docker's"),
        (replace(DEFAULT, resources=Resources.of(mem=32)), {}, "at least 0.01 cpus"),
        (replace(DEFAULT, resources=Resources.of(cpus=1, mem=31)), {}, "at least 32 mem"),
        (DEFAULT, {"resources": Resources.of(cpus=4)}, "uses more resources"),
        (DEFAULT, {"resources": Resources()}, "uses no resources"),
        (DEFAULT, {"executor": EXECUTOR}, "has another executor than its group"),
        (DEFAULT, {"container": DOCKER}, "can't have a Docker container"),
        (DEFAULT, {"container": NETWORK}, "can't have network_infos"),
        (DEFAULT, {"task_id": "t1"}, "duplicate ID: t1"),
        (DEFAULT, {"unique_lease": 1.0}, "unique_lease is 1 s"),
        (DEFAULT, {"resources": Resources.of(ports=[(31000, 31000)])}, "use the same ports"),
    ],
)
def test_a_group_with_one_wrong_part_launches_nothing(
    world: World, executor: ExecutorInfo, change: dict[str, Any], complaint: str
) -> None:
    agent, framework = world.agent(), world.framework()
    first = task("t1", agent.id, Resources.of(cpus=1, ports=[(31000, 31000)]))
    second = replace(task("t2", agent.id), **change)
    launch_group(framework, executor, first, second)
    statuses = framework.updates()
    assert [(s.task_id, s.state, s.reason) for s in statuses] == [
        ("t1", S.ERROR, Reason.TASK_GROUP_INVALID),
        (second.task_id, S.ERROR, Reason.TASK_GROUP_INVALID),
    ]
    assert complaint in (statuses[0].message or "")
    assert agent.heard(am.RunGroup) == []
    world.advance(2)
    assert framework.held == BIG


def test_a_group_with_an_operation_id_is_an_error(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    framework.operate(LaunchGroup(DEFAULT, (task("t1", agent.id),), "an-id"))
    (status,) = framework.updates()
    assert (status.state, status.reason) == (S.ERROR, Reason.TASK_GROUP_INVALID)


def test_the_tasks_of_a_group_may_name_its_executor(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    launch_group(framework, DEFAULT, task("t1", agent.id, executor=DEFAULT))
    assert framework.updates() == []
    assert len(agent.heard(am.RunGroup)) == 1


def test_a_group_that_its_agent_refuses_takes_nothing(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    launch_group(framework, DEFAULT, task("t1", agent.id), task("t2", agent.id))
    for name in ("t1", "t2"):
        agent.update(task(name, agent.id), framework.id, S.ERROR, source=Source.AGENT)
    framework.decline(0)
    world.advance(2)
    assert framework.held == BIG
