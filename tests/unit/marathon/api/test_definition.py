"""From documents to apps: old forms, defaults, updates, and back (3.1 to 3.3)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mezzo.marathon.api.app_definition import AppDocument, changed_app
from mezzo.marathon.api.render import app_json
from mezzo.marathon.deployments.planner import same_configuration
from mezzo.marathon.model.app import (
    HealthProtocol,
    NetworkMode,
    UnreachableStrategy,
    UpgradeStrategy,
)
from mezzo.record import replace

from .documents import BRIDGED, RULES, app_of, read, refused

DEFINITIONS = sorted((Path(__file__).parents[3] / "data" / "marathon").glob("*.json"))


@pytest.mark.parametrize("path", DEFINITIONS, ids=lambda path: path.stem)
def test_a_sample_is_read_and_what_is_written_back_reads_the_same(path: Path) -> None:
    app = app_of(json.loads(path.read_text()))
    again = app_of(app_json(app))
    assert same_configuration(app, again)


def test_there_are_samples() -> None:
    assert len(DEFINITIONS) >= 5


def test_defaults_are_written_back() -> None:
    """Behaviour 1."""
    body = app_json(replace(read(), version_ms=0))
    assert body == {
        "id": "/a",
        "cmd": "sleep 1",
        "instances": 1,
        "cpus": 1,
        "mem": 128,
        "disk": 0,
        "gpus": 0,
        "executor": "",
        "backoffSeconds": 1,
        "backoffFactor": 1.15,
        "maxLaunchDelaySeconds": 300,
        "networks": [{"mode": "host"}],
        "portDefinitions": [{"port": 0, "protocol": "tcp", "name": "default"}],
        "requirePorts": False,
        "labels": {},
        "upgradeStrategy": {"minimumHealthCapacity": 1, "maximumOverCapacity": 1},
        "unreachableStrategy": {"inactiveAfterSeconds": 0, "expungeAfterSeconds": 0},
        "killSelection": "YOUNGEST_FIRST",
        "version": "1970-01-01T00:00:00.000Z",
        "versionInfo": {
            "lastScalingAt": "1970-01-01T00:00:00.000Z",
            "lastConfigChangeAt": "1970-01-01T00:00:00.000Z",
        },
    }


def test_unknown_keys_and_nulls_are_dropped() -> None:
    """Behaviour 22."""
    assert read(surprise={"x": 1}, storeUrls=[], user=None, acceptedResourceRoles=[]) == read()


def test_whole_numbers_may_be_written_with_a_fraction() -> None:
    assert read(instances=2.0).instances == 2


def test_a_single_instance_app_is_never_upgraded_side_by_side() -> None:
    labels = {"MARATHON_SINGLE_INSTANCE_APP": "true"}
    assert read(labels=labels).upgrade_strategy == UpgradeStrategy(0, 0)
    text = "Single instance app may only have one instance"
    assert refused(labels=labels, instances=2) == {"/instances": [text]}


def test_disabled_is_a_strategy_for_the_unreachable() -> None:
    assert read(unreachableStrategy="disabled").unreachable is None
    given = read(unreachableStrategy={"inactiveAfterSeconds": 1, "expungeAfterSeconds": 2})
    assert given.unreachable == UnreachableStrategy(1, 2)


def test_old_bridge_definitions_become_networks_and_mappings() -> None:
    """Behaviour 11."""
    docker = {
        "image": "busybox",
        "network": "BRIDGE",
        "portMappings": [{"containerPort": 80}, {"containerPort": 81, "hostPort": 31000}],
    }
    app = read(container={"type": "DOCKER", "docker": docker}, ports=[0], uris=[])
    assert app.network_mode is NetworkMode.BRIDGE
    assert [(m.container_port, m.host_port) for m in app.port_mappings] == [(80, 0), (81, 31000)]
    body = app_json(app)
    assert body["networks"] == [{"mode": "container/bridge"}]
    assert "network" not in body["container"]["docker"]
    assert "portDefinitions" not in body


@pytest.mark.parametrize(("old", "mode"), [("HOST", "host"), ("USER", "container")])
def test_old_network_names(old: str, mode: str) -> None:
    container = {"type": "DOCKER", "docker": {"image": "x", "network": old}}
    assert read(container=container).network_mode == mode


def test_ports_become_port_definitions() -> None:
    app = read(ports=[0, 8080])
    assert app.service_ports == (0, 8080)
    assert app.port_names == (None, None)


def test_an_ip_address_becomes_a_container_network() -> None:
    app = read(ipAddress={"networkName": "net", "discovery": {"ports": [{"number": 80}]}})
    assert (app.networks[0].mode, app.networks[0].name) == (NetworkMode.CONTAINER, "net")
    assert [m.container_port for m in app.port_mappings] == [80]


def test_an_explicitly_empty_list_of_ports_stays_empty() -> None:
    assert read(portDefinitions=[]).service_ports == ()
    assert read(container=BRIDGED, networks=[{"mode": "container/bridge"}]).service_ports == ()


def test_a_relative_id_is_below_the_root() -> None:
    assert read(id="shop/web").id == "/shop/web"


def test_a_command_of_the_image_is_run_without_one() -> None:
    docker = {"type": "DOCKER", "docker": {"image": "x"}}
    assert app_of({"id": "/a", "cmd": None, "container": docker}).cmd is None


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"ipAddress": None, "labels": {}, "uris": [], "fetch": [], "dependencies": []},
        {"requirePorts": False, "acceptedResourceRoles": [], "storeUrls": []},
    ],
)
def test_what_marathon_up_to_1_4_wrote_is_read(more: dict[str, Any]) -> None:
    """It told the service ports twice, beside all newer forms."""
    both = {"ports": [10500], "portDefinitions": [{"port": 10500, "protocol": "tcp", "labels": {}}]}
    assert read(**both, **more).service_ports == (10500,)
    assert read(ports=[], portDefinitions=[], **more).service_ports == ()
    docker = {"image": "x", "network": "BRIDGE", "portMappings": [{"containerPort": 80}]}
    bridged = read(**both, container={"type": "DOCKER", "docker": docker}, **more)
    assert [mapping.container_port for mapping in bridged.port_mappings] == [80]
    assert bridged.port_definitions is None
    definitions = {"portDefinitions": [{"port": 10000}]}
    assert read(**definitions, container={"type": "DOCKER", "docker": docker}, **more) == read(
        container={"type": "DOCKER", "docker": docker}
    )


def test_one_host_port_of_a_bridge_may_be_for_tcp_and_for_udp() -> None:
    def mappings(*protocols: str) -> list[dict[str, Any]]:
        return [{"containerPort": 53, "hostPort": 31053, "protocol": p} for p in protocols]

    network = [{"mode": "container/bridge"}]
    app = read(container=BRIDGED | {"portMappings": mappings("tcp", "udp")}, networks=network)
    assert [m.host_port for m in app.port_mappings] == [31053, 31053]
    found = refused(container=BRIDGED | {"portMappings": mappings("tcp", "tcp")}, networks=network)
    assert found == {"/container/portMappings": ["Ports must be unique."]}


def test_what_is_not_told_of_a_check_is_not_kept() -> None:
    """Or its own answer, put back, would restart all instances. Found by drawn documents."""
    for protocol in HealthProtocol:
        check = {"protocol": protocol.value, "ignoreHttp1xx": True, "command": {"value": "true"}}
        if protocol is not HealthProtocol.COMMAND:
            del check["command"]
        app = read(healthChecks=[check])
        assert app_of(app_json(app)) == app


def test_a_port_may_be_called_by_its_number() -> None:
    network = [{"mode": "container/bridge"}]
    mappings = [{"containerPort": 80, "name": "80"}, {"containerPort": 81, "name": "http"}]
    read(container=BRIDGED | {"portMappings": mappings}, networks=network)


def test_what_a_client_sends_back_is_not_unknown() -> None:
    """Whole answers are sent back, and old clients know keys that are gone."""
    old = ("uris", "fetch", "storeUrls", "dependencies", "tty", "executor", "residency")
    told = ("version", "versionInfo", "tasks", "tasksRunning", "deployments", "lastTaskFailure")
    assert AppDocument(app_json(read()) | {key: [1] for key in (*old, *told)}).unknown_keys == []


def test_given_values_replace_whole_ones_and_others_stay() -> None:
    """Behaviour 8."""
    before = read(env={"A": "1", "B": "2"}, instances=3)
    after = changed_app(AppDocument({"env": {"C": "3"}}), before, RULES)
    assert after.env == {"C": "3"}
    assert replace(after, env=before.env) == before


def test_the_id_of_an_update_is_ignored() -> None:
    """Behaviour 9."""
    assert changed_app(AppDocument({"id": "/other", "cmd": "x"}), read(), RULES).id == "/a"


def test_an_update_may_change_the_kind_of_network_without_taking_back_ports() -> None:
    docker = {"image": "x", "network": "BRIDGE", "portMappings": [{"containerPort": 80}]}
    bridged = changed_app(
        AppDocument({"container": {"type": "DOCKER", "docker": docker}}), read(), RULES
    )
    assert bridged.network_mode is NetworkMode.BRIDGE
    assert bridged.port_definitions is None
    back = changed_app(AppDocument({"networks": [{"mode": "host"}]}), bridged, RULES)
    assert back.network_mode is NetworkMode.HOST
    assert back.port_mappings == ()
