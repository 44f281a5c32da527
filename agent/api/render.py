"""The agent's state as people and scrapers see it. Pure; no environment of a task is shown."""

from __future__ import annotations

from collections import Counter

from mezzo.cluster.amounts import from_milli
from mezzo.cluster.resources import Resources
from mezzo.mesos_json import Json, attributes_json, drain_config_json, given, resources_json

from ..resources.applying import used_by
from ..state.agent_task import AgentTask
from ..tasks.container_spec import sandbox_path
from ..views import AgentView


def shown_state(view: AgentView) -> Json:
    """`/state`: a part of Mesos', by its names."""
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
    """Not Mesos'."""
    return [{"key": key, "why": why} for key, why in view.aside]


def used(view: AgentView) -> Resources:
    """What tasks that are not over hold."""
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


def metrics_text(view: AgentView) -> bytes:
    """In Prometheus' text format."""
    states = Counter(task.state for task in view.tasks)
    total, in_use = view.resources, used(view)
    lines = ["# TYPE mezzo_agent_registered gauge", f"mezzo_agent_registered {view.registered:d}"]
    lines.append("# TYPE mezzo_agent_tasks gauge")
    lines += [f'mezzo_agent_tasks{{state="{state}"}} {states[state]}' for state in sorted(states)]
    lines.append("# TYPE mezzo_agent_unacknowledged_updates gauge")
    waiting = sum(len(task.pending) for task in view.tasks)
    lines.append(f"mezzo_agent_unacknowledged_updates {waiting}")
    for what, resources in (("total", total), ("used", in_use)):
        lines.append(f"# TYPE mezzo_agent_resources_{what} gauge")
        lines += [
            f'mezzo_agent_resources_{what}{{name="{_label(name)}"}} {from_milli(milli):g}'
            for name, milli in resources.quantities().items()
        ]
    return ("\n".join(lines) + "\n").encode(errors="replace")


def _label(value: str) -> str:
    """As Prometheus' text format wants it between quotes."""
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
