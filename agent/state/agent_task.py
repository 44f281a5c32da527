"""One task as its agent keeps it.

    RunTask -> STARTING -> RUNNING (-> KILLING) -> FINISHED | FAILED | KILLED | ...

A task is stored before its container is launched and forgotten when the framework has acknowledged
its last update, so what is in the store is what the agent answers for.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from mezzo.cluster.description import status_history, task_of
from mezzo.cluster.model import (
    ContainerStatus,
    Task,
    TaskInfo,
    TaskStatus,
)
from mezzo.cluster.states import Reason, TaskState
from mezzo.ids import ContainerId, FrameworkId, TaskId
from mezzo.record import Record, replace

TaskKey = tuple[FrameworkId, TaskId]

# With more waiting updates than this, of those that only tell a health the newest is enough.
WAITING_MAX: Final = 16
_HEALTH: Final = Reason.TASK_HEALTH_CHECK_STATUS_UPDATED


class KillCause(StrEnum):
    REQUESTED = "requested"  # the framework asked
    UNHEALTHY = "unhealthy"  # its health check failed too often
    MAX_COMPLETION_TIME = "max_completion_time"
    FRAMEWORK_REMOVED = "framework_removed"  # nobody is left to be told
    AGENT_SHUTDOWN = "agent_shutdown"
    NOT_CHECKPOINTED = "not_checkpointed"  # its framework wants no task to survive its agent
    LEASE_OVER = "lease_over"  # it may run elsewhere by now
    DRAINING = "draining"
    DRAINING_FOR_GOOD = "draining_for_good"  # the agent is to be marked gone afterwards


class Kill(Record):
    """A kill that is not carried out yet. `kill_at_s`: wall time of the SIGKILL, and `grace_s` how
    long that was ahead when the kill was asked for (None: as an earlier version stored it)."""

    cause: KillCause
    kill_at_s: float
    grace_s: float | None = None


class AgentTask(Record):
    """container_id: None if no container was ever wanted (a refused or an unknown task).

    statuses: its `status_history`; empty: STAGING.
    pending: updates that the framework has not acknowledged, in order; the first is in flight.
    started_s: wall time at which its container was first seen running.
    """

    framework_id: FrameworkId
    info: TaskInfo
    role: str = "*"
    container_id: ContainerId | None = None
    statuses: tuple[TaskStatus, ...] = ()
    pending: tuple[TaskStatus, ...] = ()
    started_s: float | None = None
    kill: Kill | None = None

    @property
    def key(self) -> TaskKey:
        return (self.framework_id, self.info.task_id)

    @property
    def state(self) -> TaskState:
        return self.statuses[-1].state if self.statuses else TaskState.STAGING

    @property
    def live(self) -> bool:
        """True while its container may run."""
        return not self.state.terminal

    @property
    def was_running(self) -> bool:
        return any(status.state is TaskState.RUNNING for status in self.statuses)

    @property
    def healthy(self) -> bool | None:
        """The health that was reported last; None: nothing yet."""
        return self.statuses[-1].healthy if self.statuses else None

    @property
    def container_status(self) -> ContainerStatus | None:
        for status in reversed(self.statuses):
            if status.container_status is not None:
                return status.container_status
        return None

    def with_status(self, status: TaskStatus) -> AgentTask:
        """The task with one more update, both as its latest state and in the queue.

        A check may fail for as long as its framework is away: the queue has an end.
        """
        waiting = self.pending
        if len(waiting) >= WAITING_MAX and waiting[-1].reason is status.reason is _HEALTH:
            waiting = waiting[:-1]  # not the first, which may have been sent
        statuses = status_history(self.statuses, status)
        return replace(self, statuses=statuses, pending=(*waiting, status))

    def shown(self) -> Task:
        """The task as the master gets it. The head of the queue is the last update forwarded."""
        last = self.pending[0] if self.pending else (self.statuses[-1] if self.statuses else None)
        return replace(
            task_of(self.info, self.framework_id, self.role),
            state=self.state,
            statuses=self.statuses,
            status_update_state=last.state if last else None,
            status_update_uuid=last.uuid if last else None,
        )
