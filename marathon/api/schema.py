"""The shape of an app's document: which keys, which JSON types. Rules are in `definition`.

Keys that are not here are accepted and dropped, as Marathon does. Those of features that this
version lacks are in `LATER`: they would change what runs, so they are refused instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from .errors import Violation, wrong_shape


def _whole(value: object) -> object:
    """JSON knows one kind of number: 2.0 is a whole one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole)]


class Doc(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class PortDefinitionDoc(Doc):
    port: Whole = 0
    protocol: Literal["tcp", "udp", "udp,tcp", "tcp,udp"] = "tcp"
    name: str | None = None
    labels: dict[str, str] = {}


class PortMappingDoc(Doc):
    containerPort: Whole = 0
    hostPort: Whole | None = None
    servicePort: Whole = 0
    protocol: Literal["tcp", "udp", "udp,tcp", "tcp,udp"] = "tcp"
    name: str | None = None
    labels: dict[str, str] = {}
    networkNames: list[str] = []


class NetworkDoc(Doc):
    mode: Literal["host", "container/bridge", "container"] = "container"
    name: str | None = None
    labels: dict[str, str] = {}


class ParameterDoc(Doc):
    key: str
    value: str


class DockerDoc(Doc):
    image: str = ""
    forcePullImage: bool = False
    privileged: bool = False
    parameters: list[ParameterDoc] = []
    network: Literal["HOST", "BRIDGE", "USER", "NONE"] | None = None
    portMappings: list[PortMappingDoc] | None = None


class VolumeDoc(Doc):
    containerPath: str
    hostPath: str = ""
    mode: Literal["RO", "RW"]


class ContainerDoc(Doc):
    type: Literal["DOCKER", "MESOS"] | None = None
    docker: DockerDoc | None = None
    volumes: list[VolumeDoc] = []
    portMappings: list[PortMappingDoc] | None = None


class CommandDoc(Doc):
    value: str


class HealthCheckDoc(Doc):
    protocol: Literal[
        "HTTP", "HTTPS", "TCP", "COMMAND", "MESOS_HTTP", "MESOS_HTTPS", "MESOS_TCP"
    ] = "HTTP"
    path: str | None = None
    portIndex: Whole | None = None
    port: Whole | None = None
    command: CommandDoc | None = None
    gracePeriodSeconds: float = 300
    intervalSeconds: float = 60
    timeoutSeconds: float = 20
    delaySeconds: float = 15
    maxConsecutiveFailures: Whole = 3
    ignoreHttp1xx: bool = False
    ipProtocol: Literal["IPv4", "IPv6"] = "IPv4"


class UpgradeStrategyDoc(Doc):
    minimumHealthCapacity: float = 1
    maximumOverCapacity: float = 1


class UnreachableStrategyDoc(Doc):
    inactiveAfterSeconds: float = 0
    expungeAfterSeconds: float = 0


class DiscoveryPortDoc(Doc):
    number: Whole
    name: str | None = None
    protocol: Literal["tcp", "udp", "udp,tcp", "tcp,udp"] = "tcp"
    labels: dict[str, str] = {}


class DiscoveryDoc(Doc):
    ports: list[DiscoveryPortDoc] = []


class IpAddressDoc(Doc):
    labels: dict[str, str] = {}
    networkName: str | None = None
    discovery: DiscoveryDoc | None = None


class AppDoc(Doc):
    id: str = ""
    cmd: str | None = None
    args: list[str] = []
    user: str | None = None
    env: dict[str, str] = {}
    instances: Whole = 1
    cpus: float = 1
    mem: float = 128
    disk: float = 0
    constraints: list[list[str]] = []
    portDefinitions: list[PortDefinitionDoc] | None = None
    ports: list[Whole] | None = None
    requirePorts: bool = False
    networks: list[NetworkDoc] | None = None
    ipAddress: IpAddressDoc | None = None
    container: ContainerDoc | None = None
    healthChecks: list[HealthCheckDoc] = []
    upgradeStrategy: UpgradeStrategyDoc | None = None
    labels: dict[str, str] = {}
    acceptedResourceRoles: list[str] = []
    role: str | None = None
    backoffSeconds: float = 1
    backoffFactor: float = 1.15
    maxLaunchDelaySeconds: float = 300
    taskKillGracePeriodSeconds: float | None = None
    unreachableStrategy: UnreachableStrategyDoc | Literal["disabled"] | None = None
    killSelection: Literal["YOUNGEST_FIRST", "OLDEST_FIRST"] = "YOUNGEST_FIRST"


_Test = Callable[[Any], bool]
_LATER_TEXT: Final = "is not supported by this version: leave it out"
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
_LATER_CONTAINER: Final = ("linuxInfo",)
_LATER_DOCKER: Final = ("pullConfig", "credential")
_LATER_VOLUME: Final = ("persistent", "external", "secret")


def without_nulls(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """null means: not given. Old clients send it for everything that they don't set."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def read_app(document: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """The known keys that were given, checked for their types. Raises ApiError (422)."""
    document = without_nulls(document)
    if isinstance(document, dict) and document.get("acceptedResourceRoles") == []:
        del document["acceptedResourceRoles"]
    try:
        return AppDoc.model_validate(document).model_dump(exclude_unset=True)
    except ValidationError as error:
        secrets = _secrets(document)
        if secrets:
            raise wrong_shape(secrets) from error
        raise wrong_shape([_violation(detail) for detail in error.errors()]) from error


def later_features(document: Any) -> list[Violation]:  # noqa: ANN401 - any JSON
    """What the document asks for that this version does not do yet."""
    document = without_nulls(document)
    if not isinstance(document, dict):
        return []
    found = [f"/{key}" for key, asks in LATER.items() if key in document and asks(document[key])]
    container = _dict(document.get("container"))
    found += [f"/container/{key}" for key in _LATER_CONTAINER if container.get(key)]
    docker = _dict(container.get("docker"))
    found += [f"/container/docker/{key}" for key in _LATER_DOCKER if docker.get(key)]
    volumes = container.get("volumes")
    for index, volume in enumerate(volumes if isinstance(volumes, list) else ()):
        found += [
            f"/container/volumes({index})/{key}" for key in _LATER_VOLUME if _dict(volume).get(key)
        ]
    violations = [Violation(path, _LATER_TEXT) for path in found]
    if isinstance(gpus := document.get("gpus"), int | float) and gpus > 0:
        text = "GPU resources only work with the Mesos containerizer"
        violations.append(Violation("/gpus", text))
    if container.get("type") == "MESOS" and docker.get("image"):
        text = "the Mesos containerizer runs no images in this version: use the type DOCKER"
        violations.append(Violation("/container/type", text))
    return violations


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _secrets(document: object) -> list[Violation]:
    env = _dict(_dict(document).get("env"))
    text = "use of secret-references in the environment requires the secrets feature to be enabled"
    return [
        Violation(f"/env/{name}", text)
        for name, value in env.items()
        if isinstance(value, dict) and "secret" in value
    ]


# ---------------------------------------------------------------------------------- error texts

_EXPECTED: Final = {
    "string_type": "error.expected.jsstring",
    "int_type": "error.expected.jsnumber",
    "int_from_float": "error.expected.jsnumber",
    "float_type": "error.expected.jsnumber",
    "finite_number": "error.expected.jsnumber",
    "bool_type": "error.expected.jsboolean",
    "list_type": "error.expected.jsarray",
    "dict_type": "error.expected.jsobject",
    "model_type": "error.expected.jsobject",
    "model_attributes_type": "error.expected.jsobject",
    "missing": "error.path.missing",
    "literal_error": "error.unknown.enum.literal",
}


def _violation(detail: ErrorDetails) -> Violation:
    text = _EXPECTED.get(detail["type"], detail["msg"])
    if detail["type"] == "literal_error" and not isinstance(detail["input"], str):
        text = "error.expected.jsstring"
    # A union names its members in the location: only keys and indices lead into the document.
    places = [p for p in detail["loc"] if p not in _UNION_MEMBERS]
    path = ""
    for place in places:
        path += f"({place})" if isinstance(place, int) else f"/{place}"
    return Violation(path or "/", text)


_UNION_MEMBERS: Final = ("UnreachableStrategyDoc", "literal['disabled']")
