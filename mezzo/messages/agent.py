"""Agent <-> master. One bidirectional stream per agent; every batch of a master carries its epoch.

These are ours (Mesos' own are internal to it); the words are those of Mesos `messages.proto`.
"""

from __future__ import annotations

from mezzo.cluster.model import (
    AgentCapability,
    AgentInfo,
    DrainConfig,
    ExecutorInfo,
    FrameworkInfo,
    KillPolicy,
    Task,
    TaskInfo,
    TaskStatus,
)
from mezzo.cluster.operations import Conversion, OperationRecord, OperationStatus
from mezzo.cluster.states import TaskState
from mezzo.ids import AgentId, ExecutorId, FrameworkId, TaskId
from mezzo.record import Record
from mezzo.units import Int32, Serial

# ---------------------------------------------------------------------------------- agent says


class RegisterAgent(Record):
    """First contact: the agent has no id yet (`info.id` is None)."""

    info: AgentInfo
    version: str
    boot_id: str  # of the machine: changes with a reboot
    capabilities: tuple[AgentCapability, ...] = ()


class ReregisterAgent(Record):
    """Back after a lost stream, a restart or a new leader. The agent is the truth about its tasks:

    `tasks` are all that it has not forgotten: running ones, and terminal ones whose last update is
    not acknowledged; `operations` those whose last status is not acknowledged. `info.resources` is
    what the agent has after all conversions: with its dynamic reservations and volumes.
    """

    info: AgentInfo  # with id
    version: str
    boot_id: str
    tasks: tuple[Task, ...] = ()
    frameworks: tuple[FrameworkInfo, ...] = ()
    executors: tuple[ExecutorInfo, ...] = ()  # alive; with framework_id
    operations: tuple[OperationRecord, ...] = ()
    capabilities: tuple[AgentCapability, ...] = ()


class Pong(Record):
    """`number` is that of the ping that the pong answers."""

    number: Serial = 0


class OperationUpdate(Record):
    """How a conversion went; repeated until OperationAcknowledged if `status.uuid` is set."""

    operation: OperationRecord
    status: OperationStatus


class ExecutorMessage(Record):
    """An executor's message to its framework: best effort."""

    framework_id: FrameworkId
    executor_id: ExecutorId
    data: bytes


class ExecutorExited(Record):
    framework_id: FrameworkId
    executor_id: ExecutorId
    status: Int32  # raw wait status, -1 unknown


class StatusUpdate(Record):
    """A reliable update, repeated until UpdateAcknowledged.

    `latest_state` may be ahead of `status.state`: it frees resources while older updates wait.
    """

    framework_id: FrameworkId
    status: TaskStatus
    latest_state: TaskState


class UnregisterAgent(Record):
    """The agent leaves for good (a clean, wanted end): no waiting for its return."""


# What only an agent may say that is registered on the stream.
MemberMessage = (
    Pong | StatusUpdate | UnregisterAgent | OperationUpdate | ExecutorMessage | ExecutorExited
)
AgentMessage = RegisterAgent | ReregisterAgent | MemberMessage

# ---------------------------------------------------------------------------------- master says


class AgentRegistered(Record):
    agent_id: AgentId


class KnownTask(Record):
    framework_id: FrameworkId
    task_id: TaskId


class AgentReregistered(Record):
    """Welcome back. Of each task in `reconcile` that the agent doesn't have, it sends DROPPED:

    the launch never arrived.
    """

    agent_id: AgentId
    reconcile: tuple[KnownTask, ...] = ()


class Ping(Record):
    """`connected` False: the master thinks the agent is disconnected, so it must re-register.

    `heard` is the number of the newest ping whose pong has reached the master. It renews the
    agent's lease: from the moment at which the agent sent that pong, for both clocks agree that the
    master heard of it no earlier.
    """

    connected: bool
    number: Serial = 0
    heard: Serial = 0


class RunTask(Record):
    """Launch. Idempotent by (framework, task id): a second one for a known task is ignored."""

    framework: FrameworkInfo  # with id
    task: TaskInfo
    role: str = "*"  # the allocation role of the offer


class RunGroup(Record):
    """Launch all of `tasks` under one executor, or none. Idempotent as RunTask is."""

    framework: FrameworkInfo
    executor: ExecutorInfo
    tasks: tuple[TaskInfo, ...]
    role: str = "*"


class KillTask(Record):
    framework_id: FrameworkId
    task_id: TaskId
    kill_policy: KillPolicy | None = None


class UpdateAcknowledged(Record):
    framework_id: FrameworkId
    task_id: TaskId
    uuid: bytes


class ShutdownExecutor(Record):
    framework_id: FrameworkId
    executor_id: ExecutorId


class FrameworkMessage(Record):
    """A framework's message to one of its executors: best effort."""

    framework_id: FrameworkId
    executor_id: ExecutorId
    data: bytes


class ApplyOperation(Record):
    """Convert resources. Idempotent by `uuid`. With an id in it the framework is told, reliably."""

    uuid: bytes
    conversion: Conversion
    framework_id: FrameworkId | None = None  # None: an operator's


class OperationAcknowledged(Record):
    """`uuid` of the operation, `status_uuid` of the update."""

    uuid: bytes
    status_uuid: bytes


class DrainAgent(Record):
    """Kill all tasks, none of them with more grace than `config` allows, and take no new ones.
    Sent again after each registration while the agent is to drain."""

    config: DrainConfig = DrainConfig()


class ReactivateAgent(Record):
    """The drain is over: take tasks again."""


class ShutdownFramework(Record):
    """Kill all tasks of the framework and forget it."""

    framework_id: FrameworkId


class ShutdownAgent(Record):
    """The master refuses this agent (gone, or a changed identity). Kill all tasks and exit."""

    message: str


MasterMessage = (
    AgentRegistered
    | AgentReregistered
    | Ping
    | RunTask
    | KillTask
    | UpdateAcknowledged
    | ShutdownFramework
    | ShutdownAgent
    | RunGroup
    | ShutdownExecutor
    | FrameworkMessage
    | ApplyOperation
    | OperationAcknowledged
    | DrainAgent
    | ReactivateAgent
)
