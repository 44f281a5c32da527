"""The task that an app's instance becomes: command, container, environment, ports (7.3, 7.4)."""

from __future__ import annotations

from typing import Final

from mezzo.cluster import model
from mezzo.cluster.resources import Resources

from ..model import paths
from ..model.app import App, Container, HealthCheck, HealthProtocol, NetworkMode
from ..model.instance import Instance
from . import environment

# The agent kills a task after so many failures; Marathon's 0 means never.
_NEVER: Final = 2**31 - 1
_DOCKER_NETWORK: Final = {
    NetworkMode.HOST: model.DockerNetwork.HOST,
    NetworkMode.BRIDGE: model.DockerNetwork.BRIDGE,
    NetworkMode.CONTAINER: model.DockerNetwork.USER,
}


def resolve_container_ports(app: App, host_ports: tuple[int | None, ...]) -> tuple[int, ...]:
    """By port index: the port that the task listens on. Container port 0 is the host port's
    number, or, without a host port, one of its own choice: 1025 on.
    """
    if app.network_mode is NetworkMode.HOST:
        return tuple(port or 0 for port in host_ports)
    return tuple(
        mapping.container_port or host_port or 1025 + index
        for index, (mapping, host_port) in enumerate(
            zip(app.port_mappings, host_ports, strict=True)
        )
    )


def make_task(
    app: App, instance: Instance, resources: Resources, prefix: str | None
) -> model.TaskInfo:
    """The task. prefix: of the variables HOST and PORT*, from `--env_vars_prefix`."""
    return model.TaskInfo(
        name=paths.task_name(app.id),
        task_id=instance.task_id,
        agent_id=instance.agent_id,
        resources=resources,
        command=_command(app, instance, prefix),
        container=_container(app, instance),
        health_check=next(
            (
                _health_check(check, instance)
                for check in app.health_checks
                if check.protocol.by_agent
            ),
            None,
        ),
        kill_policy=None if app.kill_grace_s is None else model.KillPolicy(app.kill_grace_s),
        labels=_labels(app.labels),
        discovery=_discovery(app, instance),
    )


def _labels(labels: dict[str, str]) -> tuple[model.Label, ...]:
    return tuple(model.Label(key, value) for key, value in labels.items())


def _command(app: App, instance: Instance, prefix: str | None) -> model.CommandInfo:
    variables = tuple(
        model.EnvironmentVariable(name, value)
        for name, value in environment.task_environment(app, instance, prefix).items()
    )
    if app.cmd is not None:
        return model.CommandInfo(value=app.cmd, shell=True, environment=variables, user=app.user)
    # With an image the arguments go to its entry point, without one the first is the program.
    has_image = app.container is not None and app.container.docker is not None
    return model.CommandInfo(
        value=None if has_image or not app.args else app.args[0],
        shell=False,
        arguments=app.args,
        environment=variables,
        user=app.user,
    )


# ---------------------------------------------------------------------------------- container


def _container(app: App, instance: Instance) -> model.ContainerInfo | None:
    container = app.container
    if container is None:
        return None
    volumes = tuple(
        model.Volume(model.VolumeMode(volume.mode), volume.container_path, volume.host_path)
        for volume in container.volumes
    )
    networks: tuple[model.NetworkInfo, ...] = ()
    if app.network_mode is NetworkMode.CONTAINER:
        networks = tuple(
            model.NetworkInfo(name=network.name, labels=_labels(network.labels))
            for network in app.networks
        )
    if container.docker is None:
        return model.ContainerInfo(
            model.ContainerType.MESOS, volumes=volumes, network_infos=networks
        )
    return model.ContainerInfo(
        model.ContainerType.DOCKER,
        volumes=volumes,
        docker=_docker(app, container, instance),
        network_infos=networks,
    )


def _docker(app: App, container: Container, instance: Instance) -> model.DockerInfo:
    docker = container.docker
    assert docker is not None
    mappings: list[model.PortMapping] = []
    for mapping, host_port, container_port in zip(
        app.port_mappings, instance.host_ports, instance.container_ports, strict=False
    ):
        if host_port is not None:
            mappings += [
                model.PortMapping(host_port, container_port, protocol)
                for protocol in mapping.protocol.split(",")
            ]
    return model.DockerInfo(
        image=docker.image,
        network=_DOCKER_NETWORK[app.network_mode],
        port_mappings=() if app.network_mode is NetworkMode.HOST else tuple(mappings),
        privileged=docker.privileged,
        parameters=(
            *(model.Parameter(p.key, p.value) for p in docker.parameters),
            model.Parameter("label", f"MESOS_TASK_ID={instance.task_id}"),
        ),
        force_pull_image=docker.force_pull_image,
    )


# ---------------------------------------------------------------------------------- the rest


def _health_check(check: HealthCheck, instance: Instance) -> model.HealthCheck:
    """A health check that the agent runs, on the port that the task listens on."""
    kind, command, http, tcp = model.HealthCheckType.COMMAND, None, None, None
    port = check.port or _indexed(instance.container_ports, check.port_index)
    if check.protocol is HealthProtocol.COMMAND:
        command = model.CommandInfo(value=check.command, shell=True)
    elif check.protocol is HealthProtocol.MESOS_TCP:
        kind, tcp = model.HealthCheckType.TCP, model.TcpCheck(port)
    else:
        scheme = "https" if check.protocol is HealthProtocol.MESOS_HTTPS else "http"
        kind, http = model.HealthCheckType.HTTP, model.HttpCheck(port, scheme, check.path or "/")
    return model.HealthCheck(
        type=kind,
        command=command,
        http=http,
        tcp=tcp,
        delay_seconds=check.delay_s,
        interval_seconds=check.interval_s,
        timeout_seconds=check.timeout_s,
        consecutive_failures=check.max_consecutive_failures or _NEVER,
        grace_period_seconds=check.grace_s,
    )


def _indexed(ports: tuple[int, ...], index: int | None) -> int:
    return ports[index or 0] if (index or 0) < len(ports) else 0


def _discovery(app: App, instance: Instance) -> model.DiscoveryInfo:
    ports: list[model.Port] = []
    if app.network_mode is NetworkMode.HOST:
        for definition, host_port in zip(
            app.port_definitions or (), instance.host_ports, strict=False
        ):
            labels = {**definition.labels, "network-scope": "host"}
            ports += _ports(host_port or 0, definition.name, definition.protocol, labels)
    else:
        for mapping, host_port, container_port in zip(
            app.port_mappings, instance.host_ports, instance.container_ports, strict=False
        ):
            labels = {**mapping.labels}
            if host_port is not None:
                labels["network-scope"] = "host"
            else:
                labels["network-scope"] = "container"
                if name := next(iter(mapping.network_names), app.networks[0].name):
                    labels["network-name"] = name
            number = host_port if host_port is not None else container_port
            ports += _ports(number, mapping.name, mapping.protocol, labels)
    return model.DiscoveryInfo(
        visibility="FRAMEWORK", name=paths.task_name(app.id), ports=tuple(ports)
    )


def _ports(
    number: int, name: str | None, protocols: str, labels: dict[str, str]
) -> list[model.Port]:
    return [
        model.Port(number, name, protocol, _labels(labels)) for protocol in protocols.split(",")
    ]
