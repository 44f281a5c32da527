"""Being watched: what a broken promise is called, and what those do whom nobody watches."""

from __future__ import annotations


class Broken(AssertionError):
    """A promise was not kept. Says which one, where, and the numbers."""


def unwatched(*_: object) -> None:
    """In place of whoever would be told."""
