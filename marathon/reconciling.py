"""Questions to the master: for tasks that were not heard of, and for what else runs."""

from __future__ import annotations

from typing import Final

from mezzo.ids import AgentId
from mezzo.messages.scheduler import Reconcile, ReconcileTask

from .model.instance import Condition
from .state.marathon_state import MarathonState
from .state.step import Step
from .timers import AskAgainDue, ReconcileDue

_ASK_AGAIN_MIN_S: Final = 10.0
_ASK_AGAIN_MAX_S: Final = 60.0


def ask_for_launches(state: MarathonState, step: Step) -> None:
    """A launch may never have come to the master: ask for all tasks that were not heard of."""
    tasks = tuple(
        ReconcileTask(live.record.task_id, live.record.agent_id)
        for live in state.by_id.values()
        if live.condition is Condition.PROVISIONED
    )
    if tasks:
        step.call(Reconcile(tasks))


def agent_lost(state: MarathonState, step: Step, agent_id: AgentId) -> None:
    """The master gives an agent up, and has told of the tasks there that it knew. It knew none
    if the agent was never back since the master leads: ask for what we think runs there.
    """
    tasks = tuple(
        ReconcileTask(live.record.task_id, agent_id)
        for live in state.by_id.values()
        if live.record.agent_id == agent_id and not live.condition.unreachable
    )
    if tasks:
        step.call(Reconcile(tasks))


def reconcile_due(state: MarathonState, step: Step) -> None:
    if state.subscribed:
        reconcile(state, step)
    step.timer(ReconcileDue(), state.config.reconciliation_interval_s)


def reconcile(state: MarathonState, step: Step) -> None:
    """Ask for the tasks that we know, and then for all others that the master knows of us."""
    tasks = tuple(
        ReconcileTask(live.record.task_id, live.record.agent_id) for live in state.by_id.values()
    )
    if tasks:
        step.call(Reconcile(tasks))
    step.call(Reconcile())
    state.unanswered = {task.task_id: None for task in tasks}
    _ask_again_in(state, step, _ASK_AGAIN_MIN_S)


def ask_again(state: MarathonState, step: Step) -> None:
    """Ask for tasks that were not heard of since: a master answers nothing for one whose agent may
    still return. Less and less often, as Mesos advises frameworks.
    """
    asked = (state.by_task.get(task_id) for task_id in state.unanswered)
    tasks = tuple(
        ReconcileTask(live.record.task_id, live.record.agent_id)
        for live in asked
        if live is not None
    )
    if state.subscribed and tasks:
        step.call(Reconcile(tasks))
        _ask_again_in(state, step, min(state.asked_after_s * 2, _ASK_AGAIN_MAX_S))


def _ask_again_in(state: MarathonState, step: Step, seconds: float) -> None:
    state.asked_after_s = seconds
    step.timer(AskAgainDue(), seconds)
