"""gRPC clients of a master, in records: what agents, frameworks and gateways open."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio

from mezzo.cluster.model import Filters, TaskInfo, TaskStatus
from mezzo.cluster.operations import OperationState, OperationStatus
from mezzo.cluster.states import Reason, Source, TaskState
from mezzo.election.base import LeaderDetector
from mezzo.errors import BadRequest, MezzoError, NotNow, Unencodable
from mezzo.ids import ConnId, FrameworkId
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.process.log import get_logger
from mezzo.record import Record
from mezzo.wire.v1 import agent_pb2_grpc, operator_pb2_grpc, relay_pb2_grpc, scheduler_pb2_grpc

from . import agent as agent_wire
from . import operator as operator_wire
from . import relay as relay_wire
from . import scheduler as scheduler_wire
from .link import OPERATOR_OPTIONS, Link


class AgentLink(Link[am.AgentMessage]):
    """An agent's stream: messages go out and come in as records, in batches per loop turn."""

    def __init__(
        self,
        detector: LeaderDetector,
        *,
        on_up: Callable[[ConnId], None],
        on_messages: Callable[[ConnId, int, list[am.MasterMessage]], None],
        on_down: Callable[[ConnId], None],
    ) -> None:
        """`on_messages` gets the connection, the master's epoch and the batch."""
        log = get_logger("agent")

        def open_stream(channel: grpc.aio.Channel, out: AsyncIterator[Any]) -> Any:
            return agent_pb2_grpc.AgentStub(channel).Connect(out)  # type: ignore[no-untyped-call]

        def on_message(conn: ConnId, batch: Any) -> None:
            try:
                epoch, messages = agent_wire.master_batch_from_wire(batch)
            except BadRequest as error:
                # Of a version that we do not understand: a new stream may bring another master.
                log.error("master.unreadable", error=str(error))
                self.close(conn)
                return
            self.crowd = batch.streams
            on_messages(conn, epoch, messages)

        super().__init__(
            detector,
            open_stream=open_stream,
            pack=agent_wire.agent_batches_to_wire,
            on_up=on_up,
            on_message=on_message,
            on_down=on_down,
            on_unsent=lambda conn, what, error: None,  # what it could not send whole went in part
            name="agent",
        )


class RelayLink(Link[Any]):
    """A relay's stream: what its agents said, and what is said to them, as bytes."""

    def __init__(
        self,
        detector: LeaderDetector,
        *,
        on_up: Callable[[ConnId], None],
        on_said: Callable[[int, bytes], None],
        on_close: Callable[[int], None],
        on_down: Callable[[ConnId], None],
        on_too_large: Callable[[int], None],
    ) -> None:
        """`on_said` and `on_close` get the number of the agent's stream; a close is the last.
        `on_too_large`: what that agent said could not be passed on."""

        def open_stream(channel: grpc.aio.Channel, out: AsyncIterator[Any]) -> Any:
            return relay_pb2_grpc.RelayStub(channel).Connect(out)  # type: ignore[no-untyped-call]

        def on_message(conn: ConnId, message: Any) -> None:
            for entry in message.entries:
                if entry.HasField("batch"):
                    on_said(entry.stream, entry.batch)
                if entry.close:
                    on_close(entry.stream)

        super().__init__(
            detector,
            open_stream=open_stream,
            pack=relay_wire.from_agents,
            on_up=on_up,
            on_message=on_message,
            on_down=on_down,
            on_unsent=lambda conn, entry, error: on_too_large(entry.stream),
            name="relay",
        )

    def said(self, conn: ConnId, stream: int, batch: bytes) -> None:
        self.send(conn, relay_wire.said(stream, batch))

    def ended(self, conn: ConnId, stream: int) -> None:
        self.send(conn, relay_wire.ended(stream))


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


class OperatorClient:
    """Blocking: calls of the operator API, and the event stream. For gateways and the CLI."""

    def __init__(self, target: str) -> None:
        """`target` is `host:port` of the leading master's gRPC server."""
        self._channel = grpc.insecure_channel(target, options=OPERATOR_OPTIONS)
        self._stub = operator_pb2_grpc.OperatorStub(self._channel)  # type: ignore[no-untyped-call]

    def call(
        self, call: om.OperatorCall, timeout_s: float = 10.0
    ) -> tuple[int, om.OperatorResponse]:
        """The sequence number and the answer. Raises BadRequest when refused, MezzoError when the
        master can't be reached or is no leader."""
        try:
            answer = self._stub.Call(operator_wire.call_to_wire(call), timeout=timeout_s)
        except grpc.RpcError as error:
            raise _as_mezzo(error) from error
        return operator_wire.response_from_wire(answer)

    def events(self, resume: om.Resume | None = None) -> OperatorEvents:
        """Subscribe, perhaps after an event of an earlier stream. Iterate over the result; `close`
        ends it from another thread."""
        return OperatorEvents(self._stub.Subscribe(operator_wire.subscribe_call(resume)))

    def close(self) -> None:
        self._channel.close()


class OperatorEvents:
    """An event stream: yields (sequence, epoch, event); raises MezzoError when it breaks."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def __iter__(self) -> OperatorEvents:
        return self

    def __next__(self) -> tuple[int, int, om.OperatorEvent]:
        while True:
            try:
                known = operator_wire.event_from_wire(next(self._call))
            except grpc.RpcError as error:
                raise _as_mezzo(error) from error
            if known is not None:
                return known

    def close(self) -> None:
        self._call.cancel()


def _as_mezzo(error: grpc.RpcError) -> MezzoError:
    code, details = error.code(), error.details()
    if code is grpc.StatusCode.INVALID_ARGUMENT:
        return BadRequest(details)
    if code is grpc.StatusCode.FAILED_PRECONDITION:
        return NotNow(details)
    return MezzoError(f"the master does not answer ({code.name.lower()}): {details}")
