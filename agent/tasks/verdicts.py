"""How a task ends, and how that is told. Pure."""

from __future__ import annotations

from signal import Signals
from typing import assert_never

from mezzo.cluster.model import Capability, FrameworkInfo
from mezzo.cluster.states import Reason, Source, TaskState
from mezzo.record import Record, replace

from ..container import ContainerExited
from ..state.agent_task import AgentTask, KillCause


class Verdict(Record):
    """How a task ends, or ended."""

    state: TaskState
    message: str | None = None
    source: Source = Source.EXECUTOR
    reason: Reason | None = None
    healthy: bool | None = None


def not_launched(framework: FrameworkInfo | None) -> TaskState:
    """DROPPED, or LOST for a framework that does not know that word (not PARTITION_AWARE).

    For an unknown framework DROPPED: the precise word.
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
        case _:
            assert_never(cause)


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
