"""Work grows with what the agent has, and not with its square."""

from __future__ import annotations

import pytest

from mezzo.agent.container import ContainerExited, ContainerStarted
from mezzo.cluster.model import DrainConfig
from mezzo.cluster.resources import Resources
from mezzo.ids import ContainerId, TaskId
from mezzo.messages import agent as am
from mezzo.record import replace
from tests.parts.work import Action, Scenario, lines_per_pair

from .fakes import CONFIG, F1, FRAMEWORK, S1, World, process_task

HUGE = Resources.of(cpus=10_000, mem=1_000_000, ports=[(1, 60_000)])
HUGE_AGENT = replace(CONFIG, info=replace(CONFIG.info, resources=HUGE))
SCENARIOS: list[Scenario] = []


def scenario(prepare: Scenario) -> Scenario:
    SCENARIOS.append(prepare)
    return prepare


def registered() -> World:
    return World(config=HUGE_AGENT).register()


def order(number: int) -> am.RunTask:
    mine = Resources.of(cpus=0.1, ports=[(2 * number + 1, 2 * number + 1)])
    return am.RunTask(FRAMEWORK, process_task(f"t{number}", resources=mine))


def running(size: int) -> tuple[World, list[ContainerId]]:
    world = registered()
    containers = []
    for number in range(size):
        world.hear(order(number))
        containers.append(world.launched().container_id)
        world.step(ContainerStarted(containers[-1]))
        for status in world.updates():
            world.acknowledge(status)
    return world, containers


@scenario
def launches(size: int) -> Action:
    world = registered()
    return lambda: [world.hear(order(number)) for number in range(size)]


@scenario
def ends(size: int) -> Action:
    world, containers = running(size)

    def act() -> None:
        for container in containers:
            world.step(ContainerExited(container, 0))
            for status in world.updates():
                world.acknowledge(status)

    return act


@scenario
def ends_that_nobody_acknowledges(size: int) -> Action:
    world, containers = running(size)
    return lambda: [world.step(ContainerExited(container, 0)) for container in containers]


@scenario
def a_report(size: int) -> Action:
    world, _ = running(size)
    return world.register


@scenario
def a_report_of_ends(size: int) -> Action:
    world, containers = running(size)
    for container in containers:
        world.step(ContainerExited(container, 0))
    return world.register


@scenario
def repetitions(size: int) -> Action:
    world, containers = running(size)
    for container in containers:
        world.step(ContainerExited(container, 0))
    return lambda: world.wait(60)


@scenario
def kills(size: int) -> Action:
    world, _ = running(size)
    return lambda: [world.hear(am.KillTask(F1, TaskId(f"t{number}"))) for number in range(size)]


@scenario
def a_framework_is_shut_down(size: int) -> Action:
    world, _ = running(size)
    return lambda: world.hear(am.ShutdownFramework(F1))


@scenario
def a_drain(size: int) -> Action:
    world, _ = running(size)
    return lambda: world.hear(am.DrainAgent(DrainConfig()))


@scenario
def a_restart(size: int) -> Action:
    world, _ = running(size)
    return lambda: world.crash(config=HUGE_AGENT)


@scenario
def unknown_tasks_that_the_master_knows(size: int) -> Action:
    world, _ = running(3)
    known = tuple(am.KnownTask(F1, TaskId(f"x{number}")) for number in range(size))
    world.connect()
    return lambda: world.hear(am.AgentReregistered(S1, known))


@scenario
def views(size: int) -> Action:
    world, _ = running(size)
    return world.core.view


@pytest.mark.parametrize("prepare", SCENARIOS, ids=lambda each: each.__name__)
def test_work_grows_with_what_there_is(prepare: Scenario) -> None:
    assert lines_per_pair(prepare) < 0.5
