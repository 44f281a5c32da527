"""Deployments: locks, cancelling, and the arithmetic of rolling upgrades (6.1 to 6.3)."""

from __future__ import annotations

from typing import Any

import pytest

from mezzo.cluster.states import TaskState
from mezzo.ids import TaskId
from mezzo.marathon.commands import CancelDeployment, Deployed, Done, Locked, NotFound, TooMany
from mezzo.marathon.config import MarathonConfig
from mezzo.marathon.deployments.upgrade_strategy import restart_bounds
from mezzo.marathon.model.app import KillSelection
from mezzo.marathon.news import (
    AppPosted,
    DeploymentFailed,
    DeploymentStepBegan,
    DeploymentStepSucceeded,
    DeploymentSucceeded,
)

from ..apps import TCP_CHECK, app, strategy
from ..world import World


def versions(world: World, app_id: str = "/a") -> list[int]:
    """Of each instance that exists at the master: how many older versions were launched."""
    known = [v.version_ms for v in world.shown_apps[app_id].versions]
    return sorted(known.index(v.version_ms) for v in world.shown_instances.values())


def pass_checks(world: World, *task_ids: TaskId) -> None:
    for task_id in task_ids:
        world.probe(task_id, alive=True)


def healthy(n: int, minimum: float, over: float) -> tuple[World, list[TaskId]]:
    """An app of n instances, all of them running and healthy."""
    world = World.of("a", cpus=100)
    world.put(app("/a", n, health_checks=(TCP_CHECK,), upgrade_strategy=strategy(minimum, over)))
    world.run()
    world.advance(0.2)
    old = world.running("/a")
    pass_checks(world, *old)
    assert world.shown_deployments == {}
    return world, old


def upgrade(world: World, n: int, minimum: float, over: float, cmd: str = "new") -> None:
    new = app(
        "/a", n, cmd=cmd, health_checks=(TCP_CHECK,), upgrade_strategy=strategy(minimum, over)
    )
    assert isinstance(world.put(new), Deployed)
    world.run()
    world.advance(0.2)


@pytest.mark.parametrize(
    ("n", "minimum", "over", "old", "ready", "bounds"),
    [
        (4, 1, 1, 4, 4, (4, 8, 4)),
        (4, 0.5, 0, 4, 4, (2, 4, 2)),
        (1, 1, 0, 1, 1, (1, 2, 1)),
        (4, 1, 0.25, 4, 4, (4, 5, 4)),
        (4, 1, 0, 4, 4, (4, 5, 4)),
        (3, 0.5, 0.5, 3, 3, (2, 4, 2)),  # rounded up, rounded down
        (4, 1, 1, 8, 8, (4, 8, 4)),  # twice as many as wanted
        (4, 1, 1, 4, 2, (4, 8, 4)),  # not even enough are healthy
        (2, 1, 1, 5, 1, (2, 4, 2)),
        (0, 1, 1, 3, 3, (0, 1, 0)),
        (1, 0, 0, 1, 1, (0, 1, 0)),  # a single instance: old one first
    ],
)
def test_restart_bounds(
    n: int, minimum: float, over: float, old: int, ready: int, bounds: tuple[int, int, int]
) -> None:
    """Section 6.3: minHealthy, maxCap, and how many old ones are left by the first kills."""
    got = restart_bounds(app("/a", n, upgrade_strategy=strategy(minimum, over)), old, ready)
    assert (got.min_healthy, got.max_capacity, got.keep_old) == bounds


# ---------------------------------------------------------------------------------- life of a plan


def test_a_deployment_is_listed_until_its_tasks_run() -> None:
    """Behaviour 29."""
    world = World.of("a", auto_run=False)
    result = world.put(app("/a"))
    assert isinstance(result, Deployed)
    world.run()
    assert list(world.shown_deployments) == [result.deployment_id]
    (task_id,) = world.running("/a")
    world.update(task_id, TaskState.RUNNING)
    assert world.shown_deployments == {}
    posted, began, *_ = world.news(AppPosted, DeploymentStepBegan)
    assert (type(posted), type(began)) == (AppPosted, DeploymentStepBegan)
    *_, step_over, over = [each.news for each in world.events]
    assert isinstance(step_over, DeploymentStepSucceeded)
    assert isinstance(over, DeploymentSucceeded)
    assert over.plan.id == result.deployment_id
    assert not [key for key in world.store if key.startswith("deployment/")]


def test_the_plan_of_a_new_app_starts_and_then_scales_it() -> None:
    world = World.of("a", auto_run=False)
    world.put(app("/a"))
    (view,) = world.shown_deployments.values()
    kinds = [[action.kind.value for action in step.actions] for step in view.plan.steps]
    assert kinds == [["StartApplication"], ["ScaleApplication"]]
    assert view.step == 2


def test_scaling_up_starts_exactly_what_is_missing() -> None:
    """Behaviour 30."""
    world = World.of("a")
    world.deploy(app("/a", 2))
    before = world.running("/a")
    world.deploy(app("/a", 4))
    assert world.running("/a")[:2] == before
    assert len(world.launched_ever) == 4
    assert world.ended == []


def test_scaling_down_kills_exactly_the_surplus_newest_first() -> None:
    """Behaviour 31."""
    world = World.of("a")
    for n in (1, 2, 3, 4):
        world.deploy(app("/a", n))
        world.advance(1)
    tasks = world.running("/a")
    world.deploy(app("/a", 2))
    assert world.running("/a") == tasks[:2]
    assert world.shown_deployments == {}


def test_scaling_to_zero_suspends_the_app() -> None:
    """Behaviour 23."""
    world = World.of("a")
    world.deploy(app("/a", 3))
    world.deploy(app("/a", 0))
    assert world.running("/a") == []
    assert world.shown_apps["/a"].app.instances == 0
    assert world.suppressed


def test_a_locked_app_is_refused_and_force_replaces_the_deployment() -> None:
    """Behaviour 39."""
    world = World.of("a", auto_run=False)
    first = world.put(app("/a"))
    assert isinstance(first, Deployed)
    world.run()
    stored = dict(world.store)
    assert world.put(app("/a", cmd="x")) == Locked((first.deployment_id,))
    assert world.store == stored
    second = world.put(app("/a", cmd="x"), force=True)
    assert isinstance(second, Deployed)
    assert list(world.shown_deployments) == [second.deployment_id]
    assert [news.plan.id for news in world.news(DeploymentFailed)] == [first.deployment_id]


def test_locks_are_per_app() -> None:
    """Behaviour 40."""
    world = World.of("a", auto_run=False)
    world.put(app("/a"))
    assert isinstance(world.put(app("/b")), Deployed)
    assert len(world.shown_deployments) == 2


def test_no_more_deployments_than_the_limit_run_at_once() -> None:
    """Behaviour 42."""
    world = World.of("a", auto_run=False, config=MarathonConfig(max_running_deployments=2))
    world.put(app("/a"))
    world.put(app("/b"))
    assert isinstance(world.put(app("/c")), TooMany)
    assert "/c" not in world.shown_apps
    assert isinstance(world.put(app("/b", cmd="x"), force=True), Deployed)  # takes a place over


def test_cancelling_takes_the_app_back_and_keeps_its_old_instances() -> None:
    """Behaviours 36, 37."""
    world, old = healthy(4, 0.5, 0)
    upgrade(world, 4, 0.5, 0, cmd="broken")
    left = [task_id for task_id in world.running("/a") if task_id in old]
    assert len(left) == 2  # the bound
    first = world.shown_apps["/a"].versions[0]
    (running,) = world.shown_deployments
    result = world.ask(CancelDeployment(running))
    assert isinstance(result, Deployed)
    assert result.deployment_id != running
    world.run()
    world.advance(1)
    pass_checks(world, *world.running("/a"))
    world.advance(1)
    pass_checks(world, *world.running("/a"))
    assert world.shown_apps["/a"].app == first
    assert set(left) <= set(world.running("/a"))
    assert versions(world) == [0, 0, 0, 0]
    assert world.shown_deployments == {}


def test_cancelling_a_creation_removes_the_app_and_a_deletion_brings_it_back() -> None:
    world = World.of("a", auto_run=False, auto_kill=False)
    created = world.put(app("/a"))
    assert isinstance(created, Deployed)
    world.run()
    assert isinstance(world.ask(CancelDeployment(created.deployment_id)), Deployed)
    assert world.shown_apps == {}
    for task_id in world.running("/a"):
        world.update(task_id, TaskState.KILLED)
    assert world.shown_deployments == {}

    world.auto_run = True
    world.advance(10)
    world.deploy(app("/b", 2))
    world.delete("/b")
    (deletion,) = world.shown_deployments
    world.ask(CancelDeployment(deletion))
    for task_id in world.running("/b"):
        world.update(task_id, TaskState.KILLED)
    world.advance(10)
    assert world.shown_apps["/b"].app.instances == 2
    assert len(world.running("/b")) == 2


def test_an_app_that_has_gone_amid_a_rollback_can_still_be_brought_back() -> None:
    world = World.of("a", auto_kill=False)
    world.deploy(app("/old"))
    created = world.put(app("/new", 0), app("/old", cmd="changed"))
    assert isinstance(created, Deployed)
    new = world.shown_apps["/new"].app
    world.run()  # an instance of the changed one is there
    back = world.ask(CancelDeployment(created.deployment_id))
    assert isinstance(back, Deployed)
    world.run()
    assert "/new" not in world.shown_apps
    assert list(world.shown_deployments) == [back.deployment_id]  # for the sake of /old
    world.restart()
    assert isinstance(world.ask(CancelDeployment(back.deployment_id)), Deployed)
    assert world.shown_apps["/new"].app == new


def test_a_forced_cancel_leaves_everything_as_it_is() -> None:
    """Behaviour 38."""
    world, old = healthy(2, 1, 1)
    upgrade(world, 2, 1, 1, cmd="broken")
    tasks = world.running("/a")
    (running,) = world.shown_deployments
    assert world.ask(CancelDeployment(running, force=True)) == Done()
    assert world.shown_deployments == {}
    assert world.running("/a") == tasks
    assert world.shown_apps["/a"].app.cmd == "broken"
    assert isinstance(world.put(app("/a", 2, cmd="mended")), Deployed)  # unlocked
    missing = "DeploymentPlan x does not exist"
    assert world.ask(CancelDeployment("x")) == NotFound(missing)
    assert set(old) <= set(tasks)


def test_a_broken_app_waits_and_deleting_it_frees_everything() -> None:
    """Behaviour 46."""
    world = World.of("a", auto_run=False)
    world.put(app("/a"))
    for _ in range(3):
        world.run()
        (task_id,) = world.running("/a")
        world.update(task_id, TaskState.FAILED, message="no such image")
        world.advance(10)
    assert len(world.shown_deployments) == 1
    world.delete("/a")
    world.run()
    assert world.shown_deployments == {}
    assert world.tasks == {}
    assert list(world.store) == ["framework/id"]


# ---------------------------------------------------------------------------------- upgrades


def test_an_upgrade_with_room_for_all_launches_all_and_kills_one_for_each_healthy_one() -> None:
    """Behaviour 32."""
    world, old = healthy(4, 1, 1)
    upgrade(world, 4, 1, 1)
    tasks = world.running("/a")
    new = [task_id for task_id in tasks if task_id not in old]
    assert len(tasks) == 8
    for number, task_id in enumerate(new, start=1):
        pass_checks(world, task_id)
        world.run()
        assert len([t for t in world.running("/a") if t in old]) == 4 - number
    assert world.running("/a") == new
    assert world.shown_deployments == {}


def test_an_upgrade_without_room_kills_old_ones_first() -> None:
    """Behaviour 33."""
    world, old = healthy(4, 0.5, 0)
    upgrade(world, 4, 0.5, 0)
    tasks = world.running("/a")
    assert len([t for t in tasks if t in old]) == 2
    assert len(tasks) == 4
    while world.shown_deployments:
        (task_id, *_) = [
            t
            for t in world.running("/a")
            if t not in old and not world.shown_instances[t.removesuffix("._app.1")].healthy
        ]
        pass_checks(world, task_id)
        world.advance(0.2)
        assert len(world.running("/a")) <= 4
    assert not set(world.running("/a")) & set(old)


def test_a_single_instance_runs_twice_for_a_moment() -> None:
    """Behaviour 34."""
    world, old = healthy(1, 1, 0)
    upgrade(world, 1, 1, 0)
    assert len(world.running("/a")) == 2
    (new,) = [t for t in world.running("/a") if t not in old]
    pass_checks(world, new)
    world.run()
    assert world.running("/a") == [new]


def test_an_upgrade_with_a_quarter_over_goes_one_by_one() -> None:
    """Behaviour 35, and the timeline of section 22."""
    world, old = healthy(4, 1, 0.25)
    upgrade(world, 4, 1, 0.25)
    for round_ in range(4):
        tasks = world.running("/a")
        assert len(tasks) == 5
        assert len([t for t in tasks if t in old]) == 4 - round_
        (new,) = [
            t
            for t in tasks
            if t not in old and not world.shown_instances[t.removesuffix("._app.1")].healthy
        ]
        pass_checks(world, new)
        world.advance(0.2)
    assert len(world.running("/a")) == 4
    assert world.shown_deployments == {}


def test_an_app_that_may_run_once_is_ended_before_it_starts_again() -> None:
    """The label MARATHON_SINGLE_INSTANCE_APP, with the strategy 0 and 0."""
    world = World.of("a", auto_kill=False)
    once = {"labels": {"MARATHON_SINGLE_INSTANCE_APP": "true"}, "upgrade_strategy": strategy(0, 0)}
    world.deploy(app("/a", 1, **once))
    (old,) = world.running("/a")
    world.deploy(app("/a", 1, cmd="new", **once))
    assert world.running("/a") == [old]
    world.update(old, TaskState.KILLED)
    world.advance(1)
    (new,) = world.running("/a")
    assert new != old
    assert world.shown_deployments == {}


def test_the_unhealthy_old_instance_goes_first() -> None:
    """Behaviour 74."""
    world, old = healthy(4, 1, 1)
    ill = old[1]
    world.advance(60)
    world.probe(ill, alive=False)
    upgrade(world, 4, 1, 1)
    (new, *_) = [t for t in world.running("/a") if t not in old]
    pass_checks(world, new)
    world.run()
    assert ill not in world.running("/a")
    assert len([t for t in world.running("/a") if t in old]) == 3


def test_unhealthy_old_instances_do_not_block_an_upgrade_without_room() -> None:
    """Else nobody could ever mend an app of which no instance is healthy."""
    world, old = healthy(2, 0.5, 0)
    world.advance(60)
    for task_id in old:
        world.probe(task_id, alive=False)
    upgrade(world, 2, 0.5, 0)
    for _ in range(4):
        pass_checks(world, *[t for t in world.running("/a") if t not in old])
        world.advance(0.2)
    assert not set(world.running("/a")) & set(old)
    assert world.shown_deployments == {}


def test_a_raise_and_a_change_in_one_are_an_upgrade_to_the_new_number() -> None:
    """Behaviour 44."""
    world = World.of("a")
    world.deploy(app("/a", 2))
    world.deploy(app("/a", 5, cmd="new"))
    world.advance(1)
    assert versions(world) == [1] * 5
    assert world.shown_deployments == {}


def test_a_new_leader_goes_on_with_an_upgrade_and_keeps_the_bounds() -> None:
    """Behaviour 41: it does not know who is healthy, so it kills none for that."""
    world, old = healthy(4, 1, 1)
    upgrade(world, 4, 1, 1)
    new = [t for t in world.running("/a") if t not in old]
    pass_checks(world, new[0])
    world.run()
    before = world.running("/a")
    assert len([t for t in before if t in old]) == 3
    world.restart()
    world.advance(20)
    assert world.running("/a") == before
    assert len(world.shown_deployments) == 1
    pass_checks(world, *[t for t in before if t in old], new[0])
    world.run()
    assert world.running("/a") == before  # 4 healthy ones are the least
    for task_id in new[1:]:
        pass_checks(world, task_id)
        world.run()
    assert world.running("/a") == new
    assert world.shown_deployments == {}


def test_a_forced_upgrade_during_an_upgrade_reaches_the_last_one() -> None:
    """Behaviour 129."""
    world = World.of("a", auto_run=False)
    world.auto_run = True
    world.deploy(app("/a", 3))
    world.auto_run = False
    world.put(app("/a", 3, cmd="two"))
    world.run()
    world.auto_run = True
    world.put(app("/a", 3, cmd="three"), force=True)
    world.advance(1)
    assert versions(world) == [2, 2, 2]
    assert world.shown_deployments == {}


def test_a_new_instance_that_comes_back_meanwhile_is_too_many_and_no_old_one_goes_for_it() -> None:
    world = World.of("a")
    terms: dict[str, Any] = {
        "health_checks": (TCP_CHECK,),
        "upgrade_strategy": strategy(1, 1),
        "kill_selection": KillSelection.OLDEST_FIRST,
    }
    world.deploy(app("/a", 2, **terms))
    old = world.running("/a")
    pass_checks(world, *old)
    world.deploy(app("/a", 2, cmd="new", **terms))
    lost, other = (task_id for task_id in world.running("/a") if task_id not in old)
    world.update(lost, TaskState.UNREACHABLE)
    world.advance(1)
    third = next(t for t in world.running("/a") if t not in (*old, lost, other))
    world.update(lost, TaskState.RUNNING)
    world.run()
    assert world.running("/a") == [*old, other, third]  # the oldest of the new ones went
    pass_checks(world, other, third)
    world.run()
    assert world.running("/a") == [other, third]
    assert world.shown_deployments == {}


def test_of_an_app_that_was_deleted_nothing_is_kept() -> None:
    world = World.of("a")
    for turn in range(3):
        world.deploy(app("/a", 2))
        world.update(world.running("/a")[0], TaskState.FAILED)
        world.advance(10)
        if turn == 1:
            world.deploy(app("/a", 0))
        world.delete("/a")
        world.run()
    assert world.tasks == {}
    assert {key for key in world.store if "/a" in key} == set()
    assert world.core.state.fleets == {}
    assert world.core.state.by_id == {}
