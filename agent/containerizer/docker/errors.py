"""Errors of the connection to the engine, which never leave the room."""

from __future__ import annotations

from mezzo.errors import MezzoError


class EngineClosed(MezzoError):
    """The agent ends: give up."""


class EngineUnanswered(MezzoError):
    """The engine went away meanwhile: nobody knows whether it has done what it was asked for."""
