"""All that an agent keeps durably, in memory; each change also writes itself into the store.

agent/identity            who we are, on which boot
agent/epoch               the newest epoch of a master that we have obeyed
agent/resources           what conversions have made of our resources
agent/proof               when a master has last heard of us: of leases
framework/<id>            of every framework that has tasks here
task/<framework>/<task>   AgentTask: from before its launch until its last acknowledgement
ended/<slot>              a ring of the last ended task ids: none of them runs again
remains/<container>       ended containers and sandboxes that are still to be removed
operation/<uuid>          conversions whose outcome is not acknowledged
applied/<slot>            a ring of the last conversions: none of them is done again
volume/<path>             VolumeFolder: from before it is made until it is removed
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mezzo.cluster.model import AgentInfo, FrameworkInfo
from mezzo.cluster.operations import OperationRecord
from mezzo.cluster.resources import Resources
from mezzo.core import Delete, Output, Put
from mezzo.ids import AgentId, ContainerId, FrameworkId, TaskId
from mezzo.record import Corrupt, Record, decode, encode

from ..container import Kind
from ..effects import AgentEffect
from .agent_task import AgentTask, TaskKey
from .used_ids import Applied, Ended, Ring
from .volumes import VolumeFolder, VolumeKey

ENDED_MAX: Final = 10_000
APPLIED_MAX: Final = 1_000
# Who it is, whom it obeys, and what it has promised to keep.
_VITAL: Final = ("agent/identity", "agent/epoch", "agent/resources")

Out = Output[AgentEffect]


class Identity(Record):
    agent_id: AgentId
    info: AgentInfo  # with id, as the flags describe it
    boot_id: str


class Converted(Record):
    """`total` is what the agent had in all when its flags gave it `given`."""

    given: Resources
    total: Resources


class Proof(Record):
    """A master has heard of the agent when this boot of its machine was `up_s` seconds old."""

    boot_id: str
    up_s: float


class Remains(Record):
    """Of an ended container. ended_s: wall time."""

    container_id: ContainerId
    kind: Kind
    framework_id: FrameworkId
    task_id: TaskId
    sandbox: str
    ended_s: float
    container_removed: bool = False


class AgentState:
    """Changes go through the methods, which append the writes to the step's output."""

    def __init__(self, stored: Mapping[str, bytes]) -> None:
        """Read what the methods have written.

        One record that can't be read is set aside: it stays in the store, and all else works as if
        it were not there. Raises Corrupt if it is one without which the agent is not itself.
        """
        self.aside: dict[str, str] = {}  # key -> why
        self.identity: Identity | None = None
        self.epoch = 0
        self.converted: Converted | None = None
        self.proof: Proof | None = None
        self.frameworks: dict[FrameworkId, FrameworkInfo] = {}
        self.tasks: dict[TaskKey, AgentTask] = {}
        self.remains: dict[ContainerId, Remains] = {}
        self.operations: dict[bytes, OperationRecord] = {}
        self.folders: dict[str, VolumeFolder] = {}
        self._by_container: dict[ContainerId, TaskKey] = {}
        ended: list[Ended] = []
        applied: list[Applied] = []
        for key in sorted(stored):  # frameworks come before their tasks
            try:
                self._load(key, stored[key], ended, applied)
            except Corrupt as error:
                if key in _VITAL:
                    raise Corrupt(
                        f"{key} in the agent's store is damaged ({error}): bring back a copy of "
                        "meta/agent.db in its work directory, or remove the folder meta: then it "
                        "joins as a new agent, and what it ran is ended"
                    ) from error
                self.aside[key] = str(error)
        self._ended = Ring[TaskKey](
            ENDED_MAX, ((e.number, (e.framework_id, e.task_id)) for e in ended)
        )
        self._applied = Ring[bytes](APPLIED_MAX, ((a.number, a.uuid) for a in applied))

    def _load(self, key: str, value: bytes, ended: list[Ended], applied: list[Applied]) -> None:
        """Raises Corrupt."""
        kind, _, rest = key.partition("/")
        match kind, rest:
            case "agent", "identity":
                self.identity = decode(Identity, value)
            case "agent", "epoch":
                self.epoch = decode(int, value)
            case "agent", "resources":
                self.converted = decode(Converted, value)
            case "agent", "proof":
                self.proof = decode(Proof, value)
            case "framework", _:
                self.frameworks[FrameworkId(rest)] = decode(FrameworkInfo, value)
            case "task", _:
                self._load_task(key, decode(AgentTask, value))
            case "ended", _:
                ended.append(decode(Ended, value))
            case "remains", _:
                remains = decode(Remains, value)
                _check_key(key, f"remains/{remains.container_id}")
                self.remains[remains.container_id] = remains
            case "operation", _:
                operation = decode(OperationRecord, value)
                _check_key(key, _operation_key(operation.uuid))
                self.operations[operation.uuid] = operation
            case "applied", _:
                applied.append(decode(Applied, value))
            case "volume", _:
                folder = decode(VolumeFolder, value)
                _check_key(key, f"volume/{folder.path}")
                self.folders[rest] = folder

    def _load_task(self, key: str, task: AgentTask) -> None:
        _check_key(key, _task_key(task.key))
        # Of one that never came here only the master knows the framework.
        if task.container_id is not None and task.framework_id not in self.frameworks:
            raise Corrupt(f"its framework {task.framework_id} is not there, or set aside itself")
        self._keep(task)

    # ---- reading

    def task_of(self, container_id: ContainerId) -> AgentTask | None:
        key = self._by_container.get(container_id)
        return None if key is None else self.tasks[key]

    def has_ended(self, key: TaskKey) -> bool:
        """True for the last `ENDED_MAX` tasks that ended and were forgotten.

        And for one whose record is set aside: it has been launched.
        """
        return self.is_settled(key) or _task_key(key) in self.aside

    def is_settled(self, key: TaskKey) -> bool:
        """True for those of them whose end was acknowledged, not only set aside."""
        return key in self._ended

    def has_applied(self, uuid: bytes) -> bool:
        """True for the last `APPLIED_MAX` conversions, done or refused."""
        return uuid in self._applied

    def total(self, given: Resources) -> Resources:
        """All that the agent has whose flags give it `given`: with its reservations and volumes.

        `given` contains what the flags once gave: `check_reconfiguration` sees to that.
        """
        converted = self.converted
        return given if converted is None else converted.total + (given - converted.given)

    def volumes(self) -> dict[VolumeKey, VolumeFolder]:
        """The folders of all volumes that are not destroyed."""
        return {folder.key: folder for folder in self.folders.values() if not folder.doomed}

    # ---- changing

    def set_identity(self, identity: Identity, out: Out) -> None:
        self.identity = identity
        out.writes.append(Put("agent/identity", encode(identity)))

    def set_epoch(self, epoch: int, out: Out) -> None:
        self.epoch = epoch
        out.writes.append(Put("agent/epoch", encode(epoch)))

    def set_converted(self, converted: Converted, out: Out) -> None:
        self.converted = converted
        out.writes.append(Put("agent/resources", encode(converted)))

    def set_proof(self, proof: Proof, out: Out) -> None:
        self.proof = proof
        out.writes.append(Put("agent/proof", encode(proof)))

    def put_framework(self, framework_id: FrameworkId, info: FrameworkInfo, out: Out) -> None:
        if self.frameworks.get(framework_id) != info:
            self.frameworks[framework_id] = info
            out.writes.append(Put(f"framework/{framework_id}", encode(info)))

    def put_task(self, task: AgentTask, out: Out) -> None:
        self.aside.pop(_task_key(task.key), None)  # which it replaces
        self._keep(task)
        out.writes.append(Put(_task_key(task.key), encode(task)))

    def forget_task(self, task: AgentTask, out: Out) -> None:
        """Drop the task for good, and its framework with its last task."""
        del self.tasks[task.key]
        if task.container_id is not None:
            del self._by_container[task.container_id]
        out.writes.append(Delete(_task_key(task.key)))
        slot, number = self._ended.add(task.key)
        out.writes.append(Put(f"ended/{slot:05}", encode(Ended(number, *task.key))))
        if not any(key[0] == task.framework_id for key in self.tasks):
            self.frameworks.pop(task.framework_id, None)
            out.writes.append(Delete(f"framework/{task.framework_id}"))

    def put_remains(self, remains: Remains, out: Out) -> None:
        self.remains[remains.container_id] = remains
        out.writes.append(Put(f"remains/{remains.container_id}", encode(remains)))

    def forget_remains(self, container_id: ContainerId, out: Out) -> None:
        del self.remains[container_id]
        out.writes.append(Delete(f"remains/{container_id}"))

    def remember_applied(self, uuid: bytes, out: Out) -> None:
        slot, number = self._applied.add(uuid)
        out.writes.append(Put(f"applied/{slot:05}", encode(Applied(number, uuid))))

    def put_operation(self, operation: OperationRecord, out: Out) -> None:
        self.operations[operation.uuid] = operation
        out.writes.append(Put(_operation_key(operation.uuid), encode(operation)))

    def forget_operation(self, uuid: bytes, out: Out) -> None:
        del self.operations[uuid]
        out.writes.append(Delete(_operation_key(uuid)))

    def put_folder(self, folder: VolumeFolder, out: Out) -> None:
        self.folders[folder.path] = folder
        out.writes.append(Put(f"volume/{folder.path}", encode(folder)))

    def forget_folder(self, path: str, out: Out) -> None:
        del self.folders[path]
        out.writes.append(Delete(f"volume/{path}"))

    def _keep(self, task: AgentTask) -> None:
        self.tasks[task.key] = task
        if task.container_id is not None:
            self._by_container[task.container_id] = task.key


def _check_key(key: str, expected: str) -> None:
    if key != expected:
        raise Corrupt(f"it is the record of {expected}")


def _task_key(key: TaskKey) -> str:
    return f"task/{key[0]}/{key[1]}"


def _operation_key(uuid_bytes: bytes) -> str:
    return f"operation/{uuid_bytes.hex()}"
