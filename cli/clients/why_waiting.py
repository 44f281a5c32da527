"""Why instances of an app wait, in words: from an item of Marathon's `/v2/queue`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .answers import QueueItem

# The refusal reasons in Marathon's funnel order (`rejectSummaryLastOffers`).
_WORDS: Final[Mapping[str, str]] = {
    "UnfulfilledRole": "resources of another role",
    "UnfulfilledConstraint": "a constraint is not met",
    "NoCorrespondingReservationFound": "no fitting reservation",
    "AgentMaintenance": "in maintenance",
    "InsufficientCpus": "not enough CPUs",
    "InsufficientMemory": "not enough memory",
    "InsufficientDisk": "not enough disk",
    "InsufficientGpus": "not enough GPUs",
    "InsufficientPorts": "not enough ports",
    "DeclinedScarceResources": "scarce resources are kept back",
}


def why_waiting(item: QueueItem | None) -> list[str]:
    """One reason each; empty when nothing waits."""
    if item is None:
        return []
    reasons = []
    left_s = item.get("delay", {}).get("timeLeftSeconds", 0)
    if left_s > 0:
        reasons.append(f"backing off after failures, next try in {left_s} s")
    summary = item.get("processedOffersSummary", {})
    for row in summary.get("rejectSummaryLastOffers", []):
        if count := row.get("declined", 0):
            name = row.get("reason", "?")
            agents = "1 agent" if count == 1 else f"{count} agents"
            reasons.append(f"{name} on {agents} ({_WORDS.get(name, 'refused')})")
    if not reasons:
        reasons.append(
            "waiting for the next offer"
            if summary.get("processedOffersCount")
            else "no offer has come yet: `mezzo explain` says why"
        )
    return reasons
