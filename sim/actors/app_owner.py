"""The owner of apps: creates, scales, changes, restarts, deletes, kills, and takes deployments
back, at random."""

from __future__ import annotations

import contextlib
import random
from functools import lru_cache
from typing import Final

from mezzo.agent.container import ContainerSpec
from mezzo.errors import Corrupt
from mezzo.ids import TaskId
from mezzo.marathon.commands import (
    AlreadyExists,
    CancelDeployment,
    ChangeApps,
    DeleteApp,
    Deployed,
    KillTasks,
    Locked,
    NotFound,
    Origin,
    ResetDelay,
    RestartApp,
    Result,
    Stale,
    Target,
    TooMany,
)
from mezzo.marathon.model.app import App
from mezzo.marathon.state.tables import APPS, VERSIONS, version_id
from mezzo.record import replace

from ..daemons.containers import Machine
from ..daemons.marathons import VirtualMarathon
from ..world.disk import Disk
from ..world.world import World
from .app_definitions import Definitions

_ORIGIN: Final = Origin("127.0.0.1", "/v2/apps")
JOB: Final = "/job"  # its instances end by themselves; those of the others serve
_APPS: Final = ("/web", "/api", JOB, "/db")


_SURGE: Final = "/surge"


# They are looked at far more often than they change.
_stored_app = lru_cache(maxsize=1024)(APPS.decode)
_version = lru_cache(maxsize=1024)(VERSIONS.decode)


def apps_on(disk: Disk) -> dict[str, App]:
    """The apps as they are stored: what the cluster has promised to run."""
    found: dict[str, App] = {}
    for key in sorted(key for key in disk.data if key.startswith("app/")):
        with contextlib.suppress(Corrupt):  # one of the two was damaged: see `hostile.damage`
            app = _stored_app(disk.data[key])
            version = VERSIONS.key(version_id(app.id, app.version_ms))
            found[app.id] = _version(disk.data[version])
    return found


def app_of(spec: ContainerSpec) -> str | None:
    """The app of a task, as Marathon tells it; None: the task is none of Marathon's."""
    return dict(spec.env).get("MARATHON_APP_ID")


class Operator:
    """Acts until `stop`. `max_instances` bounds an app so that all of them fit the cluster."""

    def __init__(
        self,
        world: World,
        marathons: list[VirtualMarathon],
        disk: Disk,
        machines: list[Machine],
        max_instances: int,
        role: str = "*",
    ) -> None:
        self._world = world
        self._marathons = marathons
        self._disk = disk
        self._machines = machines
        self._max = max_instances
        self._definitions = Definitions(world.seed, role)
        self._whims = random.Random(f"whims of {world.seed}")
        self._forces = world.chance(0.5)
        self._active = False
        self._changes = 0
        # Apps whose last upgrade may have been given up halfway, by force: old instances stay.
        self.mixed: dict[str, None] = {}
        self.answered = 0

    def start(self) -> None:
        self._active = True
        self._act()

    def stop(self) -> None:
        self._active = False

    def surge(self, cpus: float) -> None:
        """Add an app, for which there is room, if only others let go of what they hold."""
        app = replace(self._new(_SURGE), instances=1, cpus=cpus)
        for marathon in self._marathons:
            if marathon.ready:
                marathon.ask(ChangeApps((Target(app, None),), _ORIGIN), self._told)

    def _act(self) -> None:
        if not self._active:
            return
        leaders = [m for m in self._marathons if m.ready]
        if leaders:
            self._ask(self._world.rng.choice(leaders))
            if self._whims.random() < 0.1:
                leaders[0].ask(ResetDelay(self._whims.choice(_APPS)), self._told)
        self._world.after(self._world.between(0.5, 8), self._act)

    def _ask(self, marathon: VirtualMarathon) -> None:
        world = self._world
        apps = apps_on(self._disk)
        app_id = world.rng.choice(_APPS)
        app = apps.get(app_id)
        force = self._forces and world.chance(0.3)
        if force:
            self.mixed |= dict.fromkeys(_APPS)  # a kill may change any of them
        if app is None:
            marathon.ask(ChangeApps((Target(self._new(app_id), None),), _ORIGIN), self._told)
            return
        kinds = (
            "scale",
            "change",
            "delete",
            "kill",
            "scale",
            "kill and scale",
            "restart",
            "cancel",
        )
        what = world.rng.choice(kinds)
        if what == "delete" and world.chance(0.5):
            marathon.ask(DeleteApp(app_id, force), self._told)
        elif what == "change":
            marked = replace(app, env={"CHANGE": str(self._changes)}, instances=self._size())
            changed = self._definitions.changed(marked)
            self._changes += 1
            target = Target(changed, app.version_ms)
            marathon.ask(
                ChangeApps((target,), _ORIGIN, force),
                lambda result: self._upgraded(app_id, result, force=force),
            )
        elif what == "restart":
            marathon.ask(RestartApp(app_id, force), self._told)
        elif what == "cancel":
            if (deployment_id := self._deployment()) is not None:
                self._take_back(deployment_id, force)
        elif what.startswith("kill"):
            marathon.ask(KillTasks(self._victims(), what != "kill", force), self._told)
        else:
            target = Target(replace(app, instances=self._size()), app.version_ms)
            marathon.ask(ChangeApps((target,), _ORIGIN, force), self._told)

    def _take_back(self, deployment_id: str, force: bool) -> None:
        """Cancel a deployment by force: everything stays as it is, halfway."""
        for marathon in self._marathons:
            if marathon.ready and self._active:
                marathon.ask(CancelDeployment(deployment_id, force), self._told)

    def _deployment(self) -> str | None:
        """A deployment that goes on."""
        keys = [key for key in sorted(self._disk.data) if key.startswith("deployment/")]
        return self._world.rng.choice(keys).removeprefix("deployment/") if keys else None

    def _size(self) -> int:
        return self._world.rng.randint(0, self._max)

    def _new(self, app_id: str) -> App:
        cmd = f"sleep {self._world.rng.randint(1, 20)}" if app_id == JOB else "serve"
        return self._definitions.new(app_id, cmd, self._size())

    def _victims(self) -> tuple[TaskId, ...]:
        running = [c.spec.task_id for m in self._machines for c in m.running()]
        return tuple(self._world.rng.sample(running, min(len(running), 2)))

    def _upgraded(self, app_id: str, result: Result, *, force: bool) -> None:
        self._told(result)
        if isinstance(result, Deployed) and not force:
            self.mixed.pop(app_id, None)  # all others than the new ones go
            if self._world.chance(0.3):
                after_s = self._world.between(0.0, 5.0)
                self._world.after(after_s, self._take_back, result.deployment_id, False)

    def _told(self, result: Result) -> None:
        refused = isinstance(result, (AlreadyExists, Locked, NotFound, Stale, TooMany))
        self.answered += not refused
