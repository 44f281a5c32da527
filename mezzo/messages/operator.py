"""Operators, gateways and tools <-> master: the Mesos v1 operator API, the part that mezzo serves.

A stream starts with `OperatorSubscribed` (the whole state) and goes on with the changes, each with
a sequence number that only grows: a reader that applies them all has a replica.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from msgspec import field

from mezzo.cluster.amounts import Thousandths
from mezzo.cluster.model import (
    AgentFacts,
    AgentInfo,
    DrainInfo,
    ExecutorInfo,
    FrameworkInfo,
    InverseOffer,
    MachineId,
    MasterInfo,
    Offer,
    OfferConstraints,
    Task,
    TaskStatus,
    Unavailability,
)
from mezzo.cluster.operations import OperationRecord
from mezzo.cluster.resources import Resources
from mezzo.cluster.states import TaskState
from mezzo.ids import AgentId, FrameworkId
from mezzo.record import Record
from mezzo.units import Amount, Finite, Seconds, Serial, WallSeconds

from .wire_name import wire_name

# ---------------------------------------------------------------------------------- values


class WeightInfo(Record):
    weight: Amount
    role: str


class QuotaConfig(Record):
    """The quota of a top-level role with its subroles. Thousandths by resource name; a resource
    that is missing in `limits` has none."""

    role: str
    guarantees: dict[str, Thousandths] = field(default_factory=dict)
    limits: dict[str, Thousandths] = field(default_factory=dict)


class MaintenanceWindow(Record):
    machine_ids: tuple[MachineId, ...]
    unavailability: Unavailability


class MaintenanceSchedule(Record):
    windows: tuple[MaintenanceWindow, ...] = ()


# ---------------------------------------------------------------------------------- answers


class OperatorResponse(Record):
    """The base of all answers."""


class AgentView(AgentFacts):
    """One agent, as Mesos `Response.GetAgents.Agent`. Times are seconds since 1970."""

    agent_info: AgentInfo
    active: bool  # connected and offered
    version: str
    pid: str | None = None
    registered_time: WallSeconds | None = None
    reregistered_time: WallSeconds | None = None
    total_resources: Resources = Resources()
    allocated_resources: Resources = Resources()
    offered_resources: Resources = Resources()
    drain_info: DrainInfo | None = None
    estimated_drain_start_time: WallSeconds | None = None

    @property
    def condition(self) -> str:
        """The agent's condition in a word or two, for people."""
        if self.drain_info is not None:
            return self.drain_info.state.lower()
        if self.deactivated:
            return "deactivated"
        return "active" if self.active else "not connected"


class FrameworkView(Record):
    """One framework, as Mesos `Response.GetFrameworks.Framework`."""

    framework_info: FrameworkInfo
    active: bool
    connected: bool
    recovered: bool
    registered_time: WallSeconds | None = None
    reregistered_time: WallSeconds | None = None
    unregistered_time: WallSeconds | None = None
    allocated_resources: Resources = Resources()
    offered_resources: Resources = Resources()
    offers: tuple[Offer, ...] = ()
    inverse_offers: tuple[InverseOffer, ...] = ()
    offer_constraints: OfferConstraints | None = None


class Tasks(OperatorResponse):
    tasks: tuple[Task, ...] = ()
    completed_tasks: tuple[Task, ...] = ()
    unreachable_tasks: tuple[Task, ...] = ()


class Frameworks(OperatorResponse):
    frameworks: tuple[FrameworkView, ...] = ()
    completed_frameworks: tuple[FrameworkView, ...] = ()


class UnreachableAgentView(Record):
    """An agent that was given up and may come back. `unreachable_time` is seconds since 1970."""

    agent_info: AgentInfo
    unreachable_time: WallSeconds
    deactivated: bool = False


class Agents(OperatorResponse):
    """`unreachable_agents` are in the answer to GET_AGENTS only."""

    agents: tuple[AgentView, ...] = ()
    recovered_agents: tuple[AgentInfo, ...] = ()
    unreachable_agents: tuple[UnreachableAgentView, ...] = ()


class ExecutorView(Record):
    executor_info: ExecutorInfo
    agent_id: AgentId


class Executors(OperatorResponse):
    executors: tuple[ExecutorView, ...] = ()


class State(OperatorResponse):
    """Everything, as Mesos `Response.GetState`."""

    get_tasks: Tasks = Tasks()
    get_frameworks: Frameworks = Frameworks()
    get_agents: Agents = Agents()
    get_executors: Executors = Executors()


class SetAsideRecord(Record):
    """A record of the store that says nothing to this master: its key, and why."""

    key: str
    reason: str


class SetAside(OperatorResponse):
    records: tuple[SetAsideRecord, ...] = ()


class Master(OperatorResponse):
    """Answer to GetMaster. Times are seconds since 1970."""

    master_info: MasterInfo
    start_time: WallSeconds | None = None
    elected_time: WallSeconds | None = None


class Operations(OperatorResponse):
    operations: tuple[OperationRecord, ...] = ()


class OutstandingOffers(OperatorResponse):
    offers: tuple[Offer, ...] = ()
    inverse_offers: tuple[InverseOffer, ...] = ()


class Metric(Record):
    name: str
    value: Finite | None = None


class Metrics(OperatorResponse):
    metrics: tuple[Metric, ...] = ()


class RoleView(Record):
    """One role. Beyond Mesos' name, weight, frameworks and resources: what `/roles` shows.
    Amounts by resource name are thousandths."""

    name: str
    weight: Amount
    frameworks: tuple[FrameworkId, ...] = ()
    resources: Resources = Resources()  # allocated and offered
    allocated: Resources = Resources()
    offered: Resources = Resources()
    reserved: Resources = Resources()
    consumed: dict[str, Thousandths] = field(default_factory=dict)
    quota: QuotaConfig | None = None
    share: Finite = 0.0  # the dominant one, before the weight


class Roles(OperatorResponse):
    roles: tuple[RoleView, ...] = ()


class Weights(OperatorResponse):
    weight_infos: tuple[WeightInfo, ...] = ()


class QuotaStatus(Record):
    configs: tuple[QuotaConfig, ...] = ()


class Quotas(OperatorResponse):
    """Answer to GetQuota."""

    status: QuotaStatus


class Maintenance(OperatorResponse):
    """Answer to GetMaintenanceSchedule."""

    schedule: MaintenanceSchedule


class InverseOfferStatus(Record):
    """What a framework answered last: ACCEPT, DECLINE or UNKNOWN, and when (wall seconds)."""

    status: str
    framework_id: FrameworkId
    timestamp: WallSeconds


class DrainingMachine(Record):
    id: MachineId
    statuses: tuple[InverseOfferStatus, ...] = ()


class MaintenanceState(Record):
    draining_machines: tuple[DrainingMachine, ...] = ()
    down_machines: tuple[MachineId, ...] = ()


class MaintenanceStatus(OperatorResponse):
    """Answer to GetMaintenanceStatus."""

    status: MaintenanceState


class Objection(Record):
    """One reason why an agent is not offered. `veto` is a fixed word (FILTERED, QUOTA_LIMIT, ...),
    `wanted` and `have` the numbers, `change` what would change the answer, `until` (wall seconds)
    when it ends by itself."""

    veto: str
    wanted: str = ""
    have: str = ""
    change: str = ""
    until: WallSeconds | None = None


class Explanation(Record):
    """One framework, role and agent: what is offered there, or why nothing is."""

    framework_id: FrameworkId
    framework_name: str
    role: str
    agent_id: AgentId
    hostname: str
    offered: Resources = Resources()
    objections: tuple[Objection, ...] = ()
    # Of the framework in the role: offers made, accepted, ...
    counters: dict[str, Serial] = field(default_factory=dict)


class Explanations(OperatorResponse):
    explanations: tuple[Explanation, ...] = ()


class Done(OperatorResponse):
    """A write was carried out."""


class Refused(OperatorResponse):
    """A call was refused and nothing was changed."""

    message: str


class Conflict(OperatorResponse):
    """As Refused, for want of free resources (Mesos: 409). The call may succeed later."""

    message: str


# ---------------------------------------------------------------------------------- calls


class OperatorCall(Record):
    """The base of all calls. Their names on the wire are those of their classes: GetAgents is
    GET_AGENTS. `answer`: what one that is not refused gets."""

    answer: ClassVar[type[OperatorResponse]] = Done


class QuotaRequest(Record):
    """The old form: guarantees only, which are the limits as well."""

    role: str | None = None
    guarantee: Resources = Resources()
    force: bool = False


class GetState(OperatorCall):
    answer = State


class GetAgents(OperatorCall):
    answer = Agents


class GetFrameworks(OperatorCall):
    answer = Frameworks


class GetTasks(OperatorCall):
    answer = Tasks


class GetMaster(OperatorCall):
    answer = Master


class Teardown(OperatorCall):
    """Operator's TEARDOWN: as if the framework had sent it."""

    framework_id: FrameworkId


class GetExecutors(OperatorCall):
    answer = Executors


class GetOperations(OperatorCall):
    answer = Operations


class GetOffers(OperatorCall):
    """Ours: all outstanding offers and inverse offers."""

    answer = OutstandingOffers


class GetMetrics(OperatorCall):
    answer = Metrics


class GetRoles(OperatorCall):
    answer = Roles


class GetWeights(OperatorCall):
    answer = Weights


class UpdateWeights(OperatorCall):
    """Set all weights or none. A weight is above 0."""

    weight_infos: tuple[WeightInfo, ...]


class GetQuota(OperatorCall):
    answer = Quotas


class UpdateQuota(OperatorCall):
    """Set all quotas or none. `force`: also below what is consumed already."""

    quota_configs: tuple[QuotaConfig, ...]
    force: bool = False


class SetQuota(OperatorCall):
    quota_request: QuotaRequest


class RemoveQuota(OperatorCall):
    role: str


class ReserveResources(OperatorCall):
    agent_id: AgentId
    resources: Resources
    source: Resources = Resources()


class UnreserveResources(OperatorCall):
    agent_id: AgentId
    resources: Resources


class CreateVolumes(OperatorCall):
    agent_id: AgentId
    volumes: Resources


class DestroyVolumes(OperatorCall):
    agent_id: AgentId
    volumes: Resources


class GrowVolume(OperatorCall):
    volume: Resources
    addition: Resources
    agent_id: AgentId | None = None


class ShrinkVolume(OperatorCall):
    volume: Resources
    subtract: Thousandths  # MiB
    agent_id: AgentId | None = None


class GetMaintenanceSchedule(OperatorCall):
    answer = Maintenance


class GetMaintenanceStatus(OperatorCall):
    answer = MaintenanceStatus


class UpdateMaintenanceSchedule(OperatorCall):
    schedule: MaintenanceSchedule


class StartMaintenance(OperatorCall):
    machines: tuple[MachineId, ...]


class StopMaintenance(OperatorCall):
    machines: tuple[MachineId, ...]


class DrainAgent(OperatorCall):
    agent_id: AgentId
    max_grace_period: Seconds | None = None
    mark_gone: bool = False


class DeactivateAgent(OperatorCall):
    agent_id: AgentId


class ReactivateAgent(OperatorCall):
    agent_id: AgentId


class MarkAgentGone(OperatorCall):
    """The agent is gone for ever: this can't be undone."""

    agent_id: AgentId


class Explain(OperatorCall):
    """Ours: why was this framework (not) offered that agent? What is left out means all.

    `agent` is a hostname or an id, `framework` a name or an id.
    """

    answer = Explanations

    framework: str | None = None
    role: str | None = None
    agent: str | None = None


class GetSetAside(OperatorCall):
    """Ours: the stored records that could not be read when this master was elected."""

    answer = SetAside


class DeleteSetAside(OperatorCall):
    """Ours: forget one of the records that GET_SET_ASIDE lists, for ever."""

    key: str


CALLS: Final[Mapping[str, type[OperatorCall]]] = {
    wire_name(kind): kind for kind in OperatorCall.__subclasses__()
}

# ---------------------------------------------------------------------------------- events


class Resume(Record):
    """With a subscription: go on after this event of an earlier stream, if it is still known."""

    epoch: Serial
    sequence: Serial


class OperatorSubscribed(Record):
    get_state: State
    heartbeat_interval_seconds: Seconds | None = None


class TaskAdded(Record):
    task: Task


class TaskUpdated(Record):
    """`state` is the latest that the agent knows; `status` may be older."""

    framework_id: FrameworkId
    status: TaskStatus
    state: TaskState


class AgentAdded(Record):
    agent: AgentView


class AgentUpdated(Record):
    """Ours: its activity, resources or allocation changed. Mesos has no such event."""

    agent: AgentView


class AgentRemoved(Record):
    agent_id: AgentId


class FrameworkAdded(Record):
    framework: FrameworkView


class FrameworkUpdated(Record):
    framework: FrameworkView


class FrameworkRemoved(Record):
    framework_info: FrameworkInfo


class OperatorHeartbeat(Record):
    pass


OperatorEvent = (
    OperatorSubscribed
    | TaskAdded
    | TaskUpdated
    | AgentAdded
    | AgentUpdated
    | AgentRemoved
    | FrameworkAdded
    | FrameworkUpdated
    | FrameworkRemoved
    | OperatorHeartbeat
)
