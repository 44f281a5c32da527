"""ACCEPT, part by part: a task or an operation that can't be sent, or read, hurts no other."""

from __future__ import annotations

from collections.abc import Iterator

from mezzo.cluster.model import TaskInfo
from mezzo.cluster.operations import Launch, LaunchGroup, Operation
from mezzo.errors import BadRequest, Unencodable
from mezzo.ids import TaskId
from mezzo.messages.scheduler import Accept, Unreadable
from mezzo.record import replace
from mezzo.wire.v1 import common_pb2 as pb
from mezzo.wire.v1 import scheduler_pb2

from .batches import Refused
from .convert import text
from .values import CONVERTER, get_operation, put_operation

# ---------------------------------------------------------------------------------- sending


def sendable_part(accept: Accept, refused: Refused) -> Accept:
    """The ACCEPT without tasks and operations that can't be sent; `refused` gets each of them. A
    group is left out whole."""
    return replace(accept, operations=tuple(_sendable(accept.operations, refused)))


def _sendable(operations: tuple[Operation, ...], refused: Refused) -> Iterator[Operation]:
    for operation in operations:
        try:
            put_operation(operation, pb.Offer.Operation())
        except Unencodable as error:
            if isinstance(operation, Launch):
                tasks = tuple(task for task in operation.task_infos if _goes(task, refused))
                if tasks:
                    yield replace(operation, task_infos=tasks)
            elif isinstance(operation, LaunchGroup):
                for task in operation.tasks:
                    refused(task, error)
            else:
                refused(operation, error)
        else:
            yield operation


def _goes(task: TaskInfo, refused: Refused) -> bool:
    try:
        CONVERTER.fill(task, pb.TaskInfo())
    except Unencodable as error:
        refused(task, error)
        return False
    return True


# ---------------------------------------------------------------------------------- reading


def readable_part(message: scheduler_pb2.Call.Accept) -> Accept:
    """The part that can be read, and why the rest can't. Raises BadRequest if the offers can't."""
    bare = scheduler_pb2.Call.Accept(offer_ids=message.offer_ids)
    if message.HasField("filters"):
        bare.filters.CopyFrom(message.filters)
    accept = CONVERTER.read(Accept, bare)
    operations: list[Operation] = []
    unreadable: list[Unreadable] = []
    for entry in message.operations:
        try:
            operations.append(get_operation(entry))
        except BadRequest as error:
            launch = _readable_launch(entry, unreadable, error)
            if launch is not None:
                operations.append(launch)
    return replace(accept, operations=tuple(operations), unreadable=tuple(unreadable))


def _readable_launch(
    entry: pb.Offer.Operation, unreadable: list[Unreadable], error: BadRequest
) -> Launch | None:
    """The readable part of a LAUNCH; other operations are read whole or not."""
    id_ = _id(entry.id.value) if entry.HasField("id") else None
    if entry.HasField("launch_group"):
        tasks = entry.launch_group.task_group.tasks
        unreadable += [Unreadable(str(error), _task_id(task), group=True) for task in tasks] or [
            Unreadable(str(error))
        ]
        return None
    if not entry.HasField("launch"):
        unreadable.append(Unreadable(str(error), operation_id=id_))
        return None
    good = []
    for task in entry.launch.task_infos:
        try:
            good.append(CONVERTER.read(TaskInfo, task))
        except BadRequest as why:
            unreadable.append(Unreadable(str(why), _task_id(task)))
    if not good:
        return None
    return Launch(tuple(good), id_)


def _task_id(task: pb.TaskInfo) -> TaskId | None:
    id_ = _id(task.task_id.value)
    return None if id_ is None else TaskId(id_)


def _id(raw: str | bytes) -> str | None:
    """The id; None if it can't be read itself, so that nobody can be told of it by name."""
    try:
        return text(raw)
    except BadRequest:
        return None
