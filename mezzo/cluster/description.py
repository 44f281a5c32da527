"""How much of a task the cluster keeps and shows.

A master and each of its gateways hold what describes a task as long as it lives, and of a thousand
ended ones of each framework. So one app whose labels are large, and whose tasks end again and
again, would fill them all. What a program is started with (command, environment, data) has no part
in it: agents alone keep that.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Final

from mezzo.cluster.model import Task, TaskDescription, TaskInfo, TaskStatus
from mezzo.cluster.states import TaskState
from mezzo.ids import FrameworkId
from mezzo.record import encode, replace

# What an app of a thousand ports takes, or labels that hold the files of a balancer.
DESCRIPTION_MAX_BYTES: Final = 256 * 1024
# For each ended task: of its description, and of the text and the data of each status.
REMEMBERED_MAX_BYTES: Final = 4096


_KEPT: Final = TaskDescription.__struct_fields__
_kept_of: Final = attrgetter(*_KEPT)


def task_of(info: TaskInfo, framework_id: FrameworkId, role: str, user: str | None = None) -> Task:
    """The task that a launch makes. user: the one that it runs as if it names none."""
    runner = info.command or (info.executor.command if info.executor else None)
    return Task(
        **dict(zip(_KEPT, _kept_of(info), strict=True)),
        framework_id=framework_id,
        state=TaskState.STAGING,
        executor_id=info.executor.executor_id if info.executor else None,
        user=(runner.user if runner else None) or user,
        role=role,
    )


def status_history(before: tuple[TaskStatus, ...], status: TaskStatus) -> tuple[TaskStatus, ...]:
    """A task's history after one more status: the last of each run of one state, without its data
    (Mesos)."""
    if status.data is not None:
        status = replace(status, data=None)
    if before and before[-1].state is status.state:
        before = before[:-1]
    return (*before, status)


def description_problem(info: TaskInfo) -> str | None:
    """Why a task's description is too large; None if it is not."""
    size = _size(info) + len(info.name)
    if size <= DESCRIPTION_MAX_BYTES:
        return None
    return (
        f"name, labels, discovery, container and health check take {size} bytes, more than "
        f"{DESCRIPTION_MAX_BYTES}: give it fewer or shorter labels, or fewer ports"
    )


def remembered(task: Task) -> Task:
    """What is kept of an ended task: all of it, unless that is large. A lost one, which may come
    back, is kept whole in any case."""
    if task.state is TaskState.LOST:
        return task
    statuses = tuple(map(_remembered_status, task.statuses))
    if statuses != task.statuses:
        task = replace(task, statuses=statuses)
    if _size(task) > REMEMBERED_MAX_BYTES:
        task = replace(task, labels=(), discovery=None, container=None, health_check=None)
    return task


def _size(task: TaskDescription) -> int:
    if not (task.labels or task.discovery or task.container or task.health_check):
        return 0
    return len(encode((task.labels, task.discovery, task.container, task.health_check)))


def _remembered_status(status: TaskStatus) -> TaskStatus:
    if status.data is not None and len(status.data) > REMEMBERED_MAX_BYTES:
        status = replace(status, data=None)
    if status.message is not None and len(status.message) > REMEMBERED_MAX_BYTES:
        status = replace(status, message=status.message[:REMEMBERED_MAX_BYTES])
    return status
