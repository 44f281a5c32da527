"""What becomes of a task from its launch to its end, and when its framework is told. Pure.

Every change of its state goes through `reporting.report`; every end through `end`.
"""

from __future__ import annotations

from mezzo.cluster.model import ContainerStatus, IpAddress, NetworkInfo
from mezzo.cluster.states import Reason, Source, TaskState
from mezzo.ids import ContainerId
from mezzo.record import replace

from ..container import (
    ContainerAbsent,
    ContainerExited,
    ContainerLost,
    ContainerSpec,
    ContainerStarted,
    Kind,
    LaunchFailed,
)
from ..effects import LaunchContainer
from ..state.agent_state import AgentState
from ..state.agent_task import AgentTask, KillCause
from ..state.step import Step
from . import outgoing_updates, reporting, sandbox_gc, task_kills, unique_leases, watching
from .container_spec import kind_of, mounts_of, spec_of
from .verdicts import Verdict, verdict_of_exit, verdict_of_kill

# ---- launch


def launch(state: AgentState, step: Step, task: AgentTask) -> None:
    """Store the task with its container's id, then have it started."""
    task = replace(task, container_id=ContainerId(state.ids.uuid()))
    reporting.report(state, step, task, TaskState.STARTING)
    if task.info.unique_lease is not None:
        unique_leases.begin(state, step, task.info)
        watching.watch_lease(state, step, task)
    step.do(LaunchContainer(spec(state, task)))


def spec(state: AgentState, task: AgentTask) -> ContainerSpec:
    mounts = mounts_of(task.info.resources, state.checkpoint.volumes())
    return spec_of(task, state.checkpoint.frameworks[task.framework_id], state.config, mounts)


def started(state: AgentState, step: Step, event: ContainerStarted) -> None:
    task = state.checkpoint.live_task_of(event.container_id)
    if task is None:
        return
    if task.kill is not None:  # the kill was ordered during the launch, or before a restart
        task_kills.order(state, step, task)
        return
    if task.started_s is None:  # else it was found again after a restart: no news
        networks = event.network_infos or _host_network(state, task)
        status = ContainerStatus(event.container_id, networks, event.pid)
        task = replace(task, started_s=step.now.wall_s)
        task = reporting.report(
            state, step, task, TaskState.RUNNING, container=status, data=event.data
        )
    watching.start(state, step, task, event.container_id)


def _host_network(state: AgentState, task: AgentTask) -> tuple[NetworkInfo, ...]:
    """A process has the address of its host. Of containers the engine tells."""
    ip = state.config.info.ip
    if ip is None or kind_of(task.info) is not Kind.PROCESS:
        return ()
    return (NetworkInfo((IpAddress(ip, "IPv6" if ":" in ip else "IPv4"),)),)


# ---- ends


def exited(state: AgentState, step: Step, event: ContainerExited) -> None:
    task = state.checkpoint.live_task_of(event.container_id)
    if task is None:
        return
    if task.kill is None and task.started_s is None:
        # Over before anybody saw the task run. But it ran, and frameworks count on hearing so.
        status = ContainerStatus(event.container_id, _host_network(state, task))
        task = replace(task, started_s=step.now.wall_s)
        task = reporting.report(state, step, task, TaskState.RUNNING, container=status)
    end(state, step, task, verdict_of_exit(task, state.checkpoint.framework_of(task), event))


def launch_failed(state: AgentState, step: Step, event: LaunchFailed) -> None:
    task = state.checkpoint.live_task_of(event.container_id)
    if task is not None:
        _end_without_exit(state, step, task, event.message, Reason.CONTAINER_LAUNCH_FAILED)


def lost(state: AgentState, step: Step, event: ContainerLost) -> None:
    task = state.checkpoint.live_task_of(event.container_id)
    if task is not None:
        _end_without_exit(state, step, task, event.message, Reason.EXECUTOR_TERMINATED)


def absent(state: AgentState, step: Step, event: ContainerAbsent) -> None:
    task = state.checkpoint.live_task_of(event.container_id)
    if task is None:
        return
    if task.kill is None and task.started_s is None:
        # We stopped between storing the task and launching it, or the launch got nowhere.
        step.do(LaunchContainer(spec(state, task)))
    else:
        message = "its container is gone: somebody removed it while the agent was away"
        _end_without_exit(state, step, task, message, Reason.EXECUTOR_TERMINATED)


def _end_without_exit(
    state: AgentState, step: Step, task: AgentTask, message: str, reason: Reason
) -> None:
    if task.kill is not None:
        framework = state.checkpoint.framework_of(task)
        verdict = verdict_of_kill(task, framework, task.kill.cause)
    else:
        verdict = Verdict(TaskState.FAILED, message, Source.AGENT, reason)
    end(state, step, task, verdict)


def end(state: AgentState, step: Step, task: AgentTask, verdict: Verdict) -> None:
    """The task is over. What its container leaves is kept for a while."""
    if task.container_id is not None:
        watching.stop(state, step, task.container_id)
        sandbox_gc.ended(state, step, task, task.container_id)
    if task.kill is not None and task.kill.cause is KillCause.FRAMEWORK_REMOVED:
        outgoing_updates.forget_unheard(state, step, task)
        return
    reporting.report(
        state,
        step,
        task,
        verdict.state,
        message=verdict.message,
        source=verdict.source,
        reason=verdict.reason,
        healthy=verdict.healthy,
    )
