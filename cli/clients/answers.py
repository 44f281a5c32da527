"""The parts of Marathon's and a gateway's answers that commands read.

Every answer is checked against one of these before a command sees it (`.json_http`), so one of
another shape (by a proxy, another program, another version) is told in one place, and the type
checker sees that no command reads what is not checked. Keys that are not here pass unchanged.
"""

from __future__ import annotations

from typing import Annotated, NotRequired, TypedDict

from msgspec import Meta

from mezzo.cluster.amounts import SUM_MAX
from mezzo.units import Port, Serial, WallSeconds

Sum = Annotated[float, Meta(ge=0, le=SUM_MAX)]  # of a resource, over a whole cluster perhaps

# ---------------------------------------------------------------------------------- Marathon


class Ref(TypedDict):
    id: str


class Docker(TypedDict):
    image: NotRequired[str | None]


class Container(TypedDict):
    docker: NotRequired[Docker | None]


class HealthResult(TypedDict):
    alive: NotRequired[bool | None]


class AppTask(TypedDict):
    id: str
    state: str
    host: NotRequired[str | None]
    ports: NotRequired[list[Port] | None]
    startedAt: NotRequired[str | None]
    healthCheckResults: NotRequired[list[HealthResult] | None]


class Failure(TypedDict):
    timestamp: str
    state: str
    host: str
    message: str


class App(TypedDict):
    """An app as /v2/apps shows it."""

    id: str
    version: str
    instances: Serial
    cpus: Sum
    mem: Sum
    tasksRunning: Serial
    tasksStaged: Serial
    tasksHealthy: Serial
    tasksUnhealthy: Serial
    cmd: NotRequired[str | None]
    args: NotRequired[list[str] | None]
    env: NotRequired[dict[str, object] | None]
    container: NotRequired[Container | None]
    healthChecks: NotRequired[list[object] | None]
    deployments: NotRequired[list[Ref] | None]
    tasks: NotRequired[list[AppTask] | None]
    lastTaskFailure: NotRequired[Failure | None]


class OneApp(TypedDict):
    app: App


class Apps(TypedDict):
    apps: list[App]


class Created(TypedDict):
    deployments: NotRequired[list[Ref] | None]


class Changed(TypedDict):
    deploymentId: NotRequired[str | None]


class Delay(TypedDict):
    timeLeftSeconds: NotRequired[Serial]


class Declined(TypedDict):
    reason: NotRequired[str]
    declined: NotRequired[Serial]


class OffersSummary(TypedDict):
    processedOffersCount: NotRequired[Serial]
    rejectSummaryLastOffers: NotRequired[list[Declined]]


class QueueItem(TypedDict):
    app: NotRequired[Ref]  # or a pod
    delay: NotRequired[Delay]
    processedOffersSummary: NotRequired[OffersSummary]


class Queue(TypedDict):
    queue: list[QueueItem]


# ---------------------------------------------------------------------------------- gateway


class Used(TypedDict):
    cpus: Sum
    mem: Sum
    disk: Sum


class Drain(TypedDict):
    state: str


class Agent(TypedDict):
    id: str
    hostname: str
    port: Port
    active: bool
    deactivated: bool
    drain_info: NotRequired[Drain]
    attributes: dict[str, object]
    resources: Used
    used_resources: Used
    registered_time: WallSeconds | None
    reregistered_time: WallSeconds | None


class Status(TypedDict):
    timestamp: NotRequired[WallSeconds | None]
    healthy: NotRequired[bool | None]
    message: NotRequired[str | None]


class Task(TypedDict):
    id: str
    name: str
    state: str
    slave_id: str
    framework_id: str
    resources: Used
    statuses: list[Status]


class Framework(TypedDict):
    id: str
    name: str
    connected: bool
    role: NotRequired[str]
    roles: NotRequired[list[str]]
    used_resources: Used
    registered_time: WallSeconds | None
    reregistered_time: WallSeconds | None
    webui_url: str
    tasks: list[Task]
    unreachable_tasks: list[Task]
    completed_tasks: list[Task]


class State(TypedDict):
    """The `/state` of a gateway."""

    slaves: list[Agent]
    frameworks: list[Framework]
    completed_frameworks: list[Framework]
