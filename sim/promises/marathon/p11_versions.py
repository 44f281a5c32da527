"""Promise 11, of an app so many versions are kept as were asked for, and each that is needed.

What an app is now is one of its versions, and so is what its instances run and what its deployment
may go back to. Of others the oldest go first, once there are too many; all go with the last
instance of an app that is gone.
"""

from __future__ import annotations

from mezzo.core import Delete, Put

from ...world.watched import Broken
from .marathon_books import Reader, Step, Term


class VersionsAreKept(Reader):
    def after(self, step: Step) -> None:
        term = step.term
        if term.vague:
            return
        for write in step.output.writes:
            kind, _, id_ = write.key.partition("/")
            if isinstance(write, Put) and kind == "app":
                if id_ in term.is_now and id_ not in term.apps:
                    raise Broken(f"promise 11: {id_} is stored, and not what it is")
            elif isinstance(write, Delete) and kind == "appversion":
                _may_go(step, *id_.rsplit("@", 1))
        for app_id in step.touched:
            _no_more_than_needed(step, app_id)
            _nothing_is_left(term, app_id)


def _used(term: Term, app_id: str) -> set[int]:
    used = {seen.record.version_ms for seen in term.of(app_id)}
    if (app := term.apps.get(app_id)) is not None:
        used.add(app.version_ms)
    for plan in term.deployments.values():
        used |= {change.original_ms or 0 for change in plan.changes if change.app_id == app_id}
    return used


def _may_go(step: Step, app_id: str, version: str) -> None:
    term = step.term
    used = _used(term, app_id)
    if int(version) in used:
        raise Broken(f"promise 11: version {version} of {app_id} is deleted, and still needed")
    if app_id not in term.apps:
        return
    kept = term.versions.get(app_id, {})
    if len(kept) < term.config.max_versions:
        raise Broken(f"promise 11: version {version} of {app_id} is deleted, {len(kept)} are left")
    used |= {seen.record.version_ms for seen in step.gone}
    if older := [each for each in kept if each < int(version) and each not in used]:
        raise Broken(f"promise 11: version {version} of {app_id} is deleted before {older}")


def _no_more_than_needed(step: Step, app_id: str) -> None:
    term = step.term
    if app_id not in term.apps:
        return
    kept = term.versions.get(app_id, {})
    used = _used(term, app_id) | {seen.record.version_ms for seen in step.gone}
    if len(kept) > term.config.max_versions and not used.issuperset(kept):
        raise Broken(f"promise 11: {len(kept)} versions of {app_id} are kept")


def _nothing_is_left(term: Term, app_id: str) -> None:
    if app_id in term.apps or term.of(app_id) or term.plan_of(app_id) is not None:
        return
    if kept := term.versions.get(app_id):
        raise Broken(f"promise 11: {app_id} is gone, and its versions {[*kept]} are not")
