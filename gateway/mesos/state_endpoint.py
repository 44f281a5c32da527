"""The cluster in the shapes of Mesos' `/state`: what its clients read. Pure.

Times are seconds since 1970, mem and disk MiB. What mezzo has no notion of is left out.
"""

from __future__ import annotations

from collections.abc import Iterable

from mezzo import MESOS_VERSION
from mezzo.cluster.model import AgentInfo, MasterInfo, Task
from mezzo.cluster.states import TaskState
from mezzo.ids import FrameworkId
from mezzo.json_types import Json
from mezzo.mesos_json import (
    attributes_json,
    domain_json,
    drain_info_json,
    given,
    labels_json,
    resources_json,
    task_json,
)
from mezzo.messages.operator import AgentView, FrameworkView, Master

from ..left_out import shown, to_json
from ..replica.cluster_replica import View


def state_bytes(view: View, master: Master) -> bytes:
    """`/state` as it is sent."""
    return to_json(lambda careful: state_json(view, master, careful=careful))


def state_json(view: View, master: Master, *, careful: bool = False) -> Json:
    """The whole of `/state`. careful: see `shown`."""
    info = master.master_info
    agents = list(view.agents.values())
    completed = _by_framework(view.completed_tasks.values())
    return {
        "version": MESOS_VERSION,
        "id": info.id,
        "pid": info.pid or "",
        "hostname": info.hostname or "",
        "start_time": master.start_time or master.elected_time or 0.0,
        "elected_time": master.elected_time or 0.0,
        "leader": info.pid or "",
        "leader_info": _leader(info),
        "activated_slaves": sum(agent.active for agent in agents),
        "deactivated_slaves": sum(not agent.active for agent in agents),
        "slaves": shown("slave", view.agents, agent_json, careful=careful),
        "recovered_slaves": shown("slave", view.recovered_agents, _agent_info, careful=careful),
        "frameworks": _frameworks(
            view.frameworks, _by_framework(view.tasks.values()), completed, careful
        ),
        "completed_frameworks": _frameworks(view.completed_frameworks, {}, completed, careful),
        "orphan_tasks": [],
        "unregistered_frameworks": [],
        "flags": {},
    }


def agent_json(agent: AgentView) -> Json:
    total = agent.total_resources
    reserved_roles = sorted({kind.role for kind, _ in total.items()} - {"*"})
    return (
        _agent_info(agent.agent_info)
        | {
            "pid": agent.pid or agent.agent_info.pid,
            "registered_time": agent.registered_time,
            "reregistered_time": agent.reregistered_time,
            "resources": resources_json(total),
            "used_resources": resources_json(agent.allocated_resources),
            "offered_resources": resources_json(agent.offered_resources),
            "reserved_resources": {
                role: resources_json(total.filter(role=role)) for role in reserved_roles
            },
            "unreserved_resources": resources_json(total.filter(role="*")),
            "active": agent.active,
            "deactivated": agent.deactivated,
            "version": agent.version,
            "capabilities": list(agent.capabilities),
        }
        | given(
            drain_info=None if agent.drain_info is None else drain_info_json(agent.drain_info),
            estimated_drain_start_time_seconds=agent.estimated_drain_start_time,
        )
    )


def _leader(info: MasterInfo) -> Json:
    return {
        "id": info.id,
        "pid": info.pid or "",
        "port": info.port,
        "hostname": info.hostname or "",
    }


def _agent_info(info: AgentInfo) -> Json:
    domain = info.domain
    return {
        "id": info.id or "",
        "hostname": info.hostname,
        "port": info.port,
        "attributes": attributes_json(info.attributes),
        **given(domain=None if domain is None else domain_json(domain)),
    }


def _frameworks(
    frameworks: dict[FrameworkId, FrameworkView],
    tasks: dict[FrameworkId, list[Task]],
    completed: dict[FrameworkId, list[Task]],
    careful: bool,
) -> list[Json]:
    def one(framework: FrameworkView) -> Json:
        id_ = framework.framework_info.id or FrameworkId("")
        return _framework(framework, tasks.get(id_, []), completed.get(id_, []), careful)

    return shown("framework", frameworks, one, careful=careful)


def _tasks(tasks: Iterable[Task], careful: bool) -> list[Json]:
    by_id = {task.task_id: task for task in tasks}
    return shown("task", by_id, task_json, careful=careful)


def _framework(
    framework: FrameworkView, tasks: list[Task], completed: list[Task], careful: bool
) -> Json:
    away = [task for task in tasks if task.state is TaskState.UNREACHABLE]
    here = [task for task in tasks if task.state is not TaskState.UNREACHABLE]
    info = framework.framework_info
    roles = info.all_roles
    return (
        {
            "id": info.id or "",
            "name": info.name,
            "user": info.user,
            "active": framework.active,
            "connected": framework.connected,
            "recovered": framework.recovered,
            "checkpoint": info.checkpoint,
            "failover_timeout": info.failover_timeout,
            "hostname": info.hostname or "",
            "webui_url": info.webui_url or "",
            "capabilities": list(info.capabilities),
            "registered_time": framework.registered_time,
            "reregistered_time": framework.reregistered_time,
            "unregistered_time": framework.unregistered_time,
            "used_resources": resources_json(framework.allocated_resources),
            "offered_resources": resources_json(framework.offered_resources),
            "resources": resources_json(
                framework.allocated_resources + framework.offered_resources
            ),
            "labels": labels_json(info.labels),
            "tasks": _tasks(here, careful),
            "unreachable_tasks": _tasks(away, careful),
            "completed_tasks": _tasks(completed, careful),
            "offers": [],
            "executors": [],
        }
        | ({"role": roles[0]} if len(roles) == 1 else {"roles": list(roles)})
        | given(principal=info.principal)
    )


def _by_framework(tasks: Iterable[Task]) -> dict[FrameworkId, list[Task]]:
    out: dict[FrameworkId, list[Task]] = {}
    for task in tasks:
        out.setdefault(task.framework_id, []).append(task)
    return out
