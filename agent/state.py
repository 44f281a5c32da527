"""All that an agent keeps durably, in memory; each change also writes itself into the store.

agent/identity            who we are, on which boot
agent/epoch               the newest epoch of a master that we have obeyed
framework/<id>            of every framework that has tasks here
task/<framework>/<task>   AgentTask: from before its launch until its last acknowledgement
ended/<slot>              a ring of the last ended task ids: none of them runs again
remains/<container>       ended containers and sandboxes that are still to be removed
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mezzo.core import Delete, Output, Put
from mezzo.ids import AgentId, ContainerId, FrameworkId, TaskId
from mezzo.model import AgentInfo, FrameworkInfo
from mezzo.record import Record, decode, encode

from .containerizer.base import Kind
from .events import AgentEffect
from .tasks import AgentTask, TaskKey

ENDED_MAX: Final = 10_000

Out = Output[AgentEffect]


class Identity(Record):
    agent_id: AgentId
    info: AgentInfo  # with id, as the master knows it
    boot_id: str


class Remains(Record):
    """Of an ended container. ended_s: wall time."""

    container_id: ContainerId
    kind: Kind
    framework_id: FrameworkId
    task_id: TaskId
    sandbox: str
    ended_s: float
    container_removed: bool = False


class _Ended(Record):
    number: int  # counts up; the newest `ENDED_MAX` are kept
    framework_id: FrameworkId
    task_id: TaskId


class AgentState:
    """Changes go through the methods, which append the writes to the step's output."""

    def __init__(self, stored: Mapping[str, bytes]) -> None:
        """Read what the methods have written. Raises Corrupt."""
        self.identity: Identity | None = None
        self.epoch = 0
        self.frameworks: dict[FrameworkId, FrameworkInfo] = {}
        self.tasks: dict[TaskKey, AgentTask] = {}
        self.remains: dict[ContainerId, Remains] = {}
        self._by_container: dict[ContainerId, TaskKey] = {}
        ended: list[_Ended] = []
        for key in sorted(stored):
            value = stored[key]
            kind, _, rest = key.partition("/")
            match kind, rest:
                case "agent", "identity":
                    self.identity = decode(Identity, value)
                case "agent", "epoch":
                    self.epoch = decode(int, value)
                case "framework", _:
                    self.frameworks[FrameworkId(rest)] = decode(FrameworkInfo, value)
                case "task", _:
                    self._keep(decode(AgentTask, value))
                case "ended", _:
                    ended.append(decode(_Ended, value))
                case "remains", _:
                    remains = decode(Remains, value)
                    self.remains[remains.container_id] = remains
        ended.sort(key=lambda entry: entry.number)
        self._ended: dict[TaskKey, None] = {(e.framework_id, e.task_id): None for e in ended}
        self._ended_count = ended[-1].number + 1 if ended else 0

    # ---- reading

    def task_of(self, container_id: ContainerId) -> AgentTask | None:
        key = self._by_container.get(container_id)
        return None if key is None else self.tasks[key]

    def has_ended(self, key: TaskKey) -> bool:
        """True for the last `ENDED_MAX` tasks that ended and were forgotten."""
        return key in self._ended

    # ---- changing

    def set_identity(self, identity: Identity, out: Out) -> None:
        self.identity = identity
        out.writes.append(Put("agent/identity", encode(identity)))

    def set_epoch(self, epoch: int, out: Out) -> None:
        self.epoch = epoch
        out.writes.append(Put("agent/epoch", encode(epoch)))

    def put_framework(self, framework_id: FrameworkId, info: FrameworkInfo, out: Out) -> None:
        if self.frameworks.get(framework_id) != info:
            self.frameworks[framework_id] = info
            out.writes.append(Put(f"framework/{framework_id}", encode(info)))

    def put_task(self, task: AgentTask, out: Out) -> None:
        self._keep(task)
        out.writes.append(Put(_task_key(task.key), encode(task)))

    def forget_task(self, task: AgentTask, out: Out) -> None:
        """Drop the task for good, and its framework with its last task."""
        del self.tasks[task.key]
        if task.container_id is not None:
            del self._by_container[task.container_id]
        out.writes.append(Delete(_task_key(task.key)))
        self._remember_ended(task.key, out)
        if not any(key[0] == task.framework_id for key in self.tasks):
            self.frameworks.pop(task.framework_id, None)
            out.writes.append(Delete(f"framework/{task.framework_id}"))

    def put_remains(self, remains: Remains, out: Out) -> None:
        self.remains[remains.container_id] = remains
        out.writes.append(Put(f"remains/{remains.container_id}", encode(remains)))

    def forget_remains(self, container_id: ContainerId, out: Out) -> None:
        del self.remains[container_id]
        out.writes.append(Delete(f"remains/{container_id}"))

    def _keep(self, task: AgentTask) -> None:
        self.tasks[task.key] = task
        if task.container_id is not None:
            self._by_container[task.container_id] = task.key

    def _remember_ended(self, key: TaskKey, out: Out) -> None:
        number = self._ended_count
        self._ended_count += 1
        self._ended.pop(key, None)  # so that it moves to the end
        self._ended[key] = None
        if len(self._ended) > ENDED_MAX:
            del self._ended[next(iter(self._ended))]
        # The slot's former entry is the one that has just become too old.
        out.writes.append(Put(f"ended/{number % ENDED_MAX:05}", encode(_Ended(number, *key))))


def _task_key(key: TaskKey) -> str:
    return f"task/{key[0]}/{key[1]}"
