"""Is a task valid, and may it be launched there? As Mesos' `master/validation.cpp` has it."""

from __future__ import annotations

from mezzo.cluster.amounts import MILLI, Thousandths
from mezzo.cluster.description import description_problem
from mezzo.cluster.model import ContainerType, ExecutorInfo, ExecutorType, TaskInfo
from mezzo.cluster.resources import Resources
from mezzo.errors import BadRequest
from mezzo.ids import TaskId, check_user_id
from mezzo.record import replace

from ..config import MasterConfig
from ..state.agent_entry import AgentEntry
from ..state.framework_entry import FrameworkEntry
from ..tasks import unique_leases

# The least that an executor of a group must have.
EXECUTOR_CPUS_MILLI: Thousandths = 10
EXECUTOR_MEM_MILLI: Thousandths = 32 * MILLI


class TaskValidation:
    """Checks of what a framework launches in a role on one agent. Each raises BadRequest."""

    def __init__(
        self, config: MasterConfig, framework: FrameworkEntry, agent: AgentEntry, role: str
    ) -> None:
        self._config = config
        self._framework = framework
        self._agent = agent
        self._role = role

    def check_task(self, task: TaskInfo, left: Resources) -> None:
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
        self._check_resources((task,), executor, left)

    def check_group(
        self, tasks: tuple[TaskInfo, ...], executor: ExecutorInfo, left: Resources
    ) -> None:
        if executor.type is ExecutorType.UNKNOWN:
            raise BadRequest("executor.type must be DEFAULT or CUSTOM for a group: set it")
        self._check_executor(executor)
        for name, least in (("cpus", EXECUTOR_CPUS_MILLI), ("mem", EXECUTOR_MEM_MILLI)):
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
            if task.executor is not None and self.filled(task.executor) != executor:
                raise BadRequest(f"Task {task.task_id} has another executor than its group")
            container = task.container
            if container is not None and container.type is ContainerType.DOCKER:
                raise BadRequest(f"Task {task.task_id} of a group can't have a Docker container")
            if container is not None and container.network_infos:
                raise BadRequest(
                    f"Task {task.task_id} of a group can't have network_infos: its executor has"
                )
            self._check_description(task)
        self._check_resources(tasks, executor, left)

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
        unique_leases.check(self._config, task)

    def filled(self, executor: ExecutorInfo) -> ExecutorInfo:
        """The executor with the framework's id, if it has none."""
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

    def _check_resources(
        self, tasks: tuple[TaskInfo, ...], executor: ExecutorInfo | None, left: Resources
    ) -> None:
        wanted = Resources()
        for task in tasks:
            if not task.resources:
                raise BadRequest("Task uses no resources: ask for some cpus and mem")
            if task.resources.milli("gpus") % MILLI:
                raise BadRequest(f"Task uses {task.resources.gpus:g} gpus: ask for whole ones")
            if wanted and wanted.overlaps(exclusive(task.resources)):
                raise BadRequest("tasks of one group use the same ports, or the same volume")
            wanted = wanted + task.resources
        if executor is not None:
            _check_not_mixed(wanted + executor.resources)
            if (self._framework.id, executor.executor_id) not in self._agent.executors:
                if wanted.overlaps(exclusive(executor.resources)):
                    raise BadRequest("task and executor use the same ports, or the same volume")
                wanted = wanted + executor.resources
        else:
            _check_not_mixed(wanted)
        if not wanted <= left:
            raise BadRequest(f"Task uses more resources {wanted} than available {left}")
        role = self._role
        for kind, _ in wanted.items():
            if kind.reservations and kind.role != role and not role.startswith(kind.role + "/"):
                raise BadRequest(f"{kind.name} is reserved to {kind.role!r}, which {role!r} is not")


def exclusive(resources: Resources) -> Resources:
    """The resources without shared ones. The same object if there are none."""
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
