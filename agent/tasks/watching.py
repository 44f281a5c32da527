"""What is watched while a task lives: its health check, its time limit, its lease. Pure."""

from __future__ import annotations

from typing import Final

from mezzo.cluster.states import Reason, TaskState
from mezzo.ids import ContainerId

from ..effects import ProbeHealth
from ..events import HealthObserved
from ..health.rules import judge
from ..state.agent_state import AgentState
from ..state.agent_task import AgentTask, KillCause
from ..state.step import Step
from ..timers import HealthDue, LeaseDue, OutOfTime
from . import reporting, task_kills, unique_leases
from .container_spec import kind_of, probe_address

_INTERVAL_MIN_S: Final = 0.05  # between two health checks, whatever is asked for


def start(state: AgentState, step: Step, task: AgentTask, container_id: ContainerId) -> None:
    """The task runs. (Its lease is watched since before its launch.)"""
    assert task.started_s is not None
    limit_s = task.info.max_completion_time
    if limit_s is not None:
        step.timer(OutOfTime(container_id), step.now.left_s(task.started_s, limit_s))
    check = task.info.health_check
    if check is not None:
        step.timer(HealthDue(container_id), check.delay_seconds)


def stop(state: AgentState, step: Step, container_id: ContainerId) -> None:
    state.failed_checks.pop(container_id, None)
    step.cancel(HealthDue(container_id))
    step.cancel(OutOfTime(container_id))
    step.cancel(LeaseDue(container_id))


def out_of_time(state: AgentState, step: Step, due: OutOfTime) -> None:
    task = state.checkpoint.live_task_of(due.container_id)
    if task is not None and task.kill is None:
        task_kills.kill(state, step, task, KillCause.MAX_COMPLETION_TIME)


# ---- health checks


def health_due(state: AgentState, step: Step, due: HealthDue) -> None:
    task = state.checkpoint.live_task_of(due.container_id)
    if task is None or task.kill is not None or task.info.health_check is None:
        return
    host, port = probe_address(task, state.config)
    step.do(
        ProbeHealth(
            task.framework_id,
            task.info.task_id,
            due.container_id,
            kind_of(task.info),
            task.info.health_check,
            host,
            port,
        )
    )


def health_observed(state: AgentState, step: Step, event: HealthObserved) -> None:
    task = state.checkpoint.live_task_of(event.container_id)
    if task is None or task.kill is not None:
        return
    check = task.info.health_check
    assert check is not None
    assert task.started_s is not None
    verdict = judge(
        check,
        passed=event.passed,
        failures=state.failed_checks.get(event.container_id, 0),
        reported=task.healthy,
        running_for_s=abs(step.now.wall_s - task.started_s),  # see Instant.is_within_s
    )
    state.failed_checks[event.container_id] = verdict.failures
    if verdict.report:
        task = reporting.report(
            state,
            step,
            task,
            TaskState.RUNNING,
            healthy=event.passed,
            message=event.message or None,
            reason=Reason.TASK_HEALTH_CHECK_STATUS_UPDATED,
        )
    if verdict.kill:
        task_kills.kill(state, step, task, KillCause.UNHEALTHY)
    else:
        step.timer(HealthDue(event.container_id), max(_INTERVAL_MIN_S, check.interval_seconds))


# ---- leases of unique tasks


def watch_lease(state: AgentState, step: Step, task: AgentTask) -> None:
    assert task.container_id is not None
    at_s = max(step.now.mono_s, unique_leases.kill_at_s(state, task.info))
    step.timer_at(LeaseDue(task.container_id), at_s)


def recall_lease(state: AgentState, step: Step, task: AgentTask) -> None:
    """After a restart a lease that has run out meanwhile ends the task, whatever is found."""
    if unique_leases.ends(state, step, task.info):
        grace_s = unique_leases.left_s(state, step, task.info)
        task_kills.want_dead(state, step, task, KillCause.LEASE_OVER, grace_s=grace_s)
    else:
        watch_lease(state, step, task)


def lease_due(state: AgentState, step: Step, due: LeaseDue) -> None:
    task = state.checkpoint.live_task_of(due.container_id)
    if task is None:
        return
    if unique_leases.ends(state, step, task.info):
        # Also for a task that is being killed: perhaps with more grace than the lease allows.
        grace_s = unique_leases.left_s(state, step, task.info)
        task_kills.kill(state, step, task, KillCause.LEASE_OVER, grace_s=grace_s)
    else:
        watch_lease(state, step, task)
