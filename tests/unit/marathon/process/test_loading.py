"""What can't be loaded is set aside: kept, named, shown, deletable; the rest leads. Promise 9."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck as Suppressed
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzo.cluster.states import TaskState
from mezzo.ids import TaskId
from mezzo.marathon.commands import (
    CancelDeployment,
    Deployed,
    Done,
    DropAside,
    Killed,
    KillTasks,
    NotFound,
    NotValid,
)
from mezzo.marathon.state.loading import app_problem, load
from mezzo.messages import scheduler as m

from ..apps import TCP_CHECK, app
from ..world import World

GARBAGE = b'{"id":'


def populated() -> World:
    """Apps at rest, one with a history, one amid an upgrade, one that is being deleted."""
    world = World.of("a", "b")
    world.deploy(app("/rest", 2))
    world.deploy(app("/grown/up", 1))
    world.deploy(app("/grown/up", 2, cmd="new"))
    world.deploy(app("/single", 1, labels={"MARATHON_SINGLE_INSTANCE_APP": "true"}))
    world.deploy(app("/other", 2))
    world.put(app("/upgrade", 2))
    world.run()
    world.put(app("/upgrade", 2, cmd="new", health_checks=(TCP_CHECK,)))
    world.run()
    world.deploy(app("/going", 1))
    world.auto_kill = False
    world.delete("/going")
    return world


def owner(world: World, key: str) -> str | None:
    """The app that a record belongs to."""
    kind, _, id_ = key.partition("/")
    match kind:
        case "app":
            return id_
        case "appversion":
            return id_.rpartition("@")[0]
        case "instance":
            head = id_.rpartition(".instance-")[0]
            return next(a for a in ALL if a.strip("/").replace("/", "_") == head)
        case "deployment":
            return str(json.loads(world.store[key])[1]["changes"][0]["app_id"])
    return None


ALL = ("/rest", "/grown/up", "/single", "/other", "/upgrade", "/going")


def keys(world: World, kind: str) -> list[str]:
    return [key for key in world.store if key.partition("/")[0] == kind]


def corrupt(world: World, key: str, value: bytes = GARBAGE) -> World:
    """Another leader takes over from a store in which this is broken."""
    world.store[key] = value
    world.restart()
    world.run()
    return world


def tasks_of(world: World) -> dict[str, list[TaskId]]:
    return {app_id: world.running(app_id) for app_id in ALL}


# ---------------------------------------------------------------------------------- each kind


def test_an_app_that_cant_be_loaded_is_set_aside_and_its_tasks_go_on() -> None:
    world = populated()
    before = tasks_of(world)
    corrupt(world, "app//rest")
    world.advance(3000)  # reconciliations, scale checks, expunging
    assert "/rest" not in world.shown_apps
    aside = world.shown_aside["app//rest"]
    assert aside.app_id == "/rest"
    assert "no StoredApp" in aside.reason
    assert aside.size_bytes == len(GARBAGE)
    assert world.store["app//rest"] == GARBAGE
    for app_id in ("/rest", "/grown/up", "/single", "/other"):
        assert world.running(app_id) == before[app_id]
    assert len(world.shown_instances) == len(world.tasks)


def test_an_app_that_was_set_aside_is_replaced_by_a_put_as_by_an_upgrade() -> None:
    world = populated()
    before = world.running("/rest")
    corrupt(world, "app//rest")
    world.auto_kill = True
    world.deploy(app("/rest", 2))
    world.advance(10)
    assert "app//rest" not in world.shown_aside
    assert "/rest" in world.shown_apps
    assert len(world.running("/rest")) == 2
    assert not set(before) & set(world.running("/rest"))
    assert "/rest" not in {d.plan.app_ids[0] for d in world.shown_deployments.values()}


def test_an_app_that_was_set_aside_can_be_deleted_with_its_tasks() -> None:
    world = populated()
    corrupt(world, "app//rest")
    world.auto_kill = True
    assert isinstance(world.delete("/rest"), Deployed)
    world.advance(1)
    assert world.running("/rest") == []
    assert "app//rest" not in world.shown_aside
    assert not [key for key in world.store if "rest" in key]


def test_a_deletion_of_what_nobody_could_read_is_cancelled_by_leaving_it() -> None:
    world = populated()
    for key in keys(world, "appversion"):
        if "/rest@" in key:
            world.store[key] = GARBAGE
    corrupt(world, "app//rest")
    deleted = world.delete("/rest")
    assert isinstance(deleted, Deployed)
    assert world.ask(CancelDeployment(deleted.deployment_id)) == Done()
    assert "/rest" not in world.shown_apps


def test_a_record_that_was_set_aside_can_be_deleted_by_its_key() -> None:
    world = populated()
    corrupt(world, "app//rest")
    world.auto_kill = True
    assert world.ask(DropAside("app//rest")) == Done()
    world.advance(1)
    assert world.shown_aside == {}
    assert "app//rest" not in world.store
    assert world.running("/rest") == []  # they are of no app any more
    assert isinstance(world.ask(DropAside("app//rest")), NotFound)
    assert isinstance(world.ask(DropAside("app//other")), NotFound)
    assert "app//other" in world.store


def test_tasks_of_an_app_that_was_set_aside_can_be_killed() -> None:
    world = populated()
    corrupt(world, "app//rest")
    world.auto_kill = True
    one, other = world.running("/rest")
    assert world.ask(KillTasks((one,))) == Killed((one,))
    world.advance(1000)
    assert world.running("/rest") == [other]


def test_a_version_that_cant_be_loaded_is_set_aside_and_its_app_leads() -> None:
    world = populated()
    before = tasks_of(world)
    (key, *_) = [key for key in keys(world, "appversion") if "/grown/up" in key]
    corrupt(world, key)
    assert list(world.shown_aside) == [key]
    assert len(world.shown_apps["/grown/up"].versions) == 1
    assert world.running("/grown/up") == before["/grown/up"]
    world.auto_kill = True
    world.delete("/grown/up")
    world.run()
    assert key not in world.store


def test_an_app_whose_present_version_cant_be_loaded_is_set_aside_until_it_is_put_anew() -> None:
    world = populated()
    before = world.running("/grown/up")
    (_, key) = [key for key in keys(world, "appversion") if "/grown/up" in key]
    corrupt(world, key)
    world.advance(3000)
    assert set(world.shown_aside) == {key, "app//grown/up"}
    assert "no App" in world.shown_aside["app//grown/up"].reason
    assert world.running("/grown/up") == before
    world.auto_kill = True
    world.deploy(app("/grown/up", 1))
    assert list(world.shown_aside) == [key]
    world.delete("/grown/up")
    world.advance(1)
    assert not [key for key in world.store if "grown" in key]


def test_a_deployment_that_nobody_can_take_back_goes_on() -> None:
    """What the app was can't be read any more; what it is to be can."""
    world = populated()
    (key, _) = [key for key in keys(world, "appversion") if "/upgrade" in key]
    corrupt(world, key)
    (upgrade,) = [each for each in world.shown_deployments if "/upgrade" in shown_in(world, each)]
    assert world.shown_apps["/upgrade"].app.cmd == "new"
    assert world.ask(CancelDeployment(upgrade)) == Done()
    assert world.shown_apps["/upgrade"].app.cmd == "new"


def shown_in(world: World, deployment_id: str) -> tuple[str, ...]:
    return world.shown_deployments[deployment_id].plan.app_ids


def test_the_task_of_an_instance_that_cant_be_loaded_goes_on_to_its_end() -> None:
    world = populated()
    (task_id, _) = world.running("/rest")
    key = f"instance/{task_id.removesuffix('._app.1')}"
    corrupt(world, key)
    world.advance(3000)
    assert key in world.shown_aside
    assert task_id in world.tasks
    assert task_id not in [kill.task_id for kill in world.called(m.Kill)]
    assert len(world.running("/rest")) == 3  # two that the app knows of
    world.update(task_id, TaskState.FINISHED)
    assert key not in world.shown_aside
    assert key not in world.store


def test_once_its_record_is_deleted_a_task_is_an_unknown_one_and_killed() -> None:
    world = populated()
    world.auto_kill = True
    (task_id, _) = world.running("/rest")
    key = f"instance/{task_id.removesuffix('._app.1')}"
    corrupt(world, key)
    assert world.ask(DropAside(key)) == Done()
    world.advance(700)  # the next reconciliation
    assert task_id not in world.tasks


def test_a_single_instance_never_runs_twice_because_its_record_cant_be_loaded() -> None:
    world = populated()
    (task_id,) = world.running("/single")
    key = f"instance/{task_id.removesuffix('._app.1')}"
    corrupt(world, key)
    world.advance(1000)
    assert world.running("/single") == [task_id]
    world.update(task_id, TaskState.FAILED)
    world.advance(10)
    assert len(world.running("/single")) == 1


def test_a_deployment_that_cant_be_loaded_leaves_its_app_as_it_is() -> None:
    world = populated()
    before = tasks_of(world)
    (key,) = [key for key in keys(world, "deployment") if owner(world, key) == "/upgrade"]
    corrupt(world, key)
    assert list(world.shown_aside) == [key]
    assert [d.plan.app_ids for d in world.shown_deployments.values()] == [("/going",)]
    assert set(before["/upgrade"]) <= set(world.running("/upgrade"))
    world.auto_kill = True
    result = world.put(app("/upgrade", 1, cmd="third"))  # nothing locks it
    assert isinstance(result, Deployed)
    assert world.ask(DropAside(key)) == Done()


def test_a_deployment_of_two_apps_goes_on_for_the_one_that_is_left() -> None:
    world = World.of("a", "b", auto_kill=False)
    world.put(app("/one"), app("/two"))
    world.run()
    world.put(app("/one", cmd="new"), app("/two", cmd="new"))
    world.run()
    old = world.running("/two")[0]
    corrupt(world, "app//one")
    (deployment,) = world.shown_deployments.values()
    assert deployment.plan.app_ids == ("/two",)
    assert list(world.shown_aside) == ["app//one"]
    world.update(old, TaskState.KILLED)
    world.advance(1)
    assert world.shown_deployments == {}
    assert keys(world, "deployment") == []


def test_a_deployment_that_was_set_aside_is_not_resumed_once_its_app_is_put_anew() -> None:
    """It would take the app back to what it was to be then."""
    world = World.of("a", auto_kill=False)
    world.put(app("/one"))
    world.run()
    world.put(app("/one", cmd="second"))
    world.run()
    corrupt(world, "app//one")
    (key,) = [each for each in world.shown_aside if each.startswith("deployment/")]
    world.auto_kill = True
    world.deploy(app("/one", cmd="third"))
    world.advance(60)  # the kills are repeated
    assert world.shown_deployments == {}
    world.restart()
    world.run()
    assert world.shown_deployments == {}
    assert "has another version by now" in world.shown_aside[key].reason
    assert world.shown_apps["/one"].app.cmd == "third"
    assert world.ask(DropAside(key)) == Done()


def test_a_step_of_a_deployment_of_which_nothing_is_left_is_left_out() -> None:
    world = World.of("a", "b", auto_kill=False, auto_run=False)
    world.put(app("/two"))
    world.run()
    world.update(world.running("/two")[0], TaskState.RUNNING)
    world.put(app("/one"), app("/two", cmd="new"))
    world.run()
    (deployment,) = world.shown_deployments.values()
    steps = [tuple(action.app_id for action in step.actions) for step in deployment.plan.steps]
    assert ("/one",) in steps
    corrupt(world, "app//one")
    (deployment,) = world.shown_deployments.values()
    steps = [tuple(action.app_id for action in step.actions) for step in deployment.plan.steps]
    assert set(steps) == {("/two",)}


def test_versions_of_an_app_whose_deletion_was_lost_are_forgotten_with_its_record() -> None:
    world = World.of("a", auto_kill=False)
    world.deploy(app("/old"))
    created = world.put(app("/new", 0), app("/old", cmd="changed"))
    assert isinstance(created, Deployed)
    world.run()
    world.ask(CancelDeployment(created.deployment_id))
    world.run()  # /new has gone, and the rollback goes on for the sake of /old
    (key,) = keys(world, "deployment")
    corrupt(world, key)
    world.advance(1000)
    assert [each for each in keys(world, "appversion") if owner(world, each) == "/new"] != []
    assert world.ask(DropAside(key)) == Done()
    world.advance(1000)
    assert {owner(world, each) for each in keys(world, "appversion")} == {"/old"}


def test_a_framework_id_that_cant_be_loaded_is_asked_for_anew() -> None:
    world = populated()
    corrupt(world, "framework/id")
    assert world.registered == "F-0000"
    assert world.shown_aside == {}  # it has been replaced
    assert json.loads(world.store["framework/id"]) == [1, {"id": "F-0000"}]


def test_a_record_of_an_unknown_kind_is_kept_and_shown() -> None:
    world = populated()
    corrupt(world, "plan9/x", b"?")
    assert world.shown_aside["plan9/x"].reason == "this version knows no records of this kind"
    assert world.store["plan9/x"] == b"?"


def changed(data: bytes, **fields: Any) -> bytes:
    version, record = json.loads(data)
    return json.dumps([version, record | fields]).encode()


@pytest.mark.parametrize(
    ("kind", "fields", "reason"),
    [
        ("app", {"id": "/elsewhere"}, "it is the record of"),
        ("appversion", {"networks": []}, "no network"),
        ("app", {"version_ms": 7}, "its version 7: is not there"),
        ("app", {"version_ms": 10**18}, r"\$.version_ms"),
        ("app", {"version_ms": -1}, r"\$.version_ms"),
        ("app", {"id": 5}, r"\$.id"),
        ("appversion", {"version_ms": 3}, "it is the record of"),
        ("instance", {"app_id": "/elsewhere"}, "of another app"),
        ("instance", {"id": "x"}, "it is the record of"),
        ("instance", {"container_ports": []}, "number of ports"),
        ("instance", {"host_ports": [70_000]}, r"\$.host_ports"),
        ("instance", {"staged_s": 1e300}, r"\$.staged_s"),
        ("instance", {"incarnation": 10**30}, "incarnation"),
        ("deployment", {"changes": []}, "which it does not change"),
        ("deployment", {"id": "x"}, "it is the record of"),
        ("deployment", {"version_ms": 1e40}, r"version_ms"),
        ("framework", {"id": ""}, "it is empty"),
    ],
)
def test_a_record_that_makes_no_sense_is_set_aside_with_the_reason(
    kind: str, fields: dict[str, Any], reason: str
) -> None:
    world = populated()
    key = keys(world, kind)[0]
    stored = {**world.store, key: changed(world.store[key], **fields)}
    loaded = load(stored)
    assert re.search(reason, loaded.aside[key].reason), loaded.aside[key]


def test_an_instance_of_no_app_is_set_aside_and_its_task_goes_on() -> None:
    world = populated()
    for key in [key for key in world.store if key.startswith(("app//rest", "appversion//rest"))]:
        del world.store[key]
    before = world.running("/rest")
    world.restart()
    world.advance(3000)
    assert world.running("/rest") == before
    assert len(world.shown_aside) == 2
    assert "there is no app '/rest'" in next(iter(world.shown_aside.values())).reason


def test_a_deletion_of_an_app_that_is_there_is_set_aside() -> None:
    """Carried out it would end tasks that are wanted."""
    world = populated()
    (version,) = [key for key in world.store if key.startswith("appversion//going@")]
    world.store["app//going"] = world.store[version]
    (key,) = [key for key in keys(world, "deployment") if owner(world, key) == "/going"]
    world.restart()
    world.run()
    assert "was deleted, but is there" in world.shown_aside[key].reason
    assert "/going" in world.shown_apps


@pytest.mark.parametrize("state", [TaskState.STAGING, TaskState.STARTING])
def test_a_task_of_an_app_that_was_set_aside_may_take_its_time(state: TaskState) -> None:
    """Killed as overdue it would not be replaced."""
    world = World.of("a", auto_run=False)
    world.put(app("/slow", health_checks=(TCP_CHECK,)))
    world.run()
    (task_id,) = world.running("/slow")
    world.tasks[task_id].state = state
    corrupt(world, "app//slow")
    world.advance(3000)
    assert world.running("/slow") == [task_id]
    world.update(task_id, TaskState.RUNNING)
    assert world.checks == {}  # for the same reason nobody asks after its health


def test_two_deployments_never_hold_the_same_app() -> None:
    world = populated()
    (key,) = [key for key in keys(world, "deployment") if owner(world, key) == "/upgrade"]
    twin = changed(world.store[key], id="twin", version_ms=2_000_000_000_000)
    corrupt(world, "deployment/twin", twin)
    assert "is changed by an older deployment" in world.shown_aside["deployment/twin"].reason
    assert len(world.shown_deployments) == 2


# ---------------------------------------------------------------------------------- every way

EXTREMES = st.sampled_from(
    ["0", "-1", "1e308", "1e999", "9" * 400, str(2**31), str(2**63), str(2**64), "0.5", "null"]
)
VALUES = st.sampled_from([None, True, "", "x", "\x00", -1, 1e308, 2**64, [], {}, [None], {"a": 1}])


@st.composite
def broken(draw: st.DrawFn, data: bytes) -> bytes:
    """A stored value, damaged in some way."""
    match draw(st.integers(0, 5)):
        case 0:
            return data[: draw(st.integers(0, len(data)))]
        case 1:
            at = draw(st.integers(0, len(data) - 1))
            return data[:at] + bytes([draw(st.integers(0, 255))]) + data[at + 1 :]
        case 2:
            numbers = list(re.finditer(rb"(?<=[:,\[])-?[0-9][0-9.e+-]*", data))
            if not numbers:
                return b""
            at_ = draw(st.sampled_from(numbers))
            return data[: at_.start()] + draw(EXTREMES).encode() + data[at_.end() :]
        case 3:
            return draw(st.binary(max_size=30))
        case 4:
            return b'{"id":"/a","x":' + b"[" * draw(st.sampled_from([1, 60, 200_000]))
    version, document = json.loads(data)
    node: Any = document
    path = []
    while isinstance(node, dict | list) and node:
        at__: Any = draw(
            st.sampled_from(list(node) if isinstance(node, dict) else range(len(node)))
        )
        path.append((node, at__))
        node = node[at__]
        if draw(st.booleans()):
            break
    parent, key = path[-1]
    if draw(st.booleans()):
        del parent[key]
    else:
        parent[key] = draw(VALUES)
    return json.dumps([version, document]).encode()


@given(st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=[Suppressed.too_slow])
def test_however_records_are_damaged_the_rest_leads(data: st.DataObject) -> None:
    """The core never raises; who has no part in the damage notices nothing; no task is killed
    because its app, or its own record, can't be read.
    """
    world = populated()
    before = tasks_of(world)
    victims = data.draw(
        st.lists(st.sampled_from(list(world.store)), min_size=1, max_size=3, unique=True)
    )
    hurt = {owner(world, key) for key in victims}
    for key in victims:
        world.store[key] = data.draw(broken(world.store[key]))
    stored = dict(world.store)
    world.restart()
    world.run()
    world.advance(1000)
    for app_id in ("/rest", "/grown/up", "/single", "/other"):
        if app_id not in hurt:
            assert world.running(app_id) == before[app_id]
        elif f"app/{app_id}" in world.shown_aside:
            assert set(before[app_id]) <= set(world.running(app_id))
    for key in world.shown_aside:
        assert world.store[key] == stored[key]
        task_id = TaskId(f"{key.removeprefix('instance/')}._app.1")
        assert task_id not in [kill.task_id for kill in world.called(m.Kill)]
    assert len(world.running("/single")) <= 1
    world.auto_kill = True
    world.deploy(app("/new", 1))
    world.advance(10)
    greedy = any(view.app.instances > 100 for view in world.shown_apps.values())
    assert greedy or len(world.running("/new")) == 1
    while world.shown_aside:  # an app takes its versions along
        assert world.ask(DropAside(next(iter(world.shown_aside)))) == Done()
    world.advance(100)  # kills that were without an answer are repeated
    world.restart()
    world.run()
    assert world.shown_aside == {}


# ---------------------------------------------------------------------------------- the other door


@pytest.mark.parametrize(
    "fields",
    [
        {"networks": ()},
        {"env": {"A": "\ud800"}},
        {"cpus": float("nan")},
        {"cpus": float("inf")},
        {"version_ms": -5},
    ],
)
def test_what_could_not_be_loaded_again_is_not_stored(fields: dict[str, Any]) -> None:
    world = World.of("a")
    stored = dict(world.store)
    bad = app("/bad", **fields)
    assert app_problem(bad) is not None
    result = world.put(app("/good"), bad)
    assert isinstance(result, NotValid)
    assert "/bad can't be stored" in result.error
    assert world.store == stored
    assert world.shown_apps == {}
