"""The agent's start: what earlier lives have left is taken over, or ended. Pure."""

from __future__ import annotations

from mezzo.cluster.states import Reason, Source, TaskState

from . import leaving, membership
from .effects import Exit, RecoverContainers
from .events import Started
from .resources import applying
from .state.agent_state import AgentState
from .state.agent_task import KillCause
from .state.step import Step
from .tasks import lifecycle, sandbox_gc, task_kills, unique_leases, watching
from .tasks.verdicts import Verdict


def started(state: AgentState, step: Step, event: Started) -> None:
    state.boot_id = event.boot_id
    rebooted = membership.recall(state, step)
    unique_leases.recall(state, step, event.up_s)
    sandbox_gc.started(state, step)
    applying.started(state, step)
    if rebooted:
        _end_all(state, step)
    else:
        _recover(state, step)
    if event.cleanup:
        leaving.leave(state, step, Exit("recovered for cleanup: all tasks have ended", True))


def _end_all(state: AgentState, step: Step) -> None:
    for task in state.checkpoint.live_tasks():
        verdict = Verdict(
            TaskState.FAILED,
            "the machine was rebooted",
            Source.AGENT,
            Reason.EXECUTOR_TERMINATED,
        )
        lifecycle.end(state, step, task, verdict)


def _recover(state: AgentState, step: Step) -> None:
    checkpoint = state.checkpoint
    for task in checkpoint.live_tasks():
        if not checkpoint.frameworks[task.framework_id].checkpoint:
            task_kills.want_dead(state, step, task, KillCause.NOT_CHECKPOINTED)
        if task.info.unique_lease is not None:
            watching.recall_lease(state, step, checkpoint.tasks[task.key])
    if live := checkpoint.live_tasks():
        step.do(RecoverContainers(tuple(lifecycle.spec(state, task) for task in live)))
