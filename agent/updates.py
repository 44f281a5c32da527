"""Reliable status updates: per task in order, one in flight, repeated until acknowledged. Pure.

The queues themselves are in the tasks (`AgentTask.pending`) and so in the store; here is only what
this process remembers of what it has sent. Spec: Mesos' status update manager.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mezzo.core import CancelTimer, Instant, SetTimer
from mezzo.ids import ConnId
from mezzo.messages.agent import StatusUpdate

from .events import Send, UpdateOverdue
from .state import Out
from .tasks import AgentTask, TaskKey

RETRY_MIN_S: Final = 10.0
RETRY_MAX_S: Final = 600.0


class Updates:
    """Sends the head of each task's queue while a master has us registered, else waits."""

    def __init__(self) -> None:
        self._conn: ConnId | None = None
        self._in_flight: dict[TaskKey, float] = {}  # -> seconds until it is repeated

    def connect(self, conn: ConnId, tasks: Iterable[AgentTask], now: Instant, out: Out) -> None:
        """Registered: everything that is unacknowledged goes out at once."""
        self.disconnect(out)
        self._conn = conn
        for task in tasks:
            self.push(task, now, out)

    def disconnect(self, out: Out) -> None:
        self._conn = None
        for key in self._in_flight:
            out.effects.append(CancelTimer(UpdateOverdue(*key)))
        self._in_flight.clear()

    def push(self, task: AgentTask, now: Instant, out: Out) -> None:
        """Send the head unless it is in flight already."""
        if task.pending and task.key not in self._in_flight:
            self._send(task, RETRY_MIN_S, now, out)

    def repeat(self, task: AgentTask, now: Instant, out: Out) -> None:
        """Its timer fired: no acknowledgement has come."""
        waited_s = self._in_flight.get(task.key)
        if waited_s is not None:  # else it was settled while its timer was on the way
            self._send(task, min(waited_s * 2, RETRY_MAX_S), now, out)

    def settled(self, key: TaskKey, out: Out) -> None:
        """The head was acknowledged, or nobody is left to be told."""
        if self._in_flight.pop(key, None) is not None:
            out.effects.append(CancelTimer(UpdateOverdue(*key)))

    def _send(self, task: AgentTask, retry_s: float, now: Instant, out: Out) -> None:
        if self._conn is None:
            return
        message = StatusUpdate(task.framework_id, task.pending[0], task.state)
        out.effects.append(Send(self._conn, message))
        out.effects.append(SetTimer(UpdateOverdue(*task.key), now.mono_s + retry_s))
        self._in_flight[task.key] = retry_s
