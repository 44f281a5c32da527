"""What the master's core wants done."""

from __future__ import annotations

from mezzo.core import CancelTimer, SetTimer
from mezzo.ids import ConnId
from mezzo.messages.agent import MasterMessage
from mezzo.messages.operator import OperatorEvent, OperatorResponse
from mezzo.messages.scheduler import Event
from mezzo.record import Record


class ToAgent(Record):
    conn: ConnId
    message: MasterMessage


class ToFramework(Record):
    conn: ConnId
    event: Event


class ToOperator(Record):
    """The first event of one operator stream: the snapshot. What is published later follows it."""

    conn: ConnId
    sequence: int
    event: OperatorEvent


class Publish(Record):
    """Send an event to every operator stream that has its snapshot."""

    sequence: int
    event: OperatorEvent


class Answer(Record):
    request: int
    sequence: int
    response: OperatorResponse


class NoteIgnored(Record):
    """Log that an agent got no answer, and why."""

    reason: str


class NoteDenied(Record):
    """Log that something which a peer said counts for nothing: who, what, and why."""

    peer: str
    what: str
    reason: str


class NoteSetAside(Record):
    """Log that a stored record can't be read, and why."""

    key: str
    reason: str


class GiveUp(Record):
    """End this term: something is so wrong that going on would harm. Another master may try."""

    reason: str


class CloseStream(Record):
    """End the stream, after what was sent before."""

    conn: ConnId


MasterEffect = (
    ToAgent
    | ToFramework
    | ToOperator
    | Publish
    | Answer
    | CloseStream
    | NoteIgnored
    | NoteDenied
    | NoteSetAside
    | GiveUp
    | SetTimer
    | CancelTimer
)
