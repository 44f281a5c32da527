"""The timers of the agent's core: what comes back as `TimerFired(key)`."""

from __future__ import annotations

from mezzo.ids import ContainerId, FrameworkId, TaskId
from mezzo.record import Record


class PingOverdue(Record):
    """A ping of the master sets it back."""


class AskAgain(Record):
    """The master has not answered our registration."""


class UpdateOverdue(Record):
    """Nobody has acknowledged the update in flight."""

    framework_id: FrameworkId
    task_id: TaskId


class OperationOverdue(Record):
    """Nobody has acknowledged how this operation went."""

    uuid: bytes


class HealthDue(Record):
    """The next health check of a task."""

    container_id: ContainerId


class LeaseDue(Record):
    """Look whether the lease of a unique task is about to be over."""

    container_id: ContainerId


class OutOfTime(Record):
    """The task's max_completion_time is over."""

    container_id: ContainerId


class RemovalDue(Record):
    """An ended container is to be removed, or later its sandbox."""

    container_id: ContainerId


class DiskDue(Record):
    """Look how full the disk is."""


AgentTimer = (
    PingOverdue
    | AskAgain
    | UpdateOverdue
    | OperationOverdue
    | HealthDue
    | LeaseDue
    | OutOfTime
    | RemovalDue
    | DiskDue
)
