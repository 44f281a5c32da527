"""LAUNCH and LAUNCH_GROUP: are the tasks valid, and what do they take?

Rules: Mesos `validation::task`, `validation::task::group`, `validation::executor`.
"""

from __future__ import annotations

from mezzo.amounts import MILLI, Thousandths
from mezzo.description import description_problem
from mezzo.errors import BadRequest
from mezzo.ids import TaskId, check_user_id
from mezzo.messages.agent import RunGroup, RunTask
from mezzo.messages.operator import TaskAdded
from mezzo.messages.scheduler import Update
from mezzo.model import ContainerType, ExecutorInfo, ExecutorType, TaskInfo, TaskStatus
from mezzo.operations import Launch, LaunchGroup
from mezzo.record import replace
from mezzo.resources import Resources
from mezzo.states import Reason, TaskState

from . import executors, leases, metrics
from .state import AgentEntry, FrameworkEntry, MasterState, Step, TaskEntry, task_of

# The least that an executor of a group must have.
EXECUTOR_CPUS: Thousandths = 10
EXECUTOR_MEM: Thousandths = 32 * MILLI


def tasks_of(operation: Launch | LaunchGroup) -> tuple[TaskInfo, ...]:
    return operation.task_infos if isinstance(operation, Launch) else operation.tasks


def refused(step: Step, framework: FrameworkEntry, status: TaskStatus) -> None:
    """Of what never was a task its framework alone is told. It is counted like an end."""
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
    """Of `left`, offered there to the framework in the role; returns what is left then."""
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
        self.left = left

    # ---- each task alone

    def launch(self, task: TaskInfo) -> None:
        """An invalid task takes nothing."""
        try:
            if task.executor is not None:
                task = replace(task, executor=self._filled(task.executor))
            self._check_task(task)
        except BadRequest as error:
            self.refuse((task,), Reason.TASK_INVALID, str(error))
            return
        if task.executor is not None:
            self._start(task.executor)
        self._add(task)
        self._step.to_agent(self._agent, RunTask(self._framework.info, task, self._role))

    def _check_task(self, task: TaskInfo) -> None:
        self._check_identity(task)
        if (task.command is None) == (task.executor is None):
            raise BadRequest(
                "Task should have exactly one of command and executor: give one of them"
            )
        self._check_description(task)
        executor = task.executor
        if executor is not None:
            if executor.type is ExecutorType.DEFAULT:
                raise BadRequest("executor.type is DEFAULT: tasks of that are launched as a group")
            self._check_executor(executor)
        self._check_resources((task,), executor)

    # ---- all or nothing

    def launch_group(self, group: LaunchGroup) -> None:
        executor = self._filled(group.executor)
        try:
            self._check_group(group.tasks, executor)
        except BadRequest as error:
            self.refuse(group.tasks, Reason.TASK_GROUP_INVALID, str(error))
            return
        self._start(executor)
        for task in group.tasks:
            self._add(replace(task, executor=executor))
        self._step.to_agent(
            self._agent, RunGroup(self._framework.info, executor, group.tasks, self._role)
        )

    def _check_group(self, tasks: tuple[TaskInfo, ...], executor: ExecutorInfo) -> None:
        if executor.type is ExecutorType.UNKNOWN:
            raise BadRequest("executor.type must be DEFAULT or CUSTOM for a group: set it")
        self._check_executor(executor)
        for name, least in (("cpus", EXECUTOR_CPUS), ("mem", EXECUTOR_MEM)):
            if executor.resources.milli(name) < least:
                raise BadRequest(
                    f"the executor of a group needs at least {least / MILLI:g} {name}: give it more"
                )
        ids: dict[TaskId, None] = {}
        for task in tasks:
            self._check_identity(task)
            if task.task_id in ids:
                raise BadRequest(f"Task has duplicate ID: {task.task_id}")
            ids[task.task_id] = None
            if task.executor is not None and self._filled(task.executor) != executor:
                raise BadRequest(f"Task {task.task_id} has another executor than its group")
            container = task.container
            if container is not None and container.type is ContainerType.DOCKER:
                raise BadRequest(f"Task {task.task_id} of a group can't have a Docker container")
            if container is not None and container.network_infos:
                raise BadRequest(
                    f"Task {task.task_id} of a group can't have network_infos: its executor has"
                )
            self._check_description(task)
        self._check_resources(tasks, executor)

    # ---- rules

    def _check_identity(self, task: TaskInfo) -> None:
        framework = self._framework
        check_user_id("task_id", task.task_id)
        if task.task_id in framework.tasks or task.task_id in framework.unreachable:
            raise BadRequest(f"Task has duplicate ID: {task.task_id}")
        if task.task_id in framework.completed:
            raise BadRequest(
                f"Task has the ID of one that has ended: {task.task_id}: give a new one"
            )
        if task.agent_id != self._agent.id:
            raise BadRequest(
                f"Task uses invalid agent {task.agent_id} while agent {self._agent.id} offers"
            )

    def _check_description(self, task: TaskInfo) -> None:
        container = task.container
        if (
            container is not None
            and container.type is ContainerType.DOCKER
            and (container.docker is None or not container.docker.image)
        ):
            raise BadRequest("container.docker.image is missing: name the image")
        if (why := description_problem(task)) is not None:
            raise BadRequest(f"Task {task.task_id}: {why}")
        leases.check(self._state.config, task)

    def _filled(self, executor: ExecutorInfo) -> ExecutorInfo:
        """With the framework's id, if it has none."""
        if executor.framework_id is not None:
            return executor
        return replace(executor, framework_id=self._framework.id)

    def _check_executor(self, executor: ExecutorInfo) -> None:
        check_user_id("executor_id", executor.executor_id)
        if executor.framework_id != self._framework.id:
            raise BadRequest(
                f"executor.framework_id is {executor.framework_id}, not that of the framework, "
                f"{self._framework.id}: leave it out"
            )
        container = executor.container
        if executor.type is ExecutorType.DEFAULT:
            if executor.command is not None:
                raise BadRequest("executor.command: one of type DEFAULT has none: leave it out")
            if container is not None and container.type is ContainerType.DOCKER:
                raise BadRequest("executor.container: one of type DEFAULT can't have Docker's")
        elif executor.command is None:
            raise BadRequest("executor.command is missing: say how to start the executor")
        known = self._agent.executors.get((self._framework.id, executor.executor_id))
        if known is not None and known.info != executor:
            raise BadRequest(
                f"executor {executor.executor_id} runs on the agent already, as another "
                "description: give an equal one or another id"
            )
        if known is not None and known.role != self._role:
            raise BadRequest(
                f"executor {executor.executor_id} runs for role {known.role!r}, and can't run "
                f"tasks for {self._role!r}"
            )

    def _check_resources(self, tasks: tuple[TaskInfo, ...], executor: ExecutorInfo | None) -> None:
        wanted = Resources()
        for task in tasks:
            if not task.resources:
                raise BadRequest("Task uses no resources: ask for some cpus and mem")
            if task.resources.milli("gpus") % MILLI:
                raise BadRequest(f"Task uses {task.resources.gpus:g} gpus: ask for whole ones")
            if wanted and wanted.overlaps(_exclusive(task.resources)):
                raise BadRequest("tasks of one group use the same ports, or the same volume")
            wanted = wanted + task.resources
        if executor is not None:
            _check_not_mixed(wanted + executor.resources)
            if (self._framework.id, executor.executor_id) not in self._agent.executors:
                if wanted.overlaps(_exclusive(executor.resources)):
                    raise BadRequest("task and executor use the same ports, or the same volume")
                wanted = wanted + executor.resources
        else:
            _check_not_mixed(wanted)
        if not wanted <= self.left:
            raise BadRequest(f"Task uses more resources {wanted} than available {self.left}")
        role = self._role
        for kind, _ in wanted.items():
            if kind.reservations and kind.role != role and not role.startswith(kind.role + "/"):
                raise BadRequest(f"{kind.name} is reserved to {kind.role!r}, which {role!r} is not")

    # ---- doing it

    def _start(self, executor: ExecutorInfo) -> None:
        """Unless it runs already."""
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
        """Out of the offers. What is shared stays there: the next may use it as well."""
        allocator, client = self._state.allocator, (self._framework.id, self._role)
        own = _exclusive(resources)
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


def _exclusive(resources: Resources) -> Resources:
    """Without what is shared. The same object if nothing is."""
    for kind, _ in resources.items():
        if kind.shared:
            break
    else:
        return resources
    return Resources({kind: value for kind, value in resources.items() if not kind.shared})


def _check_not_mixed(resources: Resources) -> None:
    """Revocable and firm of one name can't be told apart by an isolator."""
    revocable = [kind.name for kind, _ in resources.items() if kind.revocable]
    for kind, _ in resources.items() if revocable else ():
        if not kind.revocable and kind.name in revocable:
            raise BadRequest(f"Task and executor use revocable and non-revocable {kind.name}")
