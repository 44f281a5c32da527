"""Apps and their versions come and go: each change is stored and shown."""

from __future__ import annotations

from mezzo.core import Delete, Instant

from ..model import timestamps
from ..model.app import App
from . import faults
from .marathon_state import MarathonState
from .step import Step
from .tables import APPS, VERSIONS, StoredApp, version_id


def next_version(state: MarathonState, now: Instant) -> int:
    """Now, and later than every version there is: versions order changes. What was taken back
    is one, too, also when the clock was set back since."""
    return max(timestamps.to_ms(now.wall_s), state.newest_version + 1)


def put_app(state: MarathonState, step: Step, app: App) -> None:
    """Each version is stored once, and of the app which one it is."""
    if (before := state.apps.get(app.id)) is not None:
        state.service_ports.drop(before.service_ports)
    state.service_ports.add(app.service_ports)
    state.apps[app.id] = app
    state.newest_version = max(state.newest_version, app.version_ms)
    faults.absolve(state, app.id)
    step.put(APPS, StoredApp(app.id, app.version_ms))
    kept = state.versions.setdefault(app.id, {})
    if app.version_ms not in kept:  # what a deployment goes back to is
        kept[app.version_ms] = app
        step.put(VERSIONS, app)
    state.app_changed(app.id)


def remove_app(state: MarathonState, step: Step, app_id: str) -> None:
    """The app is no more; its versions stay for as long as its instances and its deployment."""
    if (app := state.apps.pop(app_id, None)) is not None:  # else it was set aside
        state.service_ports.drop(app.service_ports)
    if not state.fleet(app_id).instances:
        state.fleets.pop(app_id, None)
    faults.absolve(state, app_id)
    step.delete(APPS, app_id)
    state.app_changed(app_id)


def tidy_versions(state: MarathonState, step: Step, app_id: str) -> None:
    """Forget those that there are too many of, and all of an app that is no more."""
    if state.is_aside(app_id):
        return
    if app_id in state.apps or app_id in state.locks or state.fleet(app_id).instances:
        _prune_versions(state, step, app_id)
    else:
        _forget_versions(state, step, app_id)


def _prune_versions(state: MarathonState, step: Step, app_id: str) -> None:
    """Drop the oldest, but never what the app is now, nor what an instance runs or a deployment
    may go back to: a new leader needs it. An app that goes has them dropped as its instances end,
    since there may be more than one step can delete."""
    kept = state.versions.get(app_id, {})
    surplus = len(kept) - state.config.max_versions
    if surplus <= 0:
        return
    used = {live.record.version_ms for live in state.fleet(app_id).instances.values()}
    if (app := state.apps.get(app_id)) is not None:
        used.add(app.version_ms)
    if (running := state.locks.get(app_id)) is not None:
        original = running.changes[app_id].original
        used.add(original.version_ms if original is not None else 0)
    for version in [v for v in kept if v not in used][:surplus]:
        del kept[version]
        step.delete(VERSIONS, version_id(app_id, version))
        state.shown_apps[app_id] = None


def _forget_versions(state: MarathonState, step: Step, app_id: str) -> None:
    for version in state.versions.pop(app_id, {}):
        step.delete(VERSIONS, version_id(app_id, version))
    for key in [
        k for k, a in state.aside.items() if a.kind == VERSIONS.kind and a.app_id == app_id
    ]:
        step.write(Delete(key))
    state.failures.pop(app_id, None)
