"""All that an agent keeps durably, in memory; each change also writes itself into the store, in the
tables of tables.py. loading.py reads it again."""

from __future__ import annotations

from dataclasses import dataclass, field

from mezzo.cluster.model import FrameworkInfo
from mezzo.cluster.operations import OperationRecord
from mezzo.cluster.resources import Resources
from mezzo.ids import ContainerId, FrameworkId, TaskId

from .agent_task import AgentTask, TaskKey
from .facts import Converted, Identity, Proof, Remains
from .step import Step
from .tables import (
    APPLIED,
    ENDED,
    EPOCH,
    FRAMEWORKS,
    IDENTITY,
    OPERATIONS,
    PROOF,
    REMAINS,
    RESOURCES,
    TASKS,
    VOLUMES,
)
from .used_ids import APPLIED_MAX, ENDED_MAX, Applied, Ended, Ring
from .volumes import VolumeFolder, VolumeKey


@dataclass(slots=True)
class Checkpoint:
    """Changes go through the methods, which append the writes to the step's output."""

    aside: dict[str, str] = field(default_factory=dict)  # key -> why it can't be read
    identity: Identity | None = None
    epoch: int = 0
    converted: Converted | None = None
    proof: Proof | None = None
    frameworks: dict[FrameworkId, FrameworkInfo] = field(default_factory=dict)
    tasks: dict[TaskKey, AgentTask] = field(default_factory=dict)
    by_container: dict[ContainerId, TaskKey] = field(default_factory=dict)
    remains: dict[ContainerId, Remains] = field(default_factory=dict)
    operations: dict[bytes, OperationRecord] = field(default_factory=dict)
    folders: dict[str, VolumeFolder] = field(default_factory=dict)
    ended: Ring[TaskKey] = field(default_factory=lambda: Ring(ENDED_MAX))
    applied: Ring[bytes] = field(default_factory=lambda: Ring(APPLIED_MAX))

    # ---- reading

    def task_of(self, container_id: ContainerId) -> AgentTask | None:
        key = self.by_container.get(container_id)
        return None if key is None else self.tasks[key]

    def live_task_of(self, container_id: ContainerId) -> AgentTask | None:
        """The container's task; None also if it is over: late and repeated reports are no news."""
        task = self.task_of(container_id)
        return task if task is not None and task.live else None

    def live_tasks(self) -> list[AgentTask]:
        return [task for task in self.tasks.values() if task.live]

    def framework_of(self, task: AgentTask) -> FrameworkInfo | None:
        """The framework; None if no task of it was ever launched here."""
        return self.frameworks.get(task.framework_id)

    def has_ended(self, key: TaskKey) -> bool:
        """True for the last `ENDED_MAX` tasks that ended and were forgotten.

        Also for one whose record is set aside: it has been launched.
        """
        return self.is_settled(key) or TASKS.key("/".join(key)) in self.aside

    def is_settled(self, key: TaskKey) -> bool:
        """True for ended tasks whose end was acknowledged, not only set aside."""
        return key in self.ended

    def has_forgotten(self, framework_id: FrameworkId, task_id: TaskId) -> bool:
        """True if the task's end was acknowledged: it must never be heard of again."""
        key = (framework_id, task_id)
        return key not in self.tasks and self.has_ended(key)

    def knows(self, container_id: ContainerId) -> bool:
        """Is the container a task's, or to be removed after its end? Others are nobody's."""
        remains = self.remains.get(container_id)
        to_be_removed = remains is not None and not remains.container_removed
        return to_be_removed or self.task_of(container_id) is not None

    def knows_sandbox(self, container_id: ContainerId) -> bool:
        """As `knows`, of sandboxes, which are kept for longer."""
        return self.task_of(container_id) is not None or container_id in self.remains

    def has_applied(self, uuid: bytes) -> bool:
        """True for the last `APPLIED_MAX` conversions, done or refused."""
        return uuid in self.applied

    def total(self, given: Resources) -> Resources:
        """All that an agent has whose flags give it `given`: with its reservations and volumes.

        `given` contains what the flags once gave: `check_reconfiguration` sees to that.
        """
        converted = self.converted
        return given if converted is None else converted.total + (given - converted.given)

    def volumes(self) -> dict[VolumeKey, VolumeFolder]:
        """The folders of all volumes that are not destroyed."""
        return {folder.key: folder for folder in self.folders.values() if not folder.doomed}

    # ---- changing

    def set_identity(self, step: Step, identity: Identity) -> None:
        self.identity = identity
        step.put(IDENTITY, identity)

    def set_epoch(self, step: Step, epoch: int) -> None:
        self.epoch = epoch
        step.put(EPOCH, epoch)

    def set_converted(self, step: Step, converted: Converted) -> None:
        self.converted = converted
        step.put(RESOURCES, converted)

    def set_proof(self, step: Step, proof: Proof) -> None:
        self.proof = proof
        step.put(PROOF, proof)

    def put_framework(self, step: Step, framework_id: FrameworkId, info: FrameworkInfo) -> None:
        if self.frameworks.get(framework_id) != info:
            self.frameworks[framework_id] = info
            step.put(FRAMEWORKS, info)

    def put_task(self, step: Step, task: AgentTask) -> None:
        self.aside.pop(TASKS.key(TASKS.id_of(task)), None)  # which it replaces
        self.keep(task)
        step.put(TASKS, task)

    def forget_task(self, step: Step, task: AgentTask) -> None:
        """Drop the task for good, and its framework with its last task."""
        del self.tasks[task.key]
        if task.container_id is not None:
            del self.by_container[task.container_id]
        step.delete(TASKS, TASKS.id_of(task))
        step.put(ENDED, Ended(self.ended.add(task.key), *task.key))
        if not any(key[0] == task.framework_id for key in self.tasks):
            self.frameworks.pop(task.framework_id, None)
            step.delete(FRAMEWORKS, task.framework_id)

    def put_remains(self, step: Step, remains: Remains) -> None:
        self.remains[remains.container_id] = remains
        step.put(REMAINS, remains)

    def forget_remains(self, step: Step, container_id: ContainerId) -> None:
        del self.remains[container_id]
        step.delete(REMAINS, container_id)

    def remember_applied(self, step: Step, uuid: bytes) -> None:
        step.put(APPLIED, Applied(self.applied.add(uuid), uuid))

    def put_operation(self, step: Step, operation: OperationRecord) -> None:
        self.operations[operation.uuid] = operation
        step.put(OPERATIONS, operation)

    def forget_operation(self, step: Step, uuid_bytes: bytes) -> None:
        del self.operations[uuid_bytes]
        step.delete(OPERATIONS, uuid_bytes.hex())

    def put_folder(self, step: Step, folder: VolumeFolder) -> None:
        self.folders[folder.path] = folder
        step.put(VOLUMES, folder)

    def forget_folder(self, step: Step, path: str) -> None:
        del self.folders[path]
        step.delete(VOLUMES, path)

    def keep(self, task: AgentTask) -> None:
        """Keep a record in memory alone: the store has it already."""
        self.tasks[task.key] = task
        if task.container_id is not None:
            self.by_container[task.container_id] = task.key
