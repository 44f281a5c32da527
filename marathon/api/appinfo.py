"""Apps as they are read: the definition, and the parts of the present that are asked for (3.5)."""

from __future__ import annotations

import time
from typing import Any, Final

from ..views import AppView
from .read_model import ReadModel
from .render import app_json, failure_json, task_json, task_stats_json

_PREFIXES: Final = ("group.apps.", "apps.", "app.")
ALWAYS: Final = frozenset({"counts", "deployments"})
SINGLE: Final = ALWAYS | {"tasks", "lastTaskFailure"}


def embeds(names: list[str]) -> frozenset[str]:
    """The parts that `embed=` asks for; unknown names are ignored."""
    found: set[str] = set()
    for name in names:
        for prefix in _PREFIXES:
            if name.startswith(prefix):
                name = name.removeprefix(prefix)
                break
        found.add(name)
    if "failures" in found:
        found |= {"lastTaskFailure", "tasks"}
    if "tasks" in found:
        found.add("deployments")
    return frozenset(found)


def app_info(view: AppView, model: ReadModel, parts: frozenset[str]) -> dict[str, Any]:
    app = view.app
    info = app_json(app)
    if "counts" in parts:
        info |= counts_json(model, app.id)
    if "deployments" in parts:
        lock = model.lock(app.id)
        info["deployments"] = [] if lock is None else [{"id": lock}]
    if "readiness" in parts:
        info["readinessCheckResults"] = []
    if "tasks" in parts:
        info["tasks"] = [task_json(task, app) for task in model.tasks(app.id)]
    if "lastTaskFailure" in parts and view.last_failure is not None:
        info["lastTaskFailure"] = failure_json(view.last_failure)
    if view.fault is not None:
        info["fault"] = view.fault
    if "taskStats" in parts:
        info["taskStats"] = task_stats_json(app, model.tasks(app.id), time.time())
    return info


def counts_json(model: ReadModel, app_id: str) -> dict[str, int]:
    counts = model.counts(app_id)
    return {
        "tasksStaged": counts.staged,
        "tasksRunning": counts.running,
        "tasksHealthy": counts.healthy,
        "tasksUnhealthy": counts.unhealthy,
    }
