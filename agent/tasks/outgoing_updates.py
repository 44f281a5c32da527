"""Reliable status updates: per task in order, one in flight, repeated until acknowledged. Pure.

The queues themselves are in the tasks (`AgentTask.pending`) and so in the store.
"""

from __future__ import annotations

from mezzo.ids import ConnId
from mezzo.messages.agent import StatusUpdate, UpdateAcknowledged
from mezzo.record import replace

from .. import resending
from ..state.agent_state import AgentState
from ..state.agent_task import AgentTask
from ..state.step import Step
from ..timers import UpdateOverdue


def connect(state: AgentState, step: Step, conn: ConnId) -> None:
    """The agent is registered: all unacknowledged updates go out at once."""
    resending.connect(state.updates, step, conn)
    for task in state.checkpoint.tasks.values():
        push(state, step, task)


def push(state: AgentState, step: Step, task: AgentTask) -> None:
    """Send the head of the task's queue unless it is in flight; without a master it waits."""
    if task.pending:
        resending.push(state.updates, step, task.key, _head(task))


def overdue(state: AgentState, step: Step, due: UpdateOverdue) -> None:
    task = state.checkpoint.tasks.get((due.framework_id, due.task_id))
    if task is not None and task.pending:
        resending.repeat(state.updates, step, task.key, _head(task))


def acknowledged(state: AgentState, step: Step, message: UpdateAcknowledged) -> None:
    task = state.checkpoint.tasks.get((message.framework_id, message.task_id))
    if task is None or not task.pending or task.pending[0].uuid != message.uuid:
        return  # a late or repeated one
    settled(state, step, task)
    if task.pending[0].state.terminal:
        state.checkpoint.forget_task(step, task)
        return
    task = replace(task, pending=task.pending[1:])
    state.checkpoint.put_task(step, task)
    push(state, step, task)


def settled(state: AgentState, step: Step, task: AgentTask) -> None:
    """The head of the queue was acknowledged, or nobody is left to be told."""
    resending.settled(state.updates, step, task.key)


def forget_unheard(state: AgentState, step: Step, task: AgentTask) -> None:
    """Drop an ended task with its updates: nobody is left who would acknowledge them."""
    settled(state, step, task)
    state.checkpoint.forget_task(step, task)


def _head(task: AgentTask) -> StatusUpdate:
    return StatusUpdate(task.framework_id, task.pending[0], task.state)
