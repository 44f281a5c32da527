"""What the task of an app's instance has to be (spec/marathon.md, 7.3 and 7.4), said once more.

Nothing of Marathon's own making of tasks is used: two readings of the rules are compared.
"""

from __future__ import annotations

from typing import Any, Final

from mezzo.cluster.model import TaskInfo
from mezzo.marathon.model.app import App, HealthCheck, NetworkMode
from mezzo.marathon.model.instance import Instance

_LABELS: Final = "MARATHON_APP_LABELS"
_LONG: Final = 512  # labels as long have no variable
_NAME_CHARS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_FOR_EVER: Final = 2**31 - 1
_NETWORKS: Final = {"host": "HOST", "container/bridge": "BRIDGE", "container": "USER"}
Port = tuple[int | None, int, int, str | None, str, dict[str, str]]


def difference(app: App, record: Instance, task: TaskInfo, prefix: str | None) -> str:
    """The part of the task that is not as it was asked for; "" if all is."""
    asked = expected(app, record, prefix)
    for name, value in asked.items():
        have = _of_task(name, task)
        if name == "environment" and have is not None:
            # In which order the labels are told does not matter.
            value, have = (
                {**each, _LABELS: sorted(each.get(_LABELS, "").split(" "))}
                for each in (value, have)
            )
        if have != value:
            return f"its {name} is {have!r}, asked for was {value!r}"
    return ""


def expected(app: App, record: Instance, prefix: str | None) -> dict[str, Any]:
    reversed_path = ".".join(app.id.strip("/").split("/")[::-1])
    ports = _ports(app, record)
    return {
        "name": reversed_path,
        "id": f"{record.id}._app.{record.incarnation}",
        "agent": record.agent_id,
        "labels": app.labels,
        "user": app.user,
        "command": _command(app),
        "environment": _environment(app, record, ports, prefix),
        "kill grace": app.kill_grace_s,
        "container": _container(app, record, ports),
        "health check": next(
            (_check(c, ports) for c in app.health_checks if c.protocol.by_agent), None
        ),
        "discovery": ("FRAMEWORK", reversed_path, _discovered(app, ports)),
        "rest": (None, None, None, None),
    }


def _ports(app: App, record: Instance) -> list[Port]:
    """By index: on the host, inside, asked for, name, protocols, labels."""
    if app.network_mode is NetworkMode.HOST:
        return [
            (host, inside, asked.port, asked.name, asked.protocol, asked.labels)
            for asked, host, inside in zip(
                app.port_definitions or (), record.host_ports, record.container_ports, strict=True
            )
        ]
    mappings = (app.container.port_mappings or ()) if app.container is not None else ()
    return [
        (host, inside, asked.container_port, asked.name, asked.protocol, asked.labels)
        for asked, host, inside in zip(
            mappings, record.host_ports, record.container_ports, strict=True
        )
    ]


def _variable(text: str) -> str:
    return "".join(c if c in _NAME_CHARS else "_" for c in text.upper())


def _environment(
    app: App, record: Instance, ports: list[Port], prefix: str | None
) -> dict[str, str]:
    env = {
        "MESOS_TASK_ID": f"{record.id}._app.{record.incarnation}",
        "MARATHON_APP_ID": app.id,
        "MARATHON_APP_VERSION": utc(app.version_ms),
        "MARATHON_APP_RESOURCE_CPUS": repr(float(app.cpus)),
        "MARATHON_APP_RESOURCE_MEM": repr(float(app.mem)),
        "MARATHON_APP_RESOURCE_DISK": repr(float(app.disk)),
        "MARATHON_APP_RESOURCE_GPUS": "0.0",
        "MARATHON_APP_ENFORCE_GROUP_ROLE": "FALSE",
    }
    if app.container is not None and app.container.docker is not None:
        env["MARATHON_APP_DOCKER_IMAGE"] = app.container.docker.image
    told = {k: v for k, v in app.labels.items() if len(k) < _LONG and len(v) < _LONG}
    env[_LABELS] = " ".join(_variable(key) for key in told)
    for key, value in told.items():
        env[f"MARATHON_APP_LABEL_{_variable(key)}"] = value
    net = {"HOST": record.host}
    for index, (host, inside, asked, name, _, _) in enumerate(ports):
        number = str(inside if host is None else host)
        net[f"PORT{index}"] = net[f"PORT_{asked or number}"] = number
        if name:
            net[f"PORT_{_variable(name)}"] = number
    on_host = [str(port[0]) for port in ports if port[0] is not None]
    if on_host:
        net["PORT"], net["PORTS"] = on_host[0], ",".join(on_host)
    env |= {(prefix or "") + name: value for name, value in net.items()}
    return env | app.env


def utc(ms: int) -> str:
    """A version as the API writes it."""
    import time

    seconds, rest = divmod(ms, 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:03}Z"


def _command(app: App) -> Any:
    """A shell's line; or a program and its arguments, an image has the program already."""
    if app.cmd is not None:
        return (True, app.cmd, ())
    image = app.container is not None and app.container.docker is not None
    return (False, app.args[0] if app.args and not image else None, app.args)


def _container(app: App, record: Instance, ports: list[Port]) -> Any:
    container = app.container
    if container is None:
        return None
    docker = container.docker
    networks = app.networks if app.network_mode is NetworkMode.CONTAINER else ()
    made: dict[str, Any] = {
        "type": "MESOS" if docker is None else "DOCKER",
        "volumes": [(v.mode, v.container_path, v.host_path) for v in container.volumes],
        "networks": [(network.name, network.labels) for network in networks],
    }
    if docker is not None:
        published = app.network_mode is not NetworkMode.HOST
        made["docker"] = {
            "image": docker.image,
            "network": _NETWORKS[app.network_mode.value],
            "ports": [
                (host, inside, protocol)
                for host, inside, _, _, protocols, _ in ports
                if host is not None and published
                for protocol in protocols.split(",")
            ],
            "privileged": docker.privileged,
            "parameters": [
                *((parameter.key, parameter.value) for parameter in docker.parameters),
                ("label", f"MESOS_TASK_ID={record.id}._app.{record.incarnation}"),
            ],
            "pull": docker.force_pull_image,
        }
    return made


def _check(check: HealthCheck, ports: list[Port]) -> dict[str, Any]:
    index = check.port_index or 0
    port = check.port or (ports[index][1] if index < len(ports) else 0)
    kind = check.protocol.value.removeprefix("MESOS_")
    asks: Any = check.command
    if kind == "TCP":
        asks = port
    elif kind != "COMMAND":
        asks = (kind.lower(), port, check.path or "/")
    return {
        "kind": "HTTP" if kind == "HTTPS" else kind,
        "asks": asks,
        "delay": check.delay_s,
        "interval": check.interval_s,
        "timeout": check.timeout_s,
        "failures": check.max_consecutive_failures or _FOR_EVER,
        "grace": check.grace_s,
    }


def _discovered(app: App, ports: list[Port]) -> list[Any]:
    found: list[Any] = []
    for index, (host, inside, _, name, protocols, labels) in enumerate(ports):
        scope = {"network-scope": "container" if host is None else "host"}
        if app.network_mode is NetworkMode.HOST:
            host, scope = host or 0, {"network-scope": "host"}
        elif host is None:
            only = app.port_mappings[index].network_names
            network = only[0] if only else app.networks[0].name
            scope |= {"network-name": network} if network else {}
        number = inside if host is None else host
        found += [(number, name, each, labels | scope) for each in protocols.split(",")]
    return found


# ---------------------------------------------------------------------------------- what it is


def _of_task(name: str, task: TaskInfo) -> Any:
    command = task.command
    match name:
        case "name":
            return task.name
        case "id":
            return task.task_id
        case "agent":
            return task.agent_id
        case "labels":
            return {label.key: label.value for label in task.labels}
        case "kill grace":
            return None if task.kill_policy is None else task.kill_policy.grace_period
        case "container":
            return _container_of(task)
        case "health check":
            return _check_of(task)
        case "discovery":
            return _discovery_of(task)
        case "rest":
            return (task.executor, task.data, task.max_completion_time, task.unique_lease)
    if command is None:
        return None
    match name:
        case "user":
            return command.user
        case "command":
            return (command.shell, command.value, command.arguments)
        case "environment":
            return {variable.name: variable.value for variable in command.environment}
    raise AssertionError(name)


def _container_of(task: TaskInfo) -> Any:
    container = task.container
    if container is None:
        return None
    made: dict[str, Any] = {
        "type": container.type.value,
        "volumes": [(v.mode.value, v.container_path, v.host_path) for v in container.volumes],
        "networks": [
            (network.name, {label.key: label.value for label in network.labels})
            for network in container.network_infos
        ],
    }
    docker = container.docker
    if docker is not None:
        made["docker"] = {
            "image": docker.image,
            "network": docker.network.value,
            "ports": [(p.host_port, p.container_port, p.protocol) for p in docker.port_mappings],
            "privileged": docker.privileged,
            "parameters": [(p.key, p.value) for p in docker.parameters],
            "pull": docker.force_pull_image,
        }
    return made


def _check_of(task: TaskInfo) -> Any:
    check = task.health_check
    if check is None:
        return None
    asks: Any = None
    if check.command is not None:
        asks = check.command.value
    elif check.tcp is not None:
        asks = check.tcp.port
    elif check.http is not None:
        asks = (check.http.scheme, check.http.port, check.http.path)
    return {
        "kind": check.type.value,
        "asks": asks,
        "delay": check.delay_seconds,
        "interval": check.interval_seconds,
        "timeout": check.timeout_seconds,
        "failures": check.consecutive_failures,
        "grace": check.grace_period_seconds,
    }


def _discovery_of(task: TaskInfo) -> Any:
    discovery = task.discovery
    if discovery is None:
        return None
    ports = [
        (port.number, port.name, port.protocol, {each.key: each.value for each in port.labels})
        for port in discovery.ports
    ]
    return (discovery.visibility, discovery.name, ports)
