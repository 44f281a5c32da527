"""Operators, gateways and tools <-> master: the Mesos v1 operator API, the part that mezzo serves.

A stream starts with `OperatorSubscribed` (the whole state) and goes on with the changes, each with
a sequence number that only grows: who applies them all has a replica.
"""

from __future__ import annotations

from mezzo.ids import AgentId, FrameworkId
from mezzo.model import AgentInfo, FrameworkInfo, MasterInfo, Task, TaskStatus
from mezzo.record import Record
from mezzo.resources import Resources
from mezzo.states import TaskState

# ---------------------------------------------------------------------------------- views


class AgentView(Record):
    """One agent, as Mesos `Response.GetAgents.Agent`. Times are seconds since 1970."""

    agent_info: AgentInfo
    active: bool  # connected and offered
    version: str
    pid: str | None = None
    registered_time: float | None = None
    reregistered_time: float | None = None
    total_resources: Resources = Resources()
    allocated_resources: Resources = Resources()
    offered_resources: Resources = Resources()


class FrameworkView(Record):
    """One framework, as Mesos `Response.GetFrameworks.Framework`."""

    framework_info: FrameworkInfo
    active: bool
    connected: bool
    recovered: bool
    registered_time: float | None = None
    reregistered_time: float | None = None
    unregistered_time: float | None = None
    allocated_resources: Resources = Resources()
    offered_resources: Resources = Resources()


class Tasks(Record):
    tasks: tuple[Task, ...] = ()
    completed_tasks: tuple[Task, ...] = ()
    unreachable_tasks: tuple[Task, ...] = ()


class Frameworks(Record):
    frameworks: tuple[FrameworkView, ...] = ()
    completed_frameworks: tuple[FrameworkView, ...] = ()


class Agents(Record):
    agents: tuple[AgentView, ...] = ()
    recovered_agents: tuple[AgentInfo, ...] = ()


class State(Record):
    """Everything, as Mesos `Response.GetState`."""

    get_tasks: Tasks = Tasks()
    get_frameworks: Frameworks = Frameworks()
    get_agents: Agents = Agents()


# ---------------------------------------------------------------------------------- calls


class GetState(Record):
    pass


class GetAgents(Record):
    pass


class GetFrameworks(Record):
    pass


class GetTasks(Record):
    pass


class GetMaster(Record):
    pass


class TeardownFramework(Record):
    """Operator's TEARDOWN: as if the framework had sent it."""

    framework_id: FrameworkId


OperatorCall = GetState | GetAgents | GetFrameworks | GetTasks | GetMaster | TeardownFramework


class Master(Record):
    """Answer to GetMaster. Times are seconds since 1970."""

    master_info: MasterInfo
    start_time: float | None = None
    elected_time: float | None = None


class Done(Record):
    """A write was carried out."""


class Refused(Record):
    """A call was refused and nothing was changed."""

    message: str


OperatorResponse = State | Agents | Frameworks | Tasks | Master | Done | Refused

# ---------------------------------------------------------------------------------- events


class OperatorSubscribed(Record):
    get_state: State
    heartbeat_interval_seconds: float | None = None


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
