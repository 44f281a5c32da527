"""What happens to the master's core, and what it wants done."""

from __future__ import annotations

from mezzo.core import CancelTimer, SetTimer, TimerFired
from mezzo.ids import ConnId, FrameworkId
from mezzo.messages.agent import AgentMessage, MasterMessage, RunGroup, RunTask
from mezzo.messages.operator import OperatorCall, OperatorEvent, OperatorResponse, Resume
from mezzo.messages.scheduler import Call, Event
from mezzo.record import Record

# ---------------------------------------------------------------------------------- events


class Started(Record):
    """The first event: this process leads and its core has read the store."""


class AgentSaid(Record):
    conn: ConnId
    message: AgentMessage


class FrameworkSaid(Record):
    """`framework_id` is what the call names; on the first Subscribe ever there is none."""

    conn: ConnId
    framework_id: FrameworkId | None
    call: Call


class OperatorAsked(Record):
    """One call; the answer carries the same `request` number."""

    request: int
    call: OperatorCall


class OperatorJoined(Record):
    """Somebody subscribed to the operator events, perhaps to go on where a stream had ended."""

    conn: ConnId
    resume: Resume | None = None


class WhitelistChanged(Record):
    """Only agents of these hosts are offered; None: all are."""

    hostnames: tuple[str, ...] | None


class LaunchUnsent(Record):
    """What was to be launched on an agent could not be sent to it."""

    conn: ConnId
    message: RunTask | RunGroup
    why: str


class StreamClosed(Record):
    """A stream of any peer ended."""

    conn: ConnId


MasterEvent = (
    Started
    | AgentSaid
    | FrameworkSaid
    | OperatorAsked
    | OperatorJoined
    | WhitelistChanged
    | LaunchUnsent
    | StreamClosed
    | TimerFired
)

# ---------------------------------------------------------------------------------- effects


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
    """To every operator stream that has its snapshot."""

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
    """End it after what was sent before."""

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
