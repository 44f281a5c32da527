"""`refuse_seconds`: for how long what a framework did not use is not offered to it again."""

from __future__ import annotations

from typing import Final

from mezzo.cluster.model import REFUSE_S_DEFAULT, Filters

REFUSE_S_MAX: Final = 365 * 86400.0


def refusal_s(filters: Filters, at_least_s: float = 0.0) -> float:
    """Seconds. Negative counts as the default, the cap is a year (Mesos); `at_least_s`: the floor,
    which stands in for Mesos' allocation interval."""
    asked_s = filters.refuse_seconds
    wanted_s = min(asked_s, REFUSE_S_MAX) if asked_s >= 0 else REFUSE_S_DEFAULT
    return max(wanted_s, at_least_s)
