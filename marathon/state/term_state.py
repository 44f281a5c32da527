"""The state of a term and the only ways to change it: each writes, counts and shows the change.

Keys in the store: `app/<id>`, `appversion/<id>@<version>`, `instance/<id>`, `deployment/<id>`,
`framework/id`. How they are read is `loading`.

One app's data hurts only that app. The border: a function that is given an object's data and
changes none of the tables here (matching an offer, making a task) may fail by that data with a
`DATA_ERRORS`; whoever calls it catches exactly these around exactly that, and hands them to
`State.blame`. What is in the tables has passed the checks of its door (`loading`, `Commands`), so
past them an exception, also a KeyError, is a broken invariant: a bug, and it ends the process.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Final

from mezzo.cluster.states import TaskState
from mezzo.core import Delete, Instant, Output, Put, Write
from mezzo.errors import MezzoError
from mezzo.ids import FrameworkId, IdSource, TaskId
from mezzo.record import encode, replace

from ..config import MarathonConfig
from ..effects import (
    Effect,
    Faulted,
    Publish,
    Registered,
    ShowApp,
    ShowAside,
    ShowDeployment,
    ShowInstance,
    StopHealthChecks,
)
from ..model import paths, timestamps
from ..model.app import App
from ..model.deployment import Deployment
from ..model.instance import CheckState, Condition, Fleet, Instance, Live
from ..views import AppView, CheckView, DeploymentView, InstanceView, TaskFailure
from .loading import APP, DEPLOYMENT, FRAMEWORK_KEY, INSTANCE, VERSION, StoredFramework, load
from .service_ports import HeldPorts

# What an object's data can make a function raise that only computes with it.
DATA_ERRORS: Final = (
    ArithmeticError,
    LookupError,
    TypeError,
    ValueError,
    RecursionError,
    MezzoError,
)
_FAULT_MAX: Final = 300  # characters
_WRITE_OVERHEAD_BYTES: Final = 256


class State:
    """Everything the parts of the core share. `now` and `output` are those of the present step."""

    def __init__(
        self, config: MarathonConfig, stored: Mapping[str, bytes], ids: IdSource, rng: random.Random
    ) -> None:
        self.config = config
        self.ids = ids
        self.rng = rng
        self.now = Instant(0.0, 0.0)
        self.output: Output[Effect] = Output()
        self._written_bytes = 0
        loaded = load(stored)
        self.framework_id = loaded.framework_id
        self.apps = loaded.apps
        self.versions = loaded.versions
        self.plans = loaded.plans  # those that were running when the last term ended
        self.service_ports = HeldPorts.of(app.service_ports for app in self.apps.values())
        newest = [next(reversed(kept)) for kept in self.versions.values() if kept]
        newest += (app.version_ms for app in self.apps.values())
        self._newest_version = max(newest, default=0)
        self.aside = loaded.aside
        self.faults: dict[str, str] = {}  # by app
        self.fleets: dict[str, Fleet] = {}
        self.by_task: dict[TaskId, Live] = {}
        self.by_id: dict[str, Live] = {}
        self.failures: dict[str, TaskFailure] = {}
        # What the end of the step looks at: apps to balance, pictures to renew.
        self.unbalanced: dict[str, None] = {}
        self._shown_apps: dict[str, None] = {}
        self._shown_instances: dict[str, Live] = {}
        for record in loaded.instances:
            self._adopt(record)

    def _adopt(self, record: Instance) -> None:
        """An instance of the term before: what it does now the master will tell."""
        app = self.apps.get(record.app_id)
        if not self.is_aside(record.app_id):
            app = self.versions.get(record.app_id, {}).get(record.version_ms) or app
        live = Live(
            record,
            # Without its definition it can only be kept as it is, or killed.
            app or App(record.app_id),
            Condition.PROVISIONED,
            TaskState.STAGING,
            since=record.staged_at,
            inherited=True,
            doomed=record.doomed,
        )
        live.checks = [CheckState() for _ in live.app.health_checks]
        self._index(live)

    # ---- effects and durable words

    def do(self, effect: Effect) -> None:
        self.output.effects.append(effect)

    def publish(self, kind: str, **fields: Any) -> None:  # noqa: ANN401 - as the event's type has it
        self.do(Publish(kind, self.now.wall_s, fields))

    def begin(self, now: Instant) -> None:
        """A step begins."""
        self.now = now
        self.output = Output()
        self._written_bytes = 0

    @property
    def full(self) -> bool:
        """This step has written enough: what else there is to store has to wait for another."""
        return self._written_bytes >= self.config.step_bytes

    def put(self, key: str, value: object) -> None:
        self.put_bytes(key, encode(value))

    def put_bytes(self, key: str, data: bytes) -> None:
        self._written_bytes += len(data)
        self._write(Put(key, data))
        self._no_more_aside(key)

    def delete(self, key: str) -> None:
        self._write(Delete(key))
        self._no_more_aside(key)

    def _write(self, write: Write) -> None:
        self._written_bytes += 3 * len(write.key) + _WRITE_OVERHEAD_BYTES
        self.output.writes.append(write)

    # ---- what was set aside

    def is_aside(self, app_id: str) -> bool:
        """The app's record could not be loaded. Its tasks go on as they are."""
        return f"{APP}/{app_id}" in self.aside

    def aside_instances(self, app_id: str) -> int:
        """So many of the app's instances could not be loaded. They may run."""
        return sum(key.startswith(_key_head(app_id)) for key in self.aside)

    def last_known(self, app_id: str) -> App | None:
        """The app; of one that was set aside its newest readable version, or a bare one."""
        if not self.is_aside(app_id):
            return self.apps.get(app_id)
        kept = self.versions.get(app_id, {})
        return kept[max(kept)] if kept else App(app_id)

    def _no_more_aside(self, key: str) -> None:
        """The record was replaced or deleted."""
        if self.aside.pop(key, None) is not None:
            self.do(ShowAside(key, None))
            for app_id in self.apps:
                if key.startswith(_key_head(app_id)):
                    self.unbalanced[app_id] = None

    # ---- data that makes something impossible

    def blame(self, app_id: str, doing: str, error: Exception) -> None:
        """What was tried for the app failed by its data: see DATA_ERRORS."""
        fault = f"{doing} fails: {type(error).__name__}: {error}"[:_FAULT_MAX]
        news = self.faults.get(app_id) != fault
        if news:
            self.faults[app_id] = fault
            self._shown_apps[app_id] = None
        self.do(Faulted(app_id, fault, news))

    def absolve(self, app_id: str) -> None:
        """It works now, or the data is another."""
        if self.faults.pop(app_id, None) is not None:
            self._shown_apps[app_id] = None

    # ---- the framework

    def set_framework_id(self, framework_id: FrameworkId) -> None:
        if framework_id != self.framework_id:
            self.framework_id = framework_id
            self.put(FRAMEWORK_KEY, StoredFramework(framework_id))
        self.do(Registered(framework_id))

    def still_ours(self) -> None:
        """Store the framework's id once more: what this step does leaves only if that is not
        fenced, so one that was deposed while it slept takes nothing over from its successor."""
        if self.framework_id is not None:
            self.put(FRAMEWORK_KEY, StoredFramework(self.framework_id))

    def forget_framework_id(self) -> None:
        self.framework_id = None
        self.delete(FRAMEWORK_KEY)

    # ---- apps

    def next_version(self) -> int:
        """Now, and later than every version there is: versions order changes. What was taken back
        is one, too, also when the clock was set back since."""
        return max(timestamps.to_ms(self.now.wall_s), self._newest_version + 1)

    def put_app(self, app: App) -> None:
        if (before := self.apps.get(app.id)) is not None:
            self.service_ports.drop(before.service_ports)
        self.service_ports.add(app.service_ports)
        self.apps[app.id] = app
        self._newest_version = max(self._newest_version, app.version_ms)
        self.absolve(app.id)
        self.put(f"{APP}/{app.id}", app)
        kept = self.versions.get(app.id, {})
        if app.version_ms not in kept:
            # One that was dropped and is taken back is older than others.
            kept = self.versions[app.id] = dict(sorted({**kept, app.version_ms: app}.items()))
            self.put(f"{VERSION}/{app.id}@{app.version_ms}", app)
            self._prune_versions(app, kept)
        self.app_changed(app.id)

    def _prune_versions(self, app: App, kept: dict[int, App]) -> None:
        """Drop the oldest, but never what the app is now, nor what an instance runs: a new leader
        needs it."""
        surplus = len(kept) - self.config.max_versions
        if surplus <= 0:
            return
        used = {live.record.version_ms for live in self.fleet(app.id).instances.values()}
        used.add(app.version_ms)
        for version in [v for v in kept if v not in used][:surplus]:
            del kept[version]
            self.delete(f"{VERSION}/{app.id}@{version}")

    def remove_app(self, app_id: str) -> None:
        """The app is no more; its versions stay until its instances are gone."""
        if (app := self.apps.pop(app_id, None)) is not None:  # else it was set aside
            self.service_ports.drop(app.service_ports)
        if not self.fleet(app_id).instances:
            self.fleets.pop(app_id, None)
        self.absolve(app_id)
        self.delete(f"{APP}/{app_id}")
        self.app_changed(app_id)

    def forget_versions(self, app_id: str) -> None:
        for version in self.versions.pop(app_id, {}):
            self.delete(f"{VERSION}/{app_id}@{version}")
        for key in [k for k, a in self.aside.items() if a.kind == VERSION and a.app_id == app_id]:
            self.delete(key)
        self.failures.pop(app_id, None)

    def app_changed(self, app_id: str) -> None:
        self._shown_apps[app_id] = None
        self.unbalanced[app_id] = None

    def fleet(self, app_id: str) -> Fleet:
        """To look at: of an app without instances nothing has to be kept."""
        return self.fleets.get(app_id) or Fleet()

    # ---- instances

    def launch(self, record: Instance, app: App, data: bytes) -> Live:
        """data: the stored form of the record."""
        live = Live(record, app, Condition.PROVISIONED, TaskState.STAGING, since=self.now.wall_s)
        live.checks = [CheckState() for _ in app.health_checks]
        self._index(live)
        self.put_bytes(f"{INSTANCE}/{record.id}", data)
        self.changed(live)
        return live

    def _index(self, live: Live) -> None:
        fleet = self.fleets.setdefault(live.record.app_id, Fleet())
        fleet.instances[live.id] = live
        fleet.count(live)
        self.by_task[live.record.task_id] = live
        self.by_id[live.id] = live

    def changed(self, live: Live) -> None:
        """Call it after any change of `live`."""
        self.fleet(live.record.app_id).count(live)
        self.unbalanced[live.record.app_id] = None
        self._shown_instances[live.id] = live

    def set_condition(self, live: Live, condition: Condition) -> None:
        if condition is live.condition:
            return
        live.condition = condition
        live.since = self.now.wall_s
        self.changed(live)
        self._publish_condition(live)

    def doom(self, live: Live) -> None:
        """From now on it doesn't count towards the target. See `store_doom`."""
        live.doomed = True
        self.changed(live)

    def store_doom(self, live: Live) -> None:
        live.record = replace(live.record, doomed=True)
        self.put(f"{INSTANCE}/{live.id}", live.record)

    def forget(self, live: Live, condition: Condition) -> None:
        """The instance has ended, or is given up."""
        app_id = live.record.app_id
        live.condition = condition
        self.stop_checks(live)
        fleet = self.fleet(app_id)
        fleet.uncount(live)
        del fleet.instances[live.id]
        del self.by_task[live.record.task_id]
        del self.by_id[live.id]
        if not fleet.instances and app_id not in self.apps:
            del self.fleets[app_id]
        self.delete(f"{INSTANCE}/{live.id}")
        self.unbalanced[app_id] = None
        self._shown_instances[live.id] = live
        self._publish_condition(live)

    def stop_checks(self, live: Live) -> None:
        if live.checking:
            live.checking = False
            self.do(StopHealthChecks(live.id))

    def remember_failure(self, live: Live, state: TaskState, message: str) -> None:
        """For `lastTaskFailure`."""
        record = live.record
        self.failures[record.app_id] = TaskFailure(
            record.app_id,
            record.host,
            message,
            record.task_id,
            record.id,
            record.agent_id,
            state,
            record.version_ms,
            self.now.wall_s,
        )
        self._shown_apps[record.app_id] = None

    def _publish_condition(self, live: Live) -> None:
        record = live.record
        self.publish(
            "instance_changed_event",
            instanceId=record.id,
            condition=live.condition.value,
            runSpecId=record.app_id,
            agentId=record.agent_id,
            host=record.host,
            runSpecVersion=timestamps.format_ms(record.version_ms),
        )

    # ---- deployments

    def put_deployment(self, plan: Deployment) -> None:
        self.put(f"{DEPLOYMENT}/{plan.id}", plan)

    def delete_deployment(self, plan: Deployment) -> None:
        self.delete(f"{DEPLOYMENT}/{plan.id}")
        self.do(ShowDeployment(plan.id, None))

    def show_deployment(self, view: DeploymentView) -> None:
        self.do(ShowDeployment(view.plan.id, view))

    # ---- pictures

    def show_all(self) -> None:
        for app_id in self.apps:
            self.app_changed(app_id)
        for live in self.by_id.values():
            self._shown_instances[live.id] = live
        for key, aside in self.aside.items():
            self.do(ShowAside(key, aside))

    def show_changes(self) -> None:
        """Renew the pictures of what this step has changed, once each."""
        for app_id in self._shown_apps:
            app = self.apps.get(app_id)
            view = None
            if app is not None:
                kept = tuple(self.versions.get(app_id, {}).values())
                view = AppView(app, kept, self.failures.get(app_id), self.faults.get(app_id))
            self.do(ShowApp(app_id, view))
        for live in self._shown_instances.values():
            view_ = _picture(live) if live.id in self.by_id else None
            self.do(ShowInstance(live.record.app_id, live.id, view_))
        self._shown_apps.clear()
        self._shown_instances.clear()


def _key_head(app_id: str) -> str:
    """How the keys of the app's instances begin."""
    return f"{INSTANCE}/{paths.underscored(app_id)}.instance-"


def _picture(live: Live) -> InstanceView:
    record = live.record
    return InstanceView(
        id=record.id,
        task_id=record.task_id,
        app_id=record.app_id,
        version_ms=record.version_ms,
        config_ms=record.config_ms,
        agent_id=record.agent_id,
        host=record.host,
        condition=live.condition,
        state=live.state,
        staged_at=record.staged_at,
        healthy=live.healthy,
        doomed=live.doomed,
        started_at=live.started_at,
        ports=record.ports,
        ip_addresses=live.addresses,
        checks=tuple(
            CheckView(
                check.alive,
                check.consecutive_failures,
                check.first_success,
                check.last_success,
                check.last_failure,
                check.cause,
            )
            for check in live.checks
        ),
        region=record.region,
        zone=record.zone,
        role=record.role,
    )
