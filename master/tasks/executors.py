"""Executors: charged once per agent however many tasks they run; messages to and from them."""

from __future__ import annotations

from mezzo.cluster.model import ExecutorInfo, Task
from mezzo.errors import BadRequest
from mezzo.ids import ExecutorId, FrameworkId
from mezzo.messages.agent import (
    ExecutorExited,
    ExecutorMessage,
    FrameworkMessage,
    ReregisterAgent,
    ShutdownExecutor,
    ShutdownFramework,
)
from mezzo.messages.scheduler import Failure, Message, Shutdown

from .. import claims
from ..state.agent_entry import AgentEntry, Standing
from ..state.framework_entry import FrameworkEntry
from ..state.master_state import MasterState
from ..state.step import Step
from ..state.task_entry import ExecutorEntry, TaskEntry

# ---------------------------------------------------------------------------------- life


def ids_on(framework: FrameworkEntry, agent: AgentEntry) -> tuple[ExecutorId, ...]:
    """The framework's live executors there, as its offers tell them."""
    return tuple(id_ for owner, id_ in agent.executors if owner == framework.id)


def add(
    framework: FrameworkEntry,
    agent: AgentEntry,
    info: ExecutorInfo,
    role: str,
    *,
    seen: bool = False,
) -> None:
    """Add a new executor. `info` names its framework; the caller charges the resources."""
    entry = ExecutorEntry(info, agent.id, role, seen)
    agent.executors[(framework.id, info.executor_id)] = entry
    framework.executors[(agent.id, info.executor_id)] = entry


def launched(agent: AgentEntry, task: Task) -> None:
    """A task of the executor is on the way to the agent."""
    executor = agent.executors.get((task.framework_id, task.executor_id or ExecutorId("")))
    if executor is not None and not executor.seen:
        executor.launched.add(task.task_id)


def _end(
    state: MasterState,
    step: Step,
    agent: AgentEntry,
    framework_id: FrameworkId,
    executor_id: ExecutorId,
) -> None:
    entry = agent.executors.pop((framework_id, executor_id))
    del state.frameworks[framework_id].executors[(agent.id, executor_id)]
    # No error if the allocator lacks the agent: it is not back yet, or gone.
    state.allocator.release((framework_id, entry.role), agent.id, entry.info.resources)
    step.changed(agent.id, framework_id)


def exited(state: MasterState, step: Step, agent: AgentEntry, message: ExecutorExited) -> None:
    """An executor's resources are free; of its tasks the agent tells by itself."""
    framework = _framework_of(state, step, agent, message, "the end")
    if framework is None:
        return
    _end(state, step, agent, framework.id, message.executor_id)
    step.to_framework(framework, Failure(agent.id, message.executor_id, message.status))


def seen(agent: AgentEntry, framework_id: FrameworkId, task: TaskEntry) -> None:
    """A task's own update: so its executor runs, and will be told of when it ends."""
    executor_id = task.info.executor_id
    if executor_id is not None and (framework_id, executor_id) in agent.executors:
        agent.executors[(framework_id, executor_id)].seen = True


def task_over(state: MasterState, step: Step, agent: AgentEntry, task: TaskEntry) -> None:
    """The last task of an executor that never started: the agent refused both."""
    executor_id, framework_id = task.info.executor_id, task.info.framework_id
    if executor_id is None:
        return
    executor = agent.executors.get((framework_id, executor_id))
    if executor is None or executor.seen:
        return
    executor.launched.discard(task.info.task_id)
    if not executor.launched:
        _end(state, step, agent, framework_id, executor_id)


def lose_on_agent(
    state: MasterState, step: Step, agent: AgentEntry, only: FrameworkId | None
) -> None:
    """The executors of the agent are gone, or those of the framework `only`."""
    for framework_id, executor_id in list(agent.executors):
        if only is None or framework_id == only:
            _end(state, step, agent, framework_id, executor_id)


# ---------------------------------------------------------------------------------- return


def merge(
    state: MasterState,
    step: Step,
    agent: AgentEntry,
    message: ReregisterAgent,
    holders: claims.Holders,
    *,
    fresh: bool,
) -> None:
    """The agent's report is the truth, except, on a stream that is not `fresh`, about what is on
    its way. Of which role its executors are its tasks tell."""
    reported: dict[tuple[FrameworkId, ExecutorId], None] = {}
    roles = _roles(agent) if message.executors else {}
    for info in message.executors:
        framework = state.frameworks.get(info.framework_id or FrameworkId(""))
        if framework is None:
            # Completed meanwhile, or never known and without a task: nobody wants it.
            agent.dismissed = True
            step.to_agent(agent, ShutdownFramework(info.framework_id or FrameworkId("")))
            continue
        try:
            claims.check_reported_executor(state, agent, info, reported, holders)
        except BadRequest as error:
            what = f"executor {info.executor_id} of framework {framework.id} in its report"
            claims.deny(step, agent, what, error)
            continue
        key = (framework.id, info.executor_id)
        reported[key] = None
        if key in agent.executors:
            agent.executors[key].seen = True
            continue
        role = roles.get(key) or next(iter(framework.info.all_roles), "*")
        add(framework, agent, info, role, seen=True)
        step.changed(agent.id, framework.id)
        if agent.standing is not Standing.RECOVERED:
            state.allocator.occupy((framework.id, role), agent.id, info.resources)
    for key in [key for key in agent.executors if key not in reported]:
        if fresh or agent.executors[key].seen:
            _end(state, step, agent, *key)


def _roles(agent: AgentEntry) -> dict[tuple[FrameworkId, ExecutorId | None], str]:
    """The roles of executors, as the first of their tasks tells."""
    roles: dict[tuple[FrameworkId, ExecutorId | None], str] = {}
    for (owner, _), task in agent.tasks.items():
        roles.setdefault((owner, task.info.executor_id), task.info.role)
    return roles


# ---------------------------------------------------------------------------------- words


def said(state: MasterState, step: Step, agent: AgentEntry, message: ExecutorMessage) -> None:
    framework = _framework_of(state, step, agent, message, "a message")
    if framework is not None:
        step.to_framework(framework, Message(agent.id, message.executor_id, message.data))


def _framework_of(
    state: MasterState,
    step: Step,
    agent: AgentEntry,
    message: ExecutorExited | ExecutorMessage,
    what: str,
) -> FrameworkEntry | None:
    """The framework of the executor that an agent tells of. None: the framework was completed
    meanwhile, or the agent has no such executor, which is denied."""
    framework = state.frameworks.get(message.framework_id)
    if framework is not None:
        try:
            claims.check_has_executor(agent, framework.id, message.executor_id)
        except BadRequest as error:
            whose = f"{what} of executor {message.executor_id} of framework {framework.id}"
            claims.deny(step, agent, whose, error)
            return None
    return framework


def tell(state: MasterState, step: Step, framework: FrameworkEntry, call: Message) -> None:
    """Pass a message to an executor. Best effort: lost if the agent is away."""
    agent = state.agents.get(call.agent_id)
    if agent is not None:
        step.to_agent(agent, FrameworkMessage(framework.id, call.executor_id, call.data))


def shutdown(state: MasterState, step: Step, framework: FrameworkEntry, call: Shutdown) -> None:
    """Shut an executor down. An unknown one may just have ended: nobody hears of it."""
    agent = state.agents.get(call.agent_id)
    if agent is not None and (framework.id, call.executor_id) in agent.executors:
        step.to_agent(agent, ShutdownExecutor(framework.id, call.executor_id))
