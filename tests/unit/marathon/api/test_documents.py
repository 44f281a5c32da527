"""Any JSON that the API accepts lives through all that becomes of it; any other changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, event, given, settings
from werkzeug.test import TestResponse

from mezzo.agent.config import AgentConfig
from mezzo.agent.container import Kind
from mezzo.agent.tasks.container_spec import refusal
from mezzo.cluster.model import AgentInfo
from mezzo.ids import FrameworkId
from mezzo.marathon.api.app_definition import AppDocument, Rules, changed_app, new_app
from mezzo.marathon.api.errors import ApiError
from mezzo.marathon.model.app import App
from mezzo.marathon.state.tables import VERSIONS
from mezzo.messages import scheduler as m
from mezzo.record import encode
from mezzo.wire.scheduler import call_from_wire, call_to_wire

from ..api_world import ApiWorld
from ..documents import ANYTHING, CHANGE, NEW

READS = ("/v2/apps", "/v2/tasks", "/v2/queue?embed=lastUnusedOffers", "/v2/deployments")
UNRENDERABLE = "marathon.events.unrenderable.counter"
# One that runs every kind of task.
AGENT = AgentConfig(AgentInfo("host-0"), "1", "127.0.0.1", "/work", tuple(Kind))
drawn = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


def no_number(text: str) -> NoReturn:
    raise AssertionError(f"{text} is no JSON")


def parsed(answer: TestResponse) -> Any:
    return json.loads(answer.get_data(), parse_constant=no_number)


def picture(world: ApiWorld) -> tuple[Any, ...]:
    """All that a refused request must leave as it was."""
    return dict(world.store), dict(world.shown_apps), dict(world.shown_deployments)


def assert_refused(answer: TestResponse) -> None:
    """A client error in Marathon's shape."""
    assert answer.status_code in (400, 404, 409, 422), answer.text
    body = parsed(answer)
    assert isinstance(body["message"], str)
    assert "can't be stored" not in answer.text  # every bound of a record is one of the document
    for detail in body.get("details", ()) if answer.status_code == 422 else ():
        assert detail["path"].startswith("/")
        assert all(isinstance(error, str) for error in detail["errors"])


def assert_told(world: ApiWorld, app_id: str) -> None:
    """Every list and every single answer can be read, by a strict reader."""
    for path in (*READS, f"/v2/apps{app_id}", f"/v2/apps{app_id}/versions"):
        answer = world.ask_api("GET", path)
        assert answer.status_code == 200, answer.text
        assert parsed(answer) is not None
    versions = parsed(world.ask_api("GET", f"/v2/apps{app_id}/versions"))["versions"]
    assert parsed(world.ask_api("GET", f"/v2/apps{app_id}/versions/{versions[0]}"))["id"] == app_id


def assert_unchanged_by_its_own_answer(world: ApiWorld, app_id: str) -> None:
    """GET, then PUT back: nothing is new. Marathon takes a `version` only in a whole app."""
    before = world.shown_apps[app_id].app
    whole = parsed(world.ask_api("GET", f"/v2/apps{app_id}"))["app"]
    partial = {key: value for key, value in whole.items() if key != "version"}
    for query, body in (("force=true&partialUpdate=false", whole), ("force=true", partial)):
        answer = world.ask_api("PUT", f"/v2/apps{app_id}?{query}", body)
        assert answer.status_code == 200, answer.text
        assert "Warning" not in answer.headers
        assert world.shown_apps[app_id].app == before


def assert_carried_by_the_wire(call: m.Call) -> None:
    message = call_to_wire(call, FrameworkId("F"))
    again = type(message).FromString(message.SerializeToString(deterministic=True))
    _, read = call_from_wire(again)
    # Times have nanoseconds on the wire, so what is read is compared, not what was written.
    assert call_to_wire(read, FrameworkId("F")) == message


def assert_lives(world: ApiWorld, app: App) -> None:
    stored = VERSIONS.decode(VERSIONS.encode(app))
    assert stored == app
    assert encode(stored) == encode(app)
    assert_told(world, app.id)
    world.run(rounds=2)
    for call in world.calls:
        assert_carried_by_the_wire(call)
    assert world.faults == []
    assert world.term.metrics.as_json()["counters"][UNRENDERABLE]["count"] == 0
    assert_told(world, app.id)
    started = [task.info for task in world.tasks.values()]
    for info in started:
        why = refusal(info, AGENT)
        # To say so at the door is for the version in which processes have networks.
        assert why is None or why.startswith("task.container.network_infos: a process"), why
    if app.instances and not app.constraints and "*" in (app.accepted_resource_roles or "*"):
        assert started, "an agent that has all there can be runs whatever is accepted"


@drawn
@given(NEW | ANYTHING)
def test_what_is_accepted_lives_and_what_is_refused_changes_nothing(document: Any) -> None:
    world = ApiWorld.up()
    stream = world.listen()
    before = picture(world)
    answer = world.ask_api("POST", "/v2/apps", document)
    event(f"answered {answer.status_code}")
    if answer.status_code != 201:
        assert_refused(answer)
        assert picture(world) == before
        return
    told = parsed(answer)
    app = world.shown_apps[told["id"]].app
    assert_lives(world, app)
    assert_unchanged_by_its_own_answer(world, app.id)
    frames = stream.take()[0].decode().split("\r\n")
    assert [json.loads(f[6:], parse_constant=no_number) for f in frames if f.startswith("data: ")]
    # The next leader reads the same.
    shown, tasks = dict(world.shown_apps), set(world.tasks)
    world.restart()
    assert world.shown_apps == shown
    assert world.shown_aside == {}
    assert set(world.tasks) == tasks
    assert_told(world, app.id)
    assert world.ask_api("DELETE", f"/v2/apps{app.id}").status_code == 200
    world.run()
    assert not [key for key in world.store if key.startswith("app/")]


@drawn
@given(NEW, CHANGE | ANYTHING)
def test_a_change_lives_or_changes_nothing(document: Any, change: Any) -> None:
    world = ApiWorld.up()
    created = world.ask_api("POST", "/v2/apps", document)
    if created.status_code != 201:
        return
    world.run(rounds=2)
    app_id = created.get_json()["id"]
    before = picture(world)
    answer = world.ask_api("PUT", f"/v2/apps{app_id}?force=true", change)
    event(f"answered {answer.status_code}")
    if answer.status_code == 200:
        assert_lives(world, world.shown_apps[app_id].app)
        assert_unchanged_by_its_own_answer(world, app_id)
    else:
        assert_refused(answer)
        assert picture(world) == before


@drawn
@given(NEW, NEW | ANYTHING)
def test_apps_of_one_list_are_changed_together_or_not_at_all(one: Any, other: Any) -> None:
    world = ApiWorld.up()
    before = picture(world)
    answer = world.ask_api("PUT", "/v2/apps", [one, other])
    event(f"answered {answer.status_code}")
    if answer.status_code == 200:
        assert len(world.shown_apps) == 2
        for view in list(world.shown_apps.values()):
            assert_lives(world, view.app)
    else:
        assert_refused(answer)
        assert picture(world) == before


# ---------------------------------------------------------------------------------- place by place

# Every place of a document where something is written, as `a.b`, `a[].b`, `a.{}` for a key.
DOCKER = "container.docker"
PLACES = {
    "number": [
        *("instances", "cpus", "mem", "disk", "gpus", "ports[]", "portDefinitions[].port"),
        *("backoffSeconds", "backoffFactor", "maxLaunchDelaySeconds", "taskKillGracePeriodSeconds"),
        *(
            f"container.portMappings[].{key}"
            for key in ("containerPort", "hostPort", "servicePort")
        ),
        *(
            f"healthChecks[].{key}Seconds"
            for key in ("gracePeriod", "interval", "timeout", "delay")
        ),
        *(
            "healthChecks[].maxConsecutiveFailures",
            "healthChecks[].port",
            "healthChecks[].portIndex",
        ),
        *("upgradeStrategy.minimumHealthCapacity", "upgradeStrategy.maximumOverCapacity"),
        "unreachableStrategy.expungeAfterSeconds",
        *("ipAddress.discovery.ports[].number",),
    ],
    "text": [
        *("id", "cmd", "args[]", "user", "env.A", "env.{}", "labels.a", "labels.{}", "role"),
        *("constraints[][]", "acceptedResourceRoles[]", "portDefinitions[].name"),
        *("portDefinitions[].labels.a", "networks[].name", "networks[].labels.{}"),
        *(f"{DOCKER}.image", f"{DOCKER}.parameters[].key", f"{DOCKER}.parameters[].value"),
        *("container.volumes[].containerPath", "container.volumes[].hostPath"),
        *("container.portMappings[].name", "container.portMappings[].networkNames[]"),
        *("healthChecks[].path", "healthChecks[].command.value", "ipAddress.networkName"),
    ],
}
BOUNDS = (0, 0.001, 0.1, 1, 65_535, 2**31 - 1, 2**32 - 1, 9_223_372_036, 10**12, 2**63, 2**64 - 1)
ODD = {
    "number": [
        *BOUNDS, *(bound + 1 for bound in BOUNDS[:-1]), *(-bound for bound in BOUNDS[:-2]),
        *(-0.0, 0.0004, 5e-324, 1.5, 1e15, 1e18, 1e30, 1e300, 1.7e308),
    ],
    "text": [
        *("", " ", "a", "A", "a.b", "a-b", "a b", "0", "80", "restart", "/", "..", "*", "ü💩"),
        *("\0", "a\0b", "\n", "a\nb", "\r\nX: y", "\x7f", "\u2028", "=", "a=b", '"', "\\"),
        *("x" * 63, "x" * 64, "x" * 193, "x" * 194, "x" * 233, "x" * 255, "x" * 256, "x" * 1025),
        *("x" * 131_000, "x" * 131_071, "x" * 131_072, "ü" * 70_000),
    ],
}  # fmt: skip
OTHER_TYPES = [True, [], {}, [[]], {"a": None}, {"secret": "x"}, "disabled"]
# What a place needs beside itself to mean something.
NEEDS: dict[str, dict[str, Any]] = {
    "container": {"type": "DOCKER", "docker": {"image": "busybox"}},
    "networks": {"mode": "container"},
    "healthChecks": {"protocol": "MESOS_HTTP"},
    "volumes": {"containerPath": "/a", "hostPath": "/b", "mode": "RO"},
    "parameters": {"key": "a", "value": "b"},
    "command": {},
    "docker": {"image": "busybox"},
}


def at(place: str, value: Any) -> Any:
    """A document (or part) with the value at the place, and what that needs."""
    if not place:
        return value
    key, _, rest = place.partition(".")
    name = key.removesuffix("[]").removesuffix("[]")
    inner = at(rest, value)
    if isinstance(inner, dict) and rest:
        inner = NEEDS.get(name, {}) | inner
    if key.endswith("[][]"):
        return {name: [["hostname", "LIKE", inner]]}
    return {name: [inner] if key.endswith("[]") else inner} if key != "{}" else {value: "x"}


@pytest.mark.parametrize(
    ("place", "kind"), [(place, kind) for kind, places in PLACES.items() for place in places]
)
def test_every_place_takes_an_odd_value_for_good_or_refuses_it(place: str, kind: str) -> None:
    """Taken, it lives through all; refused, it has changed nothing, and the place is named."""
    world = ApiWorld.up()
    taken = 0
    for number, value in enumerate([*ODD[kind], *([] if "{}" in place else OTHER_TYPES)]):
        app_id = f"/odd/{number}"
        odd = at(place, value)
        command = {} if place.startswith((DOCKER, "args")) else {"cmd": "sleep 1000"}
        if place.startswith("container.portMappings"):
            command["networks"] = [{"mode": "container/bridge"}]
        if place == "healthChecks[].command.value":
            odd["healthChecks"][0]["protocol"] = "COMMAND"
        before = picture(world)
        answer = world.ask_api("POST", "/v2/apps", {"id": app_id, **command, **odd})
        if answer.status_code != 201:
            assert_refused(answer)
            assert picture(world) == before
            continue
        taken += 1
        app = world.shown_apps[answer.get_json()["id"]].app
        assert_lives(world, app)
        assert_unchanged_by_its_own_answer(world, app.id)
        assert world.ask_api("DELETE", f"/v2/apps{app.id}").status_code == 200
        world.run()
        world.calls.clear()
        world.launched_ever.clear()
    assert taken, f"{place} takes nothing of all that"


@given(CHANGE, NEW)
@drawn
def test_a_document_that_was_read_once_says_the_same_each_time(change: Any, new: Any) -> None:
    """Who was overtaken begins again: from another definition, or from none."""
    rules, kept = Rules(default_network_name="overlay"), AppDocument(change)
    try:
        before = new_app(AppDocument(new), rules)
    except ApiError:
        return
    for _ in range(2):
        assert _outcome(changed_app, kept, before, rules) == _outcome(
            changed_app, AppDocument(change), before, rules
        )
        assert _outcome(new_app, kept, rules) == _outcome(new_app, AppDocument(change), rules)


def _outcome(ask: Callable[..., App], *asked: object) -> object:
    try:
        return ask(*asked)
    except ApiError as error:
        return error.body
