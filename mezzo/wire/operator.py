"""The operator API: `mezzo.messages.operator` <-> `operator.proto`."""

from __future__ import annotations

from typing import Final

from mezzo.errors import BadRequest
from mezzo.messages import operator as m
from mezzo.record import Record
from mezzo.wire.v1 import operator_pb2 as pb

from .values import CONVERTER

# Calls of one name and their body, which most lack.
_CALLS: Final[dict[str, type[Record]]] = {
    "GET_STATE": m.GetState,
    "GET_AGENTS": m.GetAgents,
    "GET_FRAMEWORKS": m.GetFrameworks,
    "GET_TASKS": m.GetTasks,
    "GET_MASTER": m.GetMaster,
    "TEARDOWN": m.TeardownFramework,
}
_RESPONSES: Final[dict[str, type[Record]]] = {
    "GET_STATE": m.State,
    "GET_AGENTS": m.Agents,
    "GET_FRAMEWORKS": m.Frameworks,
    "GET_TASKS": m.Tasks,
    "GET_MASTER": m.Master,
}
_EVENTS: Final[dict[str, type[Record]]] = {
    "SUBSCRIBED": m.OperatorSubscribed,
    "TASK_ADDED": m.TaskAdded,
    "TASK_UPDATED": m.TaskUpdated,
    "AGENT_ADDED": m.AgentAdded,
    "AGENT_UPDATED": m.AgentUpdated,
    "AGENT_REMOVED": m.AgentRemoved,
    "FRAMEWORK_ADDED": m.FrameworkAdded,
    "FRAMEWORK_UPDATED": m.FrameworkUpdated,
    "FRAMEWORK_REMOVED": m.FrameworkRemoved,
    "HEARTBEAT": m.OperatorHeartbeat,
}
_CALL_NAMES: Final = {kind: name for name, kind in _CALLS.items()}
_RESPONSE_NAMES: Final = {kind: name for name, kind in _RESPONSES.items()}
_EVENT_NAMES: Final = {kind: name for name, kind in _EVENTS.items()}


def call_to_wire(call: m.OperatorCall) -> pb.Call:
    name = _CALL_NAMES[type(call)]
    out = pb.Call(type=name)
    if isinstance(call, m.TeardownFramework):
        CONVERTER.fill(call, out.teardown)
    return out


def subscribe_call() -> pb.Call:
    return pb.Call(type="SUBSCRIBE")


def call_from_wire(message: pb.Call) -> m.OperatorCall:
    """Raises BadRequest for a call that this master does not serve, or that lacks its body."""
    name = pb.Call.Type.Name(message.type)
    kind = _CALLS.get(name)
    if kind is None:
        raise BadRequest(f"operator call {name} is not one that this master answers")
    if kind is not m.TeardownFramework:
        return kind()  # type: ignore[return-value]
    if not message.HasField("teardown"):
        raise BadRequest("TEARDOWN lacks its body: fill the field teardown")
    return CONVERTER.read(m.TeardownFramework, message.teardown)


def response_to_wire(response: m.OperatorResponse, sequence: int) -> pb.Response:
    """A write's answer has no body. `Refused` is not a response: the server makes it a status."""
    out = pb.Response(sequence=sequence)
    name = _RESPONSE_NAMES.get(type(response))
    if name is not None:
        out.type = getattr(pb.Response, name)
        body = getattr(out, name.lower())
        body.SetInParent()
        CONVERTER.fill(response, body)
    return out


def response_from_wire(message: pb.Response) -> tuple[int, m.OperatorResponse]:
    """The sequence number that the answer reflects, and the answer."""
    if not message.HasField("type"):
        return message.sequence, m.Done()
    name = pb.Response.Type.Name(message.type)
    body = getattr(message, name.lower())
    return message.sequence, CONVERTER.read(_RESPONSES[name], body)  # type: ignore[return-value]


def event_to_wire(event: m.OperatorEvent, sequence: int, epoch: int) -> pb.Event:
    name = _EVENT_NAMES[type(event)]
    out = pb.Event(type=name, sequence=sequence, epoch=epoch)
    if name != "HEARTBEAT":
        body = getattr(out, name.lower())
        body.SetInParent()
        CONVERTER.fill(event, body)
    return out


def event_from_wire(message: pb.Event) -> tuple[int, int, m.OperatorEvent] | None:
    """Sequence, epoch and the event; None for a type that this version does not know."""
    name = pb.Event.Type.Name(message.type)
    kind = _EVENTS.get(name)
    if kind is None:
        return None
    if kind is m.OperatorHeartbeat:
        return message.sequence, message.epoch, m.OperatorHeartbeat()
    event = CONVERTER.read(kind, getattr(message, name.lower()))
    return message.sequence, message.epoch, event  # type: ignore[return-value]
