"""Health checks: when they run, what their results mean, what the framework hears."""

from __future__ import annotations

import pytest

from mezzo.agent import effects as do
from mezzo.agent import events as e
from mezzo.agent.container import ContainerExited, ContainerStarted, Kind
from mezzo.agent.health.rules import HealthVerdict, judge
from mezzo.agent.state.agent_task import WAITING_MAX
from mezzo.cluster.model import (
    CommandInfo,
    ContainerInfo,
    ContainerType,
    DockerInfo,
    DockerNetwork,
    HealthCheck,
    HealthCheckType,
    HttpCheck,
    IpAddress,
    KillPolicy,
    NetworkInfo,
    PortMapping,
    TcpCheck,
)
from mezzo.cluster.states import Reason, TaskState
from mezzo.ids import ContainerId
from mezzo.messages import agent as am
from mezzo.record import replace

from ..fakes import World, docker_task, process_task

CHECK = HealthCheck(
    HealthCheckType.TCP,
    tcp=TcpCheck(80),
    delay_seconds=15,
    interval_seconds=10,
    consecutive_failures=3,
    grace_period_seconds=30,
)


@pytest.mark.parametrize(
    ("passed", "failures", "reported", "running_for_s", "verdict"),
    [
        # 105: a pass is told once.
        (True, 0, None, 1, HealthVerdict(0, report=True)),
        (True, 0, True, 1, HealthVerdict(0, report=False)),
        (True, 2, False, 99, HealthVerdict(0, report=True)),
        # 106: each failure is told, the last one kills.
        (False, 0, True, 99, HealthVerdict(1, report=True)),
        (False, 1, False, 99, HealthVerdict(2, report=True)),
        (False, 2, False, 99, HealthVerdict(3, report=True, kill=True)),
        # 107: the grace period counts until anything was told.
        (False, 0, None, 30, HealthVerdict(0, report=False)),
        (False, 0, None, 31, HealthVerdict(1, report=True)),
        (False, 0, True, 5, HealthVerdict(1, report=True)),
        (False, 1, False, 5, HealthVerdict(2, report=True)),
    ],
)
def test_results_are_judged_as_mesos_does(
    passed: bool, failures: int, reported: bool | None, running_for_s: float, verdict: HealthVerdict
) -> None:
    """Behaviours 105, 106 and 107."""
    assert verdict == judge(
        CHECK,
        passed=passed,
        failures=failures,
        reported=reported,
        running_for_s=running_for_s,
    )


def checked(check: HealthCheck = CHECK) -> tuple[World, ContainerId]:
    world = World().register()
    cid = world.start(process_task(health_check=check))
    world.acknowledge_all()
    return world, cid


def test_the_first_probe_comes_after_the_delay_the_next_after_each_result() -> None:
    world, cid = checked()
    assert world.wait(14.9) == []
    world.wait(0.1)
    (probe,) = world.of(do.ProbeHealth)
    assert (probe.host, probe.port, probe.container_id) == ("127.0.0.1", 80, cid)
    assert world.wait(50) == []  # it takes as long as it takes
    world.step(e.HealthObserved(cid, True))
    assert world.wait(9.9) == []
    world.wait(0.1)
    assert len(world.of(do.ProbeHealth)) == 1


def test_health_is_told_as_a_running_update_with_the_container() -> None:
    world, cid = checked()
    world.step(e.HealthObserved(cid, True))
    (status,) = world.updates()
    assert (status.state, status.healthy) == (TaskState.RUNNING, True)
    assert status.reason is Reason.TASK_HEALTH_CHECK_STATUS_UPDATED
    assert status.container_status is not None
    assert status.container_status.container_id == cid


def test_an_unhealthy_task_is_killed_with_its_own_grace_and_ends_unhealthy() -> None:
    world = World().register()
    cid = world.start(process_task(health_check=CHECK, kill_policy=KillPolicy(5)))
    world.now_s += 100
    for _ in range(3):
        world.step(e.HealthObserved(cid, False, "refused"))
    assert world.of(do.KillContainer) == [do.KillContainer(cid, Kind.PROCESS, 5)]
    world.hear(am.Ping(connected=True))
    assert not [effect for effect in world.wait(50) if isinstance(effect, do.ProbeHealth)]
    world.step(e.HealthObserved(cid, False, "refused"))  # a probe that was under way
    assert world.effects == []
    world.step(ContainerExited(cid, signal=15))
    told = [(status.state, status.healthy) for status in world.acknowledge_all()]
    assert told[2:] == [
        (TaskState.RUNNING, False),
        (TaskState.RUNNING, False),
        (TaskState.RUNNING, False),
        (TaskState.KILLING, None),
        (TaskState.KILLED, False),
    ]


def test_a_check_that_fails_while_nobody_listens_does_not_fill_the_store() -> None:
    """What was sent stays first, the newest health comes last."""
    world = World().register()
    cid = world.start(process_task(health_check=replace(CHECK, consecutive_failures=10_000)))
    sent = world.head()
    world.now_s += 100
    for number in range(1000):
        world.step(e.HealthObserved(cid, False, f"refused {number}"))
    world.step(e.HealthObserved(cid, True))
    (task,) = world.core.view().tasks
    assert len(task.pending) == WAITING_MAX  # each that comes takes the place of one
    got = world.acknowledge_all()
    assert got[0] is sent
    assert got[1].state is TaskState.RUNNING
    assert [status.healthy for status in got[-2:]] == [False, True]


def test_a_task_that_is_being_killed_is_not_probed() -> None:
    world, cid = checked()
    world.step(e.ShutdownRequested())
    effects = world.wait(100)
    assert not [effect for effect in effects if isinstance(effect, do.ProbeHealth)]
    world.step(e.HealthObserved(cid, False))
    assert world.effects == []


def test_health_that_was_told_is_not_told_again_after_a_crash() -> None:
    world, cid = checked()
    world.step(e.HealthObserved(cid, True))
    world.acknowledge_all()
    again = world.crash().register()
    again.step(ContainerStarted(cid))
    again.wait(15)
    assert len(again.of(do.ProbeHealth)) == 1
    again.step(e.HealthObserved(cid, True))
    assert again.updates() == []
    again.step(e.HealthObserved(cid, False))  # the grace period helps no more
    assert [status.healthy for status in again.updates()] == [False]


def test_a_check_of_a_mapped_port_goes_to_its_host_port() -> None:
    world = World().register()
    docker = DockerInfo(
        "busybox", network=DockerNetwork.BRIDGE, port_mappings=(PortMapping(31005, 8080),)
    )
    check = HealthCheck(HealthCheckType.HTTP, http=HttpCheck(8080), delay_seconds=0)
    container = ContainerInfo(ContainerType.DOCKER, docker=docker)
    world.start(docker_task(container=container, health_check=check))
    world.wait(0)
    (probe,) = world.of(do.ProbeHealth)
    assert (probe.host, probe.port) == ("127.0.0.1", 31005)


def test_a_check_of_a_port_without_a_mapping_goes_to_the_containers_address() -> None:
    world = World().register()
    docker = DockerInfo("busybox", network=DockerNetwork.BRIDGE)
    check = HealthCheck(HealthCheckType.HTTP, http=HttpCheck(8080), delay_seconds=0)
    container = ContainerInfo(ContainerType.DOCKER, docker=docker)
    cid = world.run(docker_task(container=container, health_check=check))
    world.step(ContainerStarted(cid, (NetworkInfo((IpAddress("172.17.0.9"),)),)))
    world.wait(0)
    (probe,) = world.of(do.ProbeHealth)
    assert (probe.host, probe.port) == ("172.17.0.9", 8080)


def test_a_command_check_is_ordered_from_the_containerizer_of_the_task() -> None:
    check = HealthCheck(HealthCheckType.COMMAND, command=CommandInfo("true"), delay_seconds=0)
    world = World().register()
    world.start(docker_task(health_check=check))
    world.wait(0)
    (probe,) = world.of(do.ProbeHealth)
    assert (probe.kind, probe.check) == (Kind.DOCKER, check)
