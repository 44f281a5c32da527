"""Agent <-> master. One bidirectional stream per agent; every batch of a master carries its epoch.

These are ours (Mesos' own are internal to it); the words are those of Mesos `messages.proto`.
"""

from __future__ import annotations

from typing import Final

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


class AgentMessage(Record):
    """The base of all that agents say: the body of the same name in agent.proto."""


class MemberMessage(AgentMessage):
    """What only an agent may say that is registered on the stream."""


class RegisterAgent(AgentMessage):
    """First contact: the agent has no id yet (`info.id` is None)."""

    info: AgentInfo
    version: str
    boot_id: str  # of the machine: changes with a reboot
    capabilities: tuple[AgentCapability, ...] = ()


class ReregisterAgent(AgentMessage):
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


class Pong(MemberMessage):
    """`number` is that of the ping that the pong answers."""

    number: Serial = 0


class StatusUpdate(MemberMessage):
    """A reliable update, repeated until UpdateAcknowledged.

    `latest_state` may be ahead of `status.state`: it frees resources while older updates wait.
    """

    framework_id: FrameworkId
    status: TaskStatus
    latest_state: TaskState


class UnregisterAgent(MemberMessage):
    """The agent leaves for good (a clean, wanted end): no waiting for its return."""


class OperationUpdate(MemberMessage):
    """How a conversion went; repeated until OperationAcknowledged if `status.uuid` is set."""

    operation: OperationRecord
    status: OperationStatus


class ExecutorMessage(MemberMessage):
    """An executor's message to its framework: best effort."""

    framework_id: FrameworkId
    executor_id: ExecutorId
    data: bytes


class ExecutorExited(MemberMessage):
    framework_id: FrameworkId
    executor_id: ExecutorId
    status: Int32  # raw wait status, -1 unknown


MEMBER_MESSAGES: Final = tuple(MemberMessage.__subclasses__())
AGENT_MESSAGES: Final[tuple[type[AgentMessage], ...]] = (
    RegisterAgent,
    ReregisterAgent,
    *MEMBER_MESSAGES,
)

# ---------------------------------------------------------------------------------- master says


class MasterMessage(Record):
    """The base of all that masters say, as AgentMessage is."""


class AgentRegistered(MasterMessage):
    agent_id: AgentId


class KnownTask(Record):
    framework_id: FrameworkId
    task_id: TaskId


class AgentReregistered(MasterMessage):
    """Welcome back. Of each task in `reconcile` that the agent doesn't have, it sends DROPPED:

    the launch never arrived.
    """

    agent_id: AgentId
    reconcile: tuple[KnownTask, ...] = ()


class Ping(MasterMessage):
    """`connected` False: the master thinks the agent is disconnected, so it must re-register.

    `heard` is the number of the newest ping whose pong has reached the master. It renews the
    agent's lease: from the moment at which the agent sent that pong, for both clocks agree that the
    master heard of it no earlier.
    """

    connected: bool
    number: Serial = 0
    heard: Serial = 0


class RunTask(MasterMessage):
    """Launch. Idempotent by (framework, task id): a second one for a known task is ignored."""

    framework: FrameworkInfo  # with id
    task: TaskInfo
    role: str = "*"  # the allocation role of the offer


class KillTask(MasterMessage):
    framework_id: FrameworkId
    task_id: TaskId
    kill_policy: KillPolicy | None = None


class UpdateAcknowledged(MasterMessage):
    framework_id: FrameworkId
    task_id: TaskId
    uuid: bytes


class ShutdownFramework(MasterMessage):
    """Kill all tasks of the framework and forget it."""

    framework_id: FrameworkId


class ShutdownAgent(MasterMessage):
    """The master refuses this agent (gone, or a changed identity). Kill all tasks and exit."""

    message: str


class RunGroup(MasterMessage):
    """Launch all of `tasks` under one executor, or none. Idempotent as RunTask is."""

    framework: FrameworkInfo
    executor: ExecutorInfo
    tasks: tuple[TaskInfo, ...]
    role: str = "*"


class ShutdownExecutor(MasterMessage):
    framework_id: FrameworkId
    executor_id: ExecutorId


class FrameworkMessage(MasterMessage):
    """A framework's message to one of its executors: best effort."""

    framework_id: FrameworkId
    executor_id: ExecutorId
    data: bytes


class ApplyOperation(MasterMessage):
    """Convert resources. Idempotent by `uuid`. With an id in it the framework is told, reliably."""

    uuid: bytes
    conversion: Conversion
    framework_id: FrameworkId | None = None  # None: an operator's


class OperationAcknowledged(MasterMessage):
    """`uuid` of the operation, `status_uuid` of the update."""

    uuid: bytes
    status_uuid: bytes


class DrainAgent(MasterMessage):
    """Kill all tasks, none of them with more grace than `config` allows, and take no new ones.
    Sent again after each registration while the agent is to drain."""

    config: DrainConfig = DrainConfig()


class ReactivateAgent(MasterMessage):
    """The drain is over: take tasks again."""


MASTER_MESSAGES: Final = tuple(MasterMessage.__subclasses__())
