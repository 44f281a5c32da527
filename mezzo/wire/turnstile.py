"""A peer that subscribes and resets over and over has to wait, so that others do not pay. Pure.

A subscription costs a master a write and an offer of every agent, and its end costs as much again.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

# A stream that lived so long was meant.
MEANT_AFTER_S: Final = 5.0
# So many short streams are nothing unusual: small jobs, one after the other. Beyond them, one each:
FREE: Final = 20
EVERY_S: Final = 10.0
_FORGET_BEYOND: Final = 1024


class Admission:
    """A leaky bucket for each owner of streams; every short stream is a drop. While it is full, or
    the owner gives up before its turn comes, a stream has to show that it is meant before it is let
    in. Times are seconds of a clock that never jumps."""

    def __init__(self) -> None:
        self._empty_at_s: dict[Hashable, float] = {}  # when the owner's bucket has run out
        self._suspect_until_s: dict[Hashable, float] = {}

    def wait_s(self, owner: Hashable, came_s: float, now_s: float) -> float:
        """How long the owner's stream, which came then, has to wait yet; 0: not at all."""
        full_s = self._empty_at_s.get(owner, now_s) - now_s - (FREE - 1) * EVERY_S
        if full_s <= 0 and came_s >= self._suspect_until_s.get(owner, came_s):
            return 0.0
        return max(0.0, full_s, came_s + MEANT_AFTER_S - now_s)

    def gave_up(self, owner: Hashable, now_s: float) -> None:
        """A stream is over that has not been admitted."""
        self._suspect_until_s = _live(self._suspect_until_s, now_s)
        self._suspect_until_s[owner] = now_s + EVERY_S

    def ended(self, owner: Hashable, lived_s: float, now_s: float) -> None:
        """A stream that had been admitted is over."""
        if lived_s >= MEANT_AFTER_S:
            return
        self._empty_at_s = _live(self._empty_at_s, now_s)
        self._empty_at_s[owner] = max(now_s, self._empty_at_s.get(owner, now_s)) + EVERY_S


def _live(until_s: dict[Hashable, float], now_s: float) -> dict[Hashable, float]:
    """The times that are not over, once there are many."""
    if len(until_s) < _FORGET_BEYOND:
        return until_s
    return {owner: at_s for owner, at_s in until_s.items() if at_s > now_s}
