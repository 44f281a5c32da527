"""The latest operator events: after a broken stream an operator gets only what it missed."""

from __future__ import annotations

from collections import deque
from itertools import islice

from mezzo.messages.operator import OperatorEvent


class Journal:
    """Open while an operator listens, and for a while after the last has left: it may come back.

    While it is closed nobody has a use for events, and they cost nothing.
    """

    __slots__ = ("_events", "open")

    def __init__(self, capacity: int = 0) -> None:
        self.open = False
        self._events: deque[OperatorEvent] = deque(maxlen=capacity)

    def note(self, event: OperatorEvent) -> None:
        """The next event; the oldest makes room."""
        self._events.append(event)

    def latest(self, count: int) -> list[OperatorEvent] | None:
        """The last `count` events in order; None if not all of them are known any more."""
        if not 0 <= count <= len(self._events):
            return None
        return list(islice(self._events, len(self._events) - count, None))

    def close(self) -> None:
        self.open = False
        self._events.clear()
