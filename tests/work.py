"""How work grows with what it is done for. Lines are counted, so that no clock is looked at."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def lines_of(action: Callable[[], object]) -> int:
    """How many lines of mezzo's it runs, each round of a loop or comprehension anew."""
    count = 0

    def on_line(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += 1
        return on_line

    def on_call(frame: FrameType, event: str, argument: Any) -> Any:
        return on_line if frame.f_globals.get("__name__", "").startswith("mezzo.") else None

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        action()
    finally:
        sys.settrace(before)
    return count


def lines_per_pair(prepare: Callable[[int], Callable[[], object]], size: int = 40) -> float:
    """How many lines more for each two of the things that an action is done for.

    `prepare` makes a world for a number of things, and the action. 0: work grows with the number;
    1: everything is looked at for everything. Sorting hardly counts.
    """
    one, two, three = (lines_of(prepare(size * times)) for times in (1, 2, 3))
    return (three - 2 * two + one) / (2 * size * size)
