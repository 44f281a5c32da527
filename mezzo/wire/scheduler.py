"""The scheduler API: `mezzo.messages.scheduler` <-> `scheduler.proto`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from mezzo.errors import BadRequest
from mezzo.ids import FrameworkId
from mezzo.messages import scheduler as m
from mezzo.record import Record
from mezzo.wire.v1 import scheduler_pb2 as pb

from .convert import text
from .parts import parts
from .values import CONVERTER

_CALLS: Final[dict[str, type[Record]]] = {
    "SUBSCRIBE": m.Subscribe,
    "TEARDOWN": m.Teardown,
    "ACCEPT": m.Accept,
    "DECLINE": m.Decline,
    "REVIVE": m.Revive,
    "SUPPRESS": m.Suppress,
    "KILL": m.Kill,
    "ACKNOWLEDGE": m.Acknowledge,
    "RECONCILE": m.Reconcile,
    "MESSAGE": m.Message,
    "UPDATE_FRAMEWORK": m.UpdateFramework,
    "RECONCILE_OPERATIONS": m.ReconcileOperations,
    "ACKNOWLEDGE_OPERATION_STATUS": m.AcknowledgeOperationStatus,
    "ACCEPT_INVERSE_OFFERS": m.AcceptInverseOffers,
    "DECLINE_INVERSE_OFFERS": m.DeclineInverseOffers,
    "SHUTDOWN": m.Shutdown,
    "REQUEST": m.Request,
}
_EVENTS: Final[dict[str, type[Record]]] = {
    "SUBSCRIBED": m.Subscribed,
    "OFFERS": m.Offers,
    "RESCIND": m.Rescind,
    "UPDATE": m.Update,
    "UPDATE_OPERATION_STATUS": m.UpdateOperationStatus,
    "MESSAGE": m.Message,
    "FAILURE": m.Failure,
    "ERROR": m.Error,
    "HEARTBEAT": m.Heartbeat,
    "INVERSE_OFFERS": m.InverseOffers,
    "RESCIND_INVERSE_OFFER": m.RescindInverseOffer,
    "ANSWERED": m.Answered,
}
_CALL_NAMES: Final = {kind: name for name, kind in _CALLS.items()}
_EVENT_NAMES: Final = {kind: name for name, kind in _EVENTS.items()}
# These consist of their type alone.
_BODILESS: Final = frozenset({"TEARDOWN", "HEARTBEAT"})
# Without a body they mean "all roles".
_OPTIONAL_BODY: Final = frozenset({"REVIVE", "SUPPRESS"})


def call_to_wire(call: m.Call, framework_id: FrameworkId | None) -> pb.Call:
    name = _CALL_NAMES[type(call)]
    out = pb.Call(type=name)
    if framework_id is not None:
        out.framework_id.value = framework_id
    _put_body(name, call, out)
    return out


def calls_to_wire(
    calls: Iterable[m.Call], framework_id: FrameworkId | None
) -> Iterator[pb.CallBatch]:
    for part in parts(call_to_wire(call, framework_id) for call in calls):
        yield pb.CallBatch(calls=part)


def call_from_wire(message: pb.Call) -> tuple[FrameworkId | None, m.Call]:
    """The framework id that the call names, and the call. Raises BadRequest."""
    name = pb.Call.Type.Name(message.type)
    kind = _CALLS.get(name)
    if kind is None:
        raise BadRequest(f"call {name} is not one that this master answers")
    framework_id = (
        FrameworkId(text(message.framework_id.value)) if message.HasField("framework_id") else None
    )
    return framework_id, _read(kind, name, message)  # type: ignore[return-value]


def call_type(message: pb.Call) -> str:
    return pb.Call.Type.Name(message.type)


def event_to_wire(event: m.Event, epoch: int) -> pb.Event:
    name = _EVENT_NAMES[type(event)]
    out = pb.Event(type=name, epoch=epoch)
    _put_body(name, event, out)
    return out


def events_to_wire(events: Iterable[m.Event], epoch: int) -> Iterator[pb.EventBatch]:
    for part in parts(event_to_wire(event, epoch) for event in events):
        yield pb.EventBatch(events=part)


def event_from_wire(message: pb.Event) -> tuple[int, m.Event] | None:
    """The epoch and the event; None for a type that this version does not know (ignore it)."""
    name = pb.Event.Type.Name(message.type)
    kind = _EVENTS.get(name)
    if kind is None:
        return None
    return message.epoch, _read(kind, name, message)  # type: ignore[return-value]


def _put_body(name: str, record: Record, out: pb.Call | pb.Event) -> None:
    if name not in _BODILESS:
        body = getattr(out, name.lower())
        body.SetInParent()
        CONVERTER.fill(record, body)


def _read(kind: type[Record], name: str, message: pb.Call | pb.Event) -> Record:
    if name in _BODILESS:
        return kind()
    field = name.lower()
    if not message.HasField(field):
        if name in _OPTIONAL_BODY:
            return kind()
        raise BadRequest(f"{name} lacks its body: fill the field {field}")
    return CONVERTER.read(kind, getattr(message, field))
