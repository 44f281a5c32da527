"""Which documents are refused, with which text at which place (3.4)."""

from __future__ import annotations

import json
import math
from typing import Any
from uuid import UUID

import pytest

from mezzo.errors import Corrupt
from mezzo.ids import AgentId
from mezzo.marathon.api.app_definition import AppDocument, Rules
from mezzo.marathon.api.render import app_json
from mezzo.marathon.model.app import (
    HealthCheck,
    PortDefinition,
    UnreachableStrategy,
    UpgradeStrategy,
)
from mezzo.marathon.model.instance import Instance, new_instance_id
from mezzo.marathon.state.tables import VERSIONS
from mezzo.record import replace

from .documents import BRIDGED, app_of, errors, read, refused

NO_COMMAND = "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'."
PORT_INDEX = (
    "Health check port indices must address an element of the ports array or container port "
    "mappings."
)


OPERATORS = (
    "operator must be one of the following UNIQUE, CLUSTER, GROUP_BY, LIKE, MAX_PER, UNLIKE or IS"
)


PATTERN = "LIKE and UNLIKE require a non-empty, regular expression value"
SEVERAL = (
    "May specify a single host network, single bridge network, or else 1-to-n container networks"
)


@pytest.mark.parametrize(
    ("document", "path", "text"),
    [
        ({"cmd": None}, "/", NO_COMMAND),  # behaviour 3
        ({"args": ["x"]}, "/", NO_COMMAND),
        ({"ports": [0], "portDefinitions": []}, "/", "cannot specify both ports and port "),  # 12
        (  # 13
            {"portDefinitions": [{"name": "x"}, {"name": "x"}]},
            "/portDefinitions",
            "Port names must be unique.",
        ),
        (
            {"portDefinitions": [{"port": 80}, {"port": 80, "protocol": "udp,tcp"}]},
            "/portDefinitions",
            "Ports must be unique.",
        ),
        (  # an offer holds numbers, whatever is spoken there
            {"portDefinitions": [{"port": 80}, {"port": 80, "protocol": "udp"}]},
            "/portDefinitions",
            "Ports must be unique.",
        ),
        ({"ports": [80, 80]}, "/portDefinitions", "Ports must be unique."),
        ({"ports": [80], "portDefinitions": [{"port": 81}]}, "/", "cannot specify both ports"),
        ({"cmd": ""}, "/cmd", "must not be empty"),
        ({"cmd": " \n"}, "/cmd", "must not be empty"),
        ({"cmd": "", "args": ["x"]}, "/cmd", "must not be empty"),
        ({"cmd": "", "container": BRIDGED}, "/cmd", "must not be empty"),
        ({"cmd": None, "args": ["", "x"]}, "/args(0)", "must not be empty"),
        (
            {"portDefinitions": [{"name": "HTTP"}]},
            "/portDefinitions(0)/name",
            "must fully match regular expression '^[a-z0",
        ),
        (
            {"ports": None, "portDefinitions": [{"name": "a\n"}]},
            "/portDefinitions(0)/name",
            "must ",
        ),
        ({"networks": [{"name": "a b"}]}, "/networks(0)/name", "must fully match regular"),
        (
            {"portDefinitions": [{"name": "a" * 64}]},
            "/portDefinitions(0)/name",
            "must have at most 63 characters, not 64",
        ),
        ({"labels": {"a.b": "1", "A-b": "2"}}, "/labels", "2 of them become the variable MARATHON"),
        (
            {"portDefinitions": [{"port": 81, "name": "80"}, {"port": 80}]},
            "/portDefinitions(0)/name",
            "becomes PORT_80, the variable of port 1: rename it",
        ),
        ({"env": {"": "x"}}, "/env/", "must not be empty"),
        ({"env": {"A=B": "x"}}, "/env/A=B", "must not hold '=' or control characters"),
        ({"env": {"A\0": "x"}}, "/env/A\0", "must not hold '=' or control characters"),
        ({"env": {"A": "\0"}}, "/env/A", "must not hold a NUL character"),
        ({"env": {"A": "x" * 131_070}}, "/env/A", "takes 131072 bytes in a task: at most 131071"),
        ({"env": {"A": "ä" * 70_000}}, "/env/A", "takes 140002 bytes in a task"),
        ({"cmd": "x" * 131_072}, "/cmd", "must have at most 131071 characters, not 131072"),
        (
            {"labels": {f"{n:05}" + "x" * 500: "" for n in range(300)}},
            "/labels",
            "takes 151819 bytes in a task",
        ),
        ({"cmd": "a\0b"}, "/cmd", "must not hold a NUL character"),
        ({"user": ""}, "/user", "must not be empty"),
        ({"user": "a\nb"}, "/user", "must not hold control characters"),
        (
            {"container": {"type": "DOCKER", "docker": {"image": "a b"}}},
            "/container/docker/image",
            "must not hold spaces or control characters",
        ),
        ({"healthChecks": [{"path": "/ HTTP/1.1\r\nX: y"}]}, "/healthChecks(0)/path", "must not "),
        ({"healthChecks": [{}] * 51}, "/healthChecks", "must have at most 50 entries, not 51"),
        ({"networks": [{"name": f"n{n}"} for n in range(3000)]}, "/networks", "must have at most "),
        ({"env": {f"A{n}": "" for n in range(10_001)}}, "/env", "must have at most 10000 entries"),
        ({"ports": [0] * 1001}, "/ports", "must have at most 1000 entries, not 1001"),
        (
            {"id": "/q/" + "x" * 260},
            "/id",
            "must have at most 193 characters, not 262: the id of a task is made of it",
        ),
        ({"id": "/" + "x" * 194}, "/id", "must have at most 193 characters, not 194"),
        ({"id": "/x" * 120}, "/id", "must have at most 193 characters, not 239"),
        ({"id": "/" + "x" * 1_000_000 + "!"}, "/id", "must have at most 193 characters"),
        (  # 14
            {"container": BRIDGED | {"portMappings": [{"containerPort": 80}]}},
            "/container/portMappings",
            "portMappings are not allowed with host-networking",
        ),
        (
            {
                "container": BRIDGED,
                "networks": [{"mode": "container/bridge"}],
                "portDefinitions": [{"port": 80}],
            },
            "/portDefinitions",
            "portDefinitions are only allowed with host-networking",
        ),
        ({"networks": [{"mode": "host"}] * 2}, "/networks", SEVERAL),
        (
            {"networks": [{"mode": "host", "name": "x"}]},
            "/networks(0)",
            "Host networks may not have names or labels",
        ),
        (
            {"networks": [{"mode": "container/bridge", "name": "x"}]},
            "/networks(0)",
            "Bridge networks may not have names",
        ),
        (
            {"networks": [{"name": "x"}, {"name": "x"}]},
            "/networks",
            "Duplicate networks are not allowed",
        ),
        ({"healthChecks": [{"portIndex": 5}]}, "/", PORT_INDEX),  # 15
        (
            {"healthChecks": [{"protocol": "MESOS_TCP"}, {"protocol": "MESOS_HTTP"}]},
            "/",
            "AppDefinition can contain at most one Mesos health check",
        ),
        ({"healthChecks": [{"protocol": "COMMAND"}]}, "/healthChecks(0)/command", "must not be "),
        ({"constraints": [["hostname", "NEAR"]]}, "/constraints(0)", OPERATORS),  # 17
        (
            {"constraints": [["hostname", "MAX_PER", "x"]]},
            "/constraints(0)",
            "MAX_PER requires an integer value",
        ),
        (
            {"constraints": [["hostname", "LIKE", "*"]]},
            "/constraints(0)",
            "'*' is not a valid regular expression",
        ),
        ({"constraints": [["hostname", "UNLIKE"]]}, "/constraints(0)", PATTERN),
        (
            {"constraints": [["hostname", "UNIQUE", "x"]]},
            "/constraints(0)",
            "UNIQUE does not accept a value",
        ),
        (
            {"constraints": [["rack", "GROUP_BY", "two"]]},
            "/constraints(0)",
            "GROUP BY must define an integer value or else no value at all",
        ),
        (
            {"constraints": [["hostname"]]},
            "/constraints(0)",
            "Each constraint must have either 2 or 3 fields",
        ),
        (
            {"unreachableStrategy": {"inactiveAfterSeconds": 5, "expungeAfterSeconds": 1}},
            "/unreachableStrategy",
            "inactiveAfterSeconds (5) must be less or equal to expungeAfterSeconds, which is 1",
        ),
        (
            {"upgradeStrategy": {"minimumHealthCapacity": 2, "maximumOverCapacity": 0}},
            "/upgradeStrategy/minimumHealthCapacity",
            "got 2.0, expected between 0.0 and 1.0",
        ),
        ({"container": {"type": "DOCKER"}}, "/container/docker/image", "must not be empty"),
        ({"cpus": 0}, "/cpus", "error.min: must be at least 0.001"),
        ({"instances": -1}, "/instances", "error.min: must be at least 0"),
        ({"backoffFactor": 0.5}, "/backoffFactor", "error.min: must be at least 1"),
    ],
)
def test_a_broken_rule_is_named_at_its_place(
    document: dict[str, Any], path: str, text: str
) -> None:
    found = refused(**document)
    assert list(found) == [path]
    assert found[path][0].startswith(text)


def test_a_network_needs_a_name_without_a_default() -> None:
    text = "Network name must be specified when container network is selected."
    document = {"id": "/a", "cmd": "x", "networks": [{"mode": "container"}]}
    assert errors(document, rules=Rules()) == {"/networks": [text]}
    assert read(networks=[{"mode": "container"}]).networks[0].name == "overlay"


@pytest.mark.parametrize(
    "app_id", ["/a/restart", "/a/Tasks_x", "/UPPER", "/a b", "/-a", "/a/tasks", "/a/versions"]
)
def test_bad_ids_are_refused(app_id: str) -> None:
    """Behaviour 5."""
    assert list(refused(id=app_id)) == ["/id"]


@pytest.mark.parametrize(
    ("document", "path", "error"),
    [
        ({"id": 3}, "/id", "error.expected.jsstring"),  # behaviour 4
        ({"instances": "3"}, "/instances", "error.expected.jsnumber"),
        ({"instances": True}, "/instances", "error.expected.jsnumber"),
        ({"instances": 1.5}, "/instances", "error.expected.jsnumber"),
        ({"cpus": "1"}, "/cpus", "error.expected.jsnumber"),
        ({"env": {"A": 1}}, "/env/A", "error.expected.jsstring"),
        ({"labels": []}, "/labels", "error.expected.jsobject"),
        ({"constraints": [["a", 1]]}, "/constraints(0)(1)", "error.expected.jsstring"),
        ({"healthChecks": {}}, "/healthChecks", "error.expected.jsarray"),
        ({"requirePorts": "yes"}, "/requirePorts", "error.expected.jsboolean"),
        ({"container": {"docker": {"image": 1}}}, "/container/docker/image", "error.expected.js"),
        ({"killSelection": "NOBODY"}, "/killSelection", "error.unknown.enum.literal"),
    ],
)
def test_wrong_types_are_named_at_their_place(
    document: dict[str, Any], path: str, error: str
) -> None:
    found = refused(**document)
    assert list(found) == [path]
    assert found[path][0].startswith(error)


def test_a_document_that_is_no_object_is_refused() -> None:
    assert errors([1]) == {"/": ["error.expected.jsobject"]}


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"fetch": [{"uri": "http://x"}]}, "/fetch"),
        ({"uris": ["http://x"]}, "/uris"),
        ({"secrets": {"s": {"source": "x"}}}, "/secrets"),
        ({"dependencies": ["/db"]}, "/dependencies"),
        ({"readinessChecks": [{}]}, "/readinessChecks"),
        ({"check": {"tcp": {}}}, "/check"),
        ({"gpus": 1}, "/gpus"),
        ({"executor": "/my/executor"}, "/executor"),
        ({"role": "other"}, "/role"),
        (
            {
                "container": {
                    "volumes": [{"containerPath": "d", "mode": "RW", "persistent": {"size": 1}}]
                }
            },
            "/container/volumes(0)/persistent",
        ),
        (
            {"container": {"type": "MESOS", "docker": {"image": "busybox"}}},
            "/container/type",
        ),
        ({"env": {"A": {"secret": "s"}}}, "/env/A"),
        (
            {"container": {"volumes": [{"containerPath": "/d", "hostPath": "/d", "mode": "RO"}]}},
            "/container/volumes",
        ),
    ],
)
def test_what_this_version_cannot_do_is_refused_not_ignored(
    document: dict[str, Any], path: str
) -> None:
    assert list(refused(**document)) == [path]


INT32 = 2**31 - 1


def nested(path: str, value: Any) -> tuple[dict[str, Any], str]:
    """A document with the value at `a.b` or `a[].b`, and the place as errors name it."""
    for key in reversed(path.split(".")):
        value = {key.removesuffix("[]"): [value] if key.endswith("[]") else value}
    return value, "/" + path.replace(".", "/").replace("[]", "(0)")


@pytest.mark.parametrize(
    ("path", "low", "high"),
    [
        ("instances", 0, INT32),
        ("cpus", 0.001, 1e12),
        ("mem", 0, 1e12),
        ("disk", 0, 1e12),
        ("backoffSeconds", 0, INT32),
        ("backoffFactor", 1, INT32),
        ("maxLaunchDelaySeconds", 0, INT32),
        ("taskKillGracePeriodSeconds", 0, 9223372036),
        ("upgradeStrategy.minimumHealthCapacity", 0, 1),
        ("upgradeStrategy.maximumOverCapacity", 0, 1),
        ("unreachableStrategy.expungeAfterSeconds", 0, 9223372036),
        ("healthChecks[].gracePeriodSeconds", 0, INT32),
        ("healthChecks[].intervalSeconds", 0.1, INT32),
        ("healthChecks[].timeoutSeconds", 0.001, INT32),
        ("healthChecks[].delaySeconds", 0, INT32),
        ("healthChecks[].maxConsecutiveFailures", 0, INT32),
        ("healthChecks[].port", 1, 65535),
        ("ports[]", 0, 65535),
        ("portDefinitions[].port", 0, 65535),
    ],
)
def test_numbers_are_taken_up_to_their_bounds_and_refused_beyond(
    path: str, low: float, high: float
) -> None:
    for value in (low, high, float(high)):
        document, _ = nested(path, value)
        app = read(**document)
        assert app_of(json.loads(json.dumps(app_json(app)))) == app
    for value in (low - 1, high + 1, 10 * high, -1e300, 1e300, 1e30, 2**63, 10**400):
        document, place = nested(path, value)
        assert place in refused(**document), value
    for value in (math.nan, math.inf, -math.inf, True, "1", [], {}):
        document, place = nested(path, value)
        assert place in str(refused(**document)), value


def test_nothing_is_less_than_nothing() -> None:
    assert str(read(mem=-0.0).mem) == "0.0"


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"kill_grace_s": 1e10}, "kill_grace_s"),
        ({"instances": 2**31}, "instances"),
        ({"cpus": 1e300}, "cpus"),
        ({"mem": -1.0}, "mem"),
        ({"backoff_factor": 0.5}, "backoff_factor"),
        ({"backoff_s": 2.0**31}, "backoff_s"),
        ({"upgrade_strategy": UpgradeStrategy(2.0, 0.0)}, "minimum_health_capacity"),
        ({"unreachable": UnreachableStrategy(0.0, 1e10)}, "expunge_after_s"),
        ({"health_checks": (HealthCheck(interval_s=0.01),)}, "interval_s"),
        ({"health_checks": (HealthCheck(max_consecutive_failures=2**31),)}, "max_consecutive"),
        ({"port_definitions": (PortDefinition(65_536),)}, "port"),
        ({"port_definitions": (PortDefinition(name="A"),)}, "name"),
        ({"env": {"A": "\0"}}, "env"),
        ({"env": {"A=": ""}}, "env"),
        ({"labels": {"": ""}}, "labels"),
        ({"user": "\n"}, "user"),
    ],
)
def test_what_is_stored_has_the_same_bounds(change: dict[str, Any], place: str) -> None:
    """An earlier version, or a hand, may have written more than a document may hold now."""
    with pytest.raises(Corrupt, match=place):
        VERSIONS.decode(VERSIONS.encode(replace(read(), **change)))


def test_all_that_is_wrong_is_said_at_once() -> None:
    found = refused(cpus=0, mem=-1, instances=1e300, constraints=[["hostname", "NEAR"]], cmd="")
    assert set(found) == {"/cpus", "/mem", "/instances", "/constraints(0)", "/cmd"}
    found = refused(cpus="0", mem=-1, networks=[{"mode": "x"}, {"name": 1}])
    assert set(found) == {"/cpus", "/mem", "/networks(0)/mode", "/networks(1)/name"}


def test_an_answer_is_short_whatever_was_wrong() -> None:
    found = refused(env={f"{'x' * 5000}{n}": 1 for n in range(9000)})
    assert len(json.dumps(found)) < 50_000
    assert found["/"] == ["and 17900 more"]


def test_the_longest_id_makes_the_id_of_a_task() -> None:
    app = read(id="/q/" + "x" * 191)
    record = Instance(new_instance_id(app.id, str(UUID(int=0))), app.id, 0, 0, AgentId("a"), "h", 0)
    assert len(replace(record, incarnation=INT32).task_id) == 255


def test_unknown_keys_are_named_with_what_may_be_meant() -> None:
    document = {
        "id": "/a",
        "instnces": 2,
        "cmd": "x",
        "surprise": {"deep": [[1]]},
        "container": {"docker": {"image": "x", "imgae": "y"}, "volumes": [{"mod": "RO"}]},
        "healthChecks": [{"intervallSeconds": 3}],
        "comment": None,
    }
    assert AppDocument(document).unknown_keys == [
        "/instnces (did you mean instances?)",
        "/surprise",
        "/container/docker/imgae (did you mean image?)",
        "/container/volumes(0)/mod (did you mean mode?)",
        "/healthChecks(0)/intervallSeconds (did you mean intervalSeconds?)",
    ]
    assert len(AppDocument({str(n): 1 for n in range(1000)}).unknown_keys) == 20
    assert AppDocument([document]).unknown_keys == []


def test_args_for_an_app_with_a_command_are_refused() -> None:
    assert errors({"args": ["x"]}, read()) == {"/": [NO_COMMAND]}


def test_labels_that_no_master_takes_are_refused() -> None:
    name = "x" * 100_000
    ((path, (why,)),) = refused(labels={"a": name, "b": name, "c": name}).items()
    assert path == "/labels"
    assert "health check take 300" in why
    for part in ({"labels": {"a": name, "b": name}}, {"env": {"a": name, "b": name, "c": name}}):
        assert app_of({"id": "/a", "cmd": "sleep 1", **part})


@pytest.mark.parametrize("kind", ["portDefinitions", "portMappings"])
def test_a_thousand_ports_with_names_are_a_description_that_masters_take(kind: str) -> None:
    ports = [{"name": f"port-{number}", "labels": {"a": "b"}} for number in range(1000)]
    if kind == "portDefinitions":
        assert len(app_of({"id": "/a", "cmd": "x", kind: ports}).service_ports) == 1000
        return
    container = {**BRIDGED, kind: ports}
    document = {"id": "/a", "container": container, "networks": [{"mode": "container/bridge"}]}
    assert len(app_of(document).service_ports) == 1000
