"""Every change of a task's state, stored and told. Pure."""

from __future__ import annotations

from typing import Final

from mezzo.cluster.model import ContainerStatus, TaskStatus
from mezzo.cluster.states import Reason, Source, TaskState, may_move

from ..state.agent_state import AgentState
from ..state.agent_task import AgentTask
from ..state.step import Step
from . import outgoing_updates

_MESSAGE_MAX_CHARS: Final = 4096  # a program's or an engine's words may have no end


def report(
    state: AgentState,
    step: Step,
    task: AgentTask,
    task_state: TaskState,
    *,
    message: str | None = None,
    source: Source = Source.EXECUTOR,
    reason: Reason | None = None,
    healthy: bool | None = None,
    container: ContainerStatus | None = None,
    data: bytes | None = None,
) -> AgentTask:
    """Give the task its next state, stored, and its framework a reliable update of it."""
    assert may_move(task.state, task_state), f"{task.key}: {task.state} -> {task_state}"
    if container is None and task.container_id is not None:
        container = task.container_status or ContainerStatus(task.container_id)
    status = TaskStatus(
        task_id=task.info.task_id,
        state=task_state,
        message=None if message is None else message[:_MESSAGE_MAX_CHARS],
        source=source,
        reason=reason,
        data=data,
        agent_id=task.info.agent_id,
        timestamp=step.now.wall_s,
        uuid=state.ids.uuid_bytes(),
        healthy=healthy,
        container_status=container,
    )
    task = task.with_status(status)
    state.checkpoint.put_task(step, task)
    outgoing_updates.push(state, step, task)
    return task
