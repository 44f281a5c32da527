"""The cluster as the page sees it: small documents by id, a snapshot first and then what changed.

Pure. Keys are sent once; a change holds only documents that differ, and null for those that went.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from mezzo.cluster.model import Task
from mezzo.cluster.resources import Resources
from mezzo.ids import AgentId, FrameworkId
from mezzo.json_types import Json
from mezzo.messages.operator import AgentView, FrameworkView
from mezzo.record import Record

from .. import left_out
from ..replica.cluster_replica import TaskKey, View

K = TypeVar("K", bound=str)
T = TypeVar("T")

# Of the tasks that are over, the page shows the latest: people look at what has just failed.
COMPLETED_SHOWN: Final = 100


class Documents(Record):
    """The records behind the page's documents. Made of a view, compared by identity."""

    agents: Mapping[AgentId, AgentView]
    frameworks: Mapping[FrameworkId, FrameworkView]
    tasks: Mapping[str, Task]


def documents(view: View) -> Documents:
    recent = list(view.completed_tasks.items())[-COMPLETED_SHOWN:]
    return Documents(
        view.agents,
        view.frameworks,
        {_task_key(key): task for key, task in (*view.tasks.items(), *recent)},
    )


EMPTY: Final = Documents({}, {}, {})


def change(old: Documents, new: Documents) -> Json:
    """The change from a page that shows `old` to one that shows `new`; empty if there is none.

    `change(EMPTY, new)` is the snapshot.
    """
    parts = {
        "agents": _changed(old.agents, new.agents, agent_doc),
        "frameworks": _changed(old.frameworks, new.frameworks, framework_doc),
        "tasks": _changed(old.tasks, new.tasks, task_doc),
    }
    return {name: part for name, part in parts.items() if part}


def agent_doc(agent: AgentView) -> Json:
    info = agent.agent_info
    return {
        "id": info.id,
        "hostname": info.hostname,
        "port": info.port,
        "active": agent.active,
        "state": agent.condition,
        "attributes": {each.name: each.shown for each in info.attributes},
        "since": agent.reregistered_time or agent.registered_time,
        "version": agent.version,
        "total": amounts(agent.total_resources),
        "used": amounts(agent.allocated_resources),
        "offered": amounts(agent.offered_resources),
    }


def framework_doc(framework: FrameworkView) -> Json:
    info = framework.framework_info
    return {
        "id": info.id,
        "name": info.name,
        "roles": list(info.all_roles),
        "active": framework.active,
        "connected": framework.connected,
        "hostname": info.hostname,
        "webui": info.webui_url,
        "since": framework.reregistered_time or framework.registered_time,
        "used": amounts(framework.allocated_resources),
        "offered": amounts(framework.offered_resources),
    }


def task_doc(task: Task) -> Json:
    last = task.statuses[-1] if task.statuses else None
    return {
        "id": task.task_id,
        "name": task.name,
        "framework": task.framework_id,
        "agent": task.agent_id,
        "state": task.state,
        "over": task.state.terminal,
        "healthy": last.healthy if last else None,
        "message": last.message if last else None,
        "reason": last.reason if last else None,
        "since": last.timestamp if last else None,
        "used": amounts(task.resources),
    }


def amounts(resources: Resources) -> Json:
    """cpus in cores, mem and disk in MiB; gpus only where there are any."""
    out: Json = {
        "cpus": resources.cpus,
        "mem": resources.mem_mib,
        "disk": resources.disk_mib,
    }
    if resources.gpus:
        out["gpus"] = resources.gpus
    return out


def _changed(old: Mapping[K, T], new: Mapping[K, T], doc: Callable[[T], Json]) -> Json:
    out: Json = {}
    for key, each in new.items():
        if old.get(key) is not each:
            out[key] = left_out.tried(doc.__name__, key, doc, each)
    out.update({key: None for key in old if key not in new})
    return out


def _task_key(key: TaskKey) -> str:
    return "/".join(key)
