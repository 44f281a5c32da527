"""Promise 11, orders of people are carried out, and only these (spec 3.4, 6.2).

Each answer is compared with the stored apps before and after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mezzo.marathon.commands import (
    AlreadyExists,
    CancelDeployment,
    ChangeApps,
    DeleteApp,
    Deployed,
    Done,
    Killed,
    KillTasks,
    Locked,
    NotFound,
    RestartApp,
    Stale,
    TooMany,
)
from mezzo.marathon.effects import Publish, Reply
from mezzo.marathon.events import ApiRequest
from mezzo.marathon.model.app import App, NetworkMode
from mezzo.marathon.model.deployment import Change, Deployment
from mezzo.marathon.news import AppPosted, DeploymentFailed, DeploymentSucceeded, GroupChanged
from mezzo.record import replace

from ...world.watched import Broken
from .marathon_books import Reader, Step


class OrdersAreCarriedOut(Reader):
    def __init__(self) -> None:
        self._newest_ms = 0  # of all versions that there were
        self._apps: dict[str, App] = {}
        self._plans: dict[str, Deployment] = {}
        self._changes: dict[str, dict[str, Change]] = {}  # of these plans, by app
        self._doomed: dict[str, bool] = {}

    def before(self, step: Step) -> None:
        if isinstance(step.event, ApiRequest):
            self._apps = dict(step.term.apps)
            self._plans = dict(step.term.deployments)
            self._changes = dict(step.term.changes)
            kept = [app.version_ms for app in self._apps.values()]
            for versions in step.term.versions.values():
                kept += versions
            self._newest_ms = max(kept, default=0)
            self._doomed = {
                seen.record.task_id: seen.record.doomed for seen in step.term.instances.values()
            }

    def after(self, step: Step) -> None:
        if not isinstance(step.event, ApiRequest):
            return
        results = [each.result for each in step.output.effects if isinstance(each, Reply)]
        if len(results) != 1 or not isinstance(step.output.effects[-1], Reply):
            raise Broken(f"promise 11: {step.event.command} is answered with {results}")
        if step.term.vague:
            return
        asked, result = step.event.command, results[0]
        if isinstance(asked, CancelDeployment) and asked.deployment_id in self._plans:
            self._is_cancelled(asked, result)
        if isinstance(result, Deployed):
            self._deployed(step, asked, result)
        elif step.term.apps != self._apps:
            raise Broken(f"promise 11: {asked} is answered with {result}, but apps have changed")
        elif isinstance(result, Killed) and isinstance(asked, KillTasks):
            known = tuple(id_ for id_ in asked.task_ids if id_ in self._doomed)
            if result.task_ids != (() if asked.scale else known):
                raise Broken(f"promise 11: {asked} ends {result.task_ids}")
        elif isinstance(result, Locked):
            self._is_locked(asked, result)
        elif isinstance(result, TooMany):
            changed = _wanted(asked, self._apps, self._changes, self._doomed)
            if len(self._plans) - len(self._holders(changed)) < _most(step):
                raise Broken(f"promise 11: {asked} is refused: {result}, of {[*self._plans]}")
        elif not _is_refused_rightly(asked, result, self._apps, self._plans):
            raise Broken(f"promise 11: {asked} is answered with {result}, why?")

    def _deployed(self, step: Step, asked: Any, result: Deployed) -> None:
        apps = step.term.apps
        wanted = _wanted(asked, self._apps, self._changes, self._doomed)
        for app_id in {**self._apps, **apps, **wanted}:
            before, after = self._apps.get(app_id), apps.get(app_id)
            want = wanted.get(app_id, before)
            if why := _wrong(before, want, after, asked, result.version_ms):
                raise Broken(f"promise 11: after {asked} {app_id} {why}: {after}")
        if result.version_ms <= self._newest_ms:
            raise Broken(f"promise 11: {result.version_ms} is no later than another version")
        force = getattr(asked, "force", False) or isinstance(asked, CancelDeployment)
        held = {i for plan in self._plans.values() for i in plan.app_ids if i in wanted}
        if held and not force:
            raise Broken(f"promise 11: {asked} changes {held}, which others hold")
        if wanted and len(self._plans) - len(self._holders(wanted)) >= _most(step):
            raise Broken(f"promise 11: {asked} is one deployment too many: {[*self._plans]}")
        told = [type(each.news) for each in step.output.effects if isinstance(each, Publish)]
        if told.count(GroupChanged) != 1:
            raise Broken(f"promise 11: of {asked} is told {told}")
        posted = len(asked.targets) if isinstance(asked, ChangeApps) else 0
        if told.count(AppPosted) != posted:
            raise Broken(f"promise 11: of {asked} is told {told}")
        ended = [each for each in self._plans if each not in step.term.deployments]
        if told.count(DeploymentSucceeded) + told.count(DeploymentFailed) < len(ended):
            raise Broken(f"promise 11: the deployments {ended} have ended, told is {told}")

    def _is_cancelled(self, asked: CancelDeployment, result: Any) -> None:
        """With force it only stops; else what was is deployed again, as far as it is known."""
        changes = self._changes[asked.deployment_id].values()
        known = any(each.original is None or each.original.version_ms > 0 for each in changes)
        right = Done if asked.force or not known else Deployed
        if isinstance(result, Done | Deployed) and not isinstance(result, right):
            raise Broken(f"promise 11: {asked} of {changes} is answered with {result}")

    def _is_locked(self, asked: Any, result: Locked) -> None:
        changed = _wanted(asked, self._apps, self._changes, self._doomed)
        holders = self._holders(changed)
        if sorted(result.deployment_ids) != holders or getattr(asked, "force", False):
            raise Broken(f"promise 11: {asked} waits for {result}, it is held by {holders}")

    def _holders(self, changed: Mapping[str, App | None]) -> list[str]:
        """The deployments that hold any of these apps."""
        return sorted(p.id for p in self._plans.values() if {*p.app_ids} & {*changed})


def _most(step: Step) -> int:
    return step.term.config.max_running_deployments


def _wanted(
    asked: Any,
    apps: Mapping[str, App],
    changes: Mapping[str, Mapping[str, Change]],
    doomed: Mapping[str, bool],
) -> dict[str, App | None]:
    """The targets of a command's apps; versions and service ports 0 are Marathon's."""
    match asked:
        case ChangeApps(targets=targets):
            return {target.app.id: target.app for target in targets}
        case DeleteApp(app_id=app_id):
            return {app_id: None}
        case RestartApp(app_id=app_id):
            return {app_id: apps[app_id]}
        case KillTasks(task_ids=task_ids):
            return _fewer(task_ids, apps, doomed)
        case CancelDeployment(deployment_id=id_):
            return {app_id: change.original for app_id, change in changes[id_].items()}
    return {}


def _fewer(
    task_ids: tuple[str, ...], apps: Mapping[str, App], doomed: Mapping[str, bool]
) -> dict[str, App | None]:
    """Each that is killed lowers the target, unless it had to end already."""
    found: dict[str, App | None] = {}
    for task_id in task_ids:
        head = "/" + task_id.partition(".instance-")[0].replace("_", "/")
        app = found.get(head, apps.get(head))
        if task_id in doomed and app is not None:
            less = 0 if doomed[task_id] else 1
            found[head] = replace(app, instances=max(0, app.instances - less))
    return found


def _wrong(
    before: App | None,
    want: App | None,
    after: App | None,
    asked: Any,
    version_ms: int,
) -> str:
    """The part of an app that is not as it was asked for; "" if all is."""
    if want is None or after is None:
        return "is not as asked for" if want is not after else ""
    if isinstance(asked, CancelDeployment):  # its old instances are what is wanted again
        return "" if after == want else f"is not what it was, {want}"
    if isinstance(asked, KillTasks) and after.instances >= want.instances:
        want = replace(want, instances=after.instances)  # one that is given up lowers nothing
    if _bare(_with_free_ports(after, want)) != _bare(want) or 0 in after.service_ports:
        return f"is not as asked for, {want}"
    if isinstance(asked, RestartApp) and asked.app_id == after.id:
        assert before is not None
        times = (version_ms, before.last_scaling_ms, version_ms)
    elif before is None or _bare(replace(after, instances=before.instances)) != _bare(before):
        times = (version_ms, version_ms, version_ms)
    elif after.instances != before.instances:
        times = (version_ms, version_ms, before.last_config_change_ms)
    else:
        times = (before.version_ms, before.last_scaling_ms, before.last_config_change_ms)
    have = (after.version_ms, after.last_scaling_ms, after.last_config_change_ms)
    return "" if have == times else f"has the versions {have}, right were {times}"


def _bare(app: App) -> App:
    """The app without its versions."""
    return replace(app, version_ms=0, last_scaling_ms=0, last_config_change_ms=0)


def _with_free_ports(app: App, asked: App) -> App:
    """The app with service port 0 again wherever it was asked for."""
    wanted = asked.service_ports
    if len(wanted) != len(app.service_ports):
        return app
    if app.network_mode is NetworkMode.HOST:
        given = zip(app.port_definitions or (), wanted, strict=True)
        definitions = tuple(replace(each, port=each.port if port else 0) for each, port in given)
        return replace(app, port_definitions=definitions) if definitions else app
    if app.container is None:
        return app
    mapped = zip(app.port_mappings, wanted, strict=True)
    mappings = tuple(
        replace(each, service_port=each.service_port if port else 0) for each, port in mapped
    )
    if not mappings:
        return app
    return replace(app, container=replace(app.container, port_mappings=mappings))


def _is_refused_rightly(
    asked: Any,
    result: Any,
    apps: Mapping[str, App],
    plans: Mapping[str, Deployment],
) -> bool:
    if isinstance(result, NotFound) and isinstance(asked, DeleteApp | RestartApp):
        return asked.app_id not in apps
    if isinstance(result, NotFound) and isinstance(asked, CancelDeployment):
        return asked.deployment_id not in plans
    if isinstance(asked, ChangeApps) and isinstance(result, AlreadyExists):
        return any(each.based_on is None and each.app.id in apps for each in asked.targets)
    if isinstance(asked, ChangeApps) and isinstance(result, Stale):
        return any(
            each.app.id not in apps or apps[each.app.id].version_ms != each.based_on
            for each in asked.targets
        )
    return True
