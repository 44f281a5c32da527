"""Promise 2: a task id runs at most once, ever.

Nor do two instances of an app that allows only one run at the same time, where its agents can be
reached.
"""

from __future__ import annotations

from mezzo.ids import FrameworkId, TaskId

from ..containers import Container, Machine
from ..watch import Broken, Watch


class NothingRunsTwice(Watch):
    def __init__(self) -> None:
        self._started: dict[tuple[FrameworkId, TaskId], str] = {}

    def container_started(self, machine: Machine, container: Container) -> None:
        key = (container.spec.framework_id, container.spec.task_id)
        if key in self._started:
            raise Broken(f"promise 2: {key} ran on {self._started[key]} and on {machine.name}")
        self._started[key] = machine.name
