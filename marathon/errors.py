"""Errors that never leave Marathon; those of its API are in api/errors.py."""

from __future__ import annotations

from mezzo.errors import MezzoError


class NoPortsLeft(MezzoError):
    """The range of service ports is used up."""
