"""One task as its agent keeps it, and what follows from it. Pure.

    RunTask -> STARTING -> RUNNING (-> KILLING) -> FINISHED | FAILED | KILLED | ...

A task is stored before its container is launched and forgotten when the framework has acknowledged
its last update, so what is in the store is what the agent answers for.
"""

from __future__ import annotations

from enum import StrEnum
from signal import Signals
from typing import Final

from mezzo.cluster.model import (
    Capability,
    ContainerStatus,
    FrameworkInfo,
    Task,
    TaskInfo,
    TaskStatus,
)
from mezzo.cluster.states import Reason, Source, TaskState
from mezzo.ids import ContainerId, FrameworkId, TaskId
from mezzo.record import Record, replace

from ..container import ContainerExited

TaskKey = tuple[FrameworkId, TaskId]

# More waiting updates than this, and of those that only tell a health the newest is enough.
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
    """Asked for and not yet carried out. `kill_at_s`: wall time of the SIGKILL, and `grace_s` how
    long that was ahead when it was asked for (None: as an earlier version stored it)."""

    cause: KillCause
    kill_at_s: float
    grace_s: float | None = None


class AgentTask(Record):
    """container_id: None if no container was ever wanted (a refused or an unknown task).

    statuses: the last one of each consecutive state, without `data`; empty: STAGING.
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
        """What was reported last; None: nothing yet."""
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
        bare = replace(status, data=None)
        before, waiting = self.statuses, self.pending
        if before and before[-1].state is status.state:
            before = before[:-1]
        if len(waiting) >= WAITING_MAX and waiting[-1].reason is status.reason is _HEALTH:
            waiting = waiting[:-1]  # not the first, which may have been sent
        return replace(self, statuses=(*before, bare), pending=(*waiting, status))

    def shown(self) -> Task:
        """As the master gets it. The head of the queue is the last one that was forwarded."""
        last = self.pending[0] if self.pending else (self.statuses[-1] if self.statuses else None)
        info = self.info
        return Task(
            name=info.name,
            task_id=info.task_id,
            framework_id=self.framework_id,
            agent_id=info.agent_id,
            state=self.state,
            resources=info.resources,
            statuses=self.statuses,
            status_update_state=last.state if last else None,
            status_update_uuid=last.uuid if last else None,
            labels=info.labels,
            discovery=info.discovery,
            container=info.container,
            health_check=info.health_check,
            kill_policy=info.kill_policy,
            user=info.command.user if info.command else None,
            role=self.role,
            unique_lease=info.unique_lease,
        )


class Verdict(Record):
    """How a task ends, or ended."""

    state: TaskState
    message: str | None = None
    source: Source = Source.EXECUTOR
    reason: Reason | None = None
    healthy: bool | None = None


def not_launched(framework: FrameworkInfo | None) -> TaskState:
    """DROPPED, or LOST for a framework that does not know that word (not PARTITION_AWARE).

    Of an unknown framework DROPPED: the precise word.
    """
    aware = framework is None or framework.can(Capability.PARTITION_AWARE)
    return TaskState.DROPPED if aware else TaskState.LOST


def not_running(framework: FrameworkInfo | None) -> TaskState:
    """As `not_launched`, of a task that has run: GONE, or LOST."""
    lost = not_launched(framework)
    return TaskState.GONE if lost is TaskState.DROPPED else lost


def verdict_of_exit(
    task: AgentTask, framework: FrameworkInfo | None, ended: ContainerExited
) -> Verdict:
    """The terminal state of a task whose process ended (spec: Mesos' built-in executors)."""
    if task.kill is not None:
        return verdict_of_kill(task, framework, task.kill.cause)
    if ended.oom_killed and ended.exit_code != 0:
        # With exit code 0 only a child of the task was killed and the task coped with that.
        return Verdict(
            TaskState.FAILED,
            f"Memory limit exceeded: the task may use {task.info.resources.mem_mib:g} MiB",
            Source.AGENT,
            Reason.CONTAINER_LIMITATION_MEMORY,
        )
    if ended.exit_code == 0:
        return Verdict(TaskState.FINISHED, "Command exited with status 0")
    if ended.signal is not None:
        return Verdict(
            TaskState.FAILED, f"Command terminated with signal {signal_name(ended.signal)}"
        )
    return Verdict(TaskState.FAILED, f"Command exited with status {ended.exit_code}")


def verdict_of_kill(task: AgentTask, framework: FrameworkInfo | None, cause: KillCause) -> Verdict:
    """After a kill the cause decides, however the process ended."""
    match cause:
        case KillCause.UNHEALTHY:
            return Verdict(
                TaskState.KILLED, "killed because its health check failed", healthy=False
            )
        case KillCause.MAX_COMPLETION_TIME:
            return Verdict(
                TaskState.FAILED,
                f"killed after its max_completion_time of {task.info.max_completion_time:g} s",
                reason=Reason.MAX_COMPLETION_TIME_REACHED,
            )
        case KillCause.NOT_CHECKPOINTED:
            return Verdict(
                (not_running if task.was_running else not_launched)(framework),
                "the agent restarted and the framework does not checkpoint",
                Source.AGENT,
                Reason.AGENT_RESTARTED,
            )
        case KillCause.AGENT_SHUTDOWN:
            return Verdict(
                TaskState.KILLED, "the agent is shut down", Source.AGENT, Reason.AGENT_REMOVED
            )
        case KillCause.LEASE_OVER:
            return Verdict(
                TaskState.KILLED,
                f"its unique_lease of {task.info.unique_lease:g} s ran out: no master has heard "
                "from this agent for so long, and it may be started elsewhere",
                Source.AGENT,
                Reason.MASTER_DISCONNECTED,
            )
        case KillCause.DRAINING | KillCause.DRAINING_FOR_GOOD:
            return Verdict(
                drained(framework, cause),
                "the agent is drained",
                Source.AGENT,
                Reason.AGENT_DRAINING,
            )
        case KillCause.REQUESTED | KillCause.FRAMEWORK_REMOVED:
            if task.was_running:
                return Verdict(TaskState.KILLED, "killed by the framework")
            return Verdict(
                TaskState.KILLED,
                "killed before it was running",
                Source.AGENT,
                Reason.TASK_KILLED_DURING_LAUNCH,
            )


def killing_of(task: AgentTask, framework: FrameworkInfo | None, cause: KillCause) -> Verdict:
    """What the framework is told when the kill begins: why, if it is for the agent's own sake."""
    if cause in (KillCause.DRAINING, KillCause.DRAINING_FOR_GOOD, KillCause.LEASE_OVER):
        return replace(verdict_of_kill(task, framework, cause), state=TaskState.KILLING)
    return Verdict(TaskState.KILLING)


def drained(framework: FrameworkInfo | None, cause: KillCause) -> TaskState:
    """KILLED; GONE_BY_OPERATOR if the agent will not return and the framework knows that word."""
    aware = framework is not None and framework.can(Capability.PARTITION_AWARE)
    for_good = cause is KillCause.DRAINING_FOR_GOOD
    return TaskState.GONE_BY_OPERATOR if for_good and aware else TaskState.KILLED


def signal_name(number: int) -> str:
    try:
        return Signals(number).name
    except ValueError:
        return str(number)
