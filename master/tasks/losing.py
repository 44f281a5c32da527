"""Tasks whose agent can't speak for them any more."""

from __future__ import annotations

from mezzo.cluster.states import Reason, TaskState
from mezzo.ids import FrameworkId, TaskId
from mezzo.messages.operator import TaskUpdated
from mezzo.messages.scheduler import Update

from .. import metrics
from ..operations import pending_operations
from ..state.agent_entry import AgentEntry
from ..state.master_state import MasterState
from ..state.step import Step
from . import executors, status_updates


def lose_on_agent(
    state: MasterState,
    step: Step,
    agent: AgentEntry,
    new: TaskState,
    reason: Reason,
    message: str,
    *,
    only: FrameworkId | None = None,
) -> tuple[tuple[FrameworkId, TaskId], ...]:
    """Speak for the tasks of an agent that can't, or for those of one framework there; returns
    those that are not over. All else that the frameworks have there is gone.

    Tasks that become UNREACHABLE are kept aside for the return of their agent.
    """
    executors.lose_on_agent(state, step, agent, only)
    if only is None:
        pending_operations.lose_on_agent(state, step, agent, new, message)
    else:
        agent.dismissed = True
    waiting = []
    state.maybe_drained(agent)
    for key in [key for key in agent.tasks if only is None or key[0] == only]:
        entry = agent.tasks.pop(key)
        framework = state.frameworks[key[0]]
        del framework.tasks[key[1]]
        framework.ended.pop(key[1], None)
        if not entry.holds_resources:
            # The task's end is known, only not acknowledged yet.
            status_updates.remember(state, framework, entry)
            continue
        status_updates.free(state, step, entry.info)
        unreachable = new is TaskState.UNREACHABLE
        status = step.status(
            key[1],
            framework.lost_form(new),
            reason,
            message,
            agent_id=agent.id,
            unreachable_s=step.now.wall_s if unreachable else None,
        )
        entry.state = new
        entry.forwarded = status
        entry.note(status)
        if unreachable:
            waiting.append(key)
            framework.unreachable[key[1]] = entry
            while len(framework.unreachable) > state.config.max_unreachable_tasks_per_framework:
                del framework.unreachable[next(iter(framework.unreachable))]
        else:
            metrics.task_over(step, framework, new)
            metrics.end_told(step, status)
            status_updates.remember(state, framework, entry)
        step.to_framework(framework, Update(status))
        step.publish(TaskUpdated(framework.id, status, entry.state))
    return tuple(waiting)
