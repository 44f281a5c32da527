"""Messages that are sent again, less and less often, until the other side has them. Pure.

One message is in flight for each key, while a master has us registered.
Spec: Mesos' status update manager; operations have its times, too.
"""

from __future__ import annotations

from typing import Any, Final

from mezzo.ids import ConnId
from mezzo.messages.agent import AgentMessage

from .state.in_flight import InFlight, K
from .state.step import Step

RETRY_MIN_S: Final = 10.0
RETRY_MAX_S: Final = 600.0


def connect(told: InFlight[Any], step: Step, conn: ConnId) -> None:
    """The agent is registered: all that was in flight is to be pushed again."""
    disconnect(told, step)
    told.conn = conn


def disconnect(told: InFlight[Any], step: Step) -> None:
    told.conn = None
    for key in told.retry_s:
        step.cancel(told.overdue(key))
    told.retry_s.clear()


def push(told: InFlight[K], step: Step, key: K, message: AgentMessage) -> None:
    """Send a message, unless one of its key is in flight already."""
    if key not in told.retry_s:
        _send(told, step, key, message, RETRY_MIN_S)


def repeat(told: InFlight[K], step: Step, key: K, message: AgentMessage) -> None:
    """The timer of a key fired: no acknowledgement has come."""
    waited_s = told.retry_s.get(key)
    if waited_s is not None:  # else the message was settled while its timer was on the way
        _send(told, step, key, message, min(waited_s * 2, RETRY_MAX_S))


def settled(told: InFlight[K], step: Step, key: K) -> None:
    """The message is acknowledged, or nobody is left to be told."""
    if told.retry_s.pop(key, None) is not None:
        step.cancel(told.overdue(key))


def once(told: InFlight[Any], step: Step, message: AgentMessage) -> None:
    """Send a message that nobody acknowledges. Without a master it is lost."""
    step.send(told.conn, message)


def _send(told: InFlight[K], step: Step, key: K, message: AgentMessage, retry_s: float) -> None:
    if told.conn is None:
        return
    step.send(told.conn, message)
    step.timer(told.overdue(key), retry_s)
    told.retry_s[key] = retry_s
