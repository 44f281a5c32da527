"""Kills: by whom, when the framework hears of them, and how much grace is left. Pure."""

from __future__ import annotations

from mezzo.cluster.model import Capability
from mezzo.cluster.states import TaskState
from mezzo.messages.agent import KillTask, ShutdownFramework
from mezzo.record import replace

from ..effects import KillContainer
from ..resources import applying
from ..state.agent_state import AgentState
from ..state.agent_task import AgentTask, Kill, KillCause
from ..state.step import Step
from . import outgoing_updates, reporting, unique_leases
from .container_spec import kind_of
from .kill_grace import own_grace_s
from .verdicts import killing_of


def kill_task(state: AgentState, step: Step, message: KillTask) -> None:
    task = state.checkpoint.tasks.get((message.framework_id, message.task_id))
    if task is None or not task.live:
        return  # it has ended meanwhile; its update is on the way or was acknowledged
    policy = message.kill_policy
    grace_s = policy.grace_period if policy is not None else None
    kill(state, step, task, KillCause.REQUESTED, grace_s=grace_s)


def shutdown_framework(state: AgentState, step: Step, message: ShutdownFramework) -> None:
    for task in list(state.checkpoint.tasks.values()):
        if task.framework_id != message.framework_id:
            continue
        if task.live:
            kill(state, step, task, KillCause.FRAMEWORK_REMOVED)
        else:
            outgoing_updates.forget_unheard(state, step, task)
    applying.framework_removed(state, step, message.framework_id)


def kill(
    state: AgentState,
    step: Step,
    task: AgentTask,
    cause: KillCause,
    *,
    grace_s: float | None = None,
) -> None:
    """Have a live task killed, and tell its framework if it wants to know.

    grace_s between SIGTERM and SIGKILL; None: the task's own.
    """
    first = task.kill is None
    task = want_dead(state, step, task, cause, grace_s=grace_s)
    order(state, step, task)
    framework = state.checkpoint.framework_of(task)
    wants = framework is not None and framework.can(Capability.TASK_KILLING_STATE)
    if first and wants and task.state is TaskState.RUNNING:
        why = killing_of(task, framework, cause)
        reporting.report(
            state,
            step,
            task,
            TaskState.KILLING,
            message=why.message,
            source=why.source,
            reason=why.reason,
        )


def want_dead(
    state: AgentState,
    step: Step,
    task: AgentTask,
    cause: KillCause,
    *,
    grace_s: float | None = None,
) -> AgentTask:
    """Store that the task is to be killed. The first cause stays, the earlier time wins.

    Unless its framework is removed: then nobody is to be told of its end.
    """
    grace_s = own_grace_s(task.info) if grace_s is None else grace_s
    kill_at_s = step.now.wall_s + grace_s
    if task.kill is not None:
        if cause is not KillCause.FRAMEWORK_REMOVED:
            cause = task.kill.cause
        if task.kill.kill_at_s < kill_at_s:
            kill_at_s, grace_s = task.kill.kill_at_s, task.kill.grace_s
    task = replace(task, kill=Kill(cause, kill_at_s, grace_s))
    state.checkpoint.put_task(step, task)
    return task


def order(state: AgentState, step: Step, task: AgentTask) -> None:
    """Have the kill carried out, with what is left of its grace."""
    assert task.container_id is not None
    assert task.kill is not None
    lasts_s = own_grace_s(task.info) if task.kill.grace_s is None else task.kill.grace_s
    grace_s = step.now.left_s(task.kill.kill_at_s - lasts_s, lasts_s)
    if task.info.unique_lease is not None and unique_leases.ends(state, step, task.info):
        # Whatever was done to the wall clock.
        grace_s = min(grace_s, unique_leases.left_s(state, step, task.info))
    step.do(KillContainer(task.container_id, kind_of(task.info), grace_s))
