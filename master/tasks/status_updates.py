"""Tasks: status updates and their acknowledgement, kill, reconciliation, loss."""

from __future__ import annotations

from collections.abc import Sequence

from mezzo.cluster.description import remembered
from mezzo.cluster.model import Task, TaskStatus
from mezzo.cluster.states import Source, TaskState, may_move
from mezzo.errors import BadRequest
from mezzo.messages.agent import (
    ShutdownFramework,
    StatusUpdate,
    UpdateAcknowledged,
)
from mezzo.messages.operator import TaskUpdated
from mezzo.messages.scheduler import (
    Acknowledge,
    Answered,
    Update,
)
from mezzo.record import replace

from .. import claims, metrics
from ..state.agent_entry import AgentEntry
from ..state.framework_entry import FrameworkEntry
from ..state.master_state import MasterState
from ..state.step import Step
from ..state.task_entry import TaskEntry
from . import executors

# ---------------------------------------------------------------------------------- updates


def update(state: MasterState, step: Step, agent: AgentEntry, message: StatusUpdate) -> None:
    """A reliable update on its way to the framework. It is repeated until acknowledged, so
    nothing is stored here and a disconnected framework simply gets it later."""
    framework = state.frameworks.get(message.framework_id)
    if framework is None:
        # The framework is completed or unknown: nobody will ever acknowledge the update.
        step.to_agent(agent, ShutdownFramework(message.framework_id))
        return
    status = message.status
    try:
        entry = claims.check_update(framework, agent, message)
    except BadRequest as error:
        _deny(step, agent, message, error)
        return
    if status.agent_id is None:
        status = replace(status, agent_id=agent.id)  # it is acknowledged by that
    # The agent does not know the framework of a launch that never reached it.
    if (told := framework.lost_form(status.state)) is not status.state:
        status = replace(status, state=told)
    # After a terminal status nothing follows, so the latest state is that one.
    latest = status.state if status.state.terminal else message.latest_state
    metrics.status_came(step, entry, status)
    if entry is not None:
        if status.source is Source.EXECUTOR:
            executors.seen(agent, framework.id, entry)
        set_state(state, step, framework, agent, entry, latest)
        before = entry.forwarded
        # An older update may come late, while the acknowledgement of the end is awaited.
        if status.state.terminal or before is None or not before.state.terminal:
            entry.forwarded = status
        entry.note(status)
        step.publish(TaskUpdated(framework.id, status, entry.state))
    step.to_framework(framework, Update(status))


def _deny(step: Step, agent: AgentEntry, message: StatusUpdate, why: BadRequest) -> None:
    """Nobody hears of the update. Its sender, which would repeat it for ever, is answered."""
    status = message.status
    claims.deny(step, agent, f"an update of task {status.task_id} of {message.framework_id}", why)
    step.count("invalid_status_updates")
    if status.uuid is not None:
        order = UpdateAcknowledged(message.framework_id, status.task_id, status.uuid)
        step.to_agent(agent, order)


def set_state(
    state: MasterState,
    step: Step,
    framework: FrameworkEntry,
    agent: AgentEntry,
    entry: TaskEntry,
    new: TaskState,
) -> None:
    """Set the latest state. The first terminal one frees the resources, even if older updates wait
    for their acknowledgement."""
    if entry.state == new or not may_move(entry.state, new):
        return
    held = entry.holds_resources
    entry.state = new
    if held and not entry.holds_resources:
        metrics.task_over(step, framework, new)
        free(state, step, entry.info)
        executors.task_over(state, step, agent, entry)
        await_acknowledgement(state, framework, entry)


def free(state: MasterState, step: Step, task: Task) -> None:
    state.allocator.release((task.framework_id, task.role), task.agent_id, task.resources)
    step.changed(task.agent_id, task.framework_id)


def acknowledge(
    state: MasterState, step: Step, framework: FrameworkEntry, call: Acknowledge
) -> None:
    """Pass an acknowledgement on. A late or wrong one is dropped: the agent compares the uuid."""
    if len(call.uuid) != claims.UUID_BYTES:
        why = f"uuid has {len(call.uuid)} bytes, not {claims.UUID_BYTES}: give that of the update"
        step.to_framework(framework, Answered("ACKNOWLEDGE", why))
        return
    agent = state.agents.get(call.agent_id)
    if agent is None or not agent.connected:
        return  # the agent repeats the update when it is back, and so will the framework this
    entry = agent.tasks.get((framework.id, call.task_id))
    if entry is None and call.task_id in framework.tasks:
        why = f"it names agent {call.agent_id}, and not that of the task"
        claims.deny(step, framework, f"ACKNOWLEDGE of task {call.task_id}", BadRequest(why))
        return
    step.to_agent(agent, UpdateAcknowledged(framework.id, call.task_id, call.uuid))
    if entry is None or entry.forwarded is None or entry.forwarded.uuid != call.uuid:
        return
    if entry.forwarded.state.terminal:
        settle(state, framework, agent, entry)


def await_acknowledgement(state: MasterState, framework: FrameworkEntry, entry: TaskEntry) -> None:
    """A task has ended. The oldest tasks of a framework that never acknowledges are given up:
    agents repeat their updates all the same."""
    framework.ended[entry.info.task_id] = None
    while len(framework.ended) > state.config.max_unacknowledged_tasks_per_framework:
        oldest = framework.tasks[next(iter(framework.ended))]
        settle(state, framework, state.agents[oldest.info.agent_id], oldest)


def settle(
    state: MasterState, framework: FrameworkEntry, agent: AgentEntry, entry: TaskEntry
) -> None:
    """A task is over, and nobody waits for its end any more."""
    task_id = entry.info.task_id
    del agent.tasks[(framework.id, task_id)]
    del framework.tasks[task_id]
    framework.ended.pop(task_id, None)
    remember(state, framework, entry)
    state.maybe_drained(agent)


def remember(state: MasterState, framework: FrameworkEntry, entry: TaskEntry) -> None:
    """Keep a task that is over, as long as there are not too many."""
    framework.completed[entry.info.task_id] = remembered(entry.view())
    while len(framework.completed) > state.config.max_completed_tasks_per_framework:
        del framework.completed[next(iter(framework.completed))]


# ---------------------------------------------------------------------------------- reconciling


def as_its_agent_tells(status: TaskStatus, told: Sequence[TaskStatus]) -> TaskStatus:
    """A status of ours with the health and the container of the task, which only its agent knows
    and tells no second time. told: its statuses of the task, the last one last."""
    containers = (each.container_status for each in reversed(told))
    return replace(
        status,
        healthy=told[-1].healthy if told and told[-1].state is status.state else None,
        container_status=next((each for each in containers if each is not None), None),
    )
