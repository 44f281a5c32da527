"""From a ContainerSpec to what the Docker engine is asked to create, and back. Pure.

Commands as in Mesos' Docker containerizer: a shell line replaces the image's entrypoint by
`/bin/sh -c`; `value` and `arguments` are given to the entrypoint; without both the image decides.
"""

from __future__ import annotations

import json
import posixpath
from typing import Any, Final

import msgspec

from mezzo.cluster.model import (
    CommandInfo,
    ContainerInfo,
    DockerNetwork,
    IpAddress,
    NetworkInfo,
    PortMapping,
    Volume,
)
from mezzo.ids import ContainerId
from mezzo.record import Record

from ...container import SANDBOX_IN_IMAGE, ContainerExited, ContainerSpec, ContainerStarted
from .run_options import Body, apply_parameters

LABEL_AGENT: Final = "mezzo.agent"
LABEL_CONTAINER: Final = "mezzo.container"
LABEL_OWNER: Final = "mezzo.owner"
LABEL_FRAMEWORK: Final = "mezzo.framework"
LABEL_TASK: Final = "mezzo.task"

SHARES_PER_CPU: Final = 1024
SHARES_MIN: Final = 2  # the kernel's
CFS_PERIOD_US: Final = 100_000
# Less, and the start of the container alone takes a second: the runtime itself is throttled then.
CFS_QUOTA_MIN_US: Final = 10_000
MIB: Final = 1 << 20
MEM_MIN_MIB: Final = 6  # the engine takes no less


class DockerSettings(Record):
    """url: of the engine. ip: the agent's, which tasks on the host network have.

    owner: names this agent among all that use the engine.
    publish_ip: published ports listen there. cfs: cpus are a limit, not only a weight.
    log_max_size, log_max_files: rotation of what a task prints, which the engine keeps.
    """

    url: str
    ip: str
    publish_ip: str
    owner: str = ""
    cfs: bool = True
    log_max_size: str = "10m"
    log_max_files: int = 2


def create_body(spec: ContainerSpec, settings: DockerSettings) -> Body:
    """The JSON of POST /containers/create. Raises BadRequest for a wrong parameter."""
    container = spec.container
    assert container is not None
    docker = container.docker
    assert docker is not None
    body: Body = {
        "Image": docker.image,
        "Env": [f"{name}={value}" for name, value in dict(spec.env).items()],
        "Labels": {
            LABEL_AGENT: spec.agent_id,
            LABEL_CONTAINER: spec.container_id,
            LABEL_FRAMEWORK: spec.framework_id,
            LABEL_OWNER: settings.owner,
            LABEL_TASK: spec.task_id,
        },
        "HostConfig": {
            "NetworkMode": _network_mode(container),
            "Privileged": docker.privileged,
            # As mounts, because the paths hold ids of frameworks, which may hold a colon.
            "Mounts": [
                _bind(spec.sandbox, SANDBOX_IN_IMAGE),
                *(_bind(v.path, _inside(v.container_path)) for v in spec.volumes),
            ],
            "Binds": [],
            "LogConfig": {
                "Type": "json-file",
                "Config": {
                    "max-size": settings.log_max_size,
                    "max-file": str(settings.log_max_files),
                },
            },
            **_limits(spec, settings),
        },
        **_command(spec.command),
    }
    if spec.user is not None:
        body["User"] = spec.user
    if container.hostname is not None:
        body["Hostname"] = container.hostname
    for volume in container.volumes:
        _add_volume(volume, spec.sandbox, body)
    for mapping in docker.port_mappings:
        _add_port(mapping, settings.publish_ip, body)
    apply_parameters(body, docker.parameters)
    return body


def _command(command: CommandInfo | None) -> Body:
    if command is None:
        return {}
    if command.value is None:
        return {"Cmd": list(command.arguments)} if command.arguments else {}
    if command.shell:
        return {"Entrypoint": ["/bin/sh", "-c"], "Cmd": [command.value]}
    return {"Cmd": [command.value, *command.arguments]}


def _limits(spec: ContainerSpec, settings: DockerSettings) -> Body:
    limits: Body = {}
    if spec.cpus > 0:
        limits["CpuShares"] = max(SHARES_MIN, round(spec.cpus * SHARES_PER_CPU))
        if settings.cfs:
            limits["CpuPeriod"] = CFS_PERIOD_US
            limits["CpuQuota"] = max(CFS_QUOTA_MIN_US, round(spec.cpus * CFS_PERIOD_US))
    if spec.mem_mib > 0:
        limits["Memory"] = round(max(MEM_MIN_MIB, spec.mem_mib) * MIB)
        limits["MemorySwap"] = limits["Memory"]  # both together: so there is no swap
    return limits


def _network_mode(container: ContainerInfo) -> str:
    docker = container.docker
    assert docker is not None
    match docker.network:
        case DockerNetwork.HOST:
            return "host"
        case DockerNetwork.BRIDGE:
            return "bridge"
        case DockerNetwork.NONE:
            return "none"
        case DockerNetwork.USER:
            return next(network.name for network in container.network_infos if network.name)


def _bind(path: str, target: str) -> Body:
    return {"Type": "bind", "Source": path, "Target": target}


def _inside(container_path: str) -> str:
    """Relative paths are in the sandbox."""
    return posixpath.join(SANDBOX_IN_IMAGE, container_path)


def _add_volume(volume: Volume, sandbox: str, body: Body) -> None:
    inside = _inside(volume.container_path)
    if volume.host_path is None:
        body.setdefault("Volumes", {})[inside] = {}
    else:
        outside = posixpath.join(sandbox, volume.host_path)
        body["HostConfig"]["Binds"].append(f"{outside}:{inside}:{volume.mode.lower()}")


def _add_port(mapping: PortMapping, publish_ip: str, body: Body) -> None:
    port = f"{mapping.container_port}/{(mapping.protocol or 'tcp').lower()}"
    body.setdefault("ExposedPorts", {})[port] = {}
    bindings = body["HostConfig"].setdefault("PortBindings", {}).setdefault(port, [])
    bindings.append({"HostIp": publish_ip, "HostPort": str(mapping.host_port)})


# ---------------------------------------------------------------------------------- answers


class _State(Record):
    status: str = msgspec.field(name="Status")
    running: bool = msgspec.field(name="Running")
    pid: int = msgspec.field(name="Pid")
    exit_code: int = msgspec.field(name="ExitCode")
    oom_killed: bool | None = msgspec.field(name="OOMKilled", default=None)


class _Config(Record):
    labels: dict[str, str] = msgspec.field(name="Labels")
    stop_signal: str | None = msgspec.field(name="StopSignal", default=None)


class _HostConfig(Record):
    network_mode: str = msgspec.field(name="NetworkMode")


class _Network(Record):
    ip_address: str | None = msgspec.field(name="IPAddress", default=None)


class _NetworkSettings(Record):
    networks: dict[str, _Network] | None = msgspec.field(name="Networks", default=None)


class _Inspected(Record):
    """The part of the engine's answer that is read."""

    id: str = msgspec.field(name="Id")
    state: _State = msgspec.field(name="State")
    config: _Config = msgspec.field(name="Config")
    host_config: _HostConfig = msgspec.field(name="HostConfig")
    network_settings: _NetworkSettings = msgspec.field(name="NetworkSettings")


def check_inspected(container_id: ContainerId, inspected: object) -> dict[str, Any]:
    """The answer, if it describes this container. Raises ValueError: something else answered."""
    try:
        found = msgspec.convert(inspected, _Inspected)
    except msgspec.ValidationError as error:
        raise ValueError(f"no container is described: {error}") from error
    if found.config.labels.get(LABEL_CONTAINER) != container_id:
        raise ValueError(f"the container described is not {container_id}")
    assert isinstance(inspected, dict)
    return inspected


def never_started(inspected: dict[str, Any]) -> bool:
    """Was the container created, and no more?"""
    return bool(inspected["State"]["Status"] == "created")


def is_running(inspected: dict[str, Any]) -> bool:
    return bool(inspected["State"]["Running"])


def as_started(
    container_id: ContainerId, inspected: dict[str, Any], settings: DockerSettings
) -> ContainerStarted:
    """What TASK_RUNNING tells of a container, out of `docker inspect`."""
    return ContainerStarted(
        container_id,
        network_infos=_network_infos(inspected, settings.ip),
        pid=inspected["State"]["Pid"] or None,
        data=json.dumps([inspected]).encode(),
    )


def as_exited(container_id: ContainerId, inspected: dict[str, Any]) -> ContainerExited:
    state = inspected["State"]
    return ContainerExited(
        container_id, exit_code=state["ExitCode"], oom_killed=bool(state.get("OOMKilled"))
    )


def stop_signal(inspected: dict[str, Any]) -> str:
    """The signal by which the image wants to be asked to end."""
    return str(inspected["Config"].get("StopSignal") or "SIGTERM")


def _network_infos(inspected: dict[str, Any], host_ip: str) -> tuple[NetworkInfo, ...]:
    if inspected["HostConfig"]["NetworkMode"] == "host":
        return (NetworkInfo((IpAddress(host_ip),)),)
    networks: dict[str, Any] = inspected["NetworkSettings"].get("Networks") or {}
    return tuple(
        NetworkInfo((IpAddress(network["IPAddress"]),), name=name)
        for name, network in sorted(networks.items())
        if network.get("IPAddress")
    )
