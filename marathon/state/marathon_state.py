"""What a term of Marathon knows. Mutable, owned by the core; everything else sees pictures.

The stored part changes in `app_changes`, `instance_changes`, the deployer and the subscription
alone: each of their functions writes, counts and shows the change. `loading` reads it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from mezzo.cluster.states import TaskState
from mezzo.ids import ConnId, FrameworkId, IdSource, TaskId

from ..config import MarathonConfig
from ..model import paths
from ..model.app import App
from ..model.deployment import Change, Deployment, VersionChange
from ..model.instance import CheckState, Condition, Fleet, Instance, Live
from ..views import Aside, TaskFailure
from .kill_queue import KillQueue
from .launch_queue import LaunchQueue
from .loading import load
from .running_plans import Running
from .service_ports import HeldPorts
from .tables import APPS, INSTANCES


@dataclass(slots=True)
class MarathonState:
    config: MarathonConfig
    ids: IdSource
    rng: random.Random
    queue: LaunchQueue
    framework_id: FrameworkId | None = None
    apps: dict[str, App] = field(default_factory=dict)
    versions: dict[str, dict[int, App]] = field(default_factory=dict)  # by app, oldest first
    newest_version: int = 0  # of all there are, in ms
    service_ports: HeldPorts = field(default_factory=HeldPorts)  # those of `apps`
    aside: dict[str, Aside] = field(default_factory=dict)  # by key
    faults: dict[str, str] = field(default_factory=dict)  # by app
    failures: dict[str, TaskFailure] = field(default_factory=dict)  # the last one, by app
    fleets: dict[str, Fleet] = field(default_factory=dict)  # by app; none is empty and of no app
    by_task: dict[TaskId, Live] = field(default_factory=dict)
    by_id: dict[str, Live] = field(default_factory=dict)
    kills: KillQueue = field(default_factory=KillQueue)
    plans: list[Deployment] = field(default_factory=list)  # running when the last term ended
    running: dict[str, Running] = field(default_factory=dict)  # deployments, by id
    locks: dict[str, Running] = field(default_factory=dict)  # the same, by app
    surplus_due: dict[str, None] = field(default_factory=dict)  # apps that may be over their target
    conn: ConnId | None = None  # the stream that is up
    subscribed: bool = False  # the master has taken us on it
    epoch: int = 0  # the newest seen
    # Asked for on this stream, and not heard of; and after how long they are asked for again.
    unanswered: dict[TaskId, None] = field(default_factory=dict)
    asked_after_s: float = 0.0
    # What the end of the step looks at: apps to balance, pictures to renew.
    unbalanced: dict[str, None] = field(default_factory=dict)
    shown_apps: dict[str, None] = field(default_factory=dict)
    shown_instances: dict[str, Live] = field(default_factory=dict)

    @classmethod
    def new(
        cls, config: MarathonConfig, stored: Mapping[str, bytes], ids: IdSource, rng: random.Random
    ) -> MarathonState:
        """`stored`: what the terms before have written."""
        loaded = load(stored)
        newest = [next(reversed(kept)) for kept in loaded.versions.values() if kept]
        newest += (app.version_ms for app in loaded.apps.values())
        state = cls(
            config,
            ids,
            rng,
            LaunchQueue(config.launch_tokens),
            loaded.framework_id,
            loaded.apps,
            loaded.versions,
            max(newest, default=0),
            HeldPorts.of(app.service_ports for app in loaded.apps.values()),
            loaded.aside,
            plans=loaded.plans,
        )
        for record in loaded.instances:
            state._adopt(record)
        return state

    def _adopt(self, record: Instance) -> None:
        """Take over an instance of the term before: the master will tell what it does now."""
        app = self.apps.get(record.app_id)
        if not self.is_aside(record.app_id):
            app = self.versions.get(record.app_id, {}).get(record.version_ms) or app
        live = Live(
            record,
            # Without its definition an instance can only be kept as it is, or killed.
            app or App(record.app_id),
            Condition.PROVISIONED,
            TaskState.STAGING,
            since_s=record.staged_s,
            inherited=True,
            doomed=record.doomed,
        )
        self.add(live)
        if live.doomed:
            self.kills.waiting[live.id] = live

    # ---- what was set aside

    def is_aside(self, app_id: str) -> bool:
        """The app's record could not be loaded. Its tasks go on as they are."""
        return APPS.key(app_id) in self.aside

    def aside_instances(self, app_id: str) -> int:
        """So many of the app's instances could not be loaded. They may run."""
        return sum(key.startswith(_key_head(app_id)) for key in self.aside)

    def last_known(self, app_id: str) -> App | None:
        """The app; of one that was set aside its newest readable version, or a bare one."""
        if not self.is_aside(app_id):
            return self.apps.get(app_id)
        kept = self.versions.get(app_id, {})
        return kept[max(kept)] if kept else App(app_id)

    def change_of(self, change: VersionChange) -> Change:
        kept = self.versions.get(change.app_id, {})

        def app(version_ms: int | None) -> App | None:
            """A version; without its definition there is at least a name: see `last_known`."""
            return None if version_ms is None else kept.get(version_ms) or App(change.app_id)

        return Change(change.app_id, app(change.original_ms), app(change.target_ms))

    def no_more_aside(self, key: str) -> bool:
        """The record is replaced or deleted. False if it was not set aside."""
        if self.aside.pop(key, None) is None:
            return False
        for app_id in self.apps:
            if key.startswith(_key_head(app_id)):
                self.unbalanced[app_id] = None
        return True

    # ---- apps and their instances

    def app_changed(self, app_id: str) -> None:
        self.shown_apps[app_id] = None
        self.unbalanced[app_id] = None

    def fleet(self, app_id: str) -> Fleet:
        """The app's fleet, to look at: for an app without instances nothing is kept."""
        return self.fleets.get(app_id) or Fleet()

    def add(self, live: Live) -> None:
        """Add a new instance, of which no check has said anything yet."""
        live.checks = [CheckState() for _ in live.app.health_checks]
        fleet = self.fleets.setdefault(live.record.app_id, Fleet())
        fleet.instances[live.id] = live
        fleet.count(live)
        self.by_task[live.record.task_id] = live
        self.by_id[live.id] = live

    def changed(self, live: Live) -> None:
        """To be called after any change of `live`."""
        self.fleet(live.record.app_id).count(live)
        self.unbalanced[live.record.app_id] = None
        self.shown_instances[live.id] = live

    def drop(self, live: Live) -> None:
        app_id = live.record.app_id
        fleet = self.fleet(app_id)
        fleet.uncount(live)
        del fleet.instances[live.id]
        del self.by_task[live.record.task_id]
        del self.by_id[live.id]
        if not fleet.instances and app_id not in self.apps:
            del self.fleets[app_id]
        self.unbalanced[app_id] = None
        self.shown_instances[live.id] = live


def _key_head(app_id: str) -> str:
    """The beginning of the keys of the app's instances."""
    return INSTANCES.key(f"{paths.underscored(app_id)}.instance-")
