"""The nouns: frameworks, agents, offers, tasks. Fields are those of Mesos v1 `mesos.proto`.

Names equal the proto's, so `mezzo.wire` converts by name; wrappers that hold one thing are
unwrapped (ids, `Labels`, `Environment`, `DurationInfo` in seconds). Units: cpus in cores, mem and
disk in MiB (see `mezzo.cluster.resources`), times in seconds.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from mezzo.cluster.amounts import Thousandths, decimal, ranges_text, set_text
from mezzo.cluster.resources import Resources
from mezzo.cluster.states import Reason, Source, TaskState
from mezzo.ids import AgentId, ContainerId, ExecutorId, FrameworkId, OfferId, TaskId
from mezzo.record import Record
from mezzo.units import Count, Finite, MaybeHostName, Seconds, Serial, UInt32, WallSeconds
from mezzo.units import Port as PortNumber

# ---------------------------------------------------------------------------------- small parts


class Label(Record):
    key: str
    value: str | None = None


class EnvironmentVariable(Record):
    name: str
    value: str | None = None


class Uri(Record):
    """CommandInfo.URI: something to fetch into the sandbox before the task starts."""

    value: str
    executable: bool = False
    extract: bool = True
    cache: bool = False
    output_file: str | None = None


class CommandInfo(Record):
    """What to run: a shell line (`shell`), or a program with `arguments` as its whole argv."""

    value: str | None = None
    shell: bool = True
    arguments: tuple[str, ...] = ()
    environment: tuple[EnvironmentVariable, ...] = ()
    uris: tuple[Uri, ...] = ()
    user: str | None = None


class VolumeMode(StrEnum):
    RW = "RW"
    RO = "RO"


class Volume(Record):
    mode: VolumeMode
    container_path: str
    host_path: str | None = None


class DockerNetwork(StrEnum):
    HOST = "HOST"
    BRIDGE = "BRIDGE"
    NONE = "NONE"
    USER = "USER"


class PortMapping(Record):
    host_port: PortNumber
    container_port: PortNumber
    protocol: str | None = None  # tcp (default) or udp


class Parameter(Record):
    key: str
    value: str


class DockerInfo(Record):
    image: str
    network: DockerNetwork = DockerNetwork.HOST
    port_mappings: tuple[PortMapping, ...] = ()
    privileged: bool = False
    parameters: tuple[Parameter, ...] = ()  # options of `docker run`, without the dashes
    force_pull_image: bool = False


class IpAddress(Record):
    ip_address: str | None = None
    protocol: str = "IPv4"


class NetworkInfo(Record):
    ip_addresses: tuple[IpAddress, ...] = ()
    name: str | None = None
    labels: tuple[Label, ...] = ()


class ContainerType(StrEnum):
    DOCKER = "DOCKER"
    MESOS = "MESOS"


class ContainerInfo(Record):
    type: ContainerType
    volumes: tuple[Volume, ...] = ()
    hostname: str | None = None
    docker: DockerInfo | None = None
    network_infos: tuple[NetworkInfo, ...] = ()


class HealthCheckType(StrEnum):
    COMMAND = "COMMAND"
    HTTP = "HTTP"
    TCP = "TCP"


class HttpCheck(Record):
    port: PortNumber
    scheme: str | None = None  # http (default) or https, whose certificate is not checked
    path: str | None = None


class TcpCheck(Record):
    port: PortNumber


class HealthCheck(Record):
    """Run by the agent beside the task. Success: exit 0, status 200 to 399, or a connect."""

    type: HealthCheckType
    command: CommandInfo | None = None
    http: HttpCheck | None = None
    tcp: TcpCheck | None = None
    delay_seconds: Seconds = 15.0
    interval_seconds: Seconds = 10.0
    timeout_seconds: Seconds = 20.0
    consecutive_failures: Count = 3
    grace_period_seconds: Seconds = 10.0


class KillPolicy(Record):
    grace_period: Seconds | None = None  # seconds between SIGTERM and SIGKILL


class Port(Record):
    number: PortNumber
    name: str | None = None
    protocol: str | None = None
    labels: tuple[Label, ...] = ()


class DiscoveryInfo(Record):
    visibility: str  # FRAMEWORK, CLUSTER or EXTERNAL
    name: str | None = None
    environment: str | None = None
    location: str | None = None
    version: str | None = None
    ports: tuple[Port, ...] = ()
    labels: tuple[Label, ...] = ()


# ---------------------------------------------------------------------------------- frameworks


class Capability(StrEnum):
    """FrameworkInfo.Capability.Type."""

    REVOCABLE_RESOURCES = "REVOCABLE_RESOURCES"
    TASK_KILLING_STATE = "TASK_KILLING_STATE"
    GPU_RESOURCES = "GPU_RESOURCES"
    SHARED_RESOURCES = "SHARED_RESOURCES"
    PARTITION_AWARE = "PARTITION_AWARE"
    MULTI_ROLE = "MULTI_ROLE"
    RESERVATION_REFINEMENT = "RESERVATION_REFINEMENT"
    REGION_AWARE = "REGION_AWARE"


class RoleOfferFilter(Record):
    """FrameworkInfo.offer_filters of one role: an offer is worth making if it holds any one of
    `min_allocatable` (thousandths by resource name). Empty: every offer is."""

    role: str
    min_allocatable: tuple[dict[str, Thousandths], ...] = ()


class FrameworkInfo(Record):
    user: str
    name: str
    id: FrameworkId | None = None
    failover_timeout: Seconds = 0.0
    checkpoint: bool = False
    role: str = "*"
    roles: tuple[str, ...] = ()
    hostname: MaybeHostName | None = None
    principal: str | None = None
    webui_url: str | None = None
    capabilities: tuple[Capability, ...] = ()
    labels: tuple[Label, ...] = ()
    offer_filters: tuple[RoleOfferFilter, ...] = ()

    def can(self, capability: Capability) -> bool:
        return capability in self.capabilities

    @property
    def all_roles(self) -> tuple[str, ...]:
        """`roles` with MULTI_ROLE, else the one `role`."""
        return self.roles if self.can(Capability.MULTI_ROLE) else (self.role,)


class Predicate(StrEnum):
    """AttributeConstraint.Predicate: the names of its fields."""

    EXISTS = "exists"
    NOT_EXISTS = "not_exists"
    TEXT_EQUALS = "text_equals"
    TEXT_NOT_EQUALS = "text_not_equals"
    TEXT_MATCHES = "text_matches"
    TEXT_NOT_MATCHES = "text_not_matches"


class AttributeConstraint(Record):
    """One condition on an agent. The attribute is named, or is the `pseudo` one HOSTNAME, REGION or
    ZONE. `text`: the value or regular expression; unused by EXISTS and NOT_EXISTS."""

    predicate: Predicate
    attribute: str | None = None
    pseudo: str | None = None
    text: str = ""


class RoleConstraints(Record):
    """Which agents a framework wants in one role: in one of the groups all conditions hold."""

    role: str
    groups: tuple[tuple[AttributeConstraint, ...], ...]


class OfferConstraints(Record):
    """By role; a missing one has no constraints."""

    roles: tuple[RoleConstraints, ...] = ()


# ---------------------------------------------------------------------------------- agents


class Attribute(Record):
    """One of `text`, `scalar`, `ranges`, `set` is given: type by look of `--attributes`."""

    name: str
    text: str | None = None
    scalar: Finite | None = None
    ranges: tuple[tuple[Serial, Serial], ...] | None = None
    set: tuple[str, ...] | None = None

    @property
    def shown(self) -> str:
        """As constraints compare the value: scalars with up to 3 decimals, `[a-b,c-d]`, `{a,b}`."""
        if self.scalar is not None:
            return decimal(self.scalar)
        if self.ranges is not None:
            return ranges_text(self.ranges)
        if self.set is not None:
            return set_text(self.set)
        return self.text or ""


class FaultDomain(Record):
    region: str
    zone: str


class AgentCapability(StrEnum):
    """AgentInfo.Capability.Type."""

    MULTI_ROLE = "MULTI_ROLE"
    HIERARCHICAL_ROLE = "HIERARCHICAL_ROLE"
    RESERVATION_REFINEMENT = "RESERVATION_REFINEMENT"
    RESIZE_VOLUME = "RESIZE_VOLUME"
    AGENT_OPERATION_FEEDBACK = "AGENT_OPERATION_FEEDBACK"
    AGENT_DRAINING = "AGENT_DRAINING"


class DrainState(StrEnum):
    DRAINING = "DRAINING"
    DRAINED = "DRAINED"


class DrainConfig(Record):
    """`max_grace_period` bounds the kill grace period of every task; `mark_gone`: once drained the
    agent may never come back."""

    max_grace_period: Seconds | None = None
    mark_gone: bool = False


class DrainInfo(Record):
    state: DrainState
    config: DrainConfig = DrainConfig()


class Unavailability(Record):
    """A planned absence: wall seconds, and how long (None: for ever)."""

    start: WallSeconds
    duration: Seconds | None = None


class MachineId(Record):
    """A machine as maintenance names it: by hostname, ip or both."""

    hostname: MaybeHostName | None = None
    ip: str | None = None


class AgentFacts(Record, kw_only=True):
    """What a master remembers of an agent, also over its failover, and shows to operators as it is:
    fields of its record and of its view."""

    capabilities: tuple[AgentCapability, ...] = ()
    deactivated: bool = False


class AgentInfo(Record):
    hostname: str
    port: PortNumber = 5051
    resources: Resources = Resources()
    attributes: tuple[Attribute, ...] = ()
    id: AgentId | None = None
    domain: FaultDomain | None = None
    ip: str | None = None  # ours: where it answers

    @property
    def endpoint(self) -> str:
        """Where it answers: `ip:port`."""
        host = self.ip or self.hostname
        return f"{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def pid(self) -> str:
        """Mesos' form, `slave(1)@ip:port`: clients take agents' addresses from it."""
        return f"slave(1)@{self.endpoint}"

    def attribute(self, name: str) -> Attribute | None:
        return next((a for a in self.attributes if a.name == name), None)


class Address(Record):
    port: PortNumber
    hostname: str | None = None
    ip: str | None = None


class Url(Record):
    scheme: str
    address: Address
    path: str | None = None


class MasterInfo(Record):
    """What a master publishes of itself. `address` is where its gateway answers HTTP."""

    id: str
    ip: UInt32  # IPv4, the bytes in network order read as little-endian (Mesos' historic form)
    port: PortNumber
    pid: str | None = None
    hostname: str | None = None
    version: str | None = None
    address: Address | None = None
    domain: FaultDomain | None = None
    grpc_port: PortNumber | None = None  # ours: where frameworks, agents and gateways connect


# ---------------------------------------------------------------------------------- tasks


class ExecutorType(StrEnum):
    UNKNOWN = "UNKNOWN"
    DEFAULT = "DEFAULT"
    CUSTOM = "CUSTOM"


class ExecutorInfo(Record):
    executor_id: ExecutorId
    framework_id: FrameworkId | None = None
    type: ExecutorType = ExecutorType.UNKNOWN
    command: CommandInfo | None = None
    container: ContainerInfo | None = None
    resources: Resources = Resources()
    name: str | None = None
    source: str | None = None
    data: bytes | None = None
    shutdown_grace_period: Seconds | None = None
    labels: tuple[Label, ...] = ()


class TaskDescription(Record):
    """What its framework says of a task that the cluster keeps: fields of TaskInfo and of Task."""

    name: str
    task_id: TaskId
    agent_id: AgentId
    resources: Resources = Resources()
    container: ContainerInfo | None = None
    health_check: HealthCheck | None = None
    kill_policy: KillPolicy | None = None
    labels: tuple[Label, ...] = ()
    discovery: DiscoveryInfo | None = None
    # Ours: this task must never run twice. An agent that has heard from no leader for so many
    # seconds kills it, and no sooner than that the master calls it UNREACHABLE.
    unique_lease: Seconds | None = None


class TaskInfo(TaskDescription):
    """A task as its framework describes it. What is declared here only its agent is told."""

    executor: ExecutorInfo | None = None
    command: CommandInfo | None = None
    data: bytes | None = None
    max_completion_time: Seconds | None = None


class ContainerStatus(Record):
    container_id: ContainerId | None = None
    network_infos: tuple[NetworkInfo, ...] = ()
    executor_pid: UInt32 | None = None


class TaskStatus(Record):
    """One update. With `uuid` it is reliable: repeated until acknowledged; without, sent once."""

    task_id: TaskId
    state: TaskState
    message: str | None = None
    source: Source | None = None
    reason: Reason | None = None
    data: bytes | None = None
    agent_id: AgentId | None = None
    executor_id: ExecutorId | None = None
    timestamp: WallSeconds | None = None
    uuid: bytes | None = None
    healthy: bool | None = None
    labels: tuple[Label, ...] = ()
    container_status: ContainerStatus | None = None
    unreachable_time: WallSeconds | None = None


class Task(TaskDescription, kw_only=True):
    """A task as the cluster knows it. Two faces: `state` is the latest and frees resources,
    `status_update_state` is the last one forwarded to the framework, which reconciliation tells.
    """

    framework_id: FrameworkId
    state: TaskState
    executor_id: ExecutorId | None = None
    statuses: tuple[TaskStatus, ...] = ()
    status_update_state: TaskState | None = None
    status_update_uuid: bytes | None = None
    user: str | None = None
    role: str = "*"  # the allocation role; on the wire inside each resource


# ---------------------------------------------------------------------------------- offers


class Offer(Record):
    id: OfferId
    framework_id: FrameworkId
    agent_id: AgentId
    hostname: str
    resources: Resources = Resources()
    attributes: tuple[Attribute, ...] = ()
    executor_ids: tuple[ExecutorId, ...] = ()
    role: str = "*"  # allocation_info.role on the wire
    domain: FaultDomain | None = None
    url: Url | None = None  # where the agent serves HTTP
    unavailability: Unavailability | None = None


class InverseOffer(Record):
    """Please give back: the machine will go into maintenance."""

    id: OfferId
    framework_id: FrameworkId
    unavailability: Unavailability
    agent_id: AgentId | None = None
    resources: Resources = Resources()
    url: Url | None = None


REFUSE_S_DEFAULT: Final = 5.0


class Filters(Record):
    """See master/offers/refuse_seconds.py for what counts of these."""

    refuse_seconds: Finite = REFUSE_S_DEFAULT
