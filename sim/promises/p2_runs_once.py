"""Promise 2: a task id runs at most once, ever.

Nor do two of a framework's unique tasks run at the same time: those with a lease. That holds also
where the agent can't be reached, for the keepers of its tasks look at their leases.
"""

from __future__ import annotations

from mezzo.ids import FrameworkId, TaskId

from ..containers import Container, Machine
from ..watch import Broken, Watch


class NothingRunsTwice(Watch):
    def __init__(self) -> None:
        self._started: dict[tuple[FrameworkId, TaskId], str] = {}
        self._unique: dict[FrameworkId, Container] = {}  # of the frameworks that have but one task

    def container_started(self, machine: Machine, container: Container) -> None:
        key = (container.spec.framework_id, container.spec.task_id)
        if key in self._started:
            raise Broken(f"promise 2: {key} ran on {self._started[key]} and on {machine.name}")
        self._started[key] = machine.name
        if container.spec.lease_s is None:
            return
        other = self._unique.get(key[0])
        if other is not None and other.state == "running":
            raise Broken(f"promise 2: {key[1]} is to be unique, but {other.spec.task_id} runs, too")
        self._unique[key[0]] = container
