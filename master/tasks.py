"""Tasks: status updates and their acknowledgement, kill, reconciliation, loss."""

from __future__ import annotations

from collections.abc import Sequence

from mezzo.description import remembered
from mezzo.errors import BadRequest
from mezzo.ids import AgentId, ConnId, FrameworkId, TaskId
from mezzo.messages.agent import (
    KillTask,
    RunGroup,
    RunTask,
    ShutdownFramework,
    StatusUpdate,
    UpdateAcknowledged,
)
from mezzo.messages.operator import TaskUpdated
from mezzo.messages.scheduler import (
    Acknowledge,
    Answered,
    Kill,
    Reconcile,
    ReconcileTask,
    Update,
)
from mezzo.model import Task, TaskStatus
from mezzo.record import replace
from mezzo.states import Reason, Source, TaskState, may_move

from . import claims, executors, metrics, operations
from .state import AgentEntry, FrameworkEntry, MasterState, Standing, Step, TaskEntry

# ---------------------------------------------------------------------------------- updates


def update(state: MasterState, step: Step, agent: AgentEntry, message: StatusUpdate) -> None:
    """A reliable update on its way to the framework. It is repeated until acknowledged, so
    nothing is stored here and a disconnected framework simply gets it later."""
    framework = state.frameworks.get(message.framework_id)
    if framework is None:
        # Completed meanwhile, or unknown: nobody will ever acknowledge it.
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
        # An older one may come late, while what is awaited is the acknowledgement of the end.
        if status.state.terminal or before is None or not before.state.terminal:
            entry.forwarded = status
        entry.note(status)
        step.publish(TaskUpdated(framework.id, status, entry.state))
    step.to_framework(framework, Update(status))


def _deny(step: Step, agent: AgentEntry, message: StatusUpdate, why: BadRequest) -> None:
    """Nobody hears of it. It is acknowledged to who sent it: else it would be repeated for ever."""
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
    """The latest state. The first terminal one frees the resources, even while older updates wait
    for their acknowledgement."""
    if entry.state == new or not may_move(entry.state, new):
        return
    held = entry.holds_resources
    entry.state = new
    if held and not entry.holds_resources:
        metrics.task_over(step, framework, new)
        _free(state, step, entry.info)
        executors.task_over(state, step, agent, entry)
        await_acknowledgement(state, framework, entry)


def _free(state: MasterState, step: Step, task: Task) -> None:
    state.allocator.release((task.framework_id, task.role), task.agent_id, task.resources)
    step.changed(task.agent_id, task.framework_id)


def acknowledge(
    state: MasterState, step: Step, framework: FrameworkEntry, call: Acknowledge
) -> None:
    """Pass it on. One that is late or wrong is dropped silently: the agent compares the uuid."""
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
    """A task has ended. Of a framework that never acknowledges, the oldest are given up: agents
    repeat their updates all the same."""
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


# ---------------------------------------------------------------------------------- killing


def kill(state: MasterState, step: Step, framework: FrameworkEntry, call: Kill) -> None:
    """Sent to the agent each time it is asked; a task that is unknown or out of reach is answered
    as by reconciliation."""
    entry = framework.tasks.get(call.task_id) or framework.unreachable.get(call.task_id)
    if entry is None:
        reconcile_one(state, step, framework, ReconcileTask(call.task_id, call.agent_id))
        return
    agent_id = entry.info.agent_id
    if call.agent_id is not None and call.agent_id != agent_id:
        why = BadRequest(f"it names agent {call.agent_id}, and the task is one of {agent_id}")
        claims.deny(step, framework, f"KILL of task {call.task_id}", why)
        return
    order = KillTask(framework.id, call.task_id, call.kill_policy)
    entry.pending_kill = order  # repeated when the agent re-registers
    if call.task_id in framework.tasks:
        step.to_agent(state.agents[agent_id], order)
    else:
        reconcile_one(state, step, framework, ReconcileTask(call.task_id))


def killed_before_it_came(
    state: MasterState, step: Step, agent: AgentEntry, entry: TaskEntry
) -> None:
    """The agent is back without having heard of the launch, and the framework has killed the task
    meanwhile: then that is what it is told."""
    why = "killed before its launch reached the agent"
    _end(state, step, agent, entry, TaskState.KILLED, Reason.TASK_KILLED_DURING_LAUNCH, why)


def launch_unsent(
    state: MasterState, step: Step, conn: ConnId, launch: RunTask | RunGroup, why: str
) -> None:
    """No message can hold what was to be launched, so no agent ever will: that is the end of it. On
    a stream that is over it is one of those launches that never arrived."""
    agent_id, framework_id = state.agent_of.get(conn), launch.framework.id
    if agent_id is None or framework_id is None:
        return
    agent = state.agents[agent_id]
    for task in launch.tasks if isinstance(launch, RunGroup) else (launch.task,):
        entry = agent.tasks.get((framework_id, task.task_id))
        if entry is not None and entry.state is TaskState.STAGING:
            told = f"the task could not be sent to its agent: {why}"
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
    """The end of a task that its agent has never heard of: nobody but the master can tell it."""
    framework = state.frameworks[entry.info.framework_id]
    status = step.status(entry.info.task_id, end, reason, message, agent_id=agent.id)
    set_state(state, step, framework, agent, entry, status.state)
    entry.forwarded = status
    entry.note(status)
    metrics.end_told(step, status)
    step.to_framework(framework, Update(status))
    step.publish(TaskUpdated(framework.id, status, entry.state))
    settle(state, framework, agent, entry)


# ---------------------------------------------------------------------------------- losing


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
    those that are not over. What else the frameworks have there is gone.

    Tasks that become UNREACHABLE are kept aside for the return of their agent.
    """
    executors.lose_on_agent(state, step, agent, only)
    if only is None:
        operations.lose_on_agent(state, step, agent, new, message)
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
            remember(state, framework, entry)  # its end is known, only not acknowledged yet
            continue
        _free(state, step, entry.info)
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
            remember(state, framework, entry)
        step.to_framework(framework, Update(status))
        step.publish(TaskUpdated(framework.id, status, entry.state))
    return tuple(waiting)


# ---------------------------------------------------------------------------------- reconciling


def reconcile(state: MasterState, step: Step, framework: FrameworkEntry, call: Reconcile) -> None:
    """No tasks named: tell all that are known. Answers have no uuid."""
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
    """An agent is back of which this leader knew no task: those who had asked for all of theirs are
    told of the ones there. Else a framework that has itself failed over meanwhile hears of a task
    that it does not know only when it asks again."""
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
    elif task.agent_id in state.gone:
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
    known = agent_id in state.agents or agent_id in state.unreachable or agent_id in state.gone
    if framework.forgotten and not known and step.now.mono_s < state.recovery_over_s:
        return True
    if agent_id is not None:
        agent = state.agents.get(agent_id)
        return agent is not None and agent.standing is Standing.RECOVERED
    return any(agent.standing is Standing.RECOVERED for agent in state.agents.values())


def _last_sent(step: Step, framework: FrameworkEntry, entry: TaskEntry) -> TaskStatus:
    """What the framework was told last: a later state still travels as an update of its own."""
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
        return as_its_agent_tells(status, entry.statuses)
    return replace(
        status,
        healthy=sent.healthy,
        container_status=sent.container_status,
        unreachable_time=sent.unreachable_time,
    )


def as_its_agent_tells(status: TaskStatus, told: Sequence[TaskStatus]) -> TaskStatus:
    """A status of ours with the health and the container of the task, which only its agent knows
    and tells no second time. told: what it has told of the task, the last one last."""
    containers = (each.container_status for each in reversed(told))
    return replace(
        status,
        healthy=told[-1].healthy if told and told[-1].state is status.state else None,
        container_status=next((each for each in containers if each is not None), None),
    )
