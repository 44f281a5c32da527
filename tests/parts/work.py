"""How work grows with what it is done for. Lines are counted, so that no clock is looked at."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

Action = Callable[[], object]
Scenario = Callable[[int], Action]  # a world for so many things, and what is done to it


def lines_of(action: Action) -> int:
    """How many lines a core runs in its steps, each round of a loop or comprehension anew."""
    count = 0
    step: FrameType | None = None

    def on_line(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count, step
        count += 1
        if event == "return" and frame is step:
            step = None
        return on_line

    def on_call(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal step
        module = frame.f_globals.get("__name__", "")
        if step is None and frame.f_code.co_name == "step" and module.endswith("core"):
            step = frame
        return on_line if step is not None and module.startswith("mezzo.") else None

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        action()
    finally:
        sys.settrace(before)
    return count


def lines_per_pair(prepare: Scenario, size: int = 40) -> float:
    """How many lines more for each two of the things that an action is done for.

    0: work grows with their number. 1: at each of them all are looked at. Sorting hardly counts.
    """
    one, two, three = (lines_of(prepare(size * times)) for times in (1, 2, 3))
    return (three - 2 * two + one) / (2 * size * size)
