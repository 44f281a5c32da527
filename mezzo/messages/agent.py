"""Agent <-> master. One bidirectional stream per agent; every batch of a master carries its epoch.

These are ours (Mesos' own are internal to it); the words are those of Mesos `messages.proto`.
"""

from __future__ import annotations

from mezzo.ids import AgentId, FrameworkId, TaskId
from mezzo.model import AgentInfo, FrameworkInfo, KillPolicy, Task, TaskInfo, TaskStatus
from mezzo.record import Record
from mezzo.states import TaskState

# ---------------------------------------------------------------------------------- agent says


class RegisterAgent(Record):
    """First contact: the agent has no id yet (`info.id` is None)."""

    info: AgentInfo
    version: str
    boot_id: str  # of the machine: changes with a reboot


class ReregisterAgent(Record):
    """Back after a lost stream, a restart or a new leader. The agent is the truth about its tasks:

    `tasks` are all that it has not forgotten: running ones, and terminal ones whose last update is
    not acknowledged.
    """

    info: AgentInfo  # with id
    version: str
    boot_id: str
    tasks: tuple[Task, ...] = ()
    frameworks: tuple[FrameworkInfo, ...] = ()


class Pong(Record):
    pass


class StatusUpdate(Record):
    """A reliable update, repeated until UpdateAcknowledged.

    `latest_state` may be ahead of `status.state`: it frees resources while older updates wait.
    """

    framework_id: FrameworkId
    status: TaskStatus
    latest_state: TaskState


class UnregisterAgent(Record):
    """The agent leaves for good (a clean, wanted end): no waiting for its return."""


AgentMessage = RegisterAgent | ReregisterAgent | Pong | StatusUpdate | UnregisterAgent

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
    """`connected` False: the master thinks the agent is disconnected, so it must re-register."""

    connected: bool


class RunTask(Record):
    """Launch. Idempotent by (framework, task id): a second one for a known task is ignored."""

    framework: FrameworkInfo  # with id
    task: TaskInfo
    role: str = "*"  # the allocation role of the offer


class KillTask(Record):
    framework_id: FrameworkId
    task_id: TaskId
    kill_policy: KillPolicy | None = None


class UpdateAcknowledged(Record):
    framework_id: FrameworkId
    task_id: TaskId
    uuid: bytes


class ShutdownFramework(Record):
    """Kill all of its tasks and forget it."""

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
)
