"""What the terms before have stored, as far as it makes sense; the rest is set aside.

A record that can't be read, or that contradicts itself or another, is its own loss: it stays in the
store under its key, is named and shown (`Aside`), and all others count as ever. A record that load
would set aside is not stored in the first place: `app_problem` is asked about every change, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from mezzo.errors import Corrupt
from mezzo.ids import FrameworkId
from mezzo.record import decode, encode, replace
from mezzo.tables import Stored, Table
from mezzo.units import shown

from ..model import paths
from ..model.app import App
from ..model.deployment import Deployment, Step, VersionChange
from ..model.instance import Instance
from ..views import Aside
from .tables import APPS, DEPLOYMENTS, FRAMEWORK, INSTANCES, VERSIONS, StoredApp, app_of, version_id

T = TypeVar("T")


@dataclass(slots=True)
class Loaded:
    """instances, plans: in the order in which they were made. versions: by app, oldest first."""

    framework_id: FrameworkId | None = None
    apps: dict[str, App] = field(default_factory=dict)
    versions: dict[str, dict[int, App]] = field(default_factory=dict)
    instances: list[Instance] = field(default_factory=list)
    plans: list[Deployment] = field(default_factory=list)
    aside: dict[str, Aside] = field(default_factory=dict)  # by key


def load(values: Mapping[str, bytes]) -> Loaded:
    """Never raises, whatever is stored."""
    loaded = Loaded()
    reader = _Reader(values, loaded.aside)
    versions = reader.sound(VERSIONS, _app_invariants)
    for app in sorted(versions, key=lambda app: app.version_ms):
        loaded.versions.setdefault(app.id, {})[app.version_ms] = app
    _load_apps(reader, loaded)
    for framework in reader.sound(FRAMEWORK, lambda each: None if each.id else "it is empty"):
        loaded.framework_id = framework.id
    _load_plans(reader, loaded)
    _load_instances(reader, loaded)
    for key in reader.unknown():
        reader.set_aside(key, "this version knows no records of this kind")
    return loaded


def app_problem(app: App) -> str | None:
    """Why an app could not be stored and read again; None if it can."""
    try:
        return _app_invariants(app) or (
            None if decode(App, encode(app)) == app else "it does not read back as it was stored"
        )
    except (ValueError, Corrupt) as error:  # half a surrogate pair; what is out of its bounds
        return str(error)


class _Reader(Stored):
    """Reads all records. One that is set aside is shown with what its key and its size tell."""

    def __init__(self, values: Mapping[str, bytes], asides: dict[str, Aside]) -> None:
        super().__init__(values)
        self._asides = asides

    def set_aside(self, key: str, why: str) -> None:
        super().set_aside(key, why)
        kind, _, id_ = key.partition("/")
        size = len(self.values.get(key, b""))
        self._asides[key] = Aside(key, kind, app_of(kind, id_), self.aside[key], size)

    def sound(self, table: Table[T], problem: Callable[[T], str | None]) -> list[T]:
        """The records of which `problem` says nothing."""
        found: list[T] = []

        def take(record: T) -> None:
            if (why := problem(record)) is not None:
                raise Corrupt(why)
            found.append(record)

        self.read(table, take)
        return found


# ---------------------------------------------------------------------------------- the rules


def _app_invariants(app: App) -> str | None:
    if not app.id.startswith(paths.ROOT) or app.id == paths.ROOT:
        return f"{shown(app.id)} is no id of an app"
    if not app.networks:
        return "it has no network"
    return None


def _instance_problem(instance: Instance) -> str | None:
    if instance.id.rpartition(".instance-")[0] != paths.underscored(instance.app_id):
        return f"its id is of another app than {shown(instance.app_id)}, which it names"
    if len(instance.host_ports) != len(instance.container_ports):
        return "it has another number of ports on its host than in its container"
    return None


def _plan_problem(plan: Deployment) -> str | None:
    app_ids = plan.app_ids
    if len(app_ids) != len(set(app_ids)):
        return "it changes an app twice"
    known = dict.fromkeys(app_ids)
    for step in plan.steps:
        for action in step.actions:
            if action.app_id not in known:
                return f"it acts on {shown(action.app_id)}, which it does not change"
    return None


def _load_apps(reader: _Reader, loaded: Loaded) -> None:
    def take(stored: StoredApp) -> None:
        app = loaded.versions.get(stored.id, {}).get(stored.version_ms)
        if app is None:
            key = VERSIONS.key(version_id(stored.id, stored.version_ms))
            raise Corrupt(
                f"its version {stored.version_ms}: {reader.aside.get(key, 'is not there')}"
            )
        loaded.apps[app.id] = app

    reader.read(APPS, take)


def _load_plans(reader: _Reader, loaded: Loaded) -> None:
    """The plans, each without changes that make no sense any more, if others are left.

    The app of a change is there, or gone, as the plan says: both were stored in one transaction.
    """
    held: dict[str, None] = {}
    plans = reader.sound(DEPLOYMENTS, _plan_problem)
    for plan in sorted(plans, key=lambda plan: (plan.version_ms, plan.id)):
        wrong = {
            change.app_id: why
            for change in plan.changes
            if (why := _change_problem(change, loaded, held)) is not None
        }
        if wrong and len(wrong) == len(plan.changes):
            reasons = "; ".join(f"{shown(app_id)} {why}" for app_id, why in wrong.items())
            reader.set_aside(DEPLOYMENTS.key(plan.id), reasons)
            continue
        if wrong:
            plan = _without(plan, wrong)
        held |= dict.fromkeys(plan.app_ids)
        loaded.plans.append(plan)


def _change_problem(change: VersionChange, loaded: Loaded, held: Mapping[str, None]) -> str | None:
    if change.app_id in held:
        return "is changed by an older deployment"
    app = loaded.apps.get(change.app_id)
    if app is None:
        return None if change.target_ms is None else "is not there"
    if change.target_ms is None:
        return "was deleted, but is there"
    return None if app.version_ms == change.target_ms else "has another version by now"


def _without(plan: Deployment, app_ids: Mapping[str, object]) -> Deployment:
    steps = tuple(
        Step(tuple(action for action in step.actions if action.app_id not in app_ids))
        for step in plan.steps
    )
    return replace(
        plan,
        steps=tuple(step for step in steps if step.actions),
        changes=tuple(change for change in plan.changes if change.app_id not in app_ids),
    )


def _load_instances(reader: _Reader, loaded: Loaded) -> None:
    """The instances. Those of an app that is not there (or unreadable) need a sign that it was."""
    known = {*loaded.apps, *loaded.versions}
    known |= {app_id for plan in loaded.plans for app_id in plan.app_ids}
    known |= {each.app_id for each in loaded.aside.values() if each.app_id is not None}
    records = reader.sound(INSTANCES, _instance_problem)
    for record in sorted(records, key=lambda record: (record.staged_s, record.id)):
        if record.app_id in known:
            loaded.instances.append(record)
        else:
            reader.set_aside(INSTANCES.key(record.id), f"there is no app {shown(record.app_id)}")
