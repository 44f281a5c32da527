"""Small clusters in records, for the tests of the gateway."""

from __future__ import annotations

from mezzo.cluster.model import (
    AgentInfo,
    Attribute,
    DrainConfig,
    DrainInfo,
    DrainState,
    FrameworkInfo,
    MasterInfo,
    Task,
    TaskStatus,
)
from mezzo.cluster.resources import Resources
from mezzo.cluster.states import TaskState
from mezzo.ids import AgentId, FrameworkId, TaskId
from mezzo.messages.operator import (
    Agents,
    AgentView,
    Frameworks,
    FrameworkView,
    Master,
    OperatorSubscribed,
    State,
    Tasks,
    TaskUpdated,
)
from mezzo.record import replace

F1, F2 = FrameworkId("m-0000"), FrameworkId("m-0001")
A1, A2 = AgentId("m-S0"), AgentId("m-S1")

MASTER = Master(
    MasterInfo("m", ip=16777343, port=5050, pid="master@127.0.0.1:5050", hostname="m1"),
    elected_time=1000.0,
)


def agent(agent_id: AgentId = A1, *, active: bool = True, used_cpus: float = 0) -> AgentView:
    info = AgentInfo(
        "host1",
        5051,
        attributes=(Attribute("rack", text="a"), Attribute("level", scalar=2.5)),
        id=agent_id,
    )
    return AgentView(
        info,
        active=active,
        version="0.1.0",
        pid="slave(1)@127.0.0.1:5051",
        registered_time=1.0,
        total_resources=Resources.parse(
            "cpus:4;mem:2048;disk:100;ports:[31000-31099,31200-31299];cpus(ads):1"
        ),
        allocated_resources=Resources.of(cpus=used_cpus, mem=64),
    )


def drained(agent_id: AgentId = A1, state: DrainState = DrainState.DRAINED) -> AgentView:
    """One that an operator drains, or has drained."""
    info = DrainInfo(state, DrainConfig(5.0, mark_gone=True))
    return replace(agent(agent_id, active=False), deactivated=True, drain_info=info)


def framework(framework_id: FrameworkId = F1, *, connected: bool = True) -> FrameworkView:
    info = FrameworkInfo(
        "root", "marathon", id=framework_id, webui_url="http://127.0.0.1:8080", role="*"
    )
    return FrameworkView(info, active=connected, connected=connected, recovered=False)


def task(
    name: str = "t1",
    state: TaskState = TaskState.STAGING,
    *,
    framework_id: FrameworkId = F1,
    agent_id: AgentId = A1,
) -> Task:
    return Task(
        name,
        TaskId(name),
        agent_id,
        framework_id=framework_id,
        state=state,
        resources=Resources.of(cpus=1, mem=32),
    )


def update(
    name: str,
    state: TaskState,
    *,
    latest: TaskState | None = None,
    framework_id: FrameworkId = F1,
    message: str | None = None,
    at: float = 5.0,
) -> TaskUpdated:
    status = TaskStatus(TaskId(name), state, message=message, timestamp=at)
    return TaskUpdated(framework_id, status, latest or state)


def snapshot(
    *,
    agents: tuple[AgentView, ...] = (),
    frameworks: tuple[FrameworkView, ...] = (),
    tasks: tuple[Task, ...] = (),
    completed: tuple[Task, ...] = (),
) -> OperatorSubscribed:
    return OperatorSubscribed(
        State(Tasks(tasks, completed), Frameworks(frameworks), Agents(agents)), 15.0
    )
