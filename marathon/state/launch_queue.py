"""The launch queue: which apps wait for how many instances, how long, and how offers fared."""

from __future__ import annotations

from dataclasses import dataclass, field

from mezzo.cluster.model import Offer

from ..model.app import App
from ..views import OfferRefused
from .census import Census


@dataclass(slots=True)
class Demand:
    """One app that waits, and how offers fared. Times in wall seconds."""

    app: App
    count: int
    since_s: float
    processed: int = 0
    unused: int = 0
    last_used_s: float | None = None
    last_unused_s: float | None = None
    refused_in_all: dict[str, int] = field(default_factory=dict)  # by reason
    last_refused: dict[str, OfferRefused] = field(default_factory=dict)  # by agent
    census: Census | None = None
    census_at: tuple[int, int] | None = None  # configuration, and `Fleet.moves` then

    def used(self, at_s: float) -> None:
        self.processed += 1
        self.last_used_s = at_s

    def refused(self, offer: Offer, reason: str, at_s: float) -> None:
        self.processed += 1
        self.unused += 1
        self.last_unused_s = at_s
        self.refused_in_all[reason] = self.refused_in_all.get(reason, 0) + 1
        self.last_refused[offer.agent_id] = OfferRefused(offer, reason, at_s)


@dataclass(slots=True)
class Delay:
    """How long an app waits before its next launch. Times in monotonic seconds: delays die with the
    term, as in Marathon."""

    delay_s: float
    reference_s: float
    max_s: float


@dataclass(slots=True)
class LaunchQueue:
    """The apps that wait, and when offers are asked for. Times in monotonic seconds."""

    tokens: int  # so many launches may begin
    tokens_timer_set: bool = False
    demands: dict[str, Demand] = field(default_factory=dict)  # by app
    delays: dict[tuple[str, int], Delay] = field(default_factory=dict)  # by app and configuration
    sweeping: bool = False  # the timer is set
    delay_timers_s: dict[str, float] = field(default_factory=dict)  # by app
    suppressed: bool = False
    answered: bool = True  # offers have come since the last revive
    revived_s: float = float("-inf")
    revive_wanted_s: float | None = None
    revive_due_s: float | None = None
