"""Plans that are carried out, and how far each is."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..model.app import App
from ..model.deployment import Action, Change, Deployment


@dataclass(frozen=True, slots=True)
class RestartBounds:
    """The bounds of a rolling upgrade (6.3).

    min_healthy, max_capacity: bounds on healthy and on alive instances while it lasts. keep_old: so
    many old ones stay until new ones are ready, and each ready one ends one of them.
    """

    min_healthy: int
    max_capacity: int
    keep_old: int


@dataclass(slots=True)
class Work:
    """One action of the present step. needs_ready: it ends only when all instances are ready."""

    action: Action
    target: App | None
    needs_ready: bool = True
    bounds: RestartBounds | None = None
    done: bool = False


@dataclass(slots=True)
class Running:
    plan: Deployment
    changes: dict[str, Change]  # by app
    step: int = -1  # index of the present step
    work: dict[str, Work] = field(default_factory=dict)  # of the present step, by app
    left: int = 0  # of it, so many are not done
    # Apps whose action is over, and what they are now.
    reached: dict[str, App | None] = field(default_factory=dict)
