"""An app definition, complete and valid: the noun of this package.

How JSON becomes one is `api.definition`; how it goes back is `render`. Units: cpus in cores, mem
and disk in MiB, times in seconds, versions in milliseconds since 1970. The types carry the bounds:
those of the API's documents and of what is stored are these.
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
    grace_s: ShortSeconds = 300.0
    interval_s: Interval = 60.0
    timeout_s: Timeout = 20.0
    delay_s: ShortSeconds = 15.0
    max_consecutive_failures: Count = 3
    ignore_http_1xx: bool = False
    ip_protocol: str = "IPv4"


class UpgradeStrategy(Record):
    minimum_health_capacity: Ratio = 1.0
    maximum_over_capacity: Ratio = 1.0


class UnreachableStrategy(Record):
    inactive_after_s: Seconds = 0.0
    expunge_after_s: Seconds = 0.0


class KillSelection(StrEnum):
    YOUNGEST_FIRST = "YOUNGEST_FIRST"
    OLDEST_FIRST = "OLDEST_FIRST"


class App(Record):
    id: str
    cmd: Text | None = None
    args: tuple[Text, ...] = ()
    user: Name | None = None
    env: Variables = field(default_factory=dict)
    instances: Count = 1
    cpus: Cpus = 1.0
    mem: Amount = 128.0
    disk: Amount = 0.0
    executor: str = ""
    constraints: tuple[Constraint, ...] = ()
    # None with container networks, whose ports are the container's port mappings.
    port_definitions: tuple[PortDefinition, ...] | None = None
    require_ports: bool = False
    networks: tuple[Network, ...] = (Network(NetworkMode.HOST),)
    container: Container | None = None
    health_checks: tuple[HealthCheck, ...] = ()
    upgrade_strategy: UpgradeStrategy = UpgradeStrategy()
    labels: Labels = field(default_factory=dict)
    accepted_resource_roles: tuple[Name, ...] | None = None
    role: str = "*"
    backoff_s: ShortSeconds = 1.0
    backoff_factor: Growth = 1.15
    max_launch_delay_s: ShortSeconds = 300.0
    kill_grace_s: Seconds | None = None
    unreachable: UnreachableStrategy | None = UnreachableStrategy()  # None: "disabled"
    kill_selection: KillSelection = KillSelection.YOUNGEST_FIRST
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
