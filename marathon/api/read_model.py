"""What the API's threads read: the latest durable pictures, put in place by the loop's thread.

One thread writes, any number read, without a lock: values are frozen, and a reader takes a copy of
a dictionary's values in one indivisible operation before it looks at them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..effects import ShowApp, ShowAside, ShowDeployment, ShowInstance
from ..model.instance import Condition
from ..model.paths import below
from ..state.tables import APPS
from ..views import AppView, Aside, DeploymentView, InstanceView


@dataclass(slots=True)
class Counts:
    """Counts of one app's tasks; kept up as they change, since an app may have ten thousand."""

    staged: int = 0
    running: int = 0
    healthy: int = 0
    unhealthy: int = 0

    def add(self, view: InstanceView, sign: int) -> None:
        if view.condition.starting:
            self.staged += sign
        elif view.condition is Condition.RUNNING:
            self.running += sign
            if view.healthy is not None:
                self.healthy += sign * view.healthy
                self.unhealthy += sign * (not view.healthy)


@dataclass(slots=True)
class _Tasks:
    views: dict[str, InstanceView] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)


class ReadModel:
    """`apply` belongs to the loop's thread, everything else to everybody."""

    def __init__(self) -> None:
        self._apps: dict[str, AppView] = {}
        self._tasks: dict[str, _Tasks] = {}
        self._by_id: dict[str, InstanceView] = {}  # by task id and by instance id
        self._deployments: dict[str, DeploymentView] = {}
        self._locks: dict[str, str] = {}  # the deployment that holds an app
        self._aside: dict[str, Aside] = {}  # by key

    def apply(self, effect: ShowApp | ShowInstance | ShowDeployment | ShowAside) -> None:
        match effect:
            case ShowApp(app_id, None):
                self._apps.pop(app_id, None)
            case ShowApp(app_id, AppView() as app):
                self._apps[app_id] = app
            case ShowInstance(app_id, instance_id, view):
                self._show_instance(app_id, instance_id, view)
            case ShowAside(key, None):
                self._aside.pop(key, None)
            case ShowAside(key, Aside() as aside):
                self._aside[key] = aside
            case ShowDeployment(deployment_id, None):
                gone = self._deployments.pop(deployment_id, None)
                for app_id in gone.plan.app_ids if gone else ():
                    if self._locks.get(app_id) == deployment_id:
                        del self._locks[app_id]
            case ShowDeployment(deployment_id, DeploymentView() as deployment):
                self._deployments[deployment_id] = deployment
                for app_id in deployment.plan.app_ids:
                    self._locks[app_id] = deployment_id

    def _show_instance(self, app_id: str, instance_id: str, view: InstanceView | None) -> None:
        tasks = self._tasks.get(app_id)
        if tasks is None:
            tasks = self._tasks[app_id] = _Tasks()
        before = (
            tasks.views.pop(instance_id, None) if view is None else tasks.views.get(instance_id)
        )
        if before is not None:
            tasks.counts.add(before, -1)
        if view is not None:
            tasks.views[instance_id] = view
            tasks.counts.add(view, 1)
            self._by_id[view.task_id] = self._by_id[instance_id] = view
        elif before is not None:
            self._by_id.pop(before.task_id, None)
            self._by_id.pop(instance_id, None)
            if not tasks.views:
                del self._tasks[app_id]

    # ---- for every thread

    def app(self, app_id: str) -> AppView | None:
        return self._apps.get(app_id)

    def apps(self) -> list[AppView]:
        """The apps in the order of their ids."""
        return sorted(list(self._apps.values()), key=lambda view: view.app.id)

    def apps_below(self, group: str) -> list[AppView]:
        return [view for view in self.apps() if below(view.app.id, group)]

    def counts(self, app_id: str) -> Counts:
        tasks = self._tasks.get(app_id)
        return Counts() if tasks is None else tasks.counts

    def tasks(self, app_id: str) -> list[InstanceView]:
        tasks = self._tasks.get(app_id)
        return [] if tasks is None else list(tasks.views.values())

    def all_tasks(self) -> list[InstanceView]:
        return [view for tasks in list(self._tasks.values()) for view in list(tasks.views.values())]

    def task(self, id_: str) -> InstanceView | None:
        """A task, by its id or that of its instance."""
        return self._by_id.get(id_)

    def deployments(self) -> list[DeploymentView]:
        return list(self._deployments.values())

    def aside(self) -> list[Aside]:
        """The stored records that could not be loaded, in the order of their keys."""
        return sorted(list(self._aside.values()), key=lambda aside: aside.key)

    def aside_app(self, app_id: str) -> Aside | None:
        """The record of an app that can't be shown since it could not be loaded."""
        return self._aside.get(f"{APPS.kind}/{app_id}")

    def lock(self, app_id: str) -> str | None:
        """The deployment that holds the app."""
        return self._locks.get(app_id)
