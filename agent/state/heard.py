"""When a master has last heard of the agent: what leases count from. Rules: unique_leases.py."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Heard:
    """When this life has heard what, in monotonic seconds.

    booted_s: None if there is no clock that outlives the agent. asked_s: when a registration was
    first sent on this stream. pongs_s: of this stream, number -> when it was sent. proven_s: when
    the newest message left of which a master has said that it arrived.
    """

    booted_s: float | None = None
    asked_s: float | None = None
    pongs_s: dict[int, float] = field(default_factory=dict)
    proven_s: float | None = None
