"""The contract between a daemon and the election of the instance that leads.

    campaign --> Elected --> Doubt --> Confirmed --> Doubt --> ... --> Lost

A listener is called from threads of the election, one call at a time, in this order; it must not
block or call back, so it posts to an inbox. Leadership here is advice: what keeps a deposed leader
from doing harm is the epoch of the state store (`StateStore.open_term`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Elected:
    """We lead. `token` names our candidacy for `StateStore.open_term`; None: nothing to check."""

    token: str | None


@dataclass(frozen=True, slots=True)
class Doubt:
    """Contact is lost: another may lead soon. Write and promise nothing until `Confirmed`."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Contact is back and nobody else has led meanwhile: go on."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Leadership is gone for good. End the term; this election campaigns no more."""


ElectionEvent = Elected | Doubt | Confirmed | Lost


@dataclass(frozen=True, slots=True)
class LeaderChanged:
    """What the present leader published for everybody; None: nobody leads."""

    leader: bytes | None


class Election(Protocol):
    """One candidacy. Its constructor gets what it publishes while it leads."""

    def start(self, listener: Callable[[ElectionEvent], None]) -> None:
        """Campaign until `stop`. Returns at once; raises BadConfig for what can never work."""
        ...

    def stop(self) -> None:
        """Resign: the next candidate leads at once. No event follows. Not from the listener."""
        ...


class LeaderDetector(Protocol):
    """Follows who leads. While contact is lost the last known leader stands."""

    def start(self, listener: Callable[[LeaderChanged], None]) -> None:
        """Report the leader as soon as it is known, then every change, until `stop`."""
        ...

    def stop(self) -> None:
        """No event follows. Not from the listener."""
        ...
