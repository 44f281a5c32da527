"""Apps, versions, deployments under any orders, leaders and crashes, beside a model of them.

An app is what was last asked for. A deployment that is taken back leaves exactly what was. Each
version is one definition for ever. Nothing is stored of apps that are gone. Another leader shows
the same, whenever it takes over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hypothesis import HealthCheck as Suppressed
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mezzo.cluster.states import TaskState
from mezzo.core import REQUEST_BYTES_MAX
from mezzo.ids import TaskId
from mezzo.marathon.commands import (
    CancelDeployment,
    Deployed,
    Done,
    Killed,
    KillTasks,
    Locked,
    NotFound,
    RestartApp,
    Result,
)
from mezzo.marathon.config import MarathonConfig
from mezzo.marathon.model.app import App, PortDefinition
from mezzo.marathon.state.loading import load
from mezzo.marathon.state.service_ports import HeldPorts
from mezzo.record import replace

from ..apps import app as make_app
from ..world import Crash, World

T = TypeVar("T")

LOW, HIGH = 10000, 10011
ids = st.sampled_from(["/a", "/b", "/b/c"])
small = st.integers(0, 3)
ports = st.lists(st.sampled_from([0, 0, LOW, LOW + 1, LOW + 2]), max_size=3)
definitions = st.lists(
    st.builds(
        lambda app_id, count, cmd, ports: make_app(
            app_id,
            count,
            cmd=f"sleep {cmd}",
            port_definitions=tuple(PortDefinition(port) for port in ports),
        ),
        ids,
        small,
        small,
        ports,
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda each: each.id,
)


class Versions(RuleBasedStateMachine):
    @initialize(max_versions=st.sampled_from([1, 2, 5]), auto_kill=st.booleans())
    def begin(self, max_versions: int, auto_kill: bool) -> None:
        config = MarathonConfig(max_versions=max_versions, local_port_min=LOW, local_port_max=HIGH)
        self.world = World.of("a", "b", cpus=1000, config=config, auto_kill=auto_kill)
        self.apps: dict[str, App] = {}  # as they have to be shown
        self.known: dict[tuple[str, int], App] = {}
        self.plans: dict[str, dict[str, App | None]] = {}  # of each, what was before

    # ---- users

    @rule(apps=definitions, force=st.booleans(), crash=st.booleans())
    def put(self, apps: list[App], force: bool, crash: bool) -> None:
        self.order(
            lambda: self.world.put(*apps, force=force),
            {app.id: app for app in apps},
            force=force,
            crash=crash,
        )

    @rule(app_id=ids, force=st.booleans(), crash=st.booleans())
    def delete(self, app_id: str, force: bool, crash: bool) -> None:
        if app_id not in self.apps:
            assert isinstance(self.world.delete(app_id), NotFound)
            return
        self.order(
            lambda: self.world.delete(app_id, force=force),
            {app_id: None},
            force=force,
            crash=crash,
        )

    @rule(app_id=ids, force=st.booleans(), crash=st.booleans())
    def restart_app(self, app_id: str, force: bool, crash: bool) -> None:
        if app_id in self.apps:
            self.order(
                lambda: self.world.ask(RestartApp(app_id, force)),
                {app_id: self.apps[app_id]},
                force=force,
                crash=crash,
            )

    @rule(app_id=ids, back=small, crash=st.booleans())
    def put_version(self, app_id: str, back: int, crash: bool) -> None:
        """PUT of {"version": ...}: a new version like an old one."""
        if app_id in self.apps:
            kept = self.world.shown_apps[app_id].versions
            old = kept[back % len(kept)]
            self.order(lambda: self.world.put(old, force=True), {app_id: old}, True, crash)

    @rule(number=small, crash=st.booleans())
    def scale_by_kill(self, number: int, crash: bool) -> None:
        lives = [
            live
            for live in self.world.core.state.by_id.values()
            if live.record.app_id in self.apps and live.active
        ]
        if lives:
            victim = lives[number % len(lives)]
            app = self.apps[victim.record.app_id]
            fewer = replace(app, instances=max(0, app.instances - 1))
            self.order(
                lambda: self.world.ask(KillTasks((victim.record.task_id,), scale=True, force=True)),
                {app.id: fewer},
                True,
                crash,
            )

    @rule(number=small, crash=st.booleans())
    def take_back(self, number: int, crash: bool) -> None:
        if self.world.shown_deployments:
            shown = list(self.world.shown_deployments)
            id_ = shown[number % len(shown)]
            before = self.plans[id_]
            self.order(lambda: self.world.ask(CancelDeployment(id_)), before, True, crash)
            for app_id, app in before.items():
                assert self.apps.get(app_id) == app  # with its version, and all its ports

    @rule(number=small)
    def stop(self, number: int) -> None:
        if self.world.shown_deployments:
            shown = list(self.world.shown_deployments)
            id_ = shown[number % len(shown)]
            assert self.world.ask(CancelDeployment(id_, force=True)) == Done()
            assert id_ not in self.world.shown_deployments

    def order(
        self,
        ask: Callable[[], Result],
        wanted: dict[str, App | None],
        force: bool,
        crash: bool,
    ) -> None:
        """wanted: how the apps are after it; their versions and the ports 0 are not known yet."""
        world, before, plans = self.world, dict(self.apps), dict(world_plans(self.world))
        locked = any(app_id in plan for plan in plans.values() for app_id in wanted)
        if crash:
            world.crash_at = world.steps + 1
        stored = dict(world.store)
        try:
            result: Result | None = ask()
        except Crash:
            world.restart()
            result = None
        world.crash_at = None
        if locked and not force:
            assert isinstance(result, Locked)
            assert world.store == stored
            return
        assert result is None or isinstance(result, Deployed | Killed), result
        for app_id, app in wanted.items():
            self.take_over(app_id, app, before)
        for id_ in world_plans(world):
            if id_ not in plans:
                self.plans[id_] = {app_id: before.get(app_id) for app_id in wanted}

    def take_over(self, app_id: str, wanted: App | None, before: dict[str, App]) -> None:
        if wanted is None:
            del_ = self.apps.pop(app_id, None)
            assert app_id not in self.world.shown_apps, del_
            return
        shown = self.world.shown_apps[app_id].app
        assert _plain(shown, wanted.service_ports) == _plain(wanted, wanted.service_ports)
        had = before[app_id].service_ports if app_id in before else ()
        for index, port in enumerate(wanted.service_ports):
            number = shown.service_ports[index]
            if port:
                assert number == port
            elif not (index < len(had) and number == had[index]):
                assert LOW <= number <= HIGH
                others = [
                    view.app.service_ports
                    for id_, view in self.world.shown_apps.items()
                    if id_ != app_id
                ]
                assert not any(number in each for each in others)
                assert shown.service_ports.count(number) == 1
        self.apps[app_id] = shown

    # ---- the cluster

    @rule()
    def run(self) -> None:
        self.world.run()

    @rule(seconds=st.sampled_from([0.2, 3.0, 40.0, 400.0]))
    def time(self, seconds: float) -> None:
        self.world.advance(seconds)

    @rule(seconds=st.sampled_from([0.001, 5.0, 100_000.0]))
    def clock_is_set_back(self, seconds: float) -> None:
        self.world.wall_s -= seconds

    @rule(
        number=small, state=st.sampled_from([TaskState.FAILED, TaskState.KILLED, TaskState.RUNNING])
    )
    def update(self, number: int, state: TaskState) -> None:
        tasks: list[TaskId] = list(self.world.tasks)
        if tasks:
            self.world.update(tasks[number % len(tasks)], state)

    @rule()
    def leader(self) -> None:
        """Another term shows the same at once, and goes on with the same deployments."""
        world = self.world
        shown, plans = dict(world.shown_apps), world_plans(world)
        world._boot()
        after = world_plans(world)
        assert after.items() <= plans.items()
        for app_id, view in world.shown_apps.items():
            assert view.app == shown[app_id].app
            if after == plans:
                assert view.versions == shown[app_id].versions
        assert world.shown_apps.keys() == shown.keys()
        world.connect()

    @rule(after=st.integers(1, 8), seconds=st.sampled_from([0.2, 3.0, 40.0]))
    def crash_amid_work(self, after: int, seconds: float) -> None:
        world = self.world
        world.crash_at = world.steps + after
        try:
            world.run()
            world.advance(seconds)
        except Crash:
            world.restart()
        world.crash_at = None

    # ---- what is true after each step

    @invariant()
    def apps_are_what_was_asked_for(self) -> None:
        assert {id_: view.app for id_, view in self.world.shown_apps.items()} == self.apps

    @invariant()
    def a_version_is_one_definition_for_ever(self) -> None:
        for view in self.world.shown_apps.values():
            assert view.app in view.versions
            numbers = [app.version_ms for app in view.versions]
            assert numbers == sorted(numbers)
        versions = self.world.core.state.versions  # also of apps that go
        kept = {(id_, ms): app for id_, each in versions.items() for ms, app in each.items()}
        for key, app in kept.items():
            assert self.known.get(key, app) == app
        self.known = kept

    @invariant()
    def what_is_stored_is_what_is_known(self) -> None:
        state, loaded = self.world.core.state, load(self.world.store)
        assert loaded.aside == {}
        assert loaded.apps == self.apps
        assert loaded.versions == state.versions
        assert {plan.id for plan in loaded.plans} == set(self.world.shown_deployments)
        ports = HeldPorts.of(app.service_ports for app in self.apps.values())
        assert ports.counts == state.service_ports.counts
        for plan in loaded.plans:
            for change in plan.changes:
                known = loaded.versions.get(change.app_id, {})
                assert change.original_ms is None or change.original_ms in known
                assert self.plans[plan.id].get(change.app_id) == (
                    None if change.original_ms is None else known[change.original_ms]
                )
        assert max(self.world.written) < REQUEST_BYTES_MAX

    def teardown(self) -> None:
        """Everything comes to rest, and nothing is left over."""
        if not hasattr(self, "world"):
            return
        world = self.world
        world.auto_kill = True
        for _ in range(5):
            world.advance(400)
        assert world.shown_deployments == {}
        for app_id in ("/a", "/b", "/b/c"):
            wanted = self.apps[app_id].instances if app_id in self.apps else 0
            assert len(world.running(app_id)) == wanted
        instances = {f"instance/{task_id.removesuffix('._app.1')}" for task_id in world.tasks}
        others = {key for key in world.store if key.startswith("appversion/")}
        assert set(world.store) == {
            "framework/id",
            *instances,
            *others,
            *(f"app/{app_id}" for app_id in self.apps),
        }
        for app_id, app in self.apps.items():
            kept = [key for key in others if key.startswith(f"appversion/{app_id}@")]
            assert len(kept) <= world.config.max_versions + app.instances
        assert all(key.split("/", 1)[1].split("@")[0] in self.apps for key in others)


def world_plans(world: World) -> dict[str, tuple[str, ...]]:
    """The apps of each deployment that is shown."""
    return {id_: view.plan.app_ids for id_, view in world.shown_deployments.items()}


def _plain(app: App, wanted: tuple[int, ...]) -> App:
    """Without what the core fills in."""
    definitions = tuple(
        replace(definition, port=port and definition.port)
        for definition, port in zip(app.port_definitions or (), wanted, strict=True)
    )
    return replace(
        app,
        port_definitions=definitions,
        version_ms=0,
        last_scaling_ms=0,
        last_config_change_ms=0,
    )


Versions.TestCase.settings = settings(
    max_examples=100,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[Suppressed.too_slow],
)
TestVersions = Versions.TestCase
