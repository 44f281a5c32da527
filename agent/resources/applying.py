"""Conversions: what reservations and volumes make of the agent's resources. Pure.

An operation is judged once, and remembered by its uuid: done again it would convert twice. If it
has an id, the framework is told until it acknowledges; if not, the master alone, once, for the
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
from mezzo.errors import BadRequest
from mezzo.ids import ConnId, FrameworkId
from mezzo.messages.agent import ApplyOperation, OperationAcknowledged, OperationUpdate
from mezzo.record import replace

from .. import resending
from ..effects import MakeVolume, RemoveVolume
from ..events import VolumeMade, VolumeRemoved
from ..state.agent_state import AgentState
from ..state.facts import Converted
from ..state.step import Step
from ..state.volumes import VolumeFolder, volumes_in
from ..timers import OperationOverdue

# ---- to the master


def connect(state: AgentState, step: Step, conn: ConnId) -> None:
    """The agent is registered: all unacknowledged outcomes go out at once."""
    resending.connect(state.outcomes, step, conn)
    for operation in state.checkpoint.operations.values():
        _tell(state, step, operation)


def _tell(state: AgentState, step: Step, operation: OperationRecord) -> None:
    resending.push(state.outcomes, step, operation.uuid, _update(operation))


def overdue(state: AgentState, step: Step, due: OperationOverdue) -> None:
    operation = state.checkpoint.operations.get(due.uuid)
    if operation is not None:
        resending.repeat(state.outcomes, step, due.uuid, _update(operation))


def acknowledged(state: AgentState, step: Step, message: OperationAcknowledged) -> None:
    operation = state.checkpoint.operations.get(message.uuid)
    if operation is not None and operation.latest_status.uuid == message.status_uuid:
        _forget(state, step, operation)


def framework_removed(state: AgentState, step: Step, framework_id: FrameworkId) -> None:
    """The framework is removed: nobody is left who would acknowledge its operations."""
    for operation in list(state.checkpoint.operations.values()):
        if operation.framework_id == framework_id:
            _forget(state, step, operation)


def _forget(state: AgentState, step: Step, operation: OperationRecord) -> None:
    resending.settled(state.outcomes, step, operation.uuid)
    state.checkpoint.forget_operation(step, operation.uuid)


def _update(operation: OperationRecord) -> OperationUpdate:
    return OperationUpdate(operation, operation.latest_status)


# ---- doing them


def apply(state: AgentState, step: Step, message: ApplyOperation) -> None:
    checkpoint = state.checkpoint
    if checkpoint.has_applied(message.uuid):
        return  # a repeated one
    checkpoint.remember_applied(step, message.uuid)
    before = state.total
    problem: str | None = None
    try:
        total = convert(before, message.conversion)
        _refuse_what_is_in_use(state, total)
        created, destroyed = _folders(state, before, total, message.uuid)
    except BadRequest as error:
        problem = str(error)
    else:
        checkpoint.set_converted(step, Converted(state.config.info.resources, total))
        _change_folders(state, step, created, destroyed)
    status = OperationStatus(
        state=OperationState.FINISHED if problem is None else OperationState.ERROR,
        operation_id=message.conversion.id,
        message=problem,
        agent_id=checkpoint.identity.agent_id if checkpoint.identity is not None else None,
        converted_resources=total - total.common(before) if problem is None else Resources(),
    )
    _report(state, step, message, status)


def _report(
    state: AgentState, step: Step, message: ApplyOperation, status: OperationStatus
) -> None:
    wanted = message.conversion.id is not None
    if wanted:
        status = replace(status, uuid=state.ids.uuid_bytes())
    operation = OperationRecord(
        uuid=message.uuid,
        info=message.conversion,
        latest_status=status,
        framework_id=message.framework_id,
        agent_id=status.agent_id,
        statuses=(status,),
    )
    if wanted:
        state.checkpoint.put_operation(step, operation)
        _tell(state, step, operation)
    else:
        resending.once(state.outcomes, step, _update(operation))


def _refuse_what_is_in_use(state: AgentState, total: Resources) -> None:
    """The master sees to that; but no mistake of its takes from a task what it has."""
    used = used_by(task.info.resources for task in state.checkpoint.live_tasks())
    if not used <= total:
        raise BadRequest(
            "tasks on this agent use what the operation would take away: end them first"
        )


def used_by(parts: Iterable[Resources]) -> Resources:
    """The resources that tasks use: shared ones once, however many use them."""
    shared: dict[Kind, Value] = {}
    used = Resources()
    for part in parts:
        shared |= {kind: value for kind, value in part.items() if kind.shared}
        used = used + Resources({kind: v for kind, v in part.items() if not kind.shared})
    return used + Resources(shared)


# ---- the folders of volumes


def _folders(
    state: AgentState, before: Resources, total: Resources, uuid: bytes
) -> tuple[list[VolumeFolder], list[VolumeFolder]]:
    """The folders of the created and of the destroyed volumes. Raises BadRequest."""
    old, new = volumes_in(before), volumes_in(total)
    known = state.checkpoint.volumes()
    created = [
        new_folder(kind, uuid, state.config.work_dir) for key, kind in new.items() if key not in old
    ]
    for folder in created:
        if folder.path in state.checkpoint.folders:
            raise BadRequest(
                f"the last volume on the disk {folder.path} is still being removed: try again "
                "in a moment"
            )
    # The data of a volume whose record is set aside stays: nobody knows any more where it is.
    return created, [known[key] for key in old if key not in new and key in known]


def new_folder(kind: Kind, created_by: bytes, work_dir: str) -> VolumeFolder:
    """The folder of a volume that an operation of this uuid creates, as
    `mezzo.cluster.conversions` has judged.

    Raises BadRequest if the folder would not stay in its place.
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


def _change_folders(
    state: AgentState, step: Step, created: list[VolumeFolder], destroyed: list[VolumeFolder]
) -> None:
    for folder in created:
        state.checkpoint.put_folder(step, folder)
        step.do(MakeVolume(folder.path))
    for folder in destroyed:
        state.checkpoint.put_folder(step, replace(folder, doomed=True))
        step.do(RemoveVolume(folder.path, not folder.own_disk))


def started(state: AgentState, step: Step) -> None:
    """Go on with folders that an earlier life has not finished."""
    for folder in state.checkpoint.folders.values():
        if folder.doomed:
            step.do(RemoveVolume(folder.path, not folder.own_disk))
        elif not folder.made:
            step.do(MakeVolume(folder.path))


def volume_made(state: AgentState, step: Step, event: VolumeMade) -> None:
    folder = state.checkpoint.folders.get(event.path)
    if folder is not None and not folder.made:
        state.checkpoint.put_folder(step, replace(folder, made=True))


def volume_removed(state: AgentState, step: Step, event: VolumeRemoved) -> None:
    folder = state.checkpoint.folders.get(event.path)
    if folder is not None and folder.doomed:
        state.checkpoint.forget_folder(step, event.path)
