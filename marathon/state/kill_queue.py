"""Doomed instances on their way to their end."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..model.instance import Live


@dataclass(slots=True)
class KillQueue:
    """Each doomed instance is in one of the three, by its id."""

    new: dict[str, Live] = field(default_factory=dict)  # to be stored as doomed
    waiting: dict[str, Live] = field(default_factory=dict)  # stored, to be told
    sent: dict[str, tuple[Live, float]] = field(default_factory=dict)  # and when, mono seconds
    retry_set: bool = False  # the timer

    def drop(self, live: Live) -> None:
        """The instance is no more to be killed."""
        self.new.pop(live.id, None)
        self.waiting.pop(live.id, None)
        self.sent.pop(live.id, None)
