"""An agent that is drained ends its tasks and takes no new ones, until it is told otherwise."""

from __future__ import annotations

import pytest

from mezzo.agent import effects as do
from mezzo.agent.api.render import shown_state
from mezzo.agent.container import ContainerExited, ContainerStarted, Kind
from mezzo.cluster.model import DrainConfig, ExecutorInfo, FrameworkInfo, KillPolicy, TaskStatus
from mezzo.cluster.states import Reason, Source, TaskState
from mezzo.ids import ContainerId, ExecutorId, TaskId
from mezzo.messages import agent as am
from mezzo.record import replace

from ..fakes import F1, FRAMEWORK, S1, World, process_task

S = TaskState
UNAWARE = replace(FRAMEWORK, capabilities=())


@pytest.fixture
def world() -> World:
    return World().register()


def drain(
    world: World, max_grace_s: float | None = None, *, mark_gone: bool = False
) -> list[do.KillContainer]:
    world.hear(am.DrainAgent(DrainConfig(max_grace_s, mark_gone)))
    return world.of(do.KillContainer)


def told(world: World, cid: ContainerId) -> list[TaskStatus]:
    world.step(ContainerExited(cid, exit_code=0))
    return world.acknowledge_all()


def test_a_drain_kills_all_tasks_and_says_why(world: World) -> None:
    """Behaviour 102."""
    cid = world.start()
    assert [order.container_id for order in drain(world)] == [cid]
    *_, killing, killed = told(world, cid)
    assert [killing.state, killed.state] == [S.KILLING, S.KILLED]
    assert killing.reason is killed.reason is Reason.AGENT_DRAINING
    assert killing.source is killed.source is Source.AGENT


def test_a_framework_without_the_capability_hears_of_a_drain_only_killed(world: World) -> None:
    cid = world.start(framework=UNAWARE)
    drain(world)
    assert [s.state for s in told(world, cid)] == [S.STARTING, S.RUNNING, S.KILLED]


@pytest.mark.parametrize(
    ("own_s", "max_s", "grace_s"),
    [(None, None, 3), (None, 1, 1), (None, 9, 3), (20, 9, 9), (20, None, 20), (20, 0, 0)],
)
def test_the_grace_is_the_tasks_own_but_no_more_than_the_drain_allows(
    world: World, own_s: float | None, max_s: float | None, grace_s: float
) -> None:
    cid = world.start(process_task(kill_policy=KillPolicy(own_s)))
    assert drain(world, max_s) == [do.KillContainer(cid, Kind.PROCESS, grace_s)]


@pytest.mark.parametrize(
    ("framework", "state"), [(FRAMEWORK, S.GONE_BY_OPERATOR), (UNAWARE, S.KILLED)]
)
def test_tasks_of_an_agent_that_will_be_marked_gone_are_gone_by_its_operator(
    world: World, framework: FrameworkInfo, state: TaskState
) -> None:
    """Also when the agent crashes while they end."""
    cid = world.start(framework=framework)
    drain(world, mark_gone=True)
    again = world.crash().register()
    again.step(ContainerStarted(cid))
    assert [order.container_id for order in again.of(do.KillContainer)] == [cid]
    last = told(again, cid)[-1]
    assert (last.state, last.reason) == (state, Reason.AGENT_DRAINING)


def test_a_kill_that_was_under_way_stays_what_it_was_and_is_hurried(world: World) -> None:
    cid = world.start()
    world.hear(am.KillTask(F1, TaskId("t1"), KillPolicy(30)))
    assert drain(world, 2) == [do.KillContainer(cid, Kind.PROCESS, 2)]
    last = told(world, cid)[-1]
    assert (last.state, last.reason) == (S.KILLED, None)


def test_a_repeated_drain_is_no_news_to_frameworks(world: World) -> None:
    world.start()
    drain(world)
    drain(world)
    states = [status.state for status in world.core.view().tasks[0].pending]
    assert states == [S.STARTING, S.RUNNING, S.KILLING]


@pytest.mark.parametrize(("framework", "state"), [(FRAMEWORK, S.DROPPED), (UNAWARE, S.LOST)])
def test_a_launch_that_reaches_a_draining_agent_is_dropped(
    world: World, framework: FrameworkInfo, state: TaskState
) -> None:
    drain(world)
    world.hear(am.RunTask(framework, process_task()))
    assert world.of(do.LaunchContainer) == []
    (status,) = world.updates()
    assert (status.state, status.reason) == (state, Reason.AGENT_DRAINING)
    group = am.RunGroup(framework, ExecutorInfo(ExecutorId("x")), (process_task("t2"),))
    world.hear(group)
    (status,) = world.updates()
    assert (status.state, status.reason) == (state, Reason.AGENT_DRAINING)


def test_a_reactivated_agent_takes_tasks_again(world: World) -> None:
    drain(world)
    world.hear(am.ReactivateAgent())
    world.start()
    assert world.state() is S.RUNNING


def test_a_drain_ends_with_a_registration_unless_the_master_says_it_again(world: World) -> None:
    """The master remembers: it may have been told of the end while the agent was away."""
    drain(world)
    world.connect()
    world.hear(am.RunTask(FRAMEWORK, process_task("early")))
    assert world.state("early") is S.DROPPED
    world.hear(am.AgentReregistered(S1))
    world.start()
    assert world.state() is S.RUNNING


def test_people_see_that_an_agent_drains(world: World) -> None:
    assert "drain_config" not in shown_state(world.core.view())
    drain(world, 1.5, mark_gone=True)
    assert shown_state(world.core.view())["drain_config"] == {
        "max_grace_period": {"nanoseconds": 1_500_000_000},
        "mark_gone": True,
    }
