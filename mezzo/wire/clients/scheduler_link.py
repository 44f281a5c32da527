"""The stream of a framework to its master."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio

from mezzo.cluster.model import Filters, TaskInfo, TaskStatus
from mezzo.cluster.operations import OperationState, OperationStatus
from mezzo.cluster.states import Reason, Source, TaskState
from mezzo.election.base import LeaderDetector
from mezzo.errors import BadRequest, Unencodable
from mezzo.ids import ConnId, FrameworkId
from mezzo.messages import scheduler as sm
from mezzo.process.log import get_logger
from mezzo.record import Record
from mezzo.wire.v1 import scheduler_pb2_grpc

from .. import scheduler as scheduler_wire
from ..link import Link


class SchedulerLink(Link[sm.Call]):
    """A framework's stream. `framework_id` goes into every call once it is known."""

    def __init__(
        self,
        detector: LeaderDetector,
        *,
        on_up: Callable[[ConnId], None],
        on_event: Callable[[ConnId, int, sm.Event], None],
        on_down: Callable[[ConnId], None],
        name: str,
    ) -> None:
        """`on_event` gets the connection, the master's epoch and the event."""
        self.framework_id: FrameworkId | None = None
        self._on_event = on_event
        self._epoch = 0  # of the latest event
        log = get_logger(name)

        def open_stream(channel: grpc.aio.Channel, out: AsyncIterator[Any]) -> Any:
            stub = scheduler_pb2_grpc.SchedulerStub(channel)  # type: ignore[no-untyped-call]
            return stub.Subscribe(out)

        def on_message(conn: ConnId, batch: Any) -> None:
            for message in batch.events:
                if not self.is_open(conn):
                    return  # the owner has closed it over an earlier one
                try:
                    known = scheduler_wire.event_from_wire(message)
                except BadRequest as error:
                    log.warning("event.unreadable", error=str(error))
                    continue
                if known is not None:
                    self._epoch = known[0]
                    on_event(conn, *known)

        super().__init__(
            detector,
            open_stream=open_stream,
            pack=lambda calls, refused: scheduler_wire.calls_to_wire(
                calls, self.framework_id, refused
            ),
            on_up=on_up,
            on_message=on_message,
            on_down=on_down,
            on_unsent=self._unsent,
            name=name,
        )

    def _unsent(self, conn: ConnId, what: Record, error: Unencodable) -> None:
        """The owner hears the answer that the master would have given to the call."""
        if isinstance(what, sm.Accept):  # too large: what it wanted is not done, and it goes back
            for operation in what.operations:
                tasks = getattr(operation, "task_infos", getattr(operation, "tasks", (operation,)))
                for each in tasks:
                    self._unsent(conn, each, error)
            self.send(conn, sm.Decline(what.offer_ids, Filters()))
            return
        if self.is_open(conn):
            self._on_event(conn, self._epoch, _answer(what, error))


def _answer(what: Record, error: Unencodable) -> sm.Event:
    """The answer to a call, or to the task or operation of one."""
    if isinstance(what, TaskInfo):
        return sm.Update(
            TaskStatus(
                what.task_id,
                TaskState.ERROR,
                message=str(error),
                source=Source.MASTER,
                reason=Reason.TASK_INVALID,
                agent_id=what.agent_id,
            )
        )
    if isinstance(what, sm.Subscribe):
        return sm.Error(str(error))
    name = scheduler_wire.name_of(what)
    if name is None and (id_ := getattr(what, "id", None)) is not None:
        return sm.UpdateOperationStatus(OperationStatus(OperationState.ERROR, id_, str(error)))
    return sm.Answered(name or "ACCEPT", str(error))
