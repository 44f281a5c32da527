"""Tasks of which their agent never heard: nobody but the master can tell their end."""

from __future__ import annotations

from mezzo.cluster.states import Reason, TaskState
from mezzo.messages.agent import (
    RunGroup,
)
from mezzo.messages.operator import TaskUpdated
from mezzo.messages.scheduler import Update

from .. import metrics
from ..events import LaunchUnsent
from ..state.agent_entry import AgentEntry
from ..state.master_state import MasterState
from ..state.step import Step
from ..state.task_entry import TaskEntry
from . import status_updates


def killed_before_it_came(
    state: MasterState, step: Step, agent: AgentEntry, entry: TaskEntry
) -> None:
    """The agent is back without having heard of the launch, and the framework has killed the task
    meanwhile: so it is told KILLED."""
    why = "killed before its launch reached the agent"
    _end(state, step, agent, entry, TaskState.KILLED, Reason.TASK_KILLED_DURING_LAUNCH, why)


def launch_unsent(state: MasterState, step: Step, event: LaunchUnsent) -> None:
    """No message can hold a launch, so its task can run nowhere: that is its end. On a stream that
    is over it is one of the launches that never arrived."""
    launch = event.message
    agent_id, framework_id = state.agent_of.get(event.conn), launch.framework.id
    if agent_id is None or framework_id is None:
        return
    agent = state.agents[agent_id]
    for task in launch.tasks if isinstance(launch, RunGroup) else (launch.task,):
        entry = agent.tasks.get((framework_id, task.task_id))
        if entry is not None and entry.state is TaskState.STAGING:
            told = f"the task could not be sent to its agent: {event.why}"
            _end(state, step, agent, entry, TaskState.ERROR, Reason.TASK_INVALID, told)


def _end(
    state: MasterState,
    step: Step,
    agent: AgentEntry,
    entry: TaskEntry,
    end: TaskState,
    reason: Reason,
    message: str,
) -> None:
    """The end of a task that its agent has never heard of: only the master can tell it."""
    framework = state.frameworks[entry.info.framework_id]
    status = step.status(entry.info.task_id, end, reason, message, agent_id=agent.id)
    status_updates.set_state(state, step, framework, agent, entry, status.state)
    entry.forwarded = status
    entry.note(status)
    metrics.end_told(step, status)
    step.to_framework(framework, Update(status))
    step.publish(TaskUpdated(framework.id, status, entry.state))
    status_updates.settle(state, framework, agent, entry)
