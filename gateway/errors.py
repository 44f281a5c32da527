"""Errors that never leave the gateway. See mezzo/errors.py for the others."""

from __future__ import annotations

from mezzo.errors import MezzoError


class ClusterUnknown(MezzoError):
    """There is nothing to answer from. Temporary: the follower goes on looking."""


class NoMarathon(MezzoError):
    """No Marathon is registered."""


class StreamGap(MezzoError):
    """The stream does not continue what the replica holds: subscribe again."""
