"""An app definition, complete and valid: the noun of this package.

How JSON becomes one is `api.app_definition`; how it goes back is `api.render`. Units: cpus in
cores, mem and disk in MiB, times in seconds, versions in milliseconds since 1970. The types carry
the bounds: those of the API's documents and of what is stored are these.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, field

from mezzo.record import Record
from mezzo.units import (
    AMOUNT_MAX,
    INT32_MAX,
    Amount,
    Count,
    Growth,
    Name,
    Port,
    Ratio,
    Seconds,
    ShortSeconds,
    Text,
    VariableName,
    WallMillis,
)

from .json_key import JsonKey

SINGLE_INSTANCE_LABEL: Final = "MARATHON_SINGLE_INSTANCE_APP"

Cpus = Annotated[float, Meta(ge=0.001, le=AMOUNT_MAX)]
# A check that runs more often would measure little but itself.
Interval = Annotated[float, Meta(ge=0.1, le=INT32_MAX)]
Timeout = Annotated[float, Meta(ge=0.001, le=INT32_MAX)]
_PORT_NAME: Final = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
_NETWORK_NAME: Final = "^[a-zA-Z0-9][a-zA-Z0-9_.-]*$"
_MATCH: Final = "must fully match regular expression"
# It becomes a name of DNS and of a variable. Rule: Marathon, RAML `LegacyName`.
PortName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=63,
        pattern=_PORT_NAME.replace("$", r"\Z"),  # in Python `$` also matches before a last newline
        description=f"{_MATCH} '{_PORT_NAME}'",
    ),
]
# What Docker takes.
NetworkName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        pattern=_NETWORK_NAME.replace("$", r"\Z"),
        description=f"{_MATCH} '{_NETWORK_NAME}'",
    ),
]
Labels = Annotated[dict[Name, Text], Meta(max_length=10_000)]
Variables = Annotated[dict[VariableName, Text], Meta(max_length=10_000)]


class Operator(StrEnum):
    UNIQUE = "UNIQUE"
    CLUSTER = "CLUSTER"
    GROUP_BY = "GROUP_BY"
    LIKE = "LIKE"
    MAX_PER = "MAX_PER"
    UNLIKE = "UNLIKE"
    IS = "IS"


class Constraint(Record):
    field: Name
    operator: Operator
    value: Text | None = None


class PortDefinition(Record):
    """A port on the host's network. `port` is the service port, and with `requirePorts` also the
    host port.
    """

    port: Port = 0
    protocol: str = "tcp"
    name: PortName | None = None
    labels: Labels = field(default_factory=dict)


class NetworkMode(StrEnum):
    HOST = "host"
    BRIDGE = "container/bridge"
    CONTAINER = "container"


class Network(Record):
    mode: NetworkMode
    name: NetworkName | None = None
    labels: Labels = field(default_factory=dict)


class PortMapping(Record):
    """A container's port. `host_port`: None publishes nothing, 0 takes one of the offer."""

    container_port: Port = 0
    host_port: Port | None = None
    service_port: Port = 0
    protocol: str = "tcp"
    name: PortName | None = None
    labels: Labels = field(default_factory=dict)
    network_names: tuple[NetworkName, ...] = ()


class HostVolume(Record):
    container_path: Name
    host_path: Name
    mode: str  # RO or RW


class Parameter(Record):
    key: Name
    value: Text


class Docker(Record):
    image: Name
    force_pull_image: bool = False
    privileged: bool = False
    parameters: tuple[Parameter, ...] = ()


class Container(Record):
    """`type` DOCKER has `docker`; type MESOS runs the command without an image."""

    type: str
    docker: Docker | None = None
    volumes: tuple[HostVolume, ...] = ()
    # None: the user gave none and the network mode asks for none.
    port_mappings: tuple[PortMapping, ...] | None = None


class HealthProtocol(StrEnum):
    HTTP = "HTTP"
    HTTPS = "HTTPS"
    TCP = "TCP"
    COMMAND = "COMMAND"
    MESOS_HTTP = "MESOS_HTTP"
    MESOS_HTTPS = "MESOS_HTTPS"
    MESOS_TCP = "MESOS_TCP"

    @property
    def by_agent(self) -> bool:
        """Does the agent run the check, beside the task? Marathon makes the others itself."""
        return self is HealthProtocol.COMMAND or self.value.startswith("MESOS_")


class HealthCheck(Record):
    protocol: HealthProtocol = HealthProtocol.HTTP
    path: Name | None = None
    port_index: Count | None = None
    port: Port | None = None
    command: Text | None = None
    grace_s: Annotated[ShortSeconds, JsonKey("gracePeriodSeconds")] = 300.0
    interval_s: Annotated[Interval, JsonKey("intervalSeconds")] = 60.0
    timeout_s: Annotated[Timeout, JsonKey("timeoutSeconds")] = 20.0
    max_consecutive_failures: Annotated[Count, JsonKey("maxConsecutiveFailures")] = 3
    delay_s: Annotated[ShortSeconds, JsonKey("delaySeconds")] = 15.0
    ignore_http_1xx: bool = False
    ip_protocol: str = "IPv4"


class UpgradeStrategy(Record):
    minimum_health_capacity: Annotated[Ratio, JsonKey("minimumHealthCapacity")] = 1.0
    maximum_over_capacity: Annotated[Ratio, JsonKey("maximumOverCapacity")] = 1.0


class UnreachableStrategy(Record):
    inactive_after_s: Annotated[Seconds, JsonKey("inactiveAfterSeconds")] = 0.0
    expunge_after_s: Annotated[Seconds, JsonKey("expungeAfterSeconds")] = 0.0


class KillSelection(StrEnum):
    YOUNGEST_FIRST = "YOUNGEST_FIRST"
    OLDEST_FIRST = "OLDEST_FIRST"


class App(Record):
    """Fields with a JsonKey are the keys of its JSON, in this order."""

    id: Annotated[str, JsonKey("id", by_rule=True)]
    cmd: Annotated[Text | None, JsonKey("cmd")] = None
    args: Annotated[
        tuple[Text, ...], Meta(max_length=10_000), JsonKey("args", shown_empty=False)
    ] = ()
    user: Annotated[Name | None, JsonKey("user")] = None
    env: Annotated[Variables, JsonKey("env", shown_empty=False)] = field(default_factory=dict)
    instances: Annotated[Count, JsonKey("instances")] = 1
    cpus: Annotated[Cpus, JsonKey("cpus")] = 1.0
    mem: Annotated[Amount, JsonKey("mem")] = 128.0
    disk: Annotated[Amount, JsonKey("disk")] = 0.0
    gpus: Annotated[Amount, JsonKey("gpus")] = 0.0
    executor: Annotated[str, JsonKey("executor", by_rule=True)] = ""
    backoff_s: Annotated[ShortSeconds, JsonKey("backoffSeconds")] = 1.0
    backoff_factor: Annotated[Growth, JsonKey("backoffFactor")] = 1.15
    max_launch_delay_s: Annotated[ShortSeconds, JsonKey("maxLaunchDelaySeconds")] = 300.0
    constraints: Annotated[
        tuple[Constraint, ...], JsonKey("constraints", by_rule=True, shown_empty=False)
    ] = ()
    container: Annotated[Container | None, JsonKey("container", by_rule=True)] = None
    health_checks: Annotated[
        tuple[HealthCheck, ...], JsonKey("healthChecks", by_rule=True, shown_empty=False)
    ] = ()
    networks: Annotated[tuple[Network, ...], JsonKey("networks", by_rule=True)] = (
        Network(NetworkMode.HOST),
    )
    # None with container networks, whose ports are the container's port mappings.
    port_definitions: Annotated[
        tuple[PortDefinition, ...] | None, JsonKey("portDefinitions", by_rule=True)
    ] = None
    require_ports: Annotated[bool, JsonKey("requirePorts", by_rule=True)] = False
    labels: Annotated[Labels, JsonKey("labels")] = field(default_factory=dict)
    upgrade_strategy: Annotated[UpgradeStrategy, JsonKey("upgradeStrategy", by_rule=True)] = (
        UpgradeStrategy()
    )
    # None: "disabled".
    unreachable: Annotated[
        UnreachableStrategy | None, JsonKey("unreachableStrategy", by_rule=True)
    ] = UnreachableStrategy()
    kill_selection: Annotated[KillSelection, JsonKey("killSelection")] = (
        KillSelection.YOUNGEST_FIRST
    )
    accepted_resource_roles: Annotated[
        tuple[Name, ...] | None, JsonKey("acceptedResourceRoles", by_rule=True)
    ] = None
    role: Annotated[str, JsonKey("role", by_rule=True)] = "*"
    kill_grace_s: Annotated[Seconds | None, JsonKey("taskKillGracePeriodSeconds")] = None
    version_ms: WallMillis = 0
    last_scaling_ms: WallMillis = 0
    # Also the identity of the configuration: instances launched with another one are outdated.
    last_config_change_ms: WallMillis = 0

    @property
    def network_mode(self) -> NetworkMode:
        return self.networks[0].mode

    @property
    def port_mappings(self) -> tuple[PortMapping, ...]:
        return (self.container.port_mappings or ()) if self.container else ()

    @property
    def service_ports(self) -> tuple[int, ...]:
        if self.network_mode is NetworkMode.HOST:
            return tuple(definition.port for definition in self.port_definitions or ())
        return tuple(mapping.service_port for mapping in self.port_mappings)

    @property
    def port_names(self) -> tuple[str | None, ...]:
        if self.network_mode is NetworkMode.HOST:
            return tuple(definition.name for definition in self.port_definitions or ())
        return tuple(mapping.name for mapping in self.port_mappings)

    @property
    def single_instance(self) -> bool:
        """Are there never two instances at a time, not even while one is being killed?"""
        return self.labels.get(SINGLE_INSTANCE_LABEL) == "true"
