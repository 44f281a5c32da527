"""The agent's state as people see it. Pure; no environment of a task is shown."""

from __future__ import annotations

from mezzo.cluster.resources import Resources
from mezzo.json_types import Json
from mezzo.mesos_json import attributes_json, drain_config_json, given, resources_json

from ..resources.applying import used_by
from ..state.agent_task import AgentTask
from ..tasks.container_spec import sandbox_path
from ..views import AgentView


def shown_state(view: AgentView) -> Json:
    """`/state`: a part of what Mesos shows there, by its names."""
    info = view.config.info
    frameworks: dict[str, list[Json]] = {}
    for task in view.tasks:
        frameworks.setdefault(task.framework_id, []).append(_shown_task(view, task))
    return {
        "version": view.config.version,
        "id": view.agent_id or "",
        "hostname": info.hostname,
        "pid": info.pid,
        "registered": view.registered,
        "epoch": view.epoch,
        "resources": resources_json(view.resources),
        "used_resources": resources_json(used(view)),
        **given(drain_config=None if view.drain is None else drain_config_json(view.drain)),
        "attributes": attributes_json(info.attributes),
        **({"set_aside": _shown_aside(view)} if view.aside else {}),
        "frameworks": [{"id": id_, "tasks": tasks} for id_, tasks in frameworks.items()],
    }


def _shown_aside(view: AgentView) -> list[dict[str, str]]:
    """Stored records that can't be read; Mesos has no such field."""
    return [{"key": key, "why": why} for key, why in view.aside]


def used(view: AgentView) -> Resources:
    """The resources of tasks that are not over."""
    return used_by(task.info.resources for task in view.tasks if task.live)


def _shown_task(view: AgentView, task: AgentTask) -> Json:
    info, cid = task.info, task.container_id
    sandbox = (
        sandbox_path(view.config, info.agent_id, task.framework_id, info.task_id, cid)
        if cid is not None
        else None
    )
    return {
        "id": info.task_id,
        "name": info.name,
        "state": task.state,
        "container": cid or "",
        "directory": sandbox,
        "healthy": task.healthy,
        "resources": resources_json(info.resources),
        "unacknowledged_updates": len(task.pending),
    }
