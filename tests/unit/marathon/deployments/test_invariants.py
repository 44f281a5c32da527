"""Promises under random events: bounds of upgrades, and crashes after any write."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck as Suppressed
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzo.cluster.states import TaskState
from mezzo.ids import TaskId
from mezzo.marathon.deployments.upgrade_strategy import restart_bounds
from mezzo.messages.scheduler import Kill

from ..apps import TCP_CHECK, app, strategy
from ..world import Crash, World

quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[Suppressed.too_slow], derandomize=True
)

FRACTIONS = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
# What happens next: to which of the app's tasks, and what.
DEEDS = st.lists(
    st.tuples(
        st.integers(min_value=0, max_value=30),
        st.sampled_from(["run", "healthy", "healthy", "fail", "ended", "time", "offer", "leader"]),
    ),
    max_size=60,
)


class Upgrade:
    """An app in the midst of an upgrade, watched after each step.

    Instances die only by the deployment's hand or by a deed, and only those of the new version do.
    """

    def __init__(self, n: int, minimum: float, over: float) -> None:
        self.n = n
        self.world = World.of("a", cpus=1000, auto_run=False, auto_kill=False)
        fields: dict[str, Any] = {
            "health_checks": (TCP_CHECK,),
            "upgrade_strategy": strategy(minimum, over),
        }
        self.world.put(app("/a", n, **fields))
        self.world.run()
        self.healthy: dict[TaskId, None] = {}
        self.doomed: dict[TaskId, None] = {}
        self.lost = 0  # healthy ones that died by themselves
        for task_id in self.world.running("/a"):
            self.make_healthy(task_id)
        self.old = self.world.running("/a")
        self.world.put(app("/a", n, cmd="new", **fields))
        target = self.world.shown_apps["/a"].app
        self.bounds = restart_bounds(target, n, n)
        self.world.watch = self.check

    def make_healthy(self, task_id: TaskId) -> None:
        if self.world.tasks[task_id].state is not TaskState.RUNNING:
            self.world.update(task_id, TaskState.RUNNING)
        self.healthy[task_id] = None
        self.world.probe(task_id, alive=True)

    def check(self) -> None:
        world = self.world
        assert len(world.tasks) <= self.bounds.max_capacity
        killed = [call.task_id for call in world.called(Kill)]
        for task_id in killed:
            self.doomed[task_id] = None
        serving = [t for t in self.healthy if t in world.tasks and t not in self.doomed]
        assert len(serving) >= self.bounds.min_healthy - self.lost

    def deed(self, number: int, what: str) -> None:
        world, tasks = self.world, list(self.world.tasks)
        new = [t for t in tasks if t not in self.old and t not in self.doomed]
        ending = [t for t in tasks if t in self.doomed]
        match what:
            case "run" | "healthy" if new:
                self.make_healthy(new[number % len(new)])
            case "fail" if new:
                task_id = new[number % len(new)]
                if self.healthy.pop(task_id, 0) is None:
                    # It was healthy: whoever it let go is gone, and one less serves for a while.
                    self.lost += 1
                world.update(task_id, TaskState.FAILED)
            case "ended" if ending:
                task_id = ending[number % len(ending)]
                self.doomed.pop(task_id)
                world.calls = [c for c in world.calls if getattr(c, "task_id", "") != task_id]
                world.update(task_id, TaskState.KILLED)
            case "time":
                world.advance(float(number))
            case "offer" if not world.suppressed:
                world.offer()
            case "leader":
                world.restart()
                world.run()

    def finish(self) -> None:
        """From now on everything goes well."""
        for _ in range(40 * (self.n + 1)):
            for what in ("ended", "offer", "time"):
                self.deed(1, what)
            for task_id in list(self.world.tasks):
                if task_id not in self.doomed:
                    self.make_healthy(task_id)
            if not self.world.shown_deployments:
                break


@given(st.integers(min_value=1, max_value=6), FRACTIONS, FRACTIONS, DEEDS)
@quick
def test_an_upgrade_keeps_its_bounds_and_ends(
    n: int, minimum: float, over: float, deeds: list[tuple[int, str]]
) -> None:
    """Section 6.3: never fewer than minHealthy healthy, never more than maxCap alive. Promise 6."""
    upgrade = Upgrade(n, minimum, over)
    for number, what in deeds:
        upgrade.deed(number, what)
    upgrade.finish()
    assert upgrade.world.shown_deployments == {}
    assert len(upgrade.world.tasks) == n
    assert not set(upgrade.old) & set(upgrade.world.tasks)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(["/a", "/b"]), st.integers(0, 4)),
        st.tuples(st.just("change"), st.sampled_from(["/a", "/b"]), st.integers(1, 3)),
        st.tuples(st.just("delete"), st.sampled_from(["/a", "/b"]), st.just(0)),
        st.tuples(st.just("fail"), st.just(""), st.integers(0, 9)),
        st.tuples(st.just("lose"), st.just(""), st.integers(0, 9)),
        st.tuples(st.just("time"), st.just(""), st.integers(1, 40)),
        st.tuples(st.just("leader"), st.just(""), st.just(0)),
    ),
    max_size=12,
)


def do(world: World, step: tuple[str, str, int]) -> None:
    what, app_id, number = step
    tasks = list(world.tasks)
    match what:
        case "put":
            world.put(app(app_id, number), force=True)
            world.run()
        case "change":
            world.put(app(app_id, number, cmd=f"sleep {number}"), force=True)
            world.run()
        case "delete":
            world.delete(app_id)
            world.run()
        case "fail" if tasks:
            world.update(tasks[number % len(tasks)], TaskState.FAILED)
            world.run()
        case "lose" if tasks:
            world.update(tasks[number % len(tasks)], TaskState.UNREACHABLE)
            world.run()
        case "time":
            world.advance(float(number))
        case "leader":
            world.restart()
            world.run()


@given(STEPS, st.integers(min_value=1, max_value=120))
@quick
def test_a_crash_after_any_write_loses_and_doubles_nothing(
    steps: list[tuple[str, str, int]], crash_at: int
) -> None:
    """Promises 2, 3 and 6: the world itself asserts that no task id is launched twice, that no
    launch leaves before it is stored, and that no offer is used for more than it holds.
    """
    world = World.of("a", "b")
    world.crash_at = world.steps + crash_at
    for step in steps:
        try:
            do(world, step)
        except Crash:
            world.restart()
            world.run()
    world.crash_at = None
    # Agents that were lost are back; time heals the rest.
    for task_id in list(world.tasks):
        task = world.tasks.get(task_id)  # it may have been surplus, and killed
        if task is not None and task.state is TaskState.UNREACHABLE:
            world.update(task_id, TaskState.RUNNING)
    world.advance(2000)
    assert world.shown_deployments == {}
    for app_id in ("/a", "/b"):
        view = world.shown_apps.get(app_id)
        wanted = 0 if view is None else view.app.instances
        assert len(world.running(app_id)) == wanted
    instances = [key.removeprefix("instance/") for key in world.store if "instance/" in key]
    assert sorted(f"{key}._app.1" for key in instances) == sorted(world.tasks)
    assert sorted(key for key in world.store if key.startswith("app/")) == sorted(
        f"app/{app_id}" for app_id in world.shown_apps
    )
    assert not [key for key in world.store if key.startswith("deployment/")]


@given(STEPS)
@quick
def test_the_same_events_give_the_same_outputs(steps: list[tuple[str, str, int]]) -> None:
    """Determinism: two cores, one history."""
    worlds = [World.of("a", "b"), World.of("a", "b")]
    for world in worlds:
        for step in steps:
            do(world, step)
    first, second = worlds
    assert first.store == second.store
    assert first.calls == second.calls
    assert first.events == second.events
