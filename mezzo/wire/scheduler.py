"""The scheduler API: `mezzo.messages.scheduler` <-> `scheduler.proto`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from mezzo.errors import BadRequest, Unencodable
from mezzo.ids import FrameworkId
from mezzo.messages import scheduler as m
from mezzo.record import Record
from mezzo.wire.v1 import scheduler_pb2 as pb

from . import accept
from .batches import Refused, parts, reraise
from .convert import text
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
    calls: Iterable[m.Call], framework_id: FrameworkId | None, refused: Refused = reraise
) -> Iterator[pb.CallBatch]:
    """If an ACCEPT can't be sent whole, a part goes, and `refused` gets the tasks and operations
    that were left out; of other calls it gets the call."""

    def convert(call: m.Call) -> pb.Call:
        return call_to_wire(call, framework_id)

    def instead(call: m.Call, error: Unencodable) -> pb.Call:
        if not isinstance(call, m.Accept):
            raise error
        return convert(accept.sendable_part(call, refused))

    for part in parts(calls, convert, refused, instead=instead):
        yield pb.CallBatch(calls=part)


def call_from_wire(message: pb.Call) -> tuple[FrameworkId | None, m.Call]:
    """The framework id that the call names, and the call. Raises BadRequest; but an ACCEPT loses
    only the part that can't be read: see `Accept.unreadable`."""
    name = pb.Call.Type.Name(message.type)
    kind = _CALLS.get(name)
    if kind is None:
        raise BadRequest(f"call {name} is not one that this master answers")
    framework_id = (
        FrameworkId(text(message.framework_id.value)) if message.HasField("framework_id") else None
    )
    try:
        call = _read(kind, name, message)
    except BadRequest:
        if kind is not m.Accept or not message.HasField("accept"):
            raise
        call = accept.readable_part(message.accept)
    return framework_id, call  # type: ignore[return-value]


def name_of(call: Record) -> str | None:
    """The type of a call; None for a record that is none."""
    return _CALL_NAMES.get(type(call))


def call_type(message: pb.Call) -> str:
    return pb.Call.Type.Name(message.type)


def event_to_wire(event: m.Event, epoch: int) -> pb.Event:
    name = _EVENT_NAMES[type(event)]
    out = pb.Event(type=name, epoch=epoch)
    _put_body(name, event, out)
    return out


def events_to_wire(
    events: Iterable[m.Event], epoch: int, refused: Refused = reraise
) -> Iterator[pb.EventBatch]:
    """Offers that can't be sent are left out of OFFERS; the others go."""

    def convert(event: m.Event) -> pb.Event:
        return event_to_wire(event, epoch)

    def instead(event: m.Event, error: Unencodable) -> pb.Event:
        if not isinstance(event, (m.Offers, m.InverseOffers)):
            raise error
        body = pb.Event.Offers if isinstance(event, m.Offers) else pb.Event.InverseOffers
        part, lost = CONVERTER.encodable_part(event, body)
        if part is None:
            raise error
        for each in lost:
            refused(event, each)
        return convert(part)

    for part in parts(events, convert, refused, instead=instead):
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
