"""What users ask for: the rules about the whole state, and the deployments that follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from mezzo.record import encode, replace

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
from ..events import ApiRequest
from ..killing.killer import Killer
from ..model import paths, timestamps
from ..model.app import App
from ..model.deployment import Change
from ..model.instance import Live
from ..placement.launcher import Launcher
from ..state.loading import APP, app_problem
from ..state.service_ports import NoPortsLeft, assign_service_ports
from ..state.term_state import State
from .deployer import Deployer
from .planner import same_configuration

# Below what the smallest store takes in one transaction, with room for the rest of the step.
CHANGE_BYTES_MAX: Final = 800_000


class Commands:
    """Answers each request with one result; a refusal has changed nothing."""

    def __init__(
        self, state: State, killer: Killer, launcher: Launcher, deployer: Deployer
    ) -> None:
        self._state = state
        self._killer = killer
        self._launcher = launcher
        self._deployer = deployer
        self._handlers: Final[Mapping[type[Command], Callable[[Any], Result]]] = {
            ChangeApps: self._change,
            DeleteApp: self._delete,
            RestartApp: self._restart,
            KillTasks: self._kill,
            CancelDeployment: self._cancel,
            ResetDelay: self._reset_delay,
            ReadQueue: self._read_queue,
            DropAside: self._drop_aside,
        }

    def on_request(self, request: ApiRequest) -> None:
        result = self._handlers[type(request.command)](request.command)
        self._state.do(Reply(request.request_id, result))

    # ---- apps

    def _change(self, command: ChangeApps) -> Result:
        apps = self._state.apps
        for target in command.targets:
            have = apps.get(target.app.id)
            if target.based_on is None and have is not None:
                return AlreadyExists(f"An app with id [{target.app.id}] already exists.")
            if target.based_on is not None and (have is None or have.version_ms != target.based_on):
                return Stale()
            if why := app_problem(target.app):
                return NotValid("/", f"{target.app.id} can't be stored: {why}")
        try:
            targets = self._with_ports(command.targets)
        except NoPortsLeft:
            low, high = self._state.config.local_port_min, self._state.config.local_port_max
            return NotValid("/", f"no service port between {low} and {high} is left")
        version = self._state.next_version()
        changes = tuple(
            Change(
                app.id, self._state.last_known(app.id), _versioned(app, apps.get(app.id), version)
            )
            for app in targets
        )
        return self._deploy(changes, version, force=command.force, origin=command.origin)

    def _with_ports(self, targets: tuple[Target, ...]) -> list[App]:
        """Each with all its service ports. Raises NoPortsLeft."""
        config, apps = self._state.config, self._state.apps
        out: dict[str, App] = {target.app.id: target.app for target in targets}
        unset = [app for app in out.values() if 0 in app.service_ports]
        if not unset:
            return list(out.values())
        # Those that are given, and those that a 0 may keep.
        held = self._state.service_ports.copy()
        for app in out.values():
            held.drop(_had_ports(app, apps))
            held.add(app.service_ports)
        for app in unset:
            held.add(_had_ports(app, apps))
        for app in unset:
            held.drop((*app.service_ports, *_had_ports(app, apps)))  # its own are not taken
            out[app.id] = assign_service_ports(
                app, apps.get(app.id), held.counts, config.local_port_min, config.local_port_max
            )
            held.add(out[app.id].service_ports)
        return list(out.values())

    def _delete(self, command: DeleteApp) -> Result:
        app = self._state.last_known(command.app_id)
        if app is None:
            return NotFound(f"App '{command.app_id}' does not exist")
        changes = (Change(app.id, app, None),)
        return self._deploy(changes, self._state.next_version(), force=command.force)

    def _restart(self, command: RestartApp) -> Result:
        app = self._state.apps.get(command.app_id)
        if app is None:
            return NotFound(f"App '{command.app_id}' does not exist")
        version = self._state.next_version()
        again = replace(app, version_ms=version, last_config_change_ms=version)
        return self._deploy((Change(app.id, app, again),), version, force=command.force)

    # ---- tasks

    def _kill(self, command: KillTasks) -> Result:
        by_task = self._state.by_task
        victims = [by_task[task_id] for task_id in command.task_ids if task_id in by_task]
        if command.scale:
            return self._kill_and_scale(victims, force=command.force)
        for live in victims:
            self._killer.doom(live)
        return Killed(tuple(live.record.task_id for live in victims))

    def _kill_and_scale(self, victims: list[Live], *, force: bool) -> Result:
        """The targets go down with the kills, so that nothing is replaced."""
        if not victims:
            return Killed(())
        fewer: dict[str, int] = {}
        for live in victims:
            app_id = live.record.app_id
            if app_id in self._state.apps:
                fewer[app_id] = fewer.get(app_id, 0) + live.active
        version = self._state.next_version()
        changes = []
        for app_id, count in fewer.items():
            app = self._state.apps[app_id]
            target = replace(app, instances=max(0, app.instances - count))
            changes.append(Change(app_id, app, _versioned(target, app, version)))
        result = self._deploy(tuple(changes), version, force=force)
        if isinstance(result, Deployed):
            for live in victims:
                self._killer.doom(live)
        return result

    # ---- deployments

    def _deploy(
        self,
        changes: tuple[Change, ...],
        version: int,
        *,
        force: bool,
        origin: Origin | None = None,
    ) -> Result:
        """Start a plan, unless others hold what it changes; with `force` those are cancelled."""
        lockers = self._deployer.lockers(change.app_id for change in changes)
        if lockers and not force:
            return Locked(tuple(plan.id for plan in lockers))
        limit = self._state.config.max_running_deployments
        if self._deployer.count - len(lockers) >= limit:
            return TooMany(
                f"Max number ({limit}) of running deployments is reached: wait for one to end, or "
                "cancel one"
            )
        if too_large := _too_large(changes):
            return too_large
        for plan in lockers:
            self._deployer.cancel(plan)
        for change in changes:
            if change.target is None:
                self._state.remove_app(change.app_id)
            elif change.target != change.original:
                self._state.put_app(change.target)
        apps = tuple(change.target for change in changes if change.target is not None)
        if origin is not None:
            self._announce(apps, origin)
        self._state.publish(
            "group_change_success",
            groupId=paths.parent(changes[0].app_id) if len(changes) == 1 else paths.ROOT,
            version=timestamps.format_ms(version),
        )
        plan = self._deployer.start(changes, version)
        return Deployed(plan.id, version, apps)

    def _announce(self, apps: tuple[App, ...], origin: Origin) -> None:
        for app in apps:
            self._state.publish(
                "api_post_event", clientIp=origin.client_ip, uri=origin.uri, appDefinition=app
            )

    def _cancel(self, command: CancelDeployment) -> Result:
        plan = self._deployer.get(command.deployment_id)
        if plan is None:
            return NotFound(f"DeploymentPlan {command.deployment_id} does not exist")
        if command.force:
            self._deployer.cancel(plan)
            return Done()
        apps = self._state.apps
        back = tuple(
            Change(change.app_id, apps.get(change.app_id), change.original)
            for change in plan.changes
            if change.original is None or change.original.version_ms > 0
        )
        if not back:  # nobody knows what there was before: see State.last_known
            self._deployer.cancel(plan)
            return Done()
        return self._deploy(back, self._state.next_version(), force=True)

    # ---- the queue

    def _reset_delay(self, command: ResetDelay) -> Result:
        if not self._launcher.delay_reset(command.app_id):
            return NotFound(f"Application {command.app_id} not found in tasks queue.")
        return Done()

    def _read_queue(self, _: ReadQueue) -> Result:
        return QueueRead(self._launcher.queue())

    # ---- what was set aside

    def _drop_aside(self, command: DropAside) -> Result:
        aside = self._state.aside.get(command.key)
        if aside is None:
            return NotFound(f"No record '{command.key}' is set aside.")
        self._state.delete(command.key)
        if aside.kind == APP and aside.app_id is not None:
            self._deployer.kill_surplus(aside.app_id)  # it is gone now: its instances may end
        return Done()


def _had_ports(app: App, apps: Mapping[str, App]) -> tuple[int, ...]:
    before = apps.get(app.id)
    return () if before is None else before.service_ports


def _too_large(changes: tuple[Change, ...]) -> NotValid | None:
    """A deployment is stored whole, in one transaction with the apps that it changes."""
    size = len(encode(changes))
    size += 2 * sum(len(encode(c.target)) for c in changes if c.target != c.original)
    if size <= CHANGE_BYTES_MAX:
        return None
    return NotValid(
        "/",
        f"this change takes {size} bytes in the state store, which is more than "
        f"{CHANGE_BYTES_MAX}: make the definitions smaller, or change fewer apps at once",
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
