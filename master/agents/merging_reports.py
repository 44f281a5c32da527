"""An agent that is back tells what it has, and that is the truth."""

from __future__ import annotations

from mezzo.cluster.model import FrameworkInfo, Task
from mezzo.cluster.states import Reason, TaskState
from mezzo.errors import BadRequest
from mezzo.ids import FrameworkId, TaskId
from mezzo.messages.agent import (
    KillTask,
    KnownTask,
    ReregisterAgent,
    ShutdownFramework,
)
from mezzo.messages.operator import TaskAdded
from mezzo.messages.scheduler import Update
from mezzo.record import replace

from .. import claims
from ..frameworks import failover, subscribing
from ..state.agent_entry import AgentEntry, Standing
from ..state.framework_entry import FrameworkEntry
from ..state.master_state import MasterState
from ..state.step import Step
from ..state.task_entry import TaskEntry
from ..tasks import status_updates, unheard


def merge_tasks(
    state: MasterState,
    step: Step,
    agent: AgentEntry,
    message: ReregisterAgent,
    holders: claims.Holders,
    *,
    resend: bool,
    fresh: bool,
) -> tuple[KnownTask, ...]:
    """The agent's report is the truth. Returns the tasks that it lacks: they never arrived."""
    infos = {info.id: info for info in message.frameworks if info.id is not None}
    agent.dismissed = False
    dismissed: dict[FrameworkId, None] = {}
    reported: dict[tuple[FrameworkId, TaskId], None] = {}
    for task in message.tasks:
        framework = _framework_of(state, step, agent, task.framework_id, infos)
        if framework is None:
            dismissed[task.framework_id] = None
            continue
        key = (task.framework_id, task.task_id)
        try:
            claims.check_task(state, framework, agent, task, reported, holders)
        except BadRequest as error:
            what = f"task {task.task_id} of framework {framework.id} in its report"
            claims.deny(step, agent, what, error)
            if key not in reported:  # the task may run there all the same, and no book has it
                agent.dismissed = True
                step.to_agent(agent, KillTask(*key))
            continue
        reported[key] = None
        if not fresh and task.state.terminal and key not in agent.tasks:
            continue  # its end is acknowledged, and the agent hears of that in a moment
        _merge_task(state, step, agent, framework, task, resend=resend)
    for framework_id in dismissed:
        agent.dismissed = True
        step.to_agent(agent, ShutdownFramework(framework_id))
    missing = []
    for key in [key for key in agent.tasks if key not in reported]:
        entry = agent.tasks.get(key)
        if entry is None:
            continue  # too many await their acknowledgement: this one does no more
        if not entry.holds_resources:  # its end was told and acknowledged
            status_updates.settle(state, state.frameworks[key[0]], agent, entry)
        elif fresh and entry.state is TaskState.STAGING and entry.pending_kill is not None:
            unheard.killed_before_it_came(state, step, agent, entry)
        else:
            missing.append(KnownTask(*key))
    return tuple(missing)


def _framework_of(
    state: MasterState,
    step: Step,
    agent: AgentEntry,
    framework_id: FrameworkId,
    infos: dict[FrameworkId, FrameworkInfo],
) -> FrameworkEntry | None:
    """The framework of a reported task; None if it is completed or can't be: its tasks must end."""
    framework = state.frameworks.get(framework_id)
    if framework is None and framework_id not in state.completed and framework_id in infos:
        # The store was made anew and lacks the framework: believe the agent, as Mesos does.
        try:
            subscribing.check_info(None, infos[framework_id])
        except BadRequest as error:
            claims.deny(step, agent, f"framework {framework_id} in its report", error)
            return None
        framework = failover.rebuild(state, step, framework_id, infos[framework_id])
    return framework


def _merge_task(
    state: MasterState,
    step: Step,
    agent: AgentEntry,
    framework: FrameworkEntry,
    task: Task,
    *,
    resend: bool,
) -> None:
    key = (framework.id, task.task_id)
    entry = agent.tasks.get(key)
    if entry is None:
        entry = TaskEntry(replace(task, statuses=()), task.state, statuses=task.statuses)
        agent.tasks[key] = framework.tasks[task.task_id] = entry
        framework.completed.pop(task.task_id, None)  # LOST is not always the end
        if task.state.terminal:
            status_updates.await_acknowledgement(state, framework, entry)
        if agent.standing is not Standing.RECOVERED and entry.holds_resources:
            # The framework was connected before, yet has a task that nobody knew of: count it.
            state.allocator.occupy((framework.id, task.role), agent.id, task.resources)
    elif entry.state == task.state and not resend:
        return
    else:
        status_updates.set_state(state, step, framework, agent, entry, task.state)
        if entry.forwarded is None:
            entry.statuses = task.statuses  # its updates are on their way
    # A terminal state comes as an update of its own, to be acknowledged.
    if resend and not task.state.terminal:
        status = step.status(
            task.task_id,
            task.state,
            Reason.AGENT_REREGISTERED,
            "the agent is back with the task",
            agent_id=agent.id,
        )
        status = status_updates.as_its_agent_tells(status, task.statuses)
        entry.forwarded = status
        entry.note(status)
        step.to_framework(framework, Update(status))
    step.publish(TaskAdded(entry.view()))
    step.changed(agent.id, framework.id)
