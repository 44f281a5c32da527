"""Conversions: what reservations and volumes make of the agent's resources. Pure.

An operation is judged once, and remembered by its uuid: done again it would convert twice. Of one
with an id the framework is told until it acknowledges; of another the master alone, once, for the
agent's total in its next registration says the same.

A volume on the agent's own disk, or on a PATH disk, gets a folder with a name that no other has
ever had: so the data of a destroyed one may be removed in the background while the next one of the
same id is in use. On a MOUNT disk a volume is the root of that disk (Mesos).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from mezzo.cluster.amounts import Value
from mezzo.cluster.conversions import convert
from mezzo.cluster.operations import OperationRecord, OperationState, OperationStatus
from mezzo.cluster.resources import Kind, Resources
from mezzo.core import Instant
from mezzo.errors import BadRequest
from mezzo.ids import ConnId, FrameworkId, IdSource
from mezzo.messages.agent import ApplyOperation, OperationAcknowledged, OperationUpdate
from mezzo.record import replace

from ..config import AgentConfig
from ..effects import MakeVolume, RemoveVolume
from ..events import VolumeMade, VolumeRemoved
from ..resending import Reliable
from ..state.agent_state import AgentState, Converted, Out
from ..state.volumes import VolumeFolder, volumes_in
from ..timers import OperationOverdue


class Operations:
    def __init__(self, config: AgentConfig, state: AgentState, ids: IdSource) -> None:
        self._config = config
        self._state = state
        self._ids = ids
        self._reliable = Reliable[bytes](OperationOverdue)

    @property
    def total(self) -> Resources:
        return self._state.total(self._config.info.resources)

    # ---- to the master

    def connect(self, conn: ConnId, now: Instant, out: Out) -> None:
        """Registered: everything that is unacknowledged goes out at once."""
        self._reliable.connect(conn, out)
        for operation in self._state.operations.values():
            self._tell(operation, now, out)

    def disconnect(self, out: Out) -> None:
        self._reliable.disconnect(out)

    def _tell(self, operation: OperationRecord, now: Instant, out: Out) -> None:
        self._reliable.push(operation.uuid, _update(operation), now, out)

    def repeat(self, uuid: bytes, now: Instant, out: Out) -> None:
        if (operation := self._state.operations.get(uuid)) is not None:
            self._reliable.repeat(uuid, _update(operation), now, out)

    def acknowledged(self, message: OperationAcknowledged, out: Out) -> None:
        operation = self._state.operations.get(message.uuid)
        if operation is not None and operation.latest_status.uuid == message.status_uuid:
            self._forget(operation, out)

    def framework_removed(self, framework_id: FrameworkId, out: Out) -> None:
        """Nobody is left who would acknowledge."""
        for operation in list(self._state.operations.values()):
            if operation.framework_id == framework_id:
                self._forget(operation, out)

    def _forget(self, operation: OperationRecord, out: Out) -> None:
        self._reliable.settled(operation.uuid, out)
        self._state.forget_operation(operation.uuid, out)

    # ---- doing them

    def apply(self, message: ApplyOperation, now: Instant, out: Out) -> None:
        if self._state.has_applied(message.uuid):
            return  # a repeated one
        self._state.remember_applied(message.uuid, out)
        before = self.total
        problem: str | None = None
        try:
            total = convert(before, message.conversion)
            self._refuse_what_is_in_use(total)
            created, destroyed = self._folders(before, total, message.uuid)
        except BadRequest as error:
            problem = str(error)
        else:
            self._state.set_converted(Converted(self._config.info.resources, total), out)
            self._change_folders(created, destroyed, out)
        status = OperationStatus(
            state=OperationState.FINISHED if problem is None else OperationState.ERROR,
            operation_id=message.conversion.id,
            message=problem,
            agent_id=self._state.identity.agent_id if self._state.identity is not None else None,
            converted_resources=total - total.common(before) if problem is None else Resources(),
        )
        self._report(message, status, now, out)

    def _report(
        self, message: ApplyOperation, status: OperationStatus, now: Instant, out: Out
    ) -> None:
        wanted = message.conversion.id is not None
        if wanted:
            status = replace(status, uuid=self._ids.uuid_bytes())
        operation = OperationRecord(
            uuid=message.uuid,
            info=message.conversion,
            latest_status=status,
            framework_id=message.framework_id,
            agent_id=status.agent_id,
            statuses=(status,),
        )
        if wanted:
            self._state.put_operation(operation, out)
            self._tell(operation, now, out)
        else:
            self._reliable.once(_update(operation), out)

    def _refuse_what_is_in_use(self, total: Resources) -> None:
        """The master sees to that; but what a task has is not taken from it by any mistake."""
        used = used_by(task.info.resources for task in self._state.tasks.values() if task.live)
        if not used <= total:
            raise BadRequest(
                "tasks on this agent use what the operation would take away: end them first"
            )

    # ---- the folders of volumes

    def _folders(
        self, before: Resources, total: Resources, uuid: bytes
    ) -> tuple[list[VolumeFolder], list[VolumeFolder]]:
        """Of the created and of the destroyed volumes. Raises BadRequest."""
        old, new = volumes_in(before), volumes_in(total)
        known = self._state.volumes()
        created = [
            new_folder(kind, uuid, self._config.work_dir)
            for key, kind in new.items()
            if key not in old
        ]
        for folder in created:
            if folder.path in self._state.folders:
                raise BadRequest(
                    f"the last volume on the disk {folder.path} is still being removed: try again "
                    "in a moment"
                )
        # Of one whose record is set aside the data stays: nobody knows any more where it is.
        return created, [known[key] for key in old if key not in new and key in known]

    def _change_folders(
        self, created: list[VolumeFolder], destroyed: list[VolumeFolder], out: Out
    ) -> None:
        for folder in created:
            self._state.put_folder(folder, out)
            out.effects.append(MakeVolume(folder.path))
        for folder in destroyed:
            self._state.put_folder(replace(folder, doomed=True), out)
            out.effects.append(RemoveVolume(folder.path, not folder.own_disk))

    def started(self, out: Out) -> None:
        """Go on with what an earlier life has not seen the end of."""
        for folder in self._state.folders.values():
            if folder.doomed:
                out.effects.append(RemoveVolume(folder.path, not folder.own_disk))
            elif not folder.made:
                out.effects.append(MakeVolume(folder.path))

    def volume_made(self, event: VolumeMade, now: Instant, out: Out) -> None:
        folder = self._state.folders.get(event.path)
        if folder is not None and not folder.made:
            self._state.put_folder(replace(folder, made=True), out)

    def volume_removed(self, event: VolumeRemoved, now: Instant, out: Out) -> None:
        folder = self._state.folders.get(event.path)
        if folder is not None and folder.doomed:
            self._state.forget_folder(event.path, out)


def used_by(parts: Iterable[Resources]) -> Resources:
    """What is used of an agent: shared resources once, however many use them."""
    shared: dict[Kind, Value] = {}
    used = Resources()
    for part in parts:
        shared |= {kind: value for kind, value in part.items() if kind.shared}
        used = used + Resources({kind: v for kind, v in part.items() if not kind.shared})
    return used + Resources(shared)


def _update(operation: OperationRecord) -> OperationUpdate:
    return OperationUpdate(operation, operation.latest_status)


def new_folder(kind: Kind, created_by: bytes, work_dir: str) -> VolumeFolder:
    """For a volume that an operation of this uuid creates, as `mezzo.cluster.conversions`
    has judged.

    Raises BadRequest if it would not stay in its place.
    """
    disk = kind.disk
    assert disk is not None
    assert disk.persistence_id is not None
    assert disk.container_path is not None
    _check_container_path(disk.container_path)
    source = disk.source
    root = source.root if source is not None else None
    if source is not None and root is None:
        raise BadRequest(f"disk.source has no root: the agent's {source.type} disk needs one")
    base = posixpath.join(work_dir, root or "")
    if source is not None and source.type == "MOUNT":
        return VolumeFolder(base, kind.role, disk.persistence_id, own_disk=True)
    # A role's parts are divided by slashes and hold no blanks.
    parts = ("volumes", "roles", kind.role.replace("/", " "), disk.persistence_id, created_by.hex())
    return VolumeFolder(posixpath.join(base, *parts), kind.role, disk.persistence_id)


def _check_container_path(path: str) -> None:
    if ".." in path.split("/") or any(ord(ch) < 32 for ch in path):
        raise BadRequest(
            f"disk.volume.container_path {path!r} holds '..' or a control character: remove it"
        )
