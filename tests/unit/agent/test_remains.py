"""What ended tasks leave behind, and when it goes."""

from __future__ import annotations

from mezzo.agent import events as e
from mezzo.agent.containerizer.base import ContainerExited, ContainerRemoved, Kind, LaunchFailed
from mezzo.messages import agent as am

from .fakes import CONFIG, FRAMEWORK, World, docker_task, process_task

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
    world.timers.pop(e.PingOverdue())
    assert world.wait(0.5) == []
    assert world.wait(0.5) == [e.RemoveContainer(cid, Kind.DOCKER, sandbox)]
    world.step(ContainerRemoved(cid))
    world.now_s += GC_S - REMOVE_S - 1
    assert world.wait(0.5) == []
    assert world.wait(0.5) == [e.RemoveSandbox(cid, sandbox)]
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
        assert [removal.container_id for removal in world.of(e.RemoveContainer)] == [cid]


def test_a_failed_launch_may_have_left_a_container() -> None:
    world = World().register()
    cid = world.run(docker_task())
    world.step(LaunchFailed(cid, "port taken"))
    assert f"remains/{cid}" in world.disk


def test_a_refused_task_leaves_nothing() -> None:
    world = World().register()
    world.hear(am.RunTask(FRAMEWORK, process_task(command=None)))
    assert not any(key.startswith("remains/") for key in world.disk)
