"""Being watched: the error of a broken promise, and a stand-in where nobody watches."""

from __future__ import annotations


class Broken(AssertionError):
    """A promise was not kept. Says which one, where, and the numbers."""


def unwatched(*_: object) -> None:
    """The stand-in for a watch that would be told."""
