"""Tasks that the master wants launched, or takes for launched: accepted or refused. Pure.

A task id runs at most once: a launch that comes again is no news.
"""

from __future__ import annotations

from mezzo.cluster.model import FrameworkInfo, TaskInfo, TaskStatus
from mezzo.cluster.states import Reason, Source, TaskState
from mezzo.ids import FrameworkId
from mezzo.messages.agent import KnownTask, RunGroup, RunTask, StatusUpdate
from mezzo.units import shown

from ..state.agent_state import AgentState
from ..state.agent_task import AgentTask
from ..state.step import Step
from . import lifecycle, unique_leases
from .container_spec import refusal, unknown_resources, wrong_ids
from .verdicts import Verdict, not_launched, not_running


def run_task(state: AgentState, step: Step, message: RunTask) -> None:
    task = _new_task(state, step, message.framework, message.task, message.role)
    if task is None:
        return
    refused = _refused(state, step, message.framework, message.task)
    if refused is None:
        lifecycle.launch(state, step, task)
    else:
        lifecycle.end(state, step, task, refused)


def refuse_group(state: AgentState, step: Step, message: RunGroup) -> None:
    """A group needs an executor, and this agent has none."""
    for info in message.tasks:
        task = _new_task(state, step, message.framework, info, message.role)
        if task is not None:
            refused = _not_now(state, message.framework) or Verdict(
                TaskState.ERROR,
                "this agent runs no executors, and so no task groups: launch each task by "
                "itself, described by `command` or by `container`",
                Source.AGENT,
                Reason.TASK_GROUP_INVALID,
            )
            lifecycle.end(state, step, task, refused)


def reconcile(state: AgentState, step: Step, known: KnownTask) -> None:
    """The master waits for a task whose launch has never arrived here, or whose end was told to a
    master that was deposed, and has been forgotten: say so, reliably."""
    key = (known.framework_id, known.task_id)
    checkpoint = state.checkpoint
    identity = checkpoint.identity
    if key in checkpoint.tasks or identity is None or wrong_ids(*key) is not None:
        return
    task = AgentTask(known.framework_id, TaskInfo("", known.task_id, identity.agent_id))
    framework = checkpoint.framework_of(task)
    if checkpoint.is_settled(key):
        ended, why = not_running(framework), "it has ended here, as was acknowledged before"
    else:
        ended, why = not_launched(framework), "the launch never reached the agent"
    verdict = Verdict(ended, why, Source.AGENT, Reason.AGENT_RESTARTED)
    lifecycle.end(state, step, task, verdict)


def _new_task(
    state: AgentState, step: Step, framework: FrameworkInfo, info: TaskInfo, role: str
) -> AgentTask | None:
    """None for a repeated launch (a task id runs at most once), and for one that can't be kept."""
    if framework.id is None:
        return None  # nobody could be told
    if (wrong := wrong_ids(framework.id, info.task_id)) is not None:
        _tell_once(state, step, framework.id, info, wrong)
        return None
    key = (framework.id, info.task_id)
    if key in state.checkpoint.tasks or state.checkpoint.has_ended(key):
        return None
    state.checkpoint.put_framework(step, framework.id, framework)
    return AgentTask(framework.id, info, role)


def _tell_once(
    state: AgentState, step: Step, framework_id: FrameworkId, info: TaskInfo, wrong: str
) -> None:
    """Tell the end of a task that can't even be stored, which a master then knows no more."""
    status = TaskStatus(
        task_id=info.task_id,
        state=TaskState.ERROR,
        message=wrong,
        source=Source.AGENT,
        reason=Reason.TASK_INVALID,
        agent_id=info.agent_id,
        timestamp=step.now.wall_s,
    )
    step.send(state.conn, StatusUpdate(framework_id, status, TaskState.ERROR))


def _refused(
    state: AgentState, step: Step, framework: FrameworkInfo, info: TaskInfo
) -> Verdict | None:
    if (refused := _not_now(state, framework)) is not None:
        return refused
    identity = state.checkpoint.identity
    if identity is None or info.agent_id != identity.agent_id:
        wrong: str | None = f"task.agent_id {shown(info.agent_id)} is another agent"
    else:
        wrong = refusal(info, state.config)
    if wrong is not None:
        return Verdict(TaskState.ERROR, wrong, Source.AGENT, Reason.TASK_INVALID)
    if unknown_resources(info, state.total):
        return Verdict(
            not_launched(framework),
            "the agent does not have the reservations or volumes that the task is to use",
            Source.AGENT,
            Reason.RESOURCES_UNKNOWN,
        )
    if info.unique_lease is not None and step.now.mono_s >= unique_leases.kill_at_s(state, info):
        # This process was frozen, say, and the launch has waited for it.
        return Verdict(
            not_launched(framework),
            f"its unique_lease of {info.unique_lease:g} s was over before it could be launched",
            Source.AGENT,
            Reason.MASTER_DISCONNECTED,
        )
    return None


def _not_now(state: AgentState, framework: FrameworkInfo) -> Verdict | None:
    """The answer to any launch while the agent takes none."""
    if state.leaving is not None:
        why, reason = "the agent is shutting down", Reason.AGENT_REMOVED
    elif state.drain is not None:
        why, reason = "the agent is draining", Reason.AGENT_DRAINING
    else:
        return None
    return Verdict(not_launched(framework), why, Source.AGENT, reason)
