"""The environment of a task: PORT0, HOST, MARATHON_APP_... (7.4)."""

from __future__ import annotations

import re
from typing import Final

from ..model import timestamps
from ..model.app import App, NetworkMode
from ..model.instance import Instance

_LABEL_MAX_CHARS: Final = 512
_LABEL_PREFIX: Final = "MARATHON_APP_LABEL_"
_NOT_ENV: Final = re.compile(r"[^A-Z0-9_]")


def task_environment(app: App, instance: Instance, prefix: str | None) -> dict[str, str]:
    """The variables of a task; the user's own ones win."""
    env = {
        "MESOS_TASK_ID": str(instance.task_id),
        "MARATHON_APP_ID": app.id,
        "MARATHON_APP_VERSION": timestamps.format_ms(app.version_ms),
        "MARATHON_APP_RESOURCE_CPUS": str(float(app.cpus)),
        "MARATHON_APP_RESOURCE_MEM": str(float(app.mem)),
        "MARATHON_APP_RESOURCE_DISK": str(float(app.disk)),
        "MARATHON_APP_RESOURCE_GPUS": "0.0",
        "MARATHON_APP_ENFORCE_GROUP_ROLE": "FALSE",
    }
    if app.container is not None and app.container.docker is not None:
        env["MARATHON_APP_DOCKER_IMAGE"] = app.container.docker.image
    env |= _label_environment(app.labels)
    env |= {f"{prefix or ''}{k}": v for k, v in _port_environment(app, instance).items()}
    return env | app.env


def _label_environment(labels: dict[str, str]) -> dict[str, str]:
    names: list[str] = []
    env: dict[str, str] = {}
    for key, value in labels.items():
        if (name := label_variable(key, value)) is not None:
            names.append(name.removeprefix(_LABEL_PREFIX))
            env[name] = value
    return {"MARATHON_APP_LABELS": " ".join(names), **env}


def label_variable(key: str, value: str) -> str | None:
    """The variable that tells a label; None for long ones, which have none."""
    if len(key) >= _LABEL_MAX_CHARS or len(value) >= _LABEL_MAX_CHARS:
        return None
    return _LABEL_PREFIX + _env_name(key)


def port_name_variables(app: App) -> list[tuple[int, str]]:
    """By port index: the variable that tells a port by its name."""
    return [(i, f"PORT_{_env_name(name)}") for i, name in enumerate(app.port_names) if name]


def port_number_variables(app: App) -> list[tuple[int, str]]:
    """By port index: the variable that tells a port by the number that was asked for."""
    return [(i, f"PORT_{port}") for i, port in enumerate(_requested(app)) if port]


def _requested(app: App) -> tuple[int, ...]:
    if app.network_mode is NetworkMode.HOST:
        return app.service_ports
    return tuple(mapping.container_port for mapping in app.port_mappings)


def _env_name(text: str) -> str:
    return _NOT_ENV.sub("_", text.upper())


def _port_environment(app: App, instance: Instance) -> dict[str, str]:
    env = {"HOST": instance.host}
    requested = _requested(app)
    published: list[int] = []
    for index, (host_port, container_port, wanted, name) in enumerate(
        zip(
            instance.host_ports,
            instance.container_ports,
            requested,
            app.port_names,
            strict=True,
        )
    ):
        port = host_port if host_port is not None else container_port
        env[f"PORT{index}"] = str(port)
        env[f"PORT_{wanted or port}"] = str(port)
        if name:
            env[f"PORT_{_env_name(name)}"] = str(port)
        if host_port is not None:
            published.append(host_port)
    if published:
        env["PORT"] = str(published[0])
        env["PORTS"] = ",".join(map(str, published))
    return env
