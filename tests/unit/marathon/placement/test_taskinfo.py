"""The task that an instance becomes (7.3)."""

from __future__ import annotations

from typing import Any

import pytest

from mezzo.cluster import model
from mezzo.marathon.config import MarathonConfig
from mezzo.marathon.model.app import (
    App,
    Container,
    Docker,
    HealthCheck,
    HealthProtocol,
    HostVolume,
    Network,
    NetworkMode,
    Parameter,
    PortDefinition,
    PortMapping,
)

from ..apps import app
from ..world import World


def launch(an_app: App, **config: Any) -> model.TaskInfo:
    world = World.of("node-1", config=MarathonConfig(**config))
    world.put(an_app)
    world.offer()
    (task,) = world.tasks.values()
    return task.info


def environment(task: model.TaskInfo) -> dict[str, str]:
    assert task.command is not None
    return {v.name: v.value or "" for v in task.command.environment}


def mapped(*mappings: PortMapping, mode: NetworkMode = NetworkMode.BRIDGE, **fields: Any) -> App:
    name = "blue" if mode is NetworkMode.CONTAINER else None
    container = Container("DOCKER", Docker("busybox", **fields), port_mappings=mappings)
    return app(networks=(Network(mode, name),), port_definitions=None, container=container)


def test_names_and_ids() -> None:
    """Section 7.1."""
    task = launch(app("/shop/web"))
    assert task.name == "web.shop"
    assert task.task_id.startswith("shop_web.instance-")
    assert task.task_id.endswith("._app.1")
    assert task.discovery is not None
    assert (task.discovery.name, task.discovery.visibility) == ("web.shop", "FRAMEWORK")


def test_ports_are_in_the_environment() -> None:
    """Behaviour 90."""
    definitions = (PortDefinition(10100, name="http"), PortDefinition(10101, "udp", "ad-min"))
    task = launch(app(port_definitions=definitions))
    env = environment(task)
    first, second = task.resources.ports.numbers()
    if env["PORT0"] != str(first):  # they may go around the end of the range
        first, second = second, first
    assert env["HOST"] == "node-1"
    assert (env["PORT"], env["PORT0"], env["PORT1"]) == (str(first), str(first), str(second))
    assert env["PORTS"] == f"{first},{second}"
    assert (env["PORT_10100"], env["PORT_10101"]) == (str(first), str(second))
    assert (env["PORT_HTTP"], env["PORT_AD_MIN"]) == (str(first), str(second))


def test_the_app_is_in_the_environment_and_the_users_own_variables_win() -> None:
    """Behaviour 94."""
    task = launch(
        app(
            "/a",
            labels={"tier": "web", "a-b": "x y", "long": "x" * 512},
            env={"MARATHON_APP_ID": "mine", "OWN": "1"},
        )
    )
    env = environment(task)
    assert env["MARATHON_APP_ID"] == "mine"
    assert env["OWN"] == "1"
    assert env["MESOS_TASK_ID"] == task.task_id
    assert env["MARATHON_APP_VERSION"] == "2023-11-14T22:13:20.000Z"
    assert (env["MARATHON_APP_RESOURCE_CPUS"], env["MARATHON_APP_RESOURCE_MEM"]) == ("0.1", "32.0")
    assert env["MARATHON_APP_LABELS"] == "TIER A_B"
    assert env["MARATHON_APP_LABEL_A_B"] == "x y"
    assert "MARATHON_APP_DOCKER_IMAGE" not in env


def test_a_prefix_goes_before_host_and_ports_only() -> None:
    """Behaviour 95."""
    env = environment(launch(app(), env_vars_prefix="P_"))
    assert {"P_HOST", "P_PORT", "P_PORT0", "P_PORTS", "MARATHON_APP_ID"} <= set(env)
    assert not {"HOST", "PORT", "PORT0"} & set(env)


def test_a_bridge_maps_host_ports_to_container_ports() -> None:
    """Behaviour 92."""
    task = launch(mapped(PortMapping(80, 0, name="web"), PortMapping(0, 31005, protocol="udp,tcp")))
    assert task.container is not None
    docker = task.container.docker
    assert docker is not None
    assert docker.network is model.DockerNetwork.BRIDGE
    env = environment(task)
    assert [(p.host_port, p.container_port, p.protocol) for p in docker.port_mappings] == [
        (int(env["PORT0"]), 80, "tcp"),
        (31005, 31005, "udp"),
        (31005, 31005, "tcp"),
    ]
    assert env["PORT_80"] == env["PORT_WEB"] == env["PORT0"]
    assert env["MARATHON_APP_DOCKER_IMAGE"] == "busybox"


def test_without_a_host_port_the_container_port_is_told_but_not_in_the_list() -> None:
    """Behaviour 93."""
    task = launch(mapped(PortMapping(80, None, name="web"), mode=NetworkMode.CONTAINER))
    env = environment(task)
    assert (env["PORT0"], env["PORT_80"], env["PORT_WEB"]) == ("80", "80", "80")
    assert "PORT" not in env
    assert "PORTS" not in env
    assert not task.resources.ports.pairs
    assert task.container is not None
    assert task.container.network_infos[0].name == "blue"
    assert task.discovery is not None
    labels = {label.key: label.value for label in task.discovery.ports[0].labels}
    assert labels == {"network-scope": "container", "network-name": "blue"}


def test_docker_options_and_volumes() -> None:
    container = Container(
        "DOCKER",
        Docker("busybox", True, True, (Parameter("hostname", "x"),)),
        (HostVolume("/data", "/srv", "RO"),),
    )
    task = launch(app(container=container))
    assert task.container is not None
    docker = task.container.docker
    assert docker is not None
    assert docker.force_pull_image
    assert docker.privileged
    assert docker.network is model.DockerNetwork.HOST
    assert [(p.key, p.value) for p in docker.parameters] == [
        ("hostname", "x"),
        ("label", f"MESOS_TASK_ID={task.task_id}"),
    ]
    assert task.container.volumes == (model.Volume(model.VolumeMode.RO, "/data", "/srv"),)


@pytest.mark.parametrize(
    ("fields", "value", "shell", "arguments"),
    [
        ({"cmd": "a b"}, "a b", True, ()),
        ({"cmd": None, "args": ("prog", "x")}, "prog", False, ("prog", "x")),
        (
            {"cmd": None, "args": ("x",), "container": Container("DOCKER", Docker("i"))},
            None,
            False,
            ("x",),
        ),
        ({"cmd": None, "container": Container("DOCKER", Docker("i"))}, None, False, ()),
    ],
)
def test_the_command(
    fields: dict[str, Any], value: str | None, shell: bool, arguments: tuple[str, ...]
) -> None:
    command = launch(app(**fields)).command
    assert command is not None
    assert (command.value, command.shell, command.arguments) == (value, shell, arguments)


def test_the_agents_health_check_asks_the_port_that_the_task_listens_on() -> None:
    check = HealthCheck(
        HealthProtocol.MESOS_HTTP, "/ok", 0, interval_s=7, max_consecutive_failures=0
    )
    bridged = mapped(PortMapping(80, 0))
    task = launch(
        App(
            **{f: getattr(bridged, f) for f in bridged.__struct_fields__}
            | {"health_checks": (check,)}
        )
    )
    health = task.health_check
    assert health is not None
    assert health.http == model.HttpCheck(80, "http", "/ok")
    assert health.interval_seconds == 7
    assert health.consecutive_failures > 10**9  # never kill


def test_the_grace_of_a_kill_goes_with_the_task() -> None:
    """Behaviour 83."""
    assert launch(app(kill_grace_s=10.0)).kill_policy == model.KillPolicy(10.0)
    assert launch(app()).kill_policy is None
