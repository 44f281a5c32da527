"""A deployment: what the apps were and are to be, and the steps between (6.1)."""

from __future__ import annotations

from enum import StrEnum

from mezzo.record import Record
from mezzo.units import WallMillis

from .app import App


class ActionKind(StrEnum):
    START = "StartApplication"
    STOP = "StopApplication"
    SCALE = "ScaleApplication"
    RESTART = "RestartApplication"


class Action(Record):
    kind: ActionKind
    app_id: str


class Step(Record):
    """A step's actions run side by side; the next one waits for all of them."""

    actions: tuple[Action, ...]


class VersionChange(Record):
    """One app before and after, by its versions. None: it does not exist. 0: nobody knows what it
    was."""

    app_id: str
    original_ms: WallMillis | None
    target_ms: WallMillis | None


class Change(Record):
    """One app before and after. None: it does not exist."""

    app_id: str
    original: App | None
    target: App | None

    @property
    def by_version(self) -> VersionChange:
        original, target = self.original, self.target
        return VersionChange(
            self.app_id,
            None if original is None else original.version_ms,
            None if target is None else target.version_ms,
        )


class Deployment(Record):
    """A plan. Stored until it ends, so that the next leader can go on with it."""

    id: str
    version_ms: WallMillis
    steps: tuple[Step, ...]
    changes: tuple[VersionChange, ...]

    @property
    def app_ids(self) -> tuple[str, ...]:
        return tuple(change.app_id for change in self.changes)
