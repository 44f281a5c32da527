"""What happens to the Marathon core. Commands of users are in commands.py."""

from __future__ import annotations

from mezzo.core import TimerFired
from mezzo.ids import ConnId
from mezzo.messages import scheduler
from mezzo.record import Record

from .commands import Command


class Started(Record):
    """The first event of a term."""


class LinkUp(Record):
    conn: ConnId


class LinkDown(Record):
    conn: ConnId


class MasterEvent(Record):
    conn: ConnId
    epoch: int
    event: scheduler.Event


class ApiRequest(Record):
    request_id: int
    command: Command


class HealthResult(Record):
    """One probe by Marathon. alive None: it says nothing (an ignored 1xx). cause: of a failure."""

    instance_id: str
    index: int
    alive: bool | None
    cause: str | None = None


Event = Started | LinkUp | LinkDown | MasterEvent | ApiRequest | HealthResult | TimerFired
