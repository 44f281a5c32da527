"""Apps and their versions, as the core keeps them."""

from __future__ import annotations

from mezzo.marathon.commands import (
    AlreadyExists,
    CancelDeployment,
    ChangeApps,
    Deployed,
    NotFound,
    NotValid,
    RestartApp,
    Stale,
    Target,
)
from mezzo.marathon.config import MarathonConfig
from mezzo.marathon.model.app import PortDefinition
from mezzo.marathon.news import DeploymentSucceeded
from mezzo.record import replace

from ..apps import app
from ..world import ORIGIN, World


def test_a_new_app_is_shown_at_once_with_its_version_and_a_service_port() -> None:
    """Behaviours 1, 16."""
    world = World.of("a")
    result = world.put(app("/a"))
    assert isinstance(result, Deployed)
    shown = world.shown_apps["/a"].app
    assert shown.version_ms == result.version_ms == 1_700_000_000_000
    assert shown.service_ports == (10000,)
    assert result.apps == (shown,)


def test_creating_an_existing_app_is_refused_and_changes_nothing() -> None:
    """Behaviour 2."""
    world = World.of("a")
    world.deploy(app("/a"))
    stored, shown = dict(world.store), world.shown_apps["/a"]
    result = world.ask(ChangeApps((Target(app("/a", cmd="other"), None),), ORIGIN))
    assert result == AlreadyExists("An app with id [/a] already exists.")
    assert world.store == stored
    assert world.shown_apps["/a"] == shown


def test_a_change_based_on_an_outdated_version_is_stale() -> None:
    world = World.of("a")
    world.deploy(app("/a"))
    assert world.ask(ChangeApps((Target(app("/a", cmd="x"), 17),), ORIGIN)) == Stale()
    assert world.ask(ChangeApps((Target(app("/b"), 17),), ORIGIN)) == Stale()


def test_of_several_targets_none_is_changed_if_one_is_refused() -> None:
    """Behaviour 21."""
    world = World.of("a")
    world.deploy(app("/a"))
    targets = (Target(app("/new"), None), Target(app("/a", cmd="x"), None))
    assert isinstance(world.ask(ChangeApps(targets, ORIGIN)), AlreadyExists)
    assert list(world.shown_apps) == ["/a"]


def test_the_same_definition_again_changes_no_version_and_restarts_nothing() -> None:
    """Behaviour 10."""
    world = World.of("a")
    world.deploy(app("/a", 2))
    before, tasks = world.shown_apps["/a"].app, world.running("/a")
    world.deploy(app("/a", 2))
    assert world.shown_apps["/a"].app == before
    assert world.running("/a") == tasks
    assert world.shown_deployments == {}
    assert isinstance(world.events[-1].news, DeploymentSucceeded)


def test_scaling_changes_two_of_the_three_times_and_any_other_change_all() -> None:
    """Behaviour 27."""
    world = World.of("a")
    world.deploy(app("/a"))
    first = world.shown_apps["/a"].app
    world.advance(1)
    world.deploy(app("/a", 2))
    scaled = world.shown_apps["/a"].app
    assert scaled.last_scaling_ms == scaled.version_ms > first.version_ms
    assert scaled.last_config_change_ms == first.last_config_change_ms
    world.advance(1)
    world.deploy(app("/a", 2, env={"A": "1"}))
    changed = world.shown_apps["/a"].app
    assert changed.version_ms == changed.last_scaling_ms == changed.last_config_change_ms
    assert changed.version_ms > scaled.version_ms


def test_a_restart_gives_a_new_version_of_the_same_definition() -> None:
    """Behaviour 43."""
    world = World.of("a")
    world.deploy(app("/a", 2))
    before, tasks = world.shown_apps["/a"].app, world.running("/a")
    world.ask(RestartApp("/a"))
    world.advance(1)
    after = world.shown_apps["/a"].app
    assert after.version_ms == after.last_config_change_ms > before.version_ms
    assert after.last_scaling_ms == before.last_scaling_ms
    assert len(world.running("/a")) == 2
    assert not set(world.running("/a")) & set(tasks)


def test_service_ports_are_unique_in_the_tree_and_zero_keeps_the_old_one() -> None:
    """Behaviour 16."""
    world = World.of("a")
    for app_id in ("/a", "/b", "/c"):
        world.deploy(app(app_id))
    ports = [world.shown_apps[i].app.service_ports for i in ("/a", "/b", "/c")]
    assert ports == [(10000,), (10001,), (10002,)]
    world.deploy(app("/b", cmd="other"))
    assert world.shown_apps["/b"].app.service_ports == (10001,)


def test_a_port_that_a_zero_keeps_is_not_given_to_another_of_the_same_change() -> None:
    world = World.of("a")
    world.deploy(app("/b"))
    world.deploy(app("/a"), app("/b", cmd="two"))
    assert [world.shown_apps[i].app.service_ports for i in ("/a", "/b")] == [(10001,), (10000,)]


def test_every_app_of_one_change_gets_a_port_of_its_own() -> None:
    world = World.of("a", config=MarathonConfig(local_port_min=1, local_port_max=300))
    many = [app(f"/{n}", port_definitions=(PortDefinition(),)) for n in range(300)]
    result = world.put(*many)
    assert isinstance(result, Deployed)
    assert sorted(a.service_ports[0] for a in result.apps) == list(range(1, 301))


def test_an_app_is_refused_when_no_service_port_is_left() -> None:
    world = World.of("a", config=MarathonConfig(local_port_min=10000, local_port_max=10000))
    world.deploy(app("/a"))
    result = world.put(app("/b"))
    assert result == NotValid("/", "no service port between 10000 and 10000 is left")
    assert "/b" not in world.shown_apps


def test_old_versions_are_kept_up_to_the_limit_and_read_back() -> None:
    """Behaviours 24, 28."""
    world = World.of("a", config=MarathonConfig(max_versions=5))
    for number in range(8):
        world.advance(1)
        world.deploy(app("/a", cmd=f"sleep {number}"))
    kept = world.shown_apps["/a"].versions
    assert [version.cmd for version in kept] == [f"sleep {n}" for n in range(3, 8)]
    assert len([key for key in world.store if key.startswith("appversion/")]) == 5


def test_a_version_that_an_instance_runs_is_never_dropped() -> None:
    world = World.of("a", config=MarathonConfig(max_versions=2))
    world.deploy(app("/a", cmd="first"))
    world.auto_run = False  # no new instance comes up, so the first one stays
    for number in range(4):
        world.advance(1)
        world.put(app("/a", cmd=f"broken {number}"), force=True)
        world.run()
    commands = [version.cmd for version in world.shown_apps["/a"].versions]
    assert "first" in commands
    world.restart()
    (first, *_) = world.shown_instances.values()
    assert first.version_ms == world.shown_apps["/a"].versions[0].version_ms


def test_what_an_app_is_now_is_among_its_versions_though_all_older_ones_run() -> None:
    world = World.of("a", config=MarathonConfig(max_versions=1))
    world.deploy(app("/a", cmd="first"))
    world.auto_run = False  # no new instance comes up, so the first one stays
    world.advance(1)
    world.put(app("/a", cmd="second"))
    world.run()
    assert [version.cmd for version in world.shown_apps["/a"].versions] == ["first", "second"]
    now = world.shown_apps["/a"].app
    assert f"appversion/{now.id}@{now.version_ms}" in world.store


def test_no_version_is_given_twice_though_the_clock_is_set_back() -> None:
    world = World.of("a")
    world.deploy(app("/a", cmd="first"))
    world.auto_run = False
    world.advance(1)
    taken_back = world.put(app("/a", cmd="second"))
    assert isinstance(taken_back, Deployed)
    world.ask(CancelDeployment(taken_back.deployment_id, force=False))
    world.wall_s -= 1
    result = world.put(app("/a", cmd="third"), force=True)
    assert isinstance(result, Deployed)
    assert result.version_ms > taken_back.version_ms
    assert [v.cmd for v in world.shown_apps["/a"].versions] == ["first", "second", "third"]


def test_a_version_that_a_deployment_may_go_back_to_is_kept_until_it_is_over() -> None:
    world = World.of("a", config=MarathonConfig(max_versions=2))
    world.auto_kill = False
    for cmd in ("first", "second", "third"):  # of the second nothing runs
        world.advance(1)
        result = world.put(app("/a", cmd=cmd, instances=0 if cmd == "second" else 1), force=True)
        world.run()
    assert [v.cmd for v in world.shown_apps["/a"].versions] == ["first", "second", "third"]
    world.restart()
    assert isinstance(result, Deployed)
    world.ask(CancelDeployment(result.deployment_id, force=False))
    assert world.shown_apps["/a"].app.cmd == "second"
    assert [v.cmd for v in world.shown_apps["/a"].versions] == ["first", "second", "third"]
    world.auto_kill = True
    world.advance(30)
    assert world.shown_deployments == {}
    assert [v.cmd for v in world.shown_apps["/a"].versions] == ["second", "third"]


def test_a_version_of_a_deleted_app_is_kept_until_its_deployment_is_over() -> None:
    world = World.of("a")
    world.deploy(app("/a", cmd="first"))
    world.auto_kill = False
    deleted = world.delete("/a")
    assert isinstance(deleted, Deployed)
    world.restart()
    assert isinstance(world.ask(CancelDeployment(deleted.deployment_id)), Deployed)
    assert world.shown_apps["/a"].app.cmd == "first"
    assert [key for key in world.store if key.startswith("appversion/")]


def test_an_old_definition_comes_back_as_a_new_version() -> None:
    """Behaviour 25."""
    world = World.of("a")
    world.deploy(app("/a", cmd="one"))
    world.advance(1)
    world.deploy(app("/a", cmd="two"))
    world.advance(1)
    (one, two) = world.shown_apps["/a"].versions
    world.deploy(replace(one, version_ms=0))
    now = world.shown_apps["/a"].app
    assert now.cmd == "one"
    assert now.version_ms > two.version_ms


def test_deleting_an_app_forgets_all_that_was_stored_of_it() -> None:
    world = World.of("a")
    world.deploy(app("/a", 3))
    world.deploy(app("/b"))
    world.delete("/a")
    assert "/a" not in world.shown_apps  # at once
    world.run()
    assert world.running("/a") == []
    assert not [key for key in world.store if "/a" in key or "/a." in key]
    assert len(world.running("/b")) == 1
    assert world.delete("/a") == NotFound("App '/a' does not exist")


def test_everything_is_read_back_by_the_next_leader() -> None:
    """Behaviour 119: nothing is killed, nothing is launched again."""
    world = World.of("a", "b")
    world.deploy(app("/a", 3), app("/b"))
    world.deploy(app("/a", 3, cmd="two"))
    shown = dict(world.shown_apps)
    tasks = set(world.tasks)
    instances = {k: (v.staged_s, v.ports, v.host) for k, v in world.shown_instances.items()}
    world.restart()
    world.advance(1000)
    assert world.shown_apps == shown
    assert set(world.tasks) == tasks
    assert {k: (v.staged_s, v.ports, v.host) for k, v in world.shown_instances.items()} == instances
    assert {v.state for v in world.shown_instances.values()} == {"TASK_RUNNING"}
