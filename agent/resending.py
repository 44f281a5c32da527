"""What is sent again, less and less often, until the other side has it. Pure.

What there is to tell lies in the store; here is only what this process remembers of having told.
Spec: Mesos' status update manager, whose times also operations have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar

from mezzo.core import CancelTimer, Instant, SetTimer
from mezzo.ids import ConnId
from mezzo.messages.agent import AgentMessage

from .effects import Send
from .state.agent_state import Out
from .timers import OperationOverdue, UpdateOverdue

RETRY_MIN_S: Final = 10.0
RETRY_MAX_S: Final = 600.0

K = TypeVar("K")


class Reliable(Generic[K]):
    """One message in flight per key, while a master has us registered. overdue: its timer's key."""

    def __init__(self, overdue: Callable[[K], UpdateOverdue | OperationOverdue]) -> None:
        self._overdue = overdue
        self._conn: ConnId | None = None
        self._in_flight: dict[K, float] = {}  # -> seconds until it is repeated

    def connect(self, conn: ConnId, out: Out) -> None:
        """Registered: whatever was in flight is to be pushed again."""
        self.disconnect(out)
        self._conn = conn

    def disconnect(self, out: Out) -> None:
        self._conn = None
        for key in self._in_flight:
            out.effects.append(CancelTimer(self._overdue(key)))
        self._in_flight.clear()

    def push(self, key: K, message: AgentMessage, now: Instant, out: Out) -> None:
        """Send it, unless one of this key is in flight already."""
        if key not in self._in_flight:
            self._send(key, message, RETRY_MIN_S, now, out)

    def repeat(self, key: K, message: AgentMessage, now: Instant, out: Out) -> None:
        """Its timer fired: no acknowledgement has come."""
        waited_s = self._in_flight.get(key)
        if waited_s is not None:  # else it was settled while its timer was on the way
            self._send(key, message, min(waited_s * 2, RETRY_MAX_S), now, out)

    def settled(self, key: K, out: Out) -> None:
        """Acknowledged, or nobody is left to be told."""
        if self._in_flight.pop(key, None) is not None:
            out.effects.append(CancelTimer(self._overdue(key)))

    def once(self, message: AgentMessage, out: Out) -> None:
        """Send what nobody acknowledges. Without a master it is lost."""
        if self._conn is not None:
            out.effects.append(Send(self._conn, message))

    def _send(self, key: K, message: AgentMessage, retry_s: float, now: Instant, out: Out) -> None:
        if self._conn is None:
            return
        out.effects.append(Send(self._conn, message))
        out.effects.append(SetTimer(self._overdue(key), now.mono_s + retry_s))
        self._in_flight[key] = retry_s
