"""The shape of an app's document: which keys, which JSON types, which bounds. Rules are in
`app_definition`. Keys whose values a record keeps as they are stand there, with a `JsonKey`.

Keys that are not here are accepted and dropped, as Marathon does, and named to who sent them; those
of `DROPPED` are only for reading. Keys of features that this version lacks are in `LATER`: they
would change what runs, so they are refused instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from msgspec import Meta

from mezzo.json_types import JsonValue
from mezzo.units import (
    Count,
    Name,
    Port,
    Text,
)

from ..model.app import (
    App,
    HealthCheck,
    Labels,
    NetworkName,
    PortName,
    UnreachableStrategy,
    UpgradeStrategy,
)
from .errors import Violation
from .json_shape import Shape
from .record_keys import with_keys_of

# No agent has more to give: each of its ports is one of 65,535, by default of 1,001.
PORTS_MAX: Final = 1_000
Protocol = Literal["tcp", "udp", "udp,tcp", "tcp,udp"]
Mode = Literal["host", "container/bridge", "container"]
Word = Annotated[
    str,
    Meta(
        max_length=1024,
        pattern=r"\A[^\x00-\x20\x7f]*\Z",
        description="must not hold spaces or control characters",
    ),
]


class PortDefinitionDoc(Shape):
    port: Port = 0
    protocol: Protocol = "tcp"
    name: PortName | None = None
    labels: Labels = {}


class PortMappingDoc(Shape):
    containerPort: Port = 0
    hostPort: Port | None = None
    servicePort: Port = 0
    protocol: Protocol = "tcp"
    name: PortName | None = None
    labels: Labels = {}
    networkNames: Annotated[list[NetworkName], Meta(max_length=16)] = []


class NetworkDoc(Shape):
    mode: Mode = "container"
    name: NetworkName | None = None
    labels: Labels = {}


class ParameterDoc(Shape):
    key: Name
    value: Text


PortDefinitions = Annotated[list[PortDefinitionDoc], Meta(max_length=PORTS_MAX)]
PortMappings = Annotated[list[PortMappingDoc], Meta(max_length=PORTS_MAX)]


class DockerDoc(Shape):
    DROPPED: ClassVar = frozenset({"credential", "pullConfig"})

    image: Word = ""
    forcePullImage: bool = False
    privileged: bool = False
    parameters: Annotated[list[ParameterDoc], Meta(max_length=1_000)] = []
    network: Literal["HOST", "BRIDGE", "USER"] | None = None
    portMappings: PortMappings | None = None


class VolumeDoc(Shape):
    DROPPED: ClassVar = frozenset({"persistent", "external", "secret"})

    containerPath: Name
    mode: Literal["RO", "RW"]
    hostPath: Name | None = None


class ContainerDoc(Shape):
    DROPPED: ClassVar = frozenset({"linuxInfo"})

    type: Literal["DOCKER", "MESOS"] | None = None
    docker: DockerDoc | None = None
    volumes: Annotated[list[VolumeDoc], Meta(max_length=1_000)] = []
    portMappings: PortMappings | None = None


class CommandDoc(Shape):
    value: Text


@with_keys_of(HealthCheck)
class HealthCheckDoc(Shape):
    protocol: Literal[
        "HTTP", "HTTPS", "TCP", "COMMAND", "MESOS_HTTP", "MESOS_HTTPS", "MESOS_TCP"
    ] = "HTTP"
    path: Word | None = None
    portIndex: Count | None = None
    port: Annotated[int, Meta(ge=1, le=65_535)] | None = None
    command: CommandDoc | None = None
    ignoreHttp1xx: bool = False
    ipProtocol: Literal["IPv4", "IPv6"] = "IPv4"


@with_keys_of(UpgradeStrategy)
class UpgradeStrategyDoc(Shape):
    pass


@with_keys_of(UnreachableStrategy)
class UnreachableStrategyDoc(Shape):
    pass


class DiscoveryPortDoc(Shape):
    number: Port = 0
    name: PortName | None = None
    protocol: Protocol = "tcp"
    labels: Labels = {}


class DiscoveryDoc(Shape):
    ports: Annotated[list[DiscoveryPortDoc], Meta(max_length=PORTS_MAX)] = []


class IpAddressDoc(Shape):
    DROPPED: ClassVar = frozenset({"groups"})

    labels: Labels = {}
    networkName: NetworkName | None = None
    discovery: DiscoveryDoc | None = None


_Test = Callable[[Any], bool]
# Key of the app, and when its value asks for something.
LATER: Final[Mapping[str, _Test]] = {
    "fetch": bool,
    "uris": bool,
    "secrets": bool,
    "dependencies": bool,
    "readinessChecks": bool,
    "check": bool,
    "resourceLimits": bool,
    "residency": bool,
    "executorResources": bool,
    "tty": lambda value: value is True,
    "executor": lambda value: value not in ("", "//cmd"),
}
# Keys that Marathon writes beside the definition, and clients send back; and one of before 0.12.
_READ_ONLY: Final = frozenset(
    {
        "version",
        "versionInfo",
        "tasks",
        "tasksStaged",
        "tasksRunning",
        "tasksHealthy",
        "tasksUnhealthy",
        "taskStats",
        "tasksStats",
        "deployments",
        "lastTaskFailure",
        "readinessCheckResults",
        "storeUrls",
    }
)


@with_keys_of(App)
class AppDoc(Shape):
    DROPPED: ClassVar = _READ_ONLY | frozenset(LATER)

    id: str = ""
    constraints: Annotated[list[list[Text]], Meta(max_length=100)] = []
    portDefinitions: PortDefinitions | None = None
    ports: Annotated[list[Port], Meta(max_length=PORTS_MAX)] | None = None
    requirePorts: bool = False
    networks: Annotated[list[NetworkDoc], Meta(max_length=16)] | None = None
    ipAddress: IpAddressDoc | None = None
    container: ContainerDoc | None = None
    healthChecks: Annotated[list[HealthCheckDoc], Meta(max_length=50)] = []
    upgradeStrategy: UpgradeStrategyDoc | None = None
    acceptedResourceRoles: Annotated[list[Name], Meta(max_length=100)] = []
    role: Name | None = None
    unreachableStrategy: UnreachableStrategyDoc | Literal["disabled"] | None = None


# ---------------------------------------------------------------------------------- later features

_LATER_TEXT: Final = "is not supported by this version: leave it out"
_LATER_CONTAINER: Final = ("linuxInfo",)
_LATER_DOCKER: Final = ("pullConfig", "credential")
_LATER_VOLUME: Final = ("persistent", "external", "secret")
_SECRETS: Final = (
    "use of secret-references in the environment requires the secrets feature to be enabled"
)


def later_features(document: JsonValue) -> list[Violation]:
    """The features that the document asks for and this version lacks."""
    document = _dict(document)
    given = {key: value for key, value in document.items() if value is not None}
    found = [f"/{key}" for key, asks in LATER.items() if key in given and asks(given[key])]
    container = _dict(given.get("container"))
    found += [f"/container/{key}" for key in _LATER_CONTAINER if container.get(key)]
    docker = _dict(container.get("docker"))
    found += [f"/container/docker/{key}" for key in _LATER_DOCKER if docker.get(key)]
    volumes = container.get("volumes")
    for index, volume in enumerate(volumes if isinstance(volumes, list) else ()):
        found += [
            f"/container/volumes({index})/{key}" for key in _LATER_VOLUME if _dict(volume).get(key)
        ]
    violations = [Violation(path, _LATER_TEXT) for path in found]
    for name, value in _dict(given.get("env")).items():
        if "secret" in _dict(value):
            violations.append(Violation(f"/env/{name}", _SECRETS))
    if isinstance(gpus := given.get("gpus"), int | float) and gpus > 0:
        text = "GPU resources only work with the Mesos containerizer"
        violations.append(Violation("/gpus", text))
    if container.get("type") == "MESOS" and docker.get("image"):
        text = "the Mesos containerizer runs no images in this version: use the type DOCKER"
        violations.append(Violation("/container/type", text))
    return violations


def _dict(value: JsonValue) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
