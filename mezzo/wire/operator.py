"""The operator API: `mezzo.messages.operator` <-> `operator.proto`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from google.protobuf.message import Message

from mezzo.errors import BadRequest, Unencodable
from mezzo.messages import operator as m
from mezzo.record import Record
from mezzo.wire.v1 import operator_pb2 as pb

from .batches import Refused, reraise
from .values import CONVERTER

# An answer that has a body has the name of its call.
_RESPONSES: Final = {
    name: kind.answer for name, kind in m.CALLS.items() if kind.answer is not m.Done
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
_CALL_NAMES: Final = {kind: name for name, kind in m.CALLS.items()}
_RESPONSE_NAMES: Final = {kind: name for name, kind in _RESPONSES.items()}
_EVENT_NAMES: Final = {kind: name for name, kind in _EVENTS.items()}


def _has_body(kind: type[Record]) -> bool:
    return bool(kind.__struct_fields__)


def _check(message: type[Message], named: Mapping[str, type[Record]]) -> None:
    """Does operator.proto know each call by name, with a field for its body? Raises TypeError."""
    types = message.DESCRIPTOR.enum_types_by_name["Type"].values_by_name
    fields = message.DESCRIPTOR.fields_by_name
    for name, kind in named.items():
        if name not in types or (_has_body(kind) and name.lower() not in fields):
            raise TypeError(f"operator.proto lacks {message.DESCRIPTOR.name}.{name} or its body")


_check(pb.Call, m.CALLS)
_check(pb.Response, _RESPONSES)
_check(pb.Event, _EVENTS)


def call_to_wire(call: m.OperatorCall) -> pb.Call:
    name = _CALL_NAMES[type(call)]
    out = pb.Call(type=name)
    if _has_body(type(call)):
        body = getattr(out, name.lower())
        body.SetInParent()
        CONVERTER.fill(call, body)
    return out


def subscribe_call(resume: m.Resume | None = None) -> pb.Call:
    out = pb.Call(type="SUBSCRIBE")
    if resume is not None:
        CONVERTER.fill(resume, out.resume)
    return out


def resume_from_wire(message: pb.Call) -> m.Resume | None:
    """The event that a SUBSCRIBE wants to go on from."""
    return CONVERTER.read(m.Resume, message.resume) if message.HasField("resume") else None


def call_from_wire(message: pb.Call) -> m.OperatorCall:
    """Raises BadRequest for a call that this master does not serve, or that lacks its body."""
    name = pb.Call.Type.Name(message.type)
    kind = m.CALLS.get(name)
    if kind is None:
        raise BadRequest(f"operator call {name} is not one that this master answers")
    if not _has_body(kind):
        return kind()
    field = name.lower()
    if not message.HasField(field) and kind is not m.Explain:  # without a body: everything
        raise BadRequest(f"{name} lacks its body: fill the field {field}")
    return CONVERTER.read(kind, getattr(message, field))


def response_to_wire(
    response: m.OperatorResponse, sequence: int, refused: Refused = reraise
) -> pb.Response:
    """A write's answer has no body. The server makes statuses of `Refused` and `Conflict`. Parts
    that can't be sent go to `refused`, and the rest is sent; raises Unencodable without a rest."""
    out = pb.Response(sequence=sequence)
    name = _RESPONSE_NAMES.get(type(response))
    if name is not None:
        out.type = getattr(pb.Response, name)
        _put_part(response, getattr(out, name.lower()), refused)
    return out


def _put_part(record: Record, body: Message, refused: Refused) -> None:
    """Raises Unencodable if nothing of it can be sent."""
    try:
        CONVERTER.fill(record, body)
    except Unencodable:
        part, lost = CONVERTER.encodable_part(record, type(body))
        if part is None:
            raise
        for each in lost:
            refused(record, each)
        body.Clear()
        CONVERTER.fill(part, body)
    body.SetInParent()


def response_from_wire(message: pb.Response) -> tuple[int, m.OperatorResponse]:
    """The sequence number that the answer reflects, and the answer. Raises BadRequest."""
    if not message.HasField("type"):
        return message.sequence, m.Done()
    name = pb.Response.Type.Name(message.type)
    kind = _RESPONSES.get(name)
    if kind is None:
        raise BadRequest(f"answer {name} of a master is not one that this version knows")
    return message.sequence, CONVERTER.read(kind, getattr(message, name.lower()))


def event_to_wire(
    event: m.OperatorEvent, sequence: int, epoch: int, refused: Refused = reraise
) -> pb.Event:
    """As `response_to_wire`."""
    name = _EVENT_NAMES[type(event)]
    out = pb.Event(type=name, sequence=sequence, epoch=epoch)
    if name != "HEARTBEAT":
        _put_part(event, getattr(out, name.lower()), refused)
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
