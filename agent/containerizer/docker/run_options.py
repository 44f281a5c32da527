"""`parameters` of a Docker task: options of `docker run`, as they go into the engine's API. Pure.

Options that contradict what the task says elsewhere (its name, its ports, its resources) are
refused, as are unknown ones: none is ever ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from mezzo.cluster.model import Parameter
from mezzo.errors import BadRequest

Body = dict[str, Any]  # of POST /containers/create
_Setter = Callable[[Body, str], None]

_TRUE: Final = ("", "true", "1")
_FALSE: Final = ("false", "0")
_SIZE: Final = re.compile(r"(\d+)\s*([bkmgt]?)b?", re.IGNORECASE)
_UNITS: Final = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def apply_parameters(body: Body, parameters: Iterable[Parameter]) -> None:
    """Change `body` as the options say. Raises BadRequest, naming the option and what to do."""
    for parameter in parameters:
        key = parameter.key.lstrip("-")
        if (instead := _ELSEWHERE.get(key)) is not None:
            raise BadRequest(f"docker parameter {key!r}: use {instead} instead")
        setter = _OPTIONS.get(key)
        if setter is None:
            raise BadRequest(
                f"docker parameter {key!r} is not supported: use one of {', '.join(_OPTIONS)}"
            )
        try:
            setter(body, parameter.value)
        except ValueError as error:
            raise BadRequest(f"docker parameter {key}={parameter.value!r}: {error}") from None


# ---------------------------------------------------------------------------------- values


def _boolean(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError("write true or false")


def _size(text: str) -> int:
    """Bytes out of `64m`, `1g`, `512`."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError("write a size like 64m")
    return int(match[1]) * _UNITS[match[2].lower()]


def _size_or_unlimited(text: str) -> int:
    return -1 if text == "-1" else _size(text)


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if not name:
        raise ValueError("write name=value")
    return name, value


# ---------------------------------------------------------------------------------- setters


def _set(name: str, read: Callable[[str], Any] = str) -> _Setter:
    def setter(body: Body, text: str) -> None:
        body[name] = read(text)

    return setter


def _host(name: str, read: Callable[[str], Any] = str) -> _Setter:
    def setter(body: Body, text: str) -> None:
        body["HostConfig"][name] = read(text)

    return setter


def _host_list(name: str, read: Callable[[str], Any] = str) -> _Setter:
    def setter(body: Body, text: str) -> None:
        body["HostConfig"].setdefault(name, []).append(read(text))

    return setter


def _host_map(name: str) -> _Setter:
    def setter(body: Body, text: str) -> None:
        key, value = _pair(text)
        body["HostConfig"].setdefault(name, {})[key] = value

    return setter


def _env(body: Body, text: str) -> None:
    if "=" not in text:
        raise ValueError("write NAME=value: the agent's own environment is not passed on")
    body["Env"].append(text)


def _label(body: Body, text: str) -> None:
    name, value = _pair(text)
    body["Labels"].setdefault(name, value)  # those of the agent stay


def _entrypoint(body: Body, text: str) -> None:
    body["Entrypoint"] = [text] if text else []


def _volume(body: Body, text: str) -> None:
    if ":" in text:
        body["HostConfig"]["Binds"].append(text)
    else:
        body.setdefault("Volumes", {})[text] = {}


def _tmpfs(body: Body, text: str) -> None:
    path, _, options = text.partition(":")
    body["HostConfig"].setdefault("Tmpfs", {})[path] = options


def _device(text: str) -> dict[str, str]:
    parts = text.split(":")
    if len(parts) > 3 or not parts[0]:
        raise ValueError("write /dev/a:/dev/b:rwm")
    inside = parts[1] if len(parts) > 1 else parts[0]
    permissions = parts[2] if len(parts) > 2 else "rwm"
    return {
        "PathOnHost": parts[0],
        "PathInContainer": inside,
        "CgroupPermissions": permissions,
    }


def _ulimit(text: str) -> dict[str, Any]:
    name, value = _pair(text)
    soft, _, hard = value.partition(":")
    return {"Name": name, "Soft": int(soft), "Hard": int(hard or soft)}


def _log_driver(body: Body, text: str) -> None:
    # Options of the driver that the agent would use are not options of this one.
    body["HostConfig"]["LogConfig"] = {"Type": text, "Config": {}}


def _log_option(body: Body, text: str) -> None:
    name, value = _pair(text)
    body["HostConfig"]["LogConfig"]["Config"][name] = value


def _network(body: Body, text: str) -> None:
    body["HostConfig"]["NetworkMode"] = text


def _network_alias(body: Body, text: str) -> None:
    network = body["HostConfig"]["NetworkMode"]
    endpoints = body.setdefault("NetworkingConfig", {}).setdefault("EndpointsConfig", {})
    endpoints.setdefault(network, {}).setdefault("Aliases", []).append(text)


def _expose(body: Body, text: str) -> None:
    port = text if "/" in text else f"{text}/tcp"
    body.setdefault("ExposedPorts", {})[port] = {}


_OPTIONS: Final[Mapping[str, _Setter]] = {
    "add-host": _host_list("ExtraHosts"),
    "cap-add": _host_list("CapAdd"),
    "cap-drop": _host_list("CapDrop"),
    "cgroup-parent": _host("CgroupParent"),
    "cpu-shares": _host("CpuShares", int),
    "cpuset-cpus": _host("CpusetCpus"),
    "cpuset-mems": _host("CpusetMems"),
    "device": _host_list("Devices", _device),
    "dns": _host_list("Dns"),
    "dns-opt": _host_list("DnsOptions"),
    "dns-option": _host_list("DnsOptions"),
    "dns-search": _host_list("DnsSearch"),
    "domainname": _set("Domainname"),
    "e": _env,
    "entrypoint": _entrypoint,
    "env": _env,
    "expose": _expose,
    "group-add": _host_list("GroupAdd"),
    "h": _set("Hostname"),
    "hostname": _set("Hostname"),
    "i": _set("OpenStdin", _boolean),
    "init": _host("Init", _boolean),
    "interactive": _set("OpenStdin", _boolean),
    "ipc": _host("IpcMode"),
    "l": _label,
    "label": _label,
    "link": _host_list("Links"),
    "log-driver": _log_driver,
    "log-opt": _log_option,
    "mac-address": _set("MacAddress"),
    "memory-reservation": _host("MemoryReservation", _size),
    "memory-swap": _host("MemorySwap", _size_or_unlimited),
    "memory-swappiness": _host("MemorySwappiness", int),
    "net": _network,
    "net-alias": _network_alias,
    "network": _network,
    "network-alias": _network_alias,
    "oom-kill-disable": _host("OomKillDisable", _boolean),
    "oom-score-adj": _host("OomScoreAdj", int),
    "pid": _host("PidMode"),
    "pids-limit": _host("PidsLimit", int),
    "privileged": _host("Privileged", _boolean),
    "read-only": _host("ReadonlyRootfs", _boolean),
    "runtime": _host("Runtime"),
    "security-opt": _host_list("SecurityOpt"),
    "shm-size": _host("ShmSize", _size),
    "stop-signal": _set("StopSignal"),
    "storage-opt": _host_map("StorageOpt"),
    "sysctl": _host_map("Sysctls"),
    "t": _set("Tty", _boolean),
    "tmpfs": _tmpfs,
    "tty": _set("Tty", _boolean),
    "u": _set("User"),
    "ulimit": _host_list("Ulimits", _ulimit),
    "user": _set("User"),
    "userns": _host("UsernsMode"),
    "uts": _host("UTSMode"),
    "v": _volume,
    "volume": _volume,
    "volume-driver": _host("VolumeDriver"),
    "volumes-from": _host_list("VolumesFrom"),
    "w": _set("WorkingDir"),
    "workdir": _set("WorkingDir"),
}

_RESOURCES: Final = "the task's resources"
_ELSEWHERE: Final[Mapping[str, str]] = {
    "c": _RESOURCES,
    "cpu-quota": _RESOURCES,
    "cpus": _RESOURCES,
    "d": "nothing (a task always runs in the background)",
    "detach": "nothing (a task always runs in the background)",
    "m": _RESOURCES,
    "memory": _RESOURCES,
    "name": "the task's name (the container's is how the agent finds it again)",
    "p": "port_mappings",
    "P": "port_mappings",
    "publish": "port_mappings",
    "publish-all": "port_mappings",
    "restart": "the framework (it restarts tasks)",
    "rm": "nothing (the agent removes ended containers)",
}
