"""What becomes of a task, and what its framework hears of it."""

from __future__ import annotations

import pytest

from mezzo.agent import effects as do
from mezzo.agent import events as e
from mezzo.agent.container import (
    ContainerAbsent,
    ContainerExited,
    ContainerLost,
    ContainerStarted,
    Kind,
    LaunchFailed,
)
from mezzo.agent.timers import OutOfTime
from mezzo.cluster.model import (
    ExecutorInfo,
    FrameworkInfo,
    IpAddress,
    KillPolicy,
    NetworkInfo,
    TaskInfo,
    TaskStatus,
)
from mezzo.cluster.states import Reason, Source, TaskState
from mezzo.core import TimerFired
from mezzo.ids import ContainerId, ExecutorId, FrameworkId, TaskId
from mezzo.messages import agent as am
from mezzo.record import replace

from ..fakes import CONFIG, F1, FRAMEWORK, World, docker_task, process_task

S = TaskState


@pytest.fixture
def world() -> World:
    return World().register()


def kill(world: World, grace_s: float | None = None) -> list[do.KillContainer]:
    policy = None if grace_s is None else KillPolicy(grace_s)
    world.hear(am.KillTask(F1, TaskId("t1"), policy))
    return world.of(do.KillContainer)


def told(world: World) -> list[tuple[TaskState, Reason | None]]:
    """All that is still to be told, acknowledged one by one."""
    return [(status.state, status.reason) for status in world.acknowledge_all()]


def end(world: World, ended: ContainerExited | LaunchFailed | ContainerLost) -> TaskStatus:
    """How the framework hears of the end."""
    world.step(ended)
    return world.acknowledge_all()[-1]


# ---- launch


def test_a_task_is_stored_with_its_container_before_that_is_launched(world: World) -> None:
    """The shell makes a step's writes durable before its effects: so one step must have both."""
    cid = world.run()
    assert cid in world.disk[f"task/{F1}/t1"].decode()
    assert f"framework/{F1}" in world.disk


@pytest.mark.parametrize("ip", ["10.0.0.7", "fd00::7"])
def test_a_process_has_the_address_of_its_host(ip: str) -> None:
    world = World(config=replace(CONFIG, info=replace(CONFIG.info, ip=ip))).register()
    cid = world.run(process_task())
    starting = world.head()
    assert starting is not None
    world.acknowledge(starting)
    world.step(ContainerStarted(cid, pid=7))
    (running,) = world.updates()
    assert running.container_status is not None
    (network,) = running.container_status.network_infos
    assert network.ip_addresses == (IpAddress(ip, "IPv6" if ":" in ip else "IPv4"),)


def test_a_container_without_a_network_has_no_address(world: World) -> None:
    cid = world.run(docker_task())
    starting = world.head()
    assert starting is not None
    world.acknowledge(starting)
    world.step(ContainerStarted(cid, (), pid=7))
    (running,) = world.updates()
    assert running.container_status is not None
    assert running.container_status.network_infos == ()


def test_starting_is_told_at_once_and_running_when_the_container_runs(world: World) -> None:
    cid = world.run(docker_task())
    network = NetworkInfo((IpAddress("172.17.0.2"),), name="bridge")
    starting = world.head()
    assert starting is not None
    world.acknowledge(starting)
    world.step(ContainerStarted(cid, (network,), pid=7, data=b"[{}]"))
    (running,) = world.updates()
    assert [starting.state, running.state] == [S.STARTING, S.RUNNING]
    assert running.data == b"[{}]"
    assert running.container_status is not None
    assert running.container_status.container_id == cid
    assert running.container_status.network_infos == (network,)
    assert running.container_status.executor_pid == 7
    assert running.timestamp == world.now_s
    assert running.source is Source.EXECUTOR
    assert running.executor_id is None


def test_a_repeated_launch_of_a_known_or_ended_task_is_ignored(world: World) -> None:
    """Promise 2."""
    cid = world.start()
    world.hear(am.RunTask(FRAMEWORK, process_task()))
    assert world.effects == []
    world.step(ContainerExited(cid, exit_code=0))
    world.acknowledge_all()
    for later in (world, world.crash().register()):
        later.hear(am.RunTask(FRAMEWORK, process_task()))
        assert later.effects == []
        assert later.state() is None


def test_what_the_agent_cannot_run_is_an_error_that_says_what_to_do(world: World) -> None:
    info = process_task(command=None, executor=ExecutorInfo(ExecutorId("x")))
    world.hear(am.RunTask(FRAMEWORK, info))
    assert world.of(do.LaunchContainer) == []
    (error,) = world.updates()
    assert (error.state, error.reason) == (S.ERROR, Reason.TASK_INVALID)
    assert "custom executors" in (error.message or "")
    assert error.uuid is not None
    assert error.container_status is None


def test_a_task_group_is_refused_task_by_task_with_what_to_do(world: World) -> None:
    tasks = (process_task("t1"), process_task("t2"))
    group = am.RunGroup(FRAMEWORK, ExecutorInfo(ExecutorId("x")), tasks)
    world.hear(group)
    assert world.of(do.LaunchContainer) == []
    assert [status.task_id for status in world.updates()] == ["t1", "t2"]
    for status in world.updates():
        assert (status.state, status.source) == (S.ERROR, Source.AGENT)
        assert status.reason is Reason.TASK_GROUP_INVALID
        assert "launch each task by itself" in (status.message or "")
    world.hear(group)
    assert world.effects == []


# ---- ends


@pytest.mark.parametrize(
    ("ended", "state", "reason", "message"),
    [
        ({"exit_code": 0}, S.FINISHED, None, "Command exited with status 0"),
        ({"exit_code": 1}, S.FAILED, None, "Command exited with status 1"),
        ({"signal": 11}, S.FAILED, None, "Command terminated with signal SIGSEGV"),
        ({"signal": 99}, S.FAILED, None, "Command terminated with signal 99"),
        (
            {"exit_code": 137, "oom_killed": True},
            S.FAILED,
            Reason.CONTAINER_LIMITATION_MEMORY,
            "Memory limit exceeded: the task may use 64 MiB",
        ),
        # A child was killed for its memory, and the task coped with that.
        (
            {"exit_code": 0, "oom_killed": True},
            S.FINISHED,
            None,
            "Command exited with status 0",
        ),
    ],
)
def test_the_exit_status_decides_how_a_task_has_ended(
    world: World,
    ended: dict[str, int],
    state: TaskState,
    reason: Reason | None,
    message: str,
) -> None:
    cid = world.start()
    status = end(world, ContainerExited(cid, **ended))  # type: ignore[arg-type]
    assert (status.state, status.reason, status.message) == (state, reason, message)


def test_a_task_that_is_over_before_it_was_seen_running_is_told_to_have_run(world: World) -> None:
    container_id = world.run(process_task("t1"))
    world.step(ContainerExited(container_id, exit_code=0))
    assert told(world) == [(S.STARTING, None), (S.RUNNING, None), (S.FINISHED, None)]


def test_a_launch_that_fails_fails_the_task_with_the_engines_words(world: World) -> None:
    status = end(world, LaunchFailed(world.run(), "no such image"))
    assert (status.state, status.reason) == (S.FAILED, Reason.CONTAINER_LAUNCH_FAILED)
    assert (status.message, status.source) == ("no such image", Source.AGENT)


def test_a_container_that_is_lost_fails_the_task(world: World) -> None:
    status = end(world, ContainerLost(world.start(), "removed"))
    assert (status.state, status.reason) == (S.FAILED, Reason.EXECUTOR_TERMINATED)


def test_an_ending_that_is_reported_again_or_by_a_stranger_is_no_news(world: World) -> None:
    cid = world.start()
    world.step(ContainerExited(cid, exit_code=0))
    for container_id in (cid, ContainerId("stranger")):
        for event in (
            ContainerExited(container_id, exit_code=1),
            ContainerLost(container_id, "x"),
            LaunchFailed(container_id, "x"),
            ContainerAbsent(container_id),
            ContainerStarted(container_id),
            e.HealthObserved(container_id, True),
        ):
            world.step(event)
            assert world.effects == []


# ---- kills


def test_a_kill_tells_killing_and_then_killed_however_the_process_ended(world: World) -> None:
    cid = world.start()
    assert kill(world) == [do.KillContainer(cid, Kind.PROCESS, 3.0)]
    world.step(ContainerExited(cid, exit_code=0))
    assert told(world) == [
        (S.STARTING, None),
        (S.RUNNING, None),
        (S.KILLING, None),
        (S.KILLED, None),
    ]


def test_a_framework_without_the_capability_hears_no_killing(world: World) -> None:
    cid = world.start(framework=replace(FRAMEWORK, capabilities=()))
    kill(world)
    world.step(ContainerExited(cid, signal=15))
    assert [state for state, _ in told(world)] == [S.STARTING, S.RUNNING, S.KILLED]


def test_the_grace_is_that_of_the_kill_else_of_the_task_else_three_seconds(world: World) -> None:
    world.start(process_task(kill_policy=KillPolicy(20)))
    assert kill(world)[0].grace_s == 20
    assert kill(world, 7)[0].grace_s == 7
    assert kill(world, 9)[0].grace_s == 7  # later ones can only hurry it


def test_a_task_killed_before_it_runs_is_killed_during_launch(world: World) -> None:
    """Behaviour 28; also when the container had started in the meantime."""
    cid = world.run()
    assert kill(world)[0].container_id == cid
    world.step(ContainerStarted(cid))
    assert world.updates() == []
    assert world.of(do.KillContainer) == [do.KillContainer(cid, Kind.PROCESS, 3.0)]
    status = end(world, ContainerExited(cid, signal=15))
    assert (status.state, status.reason) == (S.KILLED, Reason.TASK_KILLED_DURING_LAUNCH)


def test_a_launch_given_up_for_a_kill_is_killed_not_failed(world: World) -> None:
    cid = world.run()
    kill(world)
    status = end(world, LaunchFailed(cid, "killed before it was started"))
    assert (status.state, status.reason) == (S.KILLED, Reason.TASK_KILLED_DURING_LAUNCH)


def test_a_kill_of_an_unknown_or_ended_task_is_ignored(world: World) -> None:
    assert kill(world) == []
    world.step(ContainerExited(world.start(), exit_code=0))
    assert kill(world) == []


def test_a_kill_goes_on_after_a_crash_with_what_is_left_of_its_grace(world: World) -> None:
    cid = world.start()
    kill(world, 10)
    world.now_s += 4
    again = world.crash().register()
    again.step(ContainerStarted(cid))
    assert again.of(do.KillContainer) == [do.KillContainer(cid, Kind.PROCESS, 6.0)]
    again.step(ContainerExited(cid, signal=15))
    assert again.state() is S.KILLED


def test_max_completion_time_counts_from_the_start_across_a_crash(world: World) -> None:
    """Behaviour 41."""
    cid = world.start(process_task(max_completion_time=100))
    world.now_s += 60
    again = world.crash().register()
    again.step(ContainerStarted(cid))
    assert do.KillContainer not in [type(effect) for effect in again.wait(39)]
    again.wait(1)
    assert [order.container_id for order in again.of(do.KillContainer)] == [cid]
    status = end(again, ContainerExited(cid, signal=15))
    assert (status.state, status.reason) == (S.FAILED, Reason.MAX_COMPLETION_TIME_REACHED)


def test_a_time_limit_that_fires_for_an_ended_task_does_nothing(world: World) -> None:
    cid = world.start(process_task(max_completion_time=100))
    world.step(ContainerExited(cid, exit_code=0))
    assert OutOfTime(cid) not in world.timers
    world.step(TimerFired(OutOfTime(cid)))
    assert world.effects == []


# ---- restarts


def test_a_running_task_that_is_found_again_is_no_news(world: World) -> None:
    """Behaviour 43."""
    cid = world.start()
    world.acknowledge_all()
    again = world.crash()
    (recover,) = again.of(do.RecoverContainers)
    assert [spec.container_id for spec in recover.specs] == [cid]
    again.register()
    again.step(ContainerStarted(cid))
    assert again.updates() == []
    assert again.state() is S.RUNNING


@pytest.mark.parametrize("years", [-30, -1, 1, 30])
def test_no_clock_that_was_set_makes_a_task_outlive_its_grace_or_its_limit(
    world: World, years: int
) -> None:
    """Its agent restarts with another idea of the date: it waits no longer than it was to."""
    info = replace(process_task("t1"), max_completion_time=50.0)
    cid = world.start(info)
    kill(world, grace_s=40.0)
    again = world.crash(now_s=world.now_s + years * 365 * 86400.0).register()
    again.step(ContainerStarted(cid))
    (order,) = again.of(do.KillContainer)
    assert 0.0 <= order.grace_s <= 40.0


@pytest.mark.parametrize("years", [-30, 30])
def test_no_clock_that_was_set_makes_a_limit_longer(world: World, years: int) -> None:
    cid = world.start(replace(process_task("t1"), max_completion_time=50.0))
    again = world.crash(now_s=world.now_s + years * 365 * 86400.0).register()
    again.step(ContainerStarted(cid))
    left_s = again.timers[OutOfTime(cid)] - (again.now_s - 999_000.0)
    assert -1e-3 <= left_s <= 50.0 + 1e-3


def test_a_container_that_started_just_before_the_crash_is_told_as_running(world: World) -> None:
    cid = world.run()
    again = world.crash().register()
    again.step(ContainerStarted(cid))
    assert told(again) == [(S.STARTING, None), (S.RUNNING, None)]


def test_a_launch_that_had_left_no_trace_before_the_crash_is_done_again(world: World) -> None:
    cid = world.run()
    again = world.crash().register()
    again.step(ContainerAbsent(cid))
    assert again.launched().container_id == cid


def test_a_launch_without_a_trace_is_not_done_again_if_it_is_to_be_killed(world: World) -> None:
    cid = world.run()
    kill(world)
    again = world.crash().register()
    again.step(ContainerAbsent(cid))
    assert again.of(do.LaunchContainer) == []
    assert told(again)[-1] == (S.KILLED, Reason.TASK_KILLED_DURING_LAUNCH)


def test_a_container_that_had_run_and_is_absent_is_never_started_again(world: World) -> None:
    """Behaviour 45, and promise 2."""
    cid = world.start()
    again = world.crash().register()
    again.step(ContainerAbsent(cid))
    assert again.of(do.LaunchContainer) == []
    assert told(again)[-1] == (S.FAILED, Reason.EXECUTOR_TERMINATED)


def test_after_a_reboot_tasks_have_failed_under_the_same_agent_id(world: World) -> None:
    """Behaviour 49."""
    world.start()
    again = world.crash(boot_id="boot2")
    assert again.of(do.RecoverContainers) == []
    again.register()
    assert again.core.view().agent_id == "S1"
    assert told(again)[-1] == (S.FAILED, Reason.EXECUTOR_TERMINATED)
    assert again.crash(boot_id="boot2").register().state() is None


@pytest.mark.parametrize(
    ("aware", "ran", "state"),
    [(True, True, S.GONE), (True, False, S.DROPPED), (False, True, S.LOST), (False, False, S.LOST)],
)
def test_tasks_of_a_framework_without_checkpoints_do_not_survive_their_agent(
    world: World, aware: bool, ran: bool, state: TaskState
) -> None:
    """Behaviour 48."""
    framework = replace(
        FRAMEWORK, checkpoint=False, capabilities=FRAMEWORK.capabilities if aware else ()
    )
    cid = world.start(framework=framework) if ran else world.run(framework=framework)
    again = world.crash().register()
    again.step(ContainerStarted(cid))
    assert again.updates() == []
    assert [order.container_id for order in again.of(do.KillContainer)] == [cid]
    again.step(ContainerExited(cid, signal=15))
    assert told(again)[-1] == (state, Reason.AGENT_RESTARTED)


def test_recovery_for_cleanup_kills_what_is_left_and_exits(world: World) -> None:
    """Behaviour 50."""
    cid = world.start()
    again = world.crash(cleanup=True)
    assert [order.container_id for order in again.of(do.KillContainer)] == [cid]
    again.step(ContainerStarted(cid))
    assert [order.container_id for order in again.of(do.KillContainer)] == [cid]
    again.step(ContainerExited(cid, signal=15))
    assert [exit_.wanted for exit_ in again.of(do.Exit)] == [True]


def test_recovery_for_cleanup_exits_at_once_where_nothing_is_left() -> None:
    assert [exit_.wanted for exit_ in World(cleanup=True).of(do.Exit)] == [True]


def test_a_changed_framework_is_remembered_as_it_is_now(world: World) -> None:
    world.start()
    renamed = replace(FRAMEWORK, name="renamed")
    world.hear(am.RunTask(renamed, process_task("t2")))
    world.step(e.MasterDown(world.conn))
    world.connect()
    (message,) = world.sent()
    assert isinstance(message, am.ReregisterAgent)
    assert message.frameworks == (renamed,)


def test_the_same_task_id_of_two_frameworks_is_two_tasks(world: World) -> None:
    world.start()
    other = FrameworkInfo(user="u", name="other", id=FrameworkId("F2"))
    world.hear(am.RunTask(other, TaskInfo("t1", TaskId("t1"), process_task().agent_id)))
    assert len(world.core.view().tasks) == 2
