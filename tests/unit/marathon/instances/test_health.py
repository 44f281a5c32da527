"""Health of instances (section 10)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mezzo.cluster.model import ContainerStatus, IpAddress, NetworkInfo
from mezzo.cluster.states import TaskState
from mezzo.ids import TaskId
from mezzo.marathon.commands import Done, KillTasks, QueueRead, ReadQueue, ResetDelay
from mezzo.marathon.model.app import (
    Container,
    Docker,
    HealthCheck,
    HealthProtocol,
    Network,
    NetworkMode,
    PortMapping,
)
from mezzo.marathon.news import HealthCheckFailed, HealthStatusChanged, UnhealthyInstanceKilled
from mezzo.messages import scheduler as m

from ..apps import app
from ..world import World


def http(**fields: Any) -> HealthCheck:
    defaults: dict[str, Any] = {"grace_s": 10.0, "path": "/", "port_index": 0}
    return HealthCheck(HealthProtocol.HTTP, **(defaults | fields))


def started(*checks: HealthCheck) -> tuple[World, TaskId]:
    world = World.of("a")
    world.put(app("/a", health_checks=checks))
    world.run()
    (task_id,) = world.running("/a")
    return world, task_id


def instance(task_id: TaskId) -> str:
    return task_id.removesuffix("._app.1")


def test_a_running_instance_is_probed_at_its_host_port_until_it_ends() -> None:
    world, task_id = started(http(), HealthCheck(HealthProtocol.TCP, port_index=0))
    view = world.shown_instances[instance(task_id)]
    assert sorted(world.checks) == [(view.id, 0), (view.id, 1)]
    assert {(c.host, c.port) for c in world.checks.values()} == {("a", view.ports[0])}
    world.update(task_id, TaskState.FAILED)
    assert world.checks == {}


def test_without_a_host_port_the_container_is_probed_at_its_own_address() -> None:
    world = World.of("a", auto_run=False)
    container = Container("DOCKER", Docker("x"), port_mappings=(PortMapping(80),))
    world.put(
        app(
            "/a",
            networks=(Network(NetworkMode.CONTAINER, "net"),),
            port_definitions=None,
            container=container,
            health_checks=(http(),),
        )
    )
    world.run()
    (task_id,) = world.running("/a")
    info = NetworkInfo((IpAddress("172.18.0.5"),))
    world.update(
        task_id, TaskState.RUNNING, container_status=ContainerStatus(network_infos=(info,))
    )
    (check,) = world.checks.values()
    assert (check.host, check.port) == ("172.18.0.5", 80)


def test_health_is_unknown_until_every_check_has_answered() -> None:
    """Behaviour 72."""
    world, task_id = started(http(), http(path="/b"))
    world.advance(20)
    assert world.shown_instances[instance(task_id)].healthy is None
    world.probe(task_id, alive=True, index=0)
    assert world.shown_instances[instance(task_id)].healthy is None
    world.probe(task_id, alive=True, index=1)
    assert world.shown_instances[instance(task_id)].healthy is True
    world.probe(task_id, alive=False, index=1)
    assert world.shown_instances[instance(task_id)].healthy is False
    assert [news.alive for news in world.news(HealthStatusChanged)] == [True, False]


def test_too_many_failures_in_a_row_kill_the_instance_and_replace_it() -> None:
    """Behaviour 66."""
    world, task_id = started(http(max_consecutive_failures=3))
    world.probe(task_id, alive=True)
    for _ in range(2):
        world.probe(task_id, alive=False)
    world.probe(task_id, alive=True)  # begins anew
    for _ in range(2):
        world.probe(task_id, alive=False)
    assert task_id in world.running("/a")
    world.probe(task_id, alive=False)
    world.advance(6)  # the backoff, and the shortest time between two revives
    assert task_id not in world.running("/a")
    assert len(world.running("/a")) == 1
    assert len(world.news(HealthCheckFailed)) == 5
    assert len(world.news(UnhealthyInstanceKilled)) == 1


def test_failures_in_the_grace_period_count_only_after_a_success() -> None:
    """Behaviour 67."""
    world, task_id = started(http(grace_s=100.0, max_consecutive_failures=1))
    for _ in range(5):
        world.probe(task_id, alive=False)
    assert task_id in world.running("/a")
    world.probe(task_id, alive=True)
    world.probe(task_id, alive=False)
    world.run()
    assert task_id not in world.running("/a")


def test_failures_after_the_grace_period_count() -> None:
    world, task_id = started(http(grace_s=10.0, max_consecutive_failures=1))
    world.advance(11)
    world.probe(task_id, alive=False)
    world.run()
    assert task_id not in world.running("/a")


def test_a_maximum_of_zero_never_kills() -> None:
    """Behaviour 68."""
    world, task_id = started(http(max_consecutive_failures=0))
    world.advance(20)
    for _ in range(50):
        world.probe(task_id, alive=False)
    world.run()
    assert world.running("/a") == [task_id]
    (check,) = world.shown_instances[instance(task_id)].checks
    assert check.consecutive_failures == 50


def test_a_result_that_says_nothing_changes_nothing() -> None:
    """Behaviour 71."""
    world, task_id = started(http())
    world.probe(task_id, alive=True)
    before = world.shown_instances[instance(task_id)]
    world.probe(task_id, alive=None)
    assert world.shown_instances[instance(task_id)] == before


@pytest.mark.parametrize("protocol", [HealthProtocol.COMMAND, HealthProtocol.MESOS_HTTP])
def test_checks_of_the_agent_come_with_its_updates(protocol: HealthProtocol) -> None:
    """Behaviour 70: the agent judges and kills, Marathon only listens."""
    world, task_id = started(HealthCheck(protocol, port_index=0, command="true"))
    assert world.checks == {}
    assert world.tasks[task_id].info.health_check is not None
    world.update(task_id, TaskState.RUNNING, healthy=True)
    assert world.shown_instances[instance(task_id)].healthy is True
    assert world.shown_deployments == {}
    world.advance(1000)
    for _ in range(9):
        world.update(task_id, TaskState.RUNNING, healthy=False)
    assert world.shown_instances[instance(task_id)].healthy is False
    assert world.called(m.Kill) == []


def test_an_unreachable_instance_is_never_killed_for_its_health() -> None:
    world, task_id = started(http(max_consecutive_failures=1))
    world.probe(task_id, alive=True)
    world.update(task_id, TaskState.UNREACHABLE)
    assert world.checks == {}
    world.probe(task_id, alive=False)
    assert world.called(m.Kill) == []
    world.update(task_id, TaskState.RUNNING)
    assert len(world.checks) == 1


def test_a_new_leader_knows_no_health_and_kills_nobody_for_it() -> None:
    """Behaviour 75."""
    world, task_id = started(http(max_consecutive_failures=1))
    world.probe(task_id, alive=True)
    world.restart()
    world.run()
    assert world.shown_instances[instance(task_id)].healthy is None
    assert len(world.checks) == 1
    world.advance(400)
    assert world.running("/a") == [task_id]


def test_the_result_for_an_instance_that_is_gone_is_dropped() -> None:
    world, task_id = started(http())
    world.update(task_id, TaskState.FAILED)
    world.probe(task_id, alive=True)
    assert instance(task_id) not in world.shown_instances


# ---- what a kill for its health means for the app


def launch_times(world: World, seconds: float, check: Callable[[TaskId], None]) -> list[float]:
    """When instances were launched, in seconds from now, if `check` is made of each every second.

    It makes each instance fail by the app's fault.
    """
    begun_s = world.mono_s
    times = [0.0 for _ in world.launched_ever]
    while world.mono_s - begun_s < seconds:
        world.advance(1)
        times += [world.mono_s - begun_s] * (len(world.launched_ever) - len(times))
        for task_id in world.running("/a"):
            check(task_id)
    return times


def unhealthy_app(check: HealthCheck) -> World:
    world = World.of("a")
    world.put(app("/a", health_checks=(check,), backoff_s=5.0, backoff_factor=2.0))
    world.run()
    return world


def test_kills_of_marathons_own_checks_back_off_and_are_the_last_failure() -> None:
    """Launches at about 0, 8, 21 s: an instance lives 3 s, the delays are 5, 10, 20."""
    world = unhealthy_app(http(grace_s=2.0, interval_s=1.0, max_consecutive_failures=2))
    times = launch_times(world, 45, lambda task_id: world.probe(task_id, alive=False))
    assert times == pytest.approx([0, 8, 21, 44], abs=1.1)
    failure = world.shown_apps["/a"].last_failure
    assert failure is not None
    assert failure.state is TaskState.KILLED
    assert failure.message == "killed because its health check failed: refused"


def test_kills_of_the_agents_checks_back_off_and_are_the_last_failure() -> None:
    check = HealthCheck(HealthProtocol.COMMAND, command="false", grace_s=0.0)
    world = unhealthy_app(check)
    age: dict[TaskId, int] = {}

    def judge(task_id: TaskId) -> None:
        age[task_id] = age.get(task_id, 0) + 1
        if age[task_id] == 1:
            world.update(task_id, TaskState.RUNNING, healthy=False, message="exited with 1")
        if age[task_id] == 3:
            world.update(task_id, TaskState.KILLED, healthy=False, message="killed, unhealthy")

    assert launch_times(world, 45, judge) == pytest.approx([0, 8, 20, 42], abs=1.1)
    failure = world.shown_apps["/a"].last_failure
    assert failure is not None
    assert failure.message == "killed because its health check failed: exited with 1"


def test_the_delay_after_a_health_kill_is_shown_and_can_be_reset() -> None:
    world = unhealthy_app(http(grace_s=0.0, max_consecutive_failures=1))
    world.probe(world.running("/a")[0], alive=False)
    read = world.ask(ReadQueue())
    assert isinstance(read, QueueRead)
    assert [item.delay_left_s for item in read.items] == [5.0]
    assert world.ask(ResetDelay("/a")) == Done()
    world.advance(1)
    assert len(world.running("/a")) == 1


@pytest.mark.parametrize("how", ["user", "scale", "upgrade"])
def test_a_kill_for_another_reason_is_no_failure(how: str) -> None:
    """Also of an instance that was unhealthy at the time."""
    check = http(max_consecutive_failures=5)
    world = World.of("a")
    world.put(app("/a", 2, health_checks=(check,), backoff_s=500.0))
    world.run()
    for task_id in world.running("/a"):
        world.probe(task_id, alive=True)
        world.probe(task_id, alive=False)
    victims = world.running("/a")
    if how == "user":
        world.ask(KillTasks(tuple(victims)))
    else:
        wanted = 1 if how == "scale" else 2
        cmd = "new" if how == "upgrade" else "sleep 1000"
        world.put(app("/a", wanted, cmd=cmd, health_checks=(check,), backoff_s=500.0), force=True)
    for _ in range(4):
        world.run()
        for task_id in world.running("/a"):
            world.probe(task_id, alive=True)
    world.advance(1)
    assert len(world.called(m.Kill)) == (1 if how == "scale" else 2)
    assert world.shown_apps["/a"].last_failure is None
    assert len(world.running("/a")) == (1 if how == "scale" else 2)


def test_the_agents_word_of_bad_health_does_not_make_a_failure_of_an_ordered_kill() -> None:
    world = World.of("a", auto_kill=False)
    world.put(app("/a", backoff_s=500.0))
    world.run()
    (task_id,) = world.running("/a")
    world.ask(KillTasks((task_id,)))
    world.update(task_id, TaskState.KILLED, healthy=False)
    world.advance(1)
    assert world.shown_apps["/a"].last_failure is None
    assert len(world.running("/a")) == 1
