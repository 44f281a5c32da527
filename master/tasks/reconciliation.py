"""RECONCILE: what is known of tasks, told anew."""

from __future__ import annotations

from mezzo.cluster.model import TaskStatus
from mezzo.cluster.states import Reason, TaskState
from mezzo.ids import AgentId
from mezzo.messages.scheduler import Answered, Reconcile, ReconcileTask, Update
from mezzo.record import replace

from ..state.agent_entry import AgentEntry, Standing
from ..state.framework_entry import FrameworkEntry
from ..state.master_state import MasterState
from ..state.step import Step
from ..state.task_entry import TaskEntry
from . import status_updates


def reconcile(state: MasterState, step: Step, framework: FrameworkEntry, call: Reconcile) -> None:
    """Tell of the tasks that are named; if none is, of all that are known. Answers have no uuid."""
    asked = len(call.tasks) or len(framework.tasks) + len(framework.unreachable)
    if not framework.answers.take(asked, step.now.mono_s):
        why = f"too much was asked for: ask again in {framework.answers.wait_s:.1f} s"
        step.to_framework(framework, Answered("RECONCILE", why))
        return
    if call.tasks:
        for task in call.tasks:
            reconcile_one(state, step, framework, task)
        return
    framework.asked_for_all = True
    for entry in [*framework.tasks.values(), *framework.unreachable.values()]:
        step.to_framework(framework, Update(_last_sent(step, framework, entry)))


def answer_late(state: MasterState, step: Step, agent: AgentEntry) -> None:
    """An agent is back of which this leader knew no task: frameworks that had asked for all of
    their tasks are told of those there. Else one that has itself failed over meanwhile would hear
    of a task that it does not know only when it asks again."""
    for (framework_id, _), entry in agent.tasks.items():
        framework = state.frameworks[framework_id]
        if framework.asked_for_all and entry.state is not TaskState.STAGING:
            step.to_framework(framework, Update(_last_sent(step, framework, entry)))


def reconcile_one(
    state: MasterState, step: Step, framework: FrameworkEntry, task: ReconcileTask
) -> None:
    """One task by name: the first case of the table in the spec that fits."""
    entry = framework.tasks.get(task.task_id) or framework.unreachable.get(task.task_id)
    if entry is not None:
        step.to_framework(framework, Update(_last_sent(step, framework, entry)))
        return
    if _may_still_appear(state, step, framework, task.agent_id):
        return  # no answer: ask again later
    unreachable_s = None
    if task.agent_id in state.agents:
        new, why = TaskState.GONE, "the agent does not know the task"
    elif task.agent_id in state.unreachable:
        new, why = TaskState.UNREACHABLE, "the agent is unreachable"
        unreachable_s = state.unreachable[task.agent_id].since_s
    elif task.agent_id in state.gone_since_s:
        new, why = TaskState.GONE_BY_OPERATOR, "the agent was marked gone"
    else:
        new, why = TaskState.UNKNOWN, "the task is not known"
    status = step.status(
        task.task_id,
        framework.lost_form(new),
        Reason.RECONCILIATION,
        f"Reconciliation: {why}",
        agent_id=task.agent_id,
        unreachable_s=unreachable_s,
    )
    step.to_framework(framework, Update(status))


def _may_still_appear(
    state: MasterState, step: Step, framework: FrameworkEntry, agent_id: AgentId | None
) -> bool:
    """After a failover an agent that is not back yet may bring the task.

    Where the store has forgotten the framework it has forgotten agents as well: those that nobody
    knows may come.
    """
    known = (
        agent_id in state.agents or agent_id in state.unreachable or agent_id in state.gone_since_s
    )
    if framework.forgotten and not known and step.now.mono_s < state.recovery_over_s:
        return True
    if agent_id is not None:
        agent = state.agents.get(agent_id)
        return agent is not None and agent.standing is Standing.RECOVERED
    return any(agent.standing is Standing.RECOVERED for agent in state.agents.values())


def _last_sent(step: Step, framework: FrameworkEntry, entry: TaskEntry) -> TaskStatus:
    """The status that the framework was told last: a later one still travels as an update."""
    sent = entry.forwarded
    shown = sent.state if sent is not None else entry.state
    status = step.status(
        entry.info.task_id,
        framework.lost_form(shown),
        Reason.RECONCILIATION,
        "Reconciliation: Latest task state",
        agent_id=entry.info.agent_id,
    )
    if sent is None:  # by an earlier leader: then what its agent has brought along
        return status_updates.as_its_agent_tells(status, entry.statuses)
    return replace(
        status,
        healthy=sent.healthy,
        container_status=sent.container_status,
        unreachable_time=sent.unreachable_time,
    )
