"""LAUNCH and LAUNCH_GROUP: what valid tasks take, and who is told of the others."""

from __future__ import annotations

from mezzo.cluster.description import task_of
from mezzo.cluster.model import ExecutorInfo, TaskInfo, TaskStatus
from mezzo.cluster.operations import Launch, LaunchGroup
from mezzo.cluster.resources import Resources
from mezzo.cluster.states import Reason, TaskState
from mezzo.errors import BadRequest
from mezzo.messages.agent import RunGroup, RunTask
from mezzo.messages.operator import TaskAdded
from mezzo.messages.scheduler import Update
from mezzo.record import replace

from .. import metrics
from ..state.agent_entry import AgentEntry
from ..state.framework_entry import FrameworkEntry
from ..state.master_state import MasterState
from ..state.step import Step
from ..state.task_entry import TaskEntry
from ..tasks import executors
from .task_validation import TaskValidation, exclusive


def tasks_of(operation: Launch | LaunchGroup) -> tuple[TaskInfo, ...]:
    return operation.task_infos if isinstance(operation, Launch) else operation.tasks


def refused(step: Step, framework: FrameworkEntry, status: TaskStatus) -> None:
    """A launch that never became a task: its framework alone is told. It is counted like an end."""
    metrics.task_over(step, framework, status.state)
    metrics.end_told(step, status)
    step.to_framework(framework, Update(status))


def launch(
    state: MasterState,
    step: Step,
    framework: FrameworkEntry,
    agent: AgentEntry,
    role: str,
    operation: Launch | LaunchGroup,
    left: Resources,
) -> Resources:
    """Launch on `left`, offered there to the framework in the role; returns what is left then."""
    launcher = _Launcher(state, step, framework, agent, role, left)
    group = isinstance(operation, LaunchGroup)
    reason = Reason.TASK_GROUP_INVALID if group else Reason.TASK_INVALID
    if operation.id is not None:
        why = "LAUNCH and LAUNCH_GROUP can't have an id: leave it out"
        launcher.refuse(tasks_of(operation), reason, why)
    elif isinstance(operation, LaunchGroup):
        launcher.launch_group(operation)
    else:
        for task in operation.task_infos:
            launcher.launch(task)
    return launcher.left


class _Launcher:
    """What one operation launches on one agent. `left` is what is left of the offers."""

    def __init__(
        self,
        state: MasterState,
        step: Step,
        framework: FrameworkEntry,
        agent: AgentEntry,
        role: str,
        left: Resources,
    ) -> None:
        self._state = state
        self._step = step
        self._framework = framework
        self._agent = agent
        self._role = role
        self._valid = TaskValidation(state.config, framework, agent, role)
        self.left = left

    # ---- each task alone

    def launch(self, task: TaskInfo) -> None:
        """An invalid task takes nothing."""
        try:
            if task.executor is not None:
                task = replace(task, executor=self._valid.filled(task.executor))
            self._valid.check_task(task, self.left)
        except BadRequest as error:
            self.refuse((task,), Reason.TASK_INVALID, str(error))
            return
        if task.executor is not None:
            self._start(task.executor)
        self._add(task)
        self._step.to_agent(self._agent, RunTask(self._framework.info, task, self._role))

    # ---- all or nothing

    def launch_group(self, group: LaunchGroup) -> None:
        executor = self._valid.filled(group.executor)
        try:
            self._valid.check_group(group.tasks, executor, self.left)
        except BadRequest as error:
            self.refuse(group.tasks, Reason.TASK_GROUP_INVALID, str(error))
            return
        self._start(executor)
        for task in group.tasks:
            self._add(replace(task, executor=executor))
        self._step.to_agent(
            self._agent, RunGroup(self._framework.info, executor, group.tasks, self._role)
        )

    # ---- doing it

    def _start(self, executor: ExecutorInfo) -> None:
        """Start the executor, unless it runs already."""
        if (self._framework.id, executor.executor_id) not in self._agent.executors:
            executors.add(self._framework, self._agent, executor, self._role)
            self._charge(executor.resources, task=False)

    def _add(self, task: TaskInfo) -> None:
        framework = self._framework
        entry = TaskEntry(
            task_of(task, framework.id, self._role, framework.info.user), TaskState.STAGING
        )
        self._agent.tasks[(framework.id, task.task_id)] = entry
        framework.tasks[task.task_id] = entry
        executors.launched(self._agent, entry.info)
        self._step.publish(TaskAdded(entry.info))
        self._charge(task.resources, task=True)

    def _charge(self, resources: Resources, *, task: bool) -> None:
        """Take resources out of the offers. Shared ones stay: the next may use them as well."""
        allocator, client = self._state.allocator, (self._framework.id, self._role)
        own = exclusive(resources)
        if own is not resources:
            allocator.occupy(client, self._agent.id, resources - own)
        if own:
            allocator.use(client, self._agent.id, own, task=task)
            self.left = self.left - own

    def refuse(self, tasks: tuple[TaskInfo, ...], reason: Reason, why: str) -> None:
        for task in tasks:
            status = self._step.status(
                task.task_id, TaskState.ERROR, reason, why, agent_id=self._agent.id
            )
            refused(self._step, self._framework, status)
