"""Errors that never leave the agent. See mezzo/errors.py for the others."""

from __future__ import annotations

from mezzo.errors import MezzoError


class CheckFailed(MezzoError):
    """A health check's command could not be run at all; the text says why."""


class NoLogs(MezzoError):
    """What stands where a task's output should be is not shown; the text says why.

    away: the output may be there in a moment, since its engine does not answer now.
    """

    def __init__(self, message: str, *, away: bool = False) -> None:
        super().__init__(message)
        self.away = away


class RemovalGivenUp(MezzoError):
    """A removal stops: the agent ends. The next life of the agent finishes it."""


class ForeignFile(OSError):
    """What has this name is no regular file of the folder's owner; the text says what it is."""
