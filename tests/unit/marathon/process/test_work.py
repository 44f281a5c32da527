"""Work grows with what there is, and not with its square.

Not of a rolling upgrade: at each instance that comes or goes all old ones of its app are put in
order."""

from __future__ import annotations

import pytest

from mezzo.cluster.states import TaskState
from mezzo.ids import TaskId
from mezzo.marathon.commands import KillTasks, ReadQueue
from mezzo.marathon.model.app import Constraint, Operator
from mezzo.messages import scheduler as m
from tests.parts.work import Action, Scenario, lines_per_pair

from ..apps import TCP_CHECK, app
from ..world import World

SCENARIOS: list[Scenario] = []


def scenario(prepare: Scenario) -> Scenario:
    SCENARIOS.append(prepare)
    return prepare


def cluster(hosts: int = 1) -> World:
    return World.of(*(f"h{number}" for number in range(hosts)), cpus=100_000, mem=10_000_000)


def many_apps(size: int) -> World:
    world = cluster()
    world.deploy(*(app(f"/a{number}") for number in range(size)))
    return world


def many_instances(size: int) -> World:
    world = cluster()
    world.deploy(app(instances=size))
    return world


@scenario
def apps_at_once(size: int) -> Action:
    world = cluster()
    return lambda: world.put(*(app(f"/a{number}") for number in range(size)))


@scenario
def apps_one_by_one(size: int) -> Action:
    world = cluster()
    return lambda: [world.put(app(f"/a{number}")) for number in range(size)]


@scenario
def launches_of_apps(size: int) -> Action:
    world = cluster()
    world.put(*(app(f"/a{number}") for number in range(size)))
    return lambda: world.offer(*world.agents)


@scenario
def launches_of_instances(size: int) -> Action:
    world = cluster()
    world.put(app(instances=size))
    return lambda: world.offer(*world.agents)


@scenario
def launches_on_hosts(size: int) -> Action:
    world = cluster(size)
    world.put(app(instances=size, constraints=(Constraint("hostname", Operator.UNIQUE),)))
    return lambda: world.offer(*world.agents)


@scenario
def launches_in_groups(size: int) -> Action:
    world = cluster(size)
    world.put(app(instances=size, constraints=(Constraint("hostname", Operator.GROUP_BY),)))
    return lambda: world.offer(*world.agents)


@scenario
def offers_while_all_wait(size: int) -> Action:
    world = cluster(size)
    apps = [app(f"/a{number}") for number in range(size)]
    world.deploy(*apps)
    for task_id in list(world.tasks):
        world.update(task_id, TaskState.FAILED)
    return lambda: world.offer(*world.agents)


@scenario
def offers_that_nobody_needs(size: int) -> Action:
    world = cluster(size)
    world.deploy(app())
    return lambda: world.offer(*world.agents)


@scenario
def states(size: int) -> Action:
    world = many_instances(size)
    return lambda: [world.update(task_id, TaskState.RUNNING) for task_id in world.running("/a")]


@scenario
def ends(size: int) -> Action:
    world = many_instances(size)
    return lambda: [world.update(task_id, TaskState.FAILED) for task_id in world.running("/a")]


@scenario
def ends_of_many_apps(size: int) -> Action:
    world = many_apps(size)
    return lambda: [world.update(task_id, TaskState.FAILED) for task_id in list(world.tasks)]


@scenario
def probes(size: int) -> Action:
    world = cluster()
    world.deploy(app(instances=size, health_checks=(TCP_CHECK,)))
    return lambda: [world.probe(task_id, True) for task_id in world.running("/a")]


@scenario
def scaling_up(size: int) -> Action:
    world = cluster()
    world.deploy(app(port_definitions=()))
    return lambda: world.deploy(app(instances=size, port_definitions=()))


@scenario
def scaling_down(size: int) -> Action:
    world = many_instances(size)
    return lambda: world.deploy(app(instances=1))


@scenario
def states_of_a_deployment_of_apps(size: int) -> Action:
    world = cluster()
    world.auto_run = False
    world.put(*(app(f"/a{number}") for number in range(size)))
    world.offer(*world.agents)
    return lambda: [world.update(task_id, TaskState.RUNNING) for task_id in list(world.tasks)]


@scenario
def kills(size: int) -> Action:
    world = many_instances(size)
    return lambda: world.ask(KillTasks(tuple(world.running("/a"))))


@scenario
def kills_that_scale(size: int) -> Action:
    world = many_instances(size)
    return lambda: world.ask(KillTasks(tuple(world.running("/a")), scale=True))


@scenario
def deletion(size: int) -> Action:
    world = many_instances(size)

    def act() -> None:
        world.delete("/a")
        world.run()

    return act


@scenario
def deletions(size: int) -> Action:
    world = many_apps(size)
    return lambda: [world.delete(f"/a{number}") for number in range(size)]


@scenario
def a_takeover(size: int) -> Action:
    world = many_instances(size)
    return world.restart


@scenario
def a_takeover_with_many_apps(size: int) -> Action:
    world = many_apps(size)
    return world.restart


@scenario
def a_reconnection(size: int) -> Action:
    world = many_instances(size)
    world.disconnect()

    def act() -> None:
        world.connect()
        world.run()

    return act


@scenario
def the_queue(size: int) -> Action:
    world = World.of(cpus=0.01)
    world.put(*(app(f"/a{number}") for number in range(size)))
    return lambda: world.ask(ReadQueue())


@scenario
def foreign_tasks(size: int) -> Action:
    world = many_instances(1)
    return lambda: [
        world.say(m.Update(world._status(TaskId(f"x{number}"), TaskState.RUNNING)))
        for number in range(size)
    ]


@pytest.mark.parametrize("prepare", SCENARIOS, ids=lambda each: each.__name__)
def test_work_grows_with_what_there_is(prepare: Scenario) -> None:
    assert lines_per_pair(prepare) < 0.5
