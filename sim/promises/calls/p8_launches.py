"""The launches of a valid ACCEPT, done or not: see `p8_calls`."""

from __future__ import annotations

from typing import Any

from mezzo.cluster.model import ContainerType, ExecutorInfo, ExecutorType, Offer, Task, TaskInfo
from mezzo.cluster.operations import Launch, LaunchGroup
from mezzo.cluster.resources import Resources
from mezzo.cluster.states import TaskState
from mezzo.core import Output
from mezzo.ids import ExecutorId, TaskId
from mezzo.messages import agent as am
from mezzo.messages import scheduler as sm
from mezzo.record import replace

from ..allocator.sums import alone
from .p8_case import Case, is_id, orders_of, tasks_of

_GROUP_CPUS, _GROUP_MEM = 10, 32_000  # thousandths: the least that an executor of a group has
_LEASE_PINGS, _LEASE_DRIFT, _LEASE_MARGIN_S = 3, 1.01, 5.0
# What a task keeps of how it was described.
_ALIKE = (
    *("name", "task_id", "agent_id", "resources", "labels", "discovery", "container"),
    *("health_check", "kill_policy", "unique_lease"),
)


class Launches:
    """Judged before the call, looked at after it. With other operations among them only the number
    of answers is looked at."""

    def __init__(self, case: Case, offers: list[Offer]) -> None:
        self._case = case
        self._framework = case.framework
        self._agent = case.state.agents[offers[0].agent_id]
        self._role = offers[0].role
        self._left = Resources.total(offer.resources for offer in offers)
        self._used = {*self._framework.tasks, *self._framework.unreachable}
        self._used |= {*self._framework.completed}
        self._executors: dict[ExecutorId, tuple[ExecutorInfo, str]] = {
            executor_id: (entry.info, entry.role)
            for (owner, executor_id), entry in self._agent.executors.items()
            if owner == self._framework.id
        }
        self._orders: list[list[TaskId]] = []  # each a message to the agent
        self._refused: list[TaskId] = []
        self._all_launch = True
        for operation in case.call.operations:
            if not isinstance(operation, (Launch, LaunchGroup)):
                self._all_launch = False
                break
            self._judge(operation)

    def _judge(self, operation: Launch | LaunchGroup) -> None:
        if operation.id is not None:
            self._refused += [task.task_id for task in tasks_of(operation)]
        elif isinstance(operation, LaunchGroup):
            executor = self._filled(operation.executor)
            self._take(operation.tasks, executor, self._group_fits(operation.tasks, executor))
        else:
            for task in operation.task_infos:
                executor_or_none = None if task.executor is None else self._filled(task.executor)
                self._take((task,), executor_or_none, self._task_fits(task, executor_or_none))

    def _take(self, tasks: tuple[TaskInfo, ...], executor: ExecutorInfo | None, fits: bool) -> None:
        ids = [task.task_id for task in tasks]
        if not fits:
            self._refused += ids
            return
        self._orders.append(ids)
        self._used.update(ids)
        taken = [task.resources for task in tasks]
        if executor is not None and executor.executor_id not in self._executors:
            self._executors[executor.executor_id] = (executor, self._role)
            taken.append(executor.resources)
        for resources in taken:
            self._left = self._left - alone(resources)

    def _filled(self, executor: ExecutorInfo) -> ExecutorInfo:
        own = executor.framework_id is not None
        return executor if own else replace(executor, framework_id=self._framework.id)

    def _task_fits(self, task: TaskInfo, executor: ExecutorInfo | None) -> bool:
        return (
            self._is_new(task)
            and (task.command is None) is not (executor is None)
            and self._is_described(task)
            and (
                executor is None
                or (executor.type is not ExecutorType.DEFAULT and self._executor_fits(executor))
            )
            and self._is_there((task,), executor)
        )

    def _group_fits(self, tasks: tuple[TaskInfo, ...], executor: ExecutorInfo) -> bool:
        containers = [task.container for task in tasks if task.container is not None]
        return (
            executor.type is not ExecutorType.UNKNOWN
            and self._executor_fits(executor)
            and executor.resources.milli("cpus") >= _GROUP_CPUS
            and executor.resources.milli("mem") >= _GROUP_MEM
            and len({task.task_id for task in tasks}) == len(tasks)
            and all(self._is_new(task) and self._is_described(task) for task in tasks)
            and all(t.executor is None or self._filled(t.executor) == executor for t in tasks)
            and not any(each.type is ContainerType.DOCKER for each in containers)
            and not any(each.network_infos for each in containers)
            and self._is_there(tasks, executor)
        )

    def _is_new(self, task: TaskInfo) -> bool:
        named = is_id(task.task_id) and task.task_id not in self._used
        return named and task.agent_id == self._agent.id

    def _is_described(self, task: TaskInfo) -> bool:
        container, lease_s = task.container, task.unique_lease
        if container is not None and container.type is ContainerType.DOCKER:
            image = None if container.docker is None else container.docker.image
            if not image:
                return False
        if lease_s is None:
            return True
        config = self._case.state.config
        most_s = config.agent_reregister_timeout_s
        return (
            lease_s >= _LEASE_PINGS * config.agent_ping_timeout_s
            and lease_s * _LEASE_DRIFT + _LEASE_MARGIN_S <= most_s
        )

    def _executor_fits(self, executor: ExecutorInfo) -> bool:
        if not is_id(executor.executor_id) or executor.framework_id != self._framework.id:
            return False
        known = self._executors.get(executor.executor_id)
        if known is not None and known != (executor, self._role):
            return False
        if executor.type is not ExecutorType.DEFAULT:
            return executor.command is not None
        container = executor.container
        docker = container is not None and container.type is ContainerType.DOCKER
        return executor.command is None and not docker

    def _is_there(self, tasks: tuple[TaskInfo, ...], executor: ExecutorInfo | None) -> bool:
        """Is enough left of the offers?"""
        parts = [task.resources for task in tasks]
        if not all(parts) or any(part.milli("gpus") % 1000 for part in parts):
            return False
        mixed = Resources.total([*parts, *([] if executor is None else [executor.resources])])
        soft = {kind.name for kind, _ in mixed.items() if kind.revocable}
        if any(kind.name in soft and not kind.revocable for kind, _ in mixed.items()):
            return False
        if executor is not None and executor.executor_id not in self._executors:
            parts.append(executor.resources)
        wanted = Resources()
        for part in parts:
            if wanted and wanted.overlaps(alone(part)):
                return False
            wanted = wanted + part
        own = all(
            not kind.reservations
            or self._role == kind.role
            or self._role.startswith(kind.role + "/")
            for kind, _ in wanted.items()
        )
        return own and wanted <= self._left

    # ---- afterwards

    def wrong(self, output: Output[Any]) -> str:
        launches = [
            (conn, message)
            for conn, message in orders_of(output)
            if isinstance(message, am.RunTask | am.RunGroup)
        ]
        errors = [
            status.task_id
            for event in self._case.told(output, sm.Update)
            if (status := event.status).state is TaskState.ERROR
        ]
        unread = [u.task_id for u in self._case.call.unreadable if u.task_id is not None]
        if self._all_launch:
            ran = [[task.task_id for task in _ran(message)] for _, message in launches]
            if ran != self._orders:
                return f"the agent is told to run {ran}, not {self._orders}"
            if errors != [*unread, *self._refused]:
                return f"it is told that {errors} are wrong, not {self._refused}"
        for conn, message in launches:
            if conn != self._agent.conn or message.framework != self._framework.info:
                return f"{message} goes to {conn}, not {self._agent.conn}"
            if message.role != self._role:
                return f"it is offered for {self._role}, and launched for {message.role}"
            for task in _ran(message):
                entry = self._framework.tasks.get(task.task_id)
                if entry is None or entry.state is not TaskState.STAGING:
                    return f"{task.task_id} is launched, and known as {entry}"
                group = message.executor if isinstance(message, am.RunGroup) else None
                if wrong := self._unlike(task, group or task.executor, entry.info):
                    return f"{task.task_id} is launched, and known with {wrong}: {entry.info}"
        return ""

    def _unlike(self, asked: TaskInfo, executor: ExecutorInfo | None, shown: Task) -> str:
        """What of a task is not as it was asked for. It is its command's user, or its executor's,
        who runs it, or else the framework's."""
        for name in _ALIKE:
            if getattr(asked, name) != getattr(shown, name):
                return name
        command = executor.command if asked.command is None and executor else asked.command
        user = None if command is None else command.user
        expected = {
            "framework_id": self._framework.id,
            "executor_id": None if executor is None else executor.executor_id,
            "role": self._role,
            "user": user or self._framework.info.user,
        }
        return ", ".join(name for name, each in expected.items() if getattr(shown, name) != each)


def _ran(message: am.RunTask | am.RunGroup) -> tuple[TaskInfo, ...]:
    return message.tasks if isinstance(message, am.RunGroup) else (message.task,)
