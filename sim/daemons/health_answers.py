"""Answers that health checks of a task may get."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

SOON_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one probe. alive: None if it says only that there will be one."""

    alive: bool | None
    cause: str | None
    after_s: float


WELL: Final = Answer(True, None, SOON_S)


# The patient (a task, or an instance of Marathon's), and how long its answer may take.
Examine = Callable[[str, float], Answer]


def nobody_is_ill(patient: str, timeout_s: float) -> Answer:
    return WELL
