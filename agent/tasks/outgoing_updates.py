"""Reliable status updates: per task in order, one in flight, repeated until acknowledged. Pure.

The queues themselves are in the tasks (`AgentTask.pending`) and so in the store.
"""

from __future__ import annotations

from collections.abc import Iterable

from mezzo.core import Instant
from mezzo.ids import ConnId
from mezzo.messages.agent import StatusUpdate

from ..resending import Reliable
from ..state.agent_state import Out
from ..state.agent_task import AgentTask, TaskKey
from ..timers import UpdateOverdue


class Updates:
    """Sends the head of each task's queue while a master has us registered, else waits."""

    def __init__(self) -> None:
        self._reliable = Reliable[TaskKey](lambda key: UpdateOverdue(*key))

    def connect(self, conn: ConnId, tasks: Iterable[AgentTask], now: Instant, out: Out) -> None:
        """Registered: everything that is unacknowledged goes out at once."""
        self._reliable.connect(conn, out)
        for task in tasks:
            self.push(task, now, out)

    def disconnect(self, out: Out) -> None:
        self._reliable.disconnect(out)

    def push(self, task: AgentTask, now: Instant, out: Out) -> None:
        """Send the head unless it is in flight already."""
        if task.pending:
            self._reliable.push(task.key, _head(task), now, out)

    def repeat(self, task: AgentTask, now: Instant, out: Out) -> None:
        """Its timer fired: no acknowledgement has come."""
        if task.pending:
            self._reliable.repeat(task.key, _head(task), now, out)

    def settled(self, key: TaskKey, out: Out) -> None:
        """The head was acknowledged, or nobody is left to be told."""
        self._reliable.settled(key, out)


def _head(task: AgentTask) -> StatusUpdate:
    return StatusUpdate(task.framework_id, task.pending[0], task.state)
