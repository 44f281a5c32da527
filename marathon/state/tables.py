"""What Marathon keeps in its store: see `mezzo.tables`."""

from __future__ import annotations

from typing import Final

from mezzo.ids import FrameworkId
from mezzo.record import Record
from mezzo.tables import Table
from mezzo.units import WallMillis

from ..model.app import App
from ..model.deployment import Deployment
from ..model.instance import Instance


class StoredFramework(Record):
    id: FrameworkId


class StoredApp(Record):
    """An app that exists, and the version that it is now."""

    id: str
    version_ms: WallMillis


FRAMEWORK_ID: Final = "id"  # there is one

FRAMEWORK: Final = Table("framework", StoredFramework, lambda _: FRAMEWORK_ID)
APPS: Final = Table("app", StoredApp, lambda app: app.id)
VERSIONS: Final = Table("appversion", App, lambda app: version_id(app.id, app.version_ms))
INSTANCES: Final = Table("instance", Instance, lambda instance: instance.id)
DEPLOYMENTS: Final = Table("deployment", Deployment, lambda plan: plan.id)


def version_id(app_id: str, version_ms: int) -> str:
    return f"{app_id}@{version_ms}"


def app_of(kind: str, id_: str) -> str | None:
    """The id of the app that a record belongs to, as far as its key tells."""
    if kind == APPS.kind:
        return id_
    return id_.rpartition("@")[0] if kind == VERSIONS.kind else None
