"""Calls of the operator API, and its event stream."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio

from mezzo.errors import BadRequest, MezzoError, NotNow
from mezzo.messages import operator as om
from mezzo.wire.v1 import operator_pb2_grpc

from .. import operator as operator_wire
from ..link import OPERATOR_OPTIONS


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
