"""What ended tasks leave behind, and when it goes."""

from __future__ import annotations

import pytest

from mezzo.agent import effects as do
from mezzo.agent import events as e
from mezzo.agent.container import ContainerExited, ContainerRemoved, Kind, LaunchFailed
from mezzo.agent.timers import DiskDue, PingOverdue, RemovalDue
from mezzo.core import TimerFired
from mezzo.ids import ContainerId, TaskId
from mezzo.messages import agent as am

from ..fakes import CONFIG, F1, FRAMEWORK, World, docker_task, process_task

REMOVE_S = CONFIG.container_remove_delay_s
GC_S = CONFIG.gc_delay_s


def test_the_container_goes_soon_and_the_sandbox_much_later() -> None:
    world = World().register()
    cid = world.start(docker_task())
    sandbox = f"/w/slaves/S1/frameworks/F1/executors/t1/runs/{cid}"
    world.step(ContainerExited(cid, exit_code=0))
    world.acknowledge_all()
    world.hear(am.Ping(connected=True))
    world.now_s += REMOVE_S - 1
    world.timers.pop(PingOverdue())
    world.timers.pop(DiskDue())
    assert world.wait(0.5) == []
    assert world.wait(0.5) == [do.RemoveContainer(cid, Kind.DOCKER, sandbox)]
    world.step(ContainerRemoved(cid))
    world.now_s += GC_S - REMOVE_S - 1
    assert world.wait(0.5) == []
    assert world.wait(0.5) == [do.RemoveSandbox(cid, sandbox)]
    world.step(e.SandboxRemoved(cid))
    assert not any(key.startswith("remains/") for key in world.disk)
    world.step(e.SandboxRemoved(cid))
    world.step(ContainerRemoved(cid))
    assert world.effects == []


def test_a_removal_that_a_crash_interrupts_is_done_again() -> None:
    world = World().register()
    cid = world.start()
    world.step(ContainerExited(cid, exit_code=0))
    world.now_s += REMOVE_S
    for _ in range(2):
        world = world.crash()
        world.wait(0)
        assert [removal.container_id for removal in world.of(do.RemoveContainer)] == [cid]


def test_a_failed_launch_may_have_left_a_container() -> None:
    world = World().register()
    cid = world.run(docker_task())
    world.step(LaunchFailed(cid, "port taken"))
    assert f"remains/{cid}" in world.disk


def test_a_refused_task_leaves_nothing() -> None:
    world = World().register()
    world.hear(am.RunTask(FRAMEWORK, process_task(command=None)))
    assert not any(key.startswith("remains/") for key in world.disk)


# ---------------------------------------------------------------------------------- a full disk


def ended(world: World, task_id: str, *, removed: bool = True) -> ContainerId:
    """A task that ended just now, whose container is gone already, if `removed`."""
    cid = world.start(process_task(task_id))
    world.step(ContainerExited(cid, exit_code=0))
    if removed:
        world.step(ContainerRemoved(cid))
    return cid


def removals(world: World) -> list[ContainerId]:
    return [effect.container_id for effect in world.of(do.RemoveSandbox)]


@pytest.mark.parametrize(
    ("used", "kept"), [(0.0, 0.9), (0.4, 0.5), (0.85, 0.05), (0.9, 0.0), (1.0, 0.0)]
)
def test_the_fuller_the_disk_the_younger_a_sandbox_may_be(used: float, kept: float) -> None:
    world = World().register()
    old = ended(world, "t1")
    world.now_s += kept * GC_S + 1
    ended(world, "t2")
    world.step(e.DiskMeasured(used))
    young = [] if kept else [cid for cid in world.core.view().remains][1:]
    assert removals(world) == [old, *(each.container_id for each in young)]
    world.step(e.DiskMeasured(used))
    assert removals(world) == []  # it is under way
    world.step(e.SandboxRemoved(old))
    assert f"remains/{old}" not in world.disk


def test_a_full_disk_takes_the_container_first() -> None:
    world = World().register()
    cid = ended(world, "t1", removed=False)
    world.step(e.DiskMeasured(1.0))
    assert [effect.container_id for effect in world.of(do.RemoveContainer)] == [cid]
    world.step(ContainerRemoved(cid))
    world.step(e.DiskMeasured(1.0))
    assert removals(world) == [cid]


def test_the_disk_is_looked_at_every_minute_as_long_as_there_is_something_to_remove() -> None:
    world = World().register()
    assert DiskDue() not in world.timers
    cid = ended(world, "t1")
    for _ in range(3):
        assert world.timers[DiskDue()] == pytest.approx(world.now_s - 999_000.0 + 60)
        world.now_s += 60
        del world.timers[DiskDue()]
        assert world.step(TimerFired(DiskDue())) == [do.MeasureDisk()]
        world.step(e.DiskMeasured(0.1))
    world.step(e.SandboxRemoved(cid))
    assert world.step(TimerFired(DiskDue())) == []


def test_a_sandbox_that_could_not_be_removed_is_tried_again_by_the_next_life() -> None:
    world = World().register()
    cid = ended(world, "t1")
    world.now_s += GC_S
    for _ in range(2):
        world = world.crash()
        world.wait(0)
        assert removals(world) == [cid]


def test_a_sandbox_that_nobody_knows_is_adopted_and_removed_in_its_time() -> None:
    world = World().register()
    running = world.start()
    path = "/w/slaves/S0/frameworks/F0/executors/t0/runs/c0"
    stranger = e.SandboxFound(ContainerId("c0"), F1, TaskId("t0"), path, world.now_s - 100)
    world.step(stranger)
    assert world.core.state.checkpoint.knows_sandbox(ContainerId("c0"))
    assert not world.core.state.checkpoint.knows(
        ContainerId("c0")
    )  # so whatever runs of it is ended all the same
    mine = f"/w/slaves/S1/frameworks/F1/executors/t1/runs/{running}"
    world.step(e.SandboxFound(running, F1, TaskId("t1"), mine, 0))
    assert f"remains/{running}" not in world.disk
    world = world.crash()
    world.now_s += GC_S - 100
    world.timers = {k: v for k, v in world.timers.items() if isinstance(k, RemovalDue)}
    assert do.RemoveSandbox(ContainerId("c0"), path) in world.wait(0)
