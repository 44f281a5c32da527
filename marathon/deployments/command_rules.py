"""Commands of users: the rules about the whole state, and the deployments that follow.

Each request is answered with one result; a refusal has changed nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mezzo.core import REQUEST_BYTES_MAX, Delete, put_of, write_bytes
from mezzo.handlers import Handlers, on, when
from mezzo.record import replace

from ..commands import (
    AlreadyExists,
    CancelDeployment,
    ChangeApps,
    Command,
    DeleteApp,
    Deployed,
    Done,
    DropAside,
    Killed,
    KillTasks,
    Locked,
    NotFound,
    NotValid,
    Origin,
    QueueRead,
    ReadQueue,
    ResetDelay,
    RestartApp,
    Result,
    Stale,
    Target,
    TooMany,
)
from ..effects import Reply
from ..errors import NoPortsLeft
from ..events import ApiRequest
from ..killing import killer
from ..model import paths
from ..model.app import App
from ..model.deployment import Change, Deployment
from ..model.instance import Live
from ..news import AppPosted, GroupChanged
from ..placement import launcher, reviving
from ..state import app_changes
from ..state.loading import app_problem
from ..state.marathon_state import MarathonState
from ..state.service_ports import assign_service_ports
from ..state.step import Step
from ..state.tables import APPS, DEPLOYMENTS, VERSIONS, StoredApp
from . import balancing, deployer
from .planner import make_steps, same_configuration


def asked(state: MarathonState, step: Step, event: ApiRequest) -> None:
    step.do(Reply(event.request_id, _COMMANDS.handle(state, step, event.command)))


# ---- apps


def _change(state: MarathonState, step: Step, command: ChangeApps) -> Result:
    apps = state.apps
    for target in command.targets:
        have = apps.get(target.app.id)
        if target.based_on is None and have is not None:
            return AlreadyExists(f"An app with id [{target.app.id}] already exists.")
        if target.based_on is not None and (have is None or have.version_ms != target.based_on):
            return Stale()
        if why := app_problem(target.app):
            return NotValid("/", f"{target.app.id} can't be stored: {why}")
    try:
        targets = _with_ports(state, command.targets)
    except NoPortsLeft:
        low, high = state.config.local_port_min, state.config.local_port_max
        return NotValid("/", f"no service port between {low} and {high} is left")
    version = app_changes.next_version(state, step.now)
    changes = tuple(
        Change(app.id, state.last_known(app.id), _versioned(app, apps.get(app.id), version))
        for app in targets
    )
    return _deploy(state, step, changes, version, force=command.force, origin=command.origin)


def _with_ports(state: MarathonState, targets: tuple[Target, ...]) -> list[App]:
    """Each app with all its service ports. Raises NoPortsLeft."""
    config, apps = state.config, state.apps
    out: dict[str, App] = {target.app.id: target.app for target in targets}
    unset = [app for app in out.values() if 0 in app.service_ports]
    if not unset:
        return list(out.values())
    # Ports that are given, and those that a 0 may keep.
    held = state.service_ports
    with held.trial():
        for app in out.values():
            held.drop(_had_ports(app, apps))
            held.add(app.service_ports)
        for app in unset:
            held.add(_had_ports(app, apps))
        for app in unset:
            held.drop((*app.service_ports, *_had_ports(app, apps)))  # the app's own are not taken
            out[app.id] = assign_service_ports(
                app, apps.get(app.id), held, config.local_port_min, config.local_port_max
            )
            held.add(out[app.id].service_ports)
    return list(out.values())


def _had_ports(app: App, apps: Mapping[str, App]) -> tuple[int, ...]:
    before = apps.get(app.id)
    return () if before is None else before.service_ports


def _delete(state: MarathonState, step: Step, command: DeleteApp) -> Result:
    app = state.last_known(command.app_id)
    if app is None:
        return NotFound(f"App '{command.app_id}' does not exist")
    changes = (Change(app.id, app, None),)
    version = app_changes.next_version(state, step.now)
    return _deploy(state, step, changes, version, force=command.force)


def _restart(state: MarathonState, step: Step, command: RestartApp) -> Result:
    app = state.apps.get(command.app_id)
    if app is None:
        return NotFound(f"App '{command.app_id}' does not exist")
    version = app_changes.next_version(state, step.now)
    again = replace(app, version_ms=version, last_config_change_ms=version)
    return _deploy(state, step, (Change(app.id, app, again),), version, force=command.force)


# ---- tasks


def _kill(state: MarathonState, step: Step, command: KillTasks) -> Result:
    by_task = state.by_task
    victims = [by_task[task_id] for task_id in command.task_ids if task_id in by_task]
    if command.scale:
        return _kill_and_scale(state, step, victims, force=command.force)
    for live in victims:
        killer.doom(state, live)
    return Killed(tuple(live.record.task_id for live in victims))


def _kill_and_scale(
    state: MarathonState, step: Step, victims: list[Live], *, force: bool
) -> Result:
    """The targets go down with the kills, so that nothing is replaced."""
    if not victims:
        return Killed(())
    fewer: dict[str, int] = {}
    for live in victims:
        app_id = live.record.app_id
        if app_id in state.apps:
            fewer[app_id] = fewer.get(app_id, 0) + live.active
    version = app_changes.next_version(state, step.now)
    changes = []
    for app_id, count in fewer.items():
        app = state.apps[app_id]
        target = replace(app, instances=max(0, app.instances - count))
        changes.append(Change(app_id, app, _versioned(target, app, version)))
    result = _deploy(state, step, tuple(changes), version, force=force)
    if isinstance(result, Deployed):
        for live in victims:
            killer.doom(state, live)
    return result


# ---- deployments


def _deploy(
    state: MarathonState,
    step: Step,
    changes: tuple[Change, ...],
    version: int,
    *,
    force: bool,
    origin: Origin | None = None,
) -> Result:
    """Start a plan, unless others hold its apps; with `force` those are cancelled."""
    lockers = deployer.lockers(state, (change.app_id for change in changes))
    if lockers and not force:
        return Locked(tuple(plan.id for plan in lockers))
    refusal = _too_many(state, lockers) or _too_large(state, changes)
    if refusal:
        return refusal
    for plan in lockers:
        deployer.cancel(state, step, plan)
    for change in changes:
        if change.target is None:
            app_changes.remove_app(state, step, change.app_id)
        elif change.target != change.original:
            app_changes.put_app(state, step, change.target)
    apps = tuple(change.target for change in changes if change.target is not None)
    if origin is not None:
        _announce(step, apps, origin)
    group_id = paths.parent(changes[0].app_id) if len(changes) == 1 else paths.ROOT
    step.publish(GroupChanged(group_id, version))
    plan = deployer.start(state, step, changes, version)
    return Deployed(plan.id, version, apps)


def _announce(step: Step, apps: tuple[App, ...], origin: Origin) -> None:
    for app in apps:
        step.publish(AppPosted(origin, app))


def _cancel(state: MarathonState, step: Step, command: CancelDeployment) -> Result:
    running = state.running.get(command.deployment_id)
    if running is None:
        return NotFound(f"DeploymentPlan {command.deployment_id} does not exist")
    plan, apps = running.plan, state.apps
    if command.force:
        deployer.cancel(state, step, plan)
        return Done()
    back = tuple(
        Change(change.app_id, apps.get(change.app_id), change.original)
        for change in running.changes.values()
        if change.original is None or change.original.version_ms > 0
    )
    if not back:  # nobody knows what there was before: see MarathonState.last_known
        deployer.cancel(state, step, plan)
        return Done()
    return _deploy(state, step, back, app_changes.next_version(state, step.now), force=True)


# ---- the queue


def _reset_delay(state: MarathonState, step: Step, command: ResetDelay) -> Result:
    if not reviving.delay_reset(state, step, command.app_id):
        return NotFound(f"Application {command.app_id} not found in tasks queue.")
    return Done()


def _read_queue(state: MarathonState, step: Step) -> Result:
    return QueueRead(launcher.waiting(state, step))


# ---- what was set aside


def _drop_aside(state: MarathonState, step: Step, command: DropAside) -> Result:
    aside = state.aside.get(command.key)
    if aside is None:
        return NotFound(f"No record '{command.key}' is set aside.")
    step.write(Delete(command.key))
    if aside.kind == APPS.kind and aside.app_id is not None:
        balancing.kill_surplus(state, aside.app_id)  # with the record gone, instances may end
    return Done()


# ---- what a change has to keep within


def _too_many(state: MarathonState, lockers: list[Deployment]) -> TooMany | None:
    """lockers: the plans that would be cancelled."""
    limit = state.config.max_running_deployments
    if len(state.running) - len(lockers) < limit:
        return None
    return TooMany(
        f"Max number ({limit}) of running deployments is reached: wait for one to end, or "
        "cancel one"
    )


def _too_large(state: MarathonState, changes: tuple[Change, ...]) -> NotValid | None:
    """A deployment is stored in one transaction with the versions that it makes: what is taken
    back to has its version already."""
    plan = Deployment("", 0, make_steps(changes), tuple(c.by_version for c in changes))
    size = write_bytes(put_of(DEPLOYMENTS, plan))
    for change in changes:
        if change.target is not None and change.target != change.original:
            size += write_bytes(put_of(APPS, StoredApp(change.app_id, change.target.version_ms)))
            if change.target.version_ms not in state.versions.get(change.app_id, {}):
                size += write_bytes(put_of(VERSIONS, change.target))
    if size <= REQUEST_BYTES_MAX:
        return None
    return NotValid(
        "/",
        f"this change takes {size} bytes in the state store, which is more than "
        f"{REQUEST_BYTES_MAX}: make the definitions smaller, or change fewer apps at once",
    )


def _versioned(app: App, before: App | None, version: int) -> App:
    """`app` with its three times set: nothing changed, scaled only, or anything else (3.4)."""
    if before is None or not same_configuration(app, before):
        return replace(
            app, version_ms=version, last_scaling_ms=version, last_config_change_ms=version
        )
    if app.instances != before.instances:
        return replace(
            app,
            version_ms=version,
            last_scaling_ms=version,
            last_config_change_ms=before.last_config_change_ms,
        )
    return before


_COMMANDS: Final = Handlers(
    Command,
    on(ChangeApps, _change),
    on(DeleteApp, _delete),
    on(RestartApp, _restart),
    on(KillTasks, _kill),
    on(CancelDeployment, _cancel),
    on(ResetDelay, _reset_delay),
    when(ReadQueue, _read_queue),
    on(DropAside, _drop_aside),
)
