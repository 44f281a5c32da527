"""What happens to the master's core."""

from __future__ import annotations

from mezzo.core import TimerFired
from mezzo.ids import ConnId, FrameworkId
from mezzo.messages.agent import AgentMessage, RunGroup, RunTask
from mezzo.messages.operator import OperatorCall, Resume
from mezzo.messages.scheduler import Call
from mezzo.record import Record


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
