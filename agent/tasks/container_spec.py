"""From a framework's TaskInfo to what a containerizer is told, or why it is refused. Pure."""

from __future__ import annotations

import posixpath
import re
from typing import Final

from mezzo.cluster.model import (
    CommandInfo,
    ContainerType,
    DockerNetwork,
    FrameworkInfo,
    HealthCheck,
    HealthCheckType,
    TaskInfo,
)
from mezzo.cluster.resources import Resources
from mezzo.errors import BadRequest
from mezzo.ids import AgentId, ContainerId, FrameworkId, TaskId, check_user_id

from ..config import AgentConfig
from ..container import SANDBOX_IN_IMAGE, ContainerSpec, Kind, Mount, container_name
from ..state.agent_task import AgentTask
from ..state.volumes import VolumeFolder, VolumeKey, volume_key, volumes_in

LOCALHOST: Final = "127.0.0.1"
ANY_ADDRESS: Final = frozenset({"0.0.0.0", "::"})
PORT_MAX: Final = 65535
_SET_ASIDE: Final = "(whose record is set aside)"  # no path: those are absolute
_NO_PATH: Final = re.compile(r"[\x00-\x20\x7f]")  # it would end the line, or begin another
OWN_NETWORK: Final = (DockerNetwork.BRIDGE, DockerNetwork.USER)


def kind_of(info: TaskInfo) -> Kind:
    """Docker if the task says so, else a process in its sandbox (Mesos' MESOS type, no image)."""
    docker = info.container is not None and info.container.type is ContainerType.DOCKER
    return Kind.DOCKER if docker else Kind.PROCESS


def wrong_ids(framework_id: FrameworkId, task_id: TaskId) -> str | None:
    """Why these ids can be no folders and no keys of the store; None if they can."""
    try:
        check_user_id("framework.id", framework_id)
        check_user_id("task.task_id", task_id)
    except BadRequest as error:
        return str(error)
    return None


def refusal(info: TaskInfo, config: AgentConfig) -> str | None:
    """Why this agent can't run the task as described, with what to do; None if it can."""
    kind = kind_of(info)
    if info.executor is not None:
        return (
            "task.executor: this agent runs no custom executors: describe the task by `command` "
            "or by `container`, without `executor`"
        )
    if kind not in config.containerizers:
        return (
            f"task.container: a {kind} task, but this agent runs "
            f"{', '.join(config.containerizers)} only: start it with --containerizers={kind}"
        )
    if info.command is not None and info.command.uris:
        return "task.command.uris: this agent fetches nothing: put the files into the image"
    wrong = _wrong_docker(info) if kind is Kind.DOCKER else _wrong_process(info)
    if wrong is None and info.command is not None:
        wrong = _wrong_command("task.command", info.command)
    if wrong is None and info.health_check is not None:
        wrong = _wrong_health_check(info.health_check)
    return wrong


def unknown_resources(info: TaskInfo, total: Resources) -> bool:
    """Does a task have reservations or volumes that this agent lacks? A conversion went wrong."""
    made = {
        kind: value
        for kind, value in info.resources.items()
        if volume_key(kind) is not None or any(r.type == "DYNAMIC" for r in kind.reservations)
    }
    return not Resources(made) <= total


def _wrong_docker(info: TaskInfo) -> str | None:
    docker = info.container.docker if info.container is not None else None
    if docker is None or not docker.image:
        return "task.container.docker.image is missing: name the image"
    if docker.port_mappings and docker.network not in OWN_NETWORK:
        return (
            f"task.container.docker.port_mappings: network {docker.network} has none: "
            "use BRIDGE or USER"
        )
    for mapping in docker.port_mappings:
        if (mapping.protocol or "tcp").lower() not in ("tcp", "udp", "sctp"):
            return f"task.container.docker.port_mappings: protocol {mapping.protocol!r}: use tcp"
    if docker.network is DockerNetwork.USER and network_name(info) is None:
        return "task.container.network_infos: network USER needs the name of a network there"
    return None


def _wrong_process(info: TaskInfo) -> str | None:
    if info.container is not None and info.container.volumes:
        return "task.container.volumes: only Docker tasks have volumes: use container type DOCKER"
    if info.container is not None and any(net.name for net in info.container.network_infos):
        return (
            "task.container.network_infos: a process is on the network of its host: name none, "
            "or use container type DOCKER"
        )
    for kind, _ in info.resources.items():
        path = kind.disk.container_path if kind.disk is not None else None
        if path is not None and posixpath.isabs(path):
            return (
                f"task.resources: a process sees its volumes in its sandbox, not at {path}: create "
                "the volume with a relative container_path, or use container type DOCKER"
            )
    command = info.command
    if command is None or not (command.value or (command.arguments and not command.shell)):
        return "task.command.value is missing: give a command or a Docker container"
    return None


def _wrong_command(field: str, command: CommandInfo) -> str | None:
    """Why no system can run the command; None if one can. No value is shown: it may be secret."""
    for text in (command.value, *command.arguments, command.user):
        if text is not None and "\0" in text:
            return f"{field} holds a NUL character: remove it"
    for variable in command.environment:
        if "=" in variable.name or "\0" in variable.name + (variable.value or ""):
            return (
                f"{field}.environment: {variable.name!r} holds '=' in its name, or a NUL "
                "character: remove it"
            )
    return None


def _wrong_health_check(check: HealthCheck) -> str | None:
    given = {
        HealthCheckType.COMMAND: check.command is not None and bool(check.command.value),
        HealthCheckType.HTTP: check.http is not None,
        HealthCheckType.TCP: check.tcp is not None,
    }
    if not given[check.type]:
        return f"task.health_check: type {check.type} without its {check.type.lower()}: give it"
    if check.http is not None and _NO_PATH.search(check.http.path or ""):
        return "task.health_check.http.path holds a blank or a control character: encode it"
    if check.http is not None and (check.http.scheme or "http").lower() not in ("http", "https"):
        return f"task.health_check.http.scheme {check.http.scheme!r}: use http or https"
    for asked in (check.http, check.tcp):
        if asked is not None and not 0 < asked.port <= PORT_MAX:
            return f"task.health_check: port {asked.port}: give one from 1 to {PORT_MAX}"
    if check.command is not None:
        return _wrong_command("task.health_check.command", check.command)
    return None


def network_name(info: TaskInfo) -> str | None:
    """The user-defined network that a Docker task joins."""
    networks = info.container.network_infos if info.container is not None else ()
    return next((network.name for network in networks if network.name), None)


def sandbox_path(
    config: AgentConfig,
    agent_id: AgentId,
    framework_id: FrameworkId,
    task_id: TaskId,
    container_id: ContainerId,
) -> str:
    """Mesos' layout; a command task's executor id is its task id. Absolute, on the host."""
    return posixpath.join(
        *(config.work_dir, "slaves", agent_id, "frameworks", framework_id),
        *("executors", task_id, "runs", container_id),
    )


def mounts_of(resources: Resources, folders: dict[VolumeKey, VolumeFolder]) -> tuple[Mount, ...]:
    """The volumes that a task with these resources sees, all of which are there.

    One whose record is set aside has no folder, so whoever looks for it refuses the launch.
    """
    return tuple(
        Mount(folders[key].path if key in folders else _SET_ASIDE, kind.disk.container_path)
        for key, kind in volumes_in(resources).items()
        if kind.disk is not None and kind.disk.container_path is not None
    )


def spec_of(
    task: AgentTask, framework: FrameworkInfo, config: AgentConfig, volumes: tuple[Mount, ...]
) -> ContainerSpec:
    """What the containerizer is told of a task that has a container and was not refused."""
    info, container_id = task.info, task.container_id
    assert container_id is not None
    kind = kind_of(info)
    command = info.command
    user = command.user if command is not None else None
    if user is None and kind is Kind.PROCESS:
        user = framework.user  # as Mesos does; inside an image that user need not exist
    sandbox = sandbox_path(config, info.agent_id, task.framework_id, info.task_id, container_id)
    return ContainerSpec(
        container_id=container_id,
        kind=kind,
        agent_id=info.agent_id,
        framework_id=task.framework_id,
        task_id=info.task_id,
        sandbox=sandbox,
        env=_environment(task, framework, config, sandbox, kind),
        cpus=info.resources.cpus,
        mem_mib=info.resources.mem_mib,
        command=command,
        container=info.container if kind is Kind.DOCKER else None,
        user=user if kind is Kind.DOCKER or config.switch_user else None,
        volumes=volumes,
        lease_s=info.unique_lease,
    )


def _environment(
    task: AgentTask, framework: FrameworkInfo, config: AgentConfig, sandbox: str, kind: Kind
) -> tuple[tuple[str, str], ...]:
    """Mesos' variables first: those of the task win, as there."""
    info = task.info
    assert task.container_id is not None
    env = {
        "MESOS_AGENT_ENDPOINT": config.info.endpoint,
        "MESOS_ALLOCATION_ROLE": task.role,
        "MESOS_DIRECTORY": sandbox,
        "MESOS_EXECUTOR_ID": info.task_id,
        "MESOS_FRAMEWORK_ID": task.framework_id,
        "MESOS_SANDBOX": SANDBOX_IN_IMAGE if kind is Kind.DOCKER else sandbox,
        "MESOS_SLAVE_ID": info.agent_id,
        "MESOS_SLAVE_PID": config.info.pid,
        "MESOS_TASK_ID": info.task_id,
    }
    if framework.checkpoint:
        env["MESOS_CHECKPOINT"] = "1"  # unset otherwise: executors take any text as true
    if kind is Kind.DOCKER:
        env["MESOS_CONTAINER_NAME"] = container_name(task.container_id)
    return (*env.items(), *_given(info.command))


def _given(command: CommandInfo | None) -> tuple[tuple[str, str], ...]:
    variables = command.environment if command is not None else ()
    return tuple((variable.name, variable.value or "") for variable in variables)


def probe_address(task: AgentTask, config: AgentConfig) -> tuple[str, int]:
    """Host and port to which an HTTP or TCP health check of a running task connects.

    The check names a port as the task sees it. On a network of its own the task is reached at the
    host port that is mapped to it, without a mapping at the container's address.
    """
    check, container = task.info.health_check, task.info.container
    assert check is not None
    port = check.http.port if check.http else check.tcp.port if check.tcp else 0
    docker = container.docker if container is not None else None
    if docker is None or docker.network not in OWN_NETWORK:
        return LOCALHOST, port
    for mapping in docker.port_mappings:
        if mapping.container_port == port:
            host = LOCALHOST if config.publish_ip in ANY_ADDRESS else config.publish_ip
            return host, mapping.host_port
    status = task.container_status
    for network in status.network_infos if status is not None else ():
        for address in network.ip_addresses:
            if address.ip_address:
                return address.ip_address, port
    return LOCALHOST, port
