"""What a framework refused of an agent, and until when."""

from __future__ import annotations

from typing import Final, NamedTuple

from mezzo.cluster.resources import Resources

TICKS_PER_S: Final = 20  # a tick is 50 ms


class Refusal(NamedTuple):
    resources: Resources
    until_tick: int

    @property
    def until_s(self) -> float:
        return self.until_tick / TICKS_PER_S
