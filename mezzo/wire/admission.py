"""Who subscribes and resets over and over has to wait, so that the others do not pay for it. Pure.

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
    """A leaky bucket for each owner of streams; every short stream is a drop. Times are seconds of
    a clock that never jumps."""

    def __init__(self) -> None:
        self._empty_at: dict[Hashable, float] = {}  # when the owner's bucket has run out

    def wait_s(self, owner: Hashable, now_s: float) -> float:
        """How long the owner's next stream has to wait; 0: not at all."""
        return max(0.0, self._empty_at.get(owner, now_s) - now_s - (FREE - 1) * EVERY_S)

    def ended(self, owner: Hashable, lived_s: float, now_s: float) -> None:
        """A stream that had been admitted is over."""
        if lived_s >= MEANT_AFTER_S:
            return
        if len(self._empty_at) >= _FORGET_BEYOND:
            self._empty_at = {key: at_s for key, at_s in self._empty_at.items() if at_s > now_s}
        self._empty_at[owner] = max(now_s, self._empty_at.get(owner, now_s)) + EVERY_S
