"""News of Marathon's core for those who listen: each an event of a stream (section 12).

`api.event_json` makes of them what clients read, `process.news_log` what operators read in the log.
"""

from __future__ import annotations

from mezzo.cluster.model import IpAddress
from mezzo.cluster.states import TaskState
from mezzo.ids import AgentId, ExecutorId, FrameworkId, TaskId
from mezzo.record import Record
from mezzo.units import WallMillis

from .commands import Origin
from .model.app import App, HealthCheck
from .model.deployment import Deployment, Step
from .model.instance import Condition

# ---- the framework at its master


class SchedulerRegistered(Record):
    """master: its host, empty if it doesn't say."""

    framework_id: FrameworkId
    master: str


class SchedulerReregistered(Record):
    framework_id: FrameworkId
    master: str


class SchedulerDisconnected(Record):
    pass


class ExecutorSaid(Record):
    agent_id: AgentId
    executor_id: ExecutorId
    data: bytes


# ---- what users ask for, and how it goes


class AppPosted(Record):
    """An app was created or changed."""

    origin: Origin
    app: App


class GroupChanged(Record):
    group_id: str
    version_ms: WallMillis


class PlanNews(Record):
    """News of a deployment."""

    plan: Deployment


class DeploymentStepBegan(PlanNews):
    step: Step


class DeploymentStepSucceeded(PlanNews):
    step: Step


class DeploymentSucceeded(PlanNews):
    pass


class DeploymentFailed(PlanNews):
    reason: str


# ---- apps and their instances


class AppNews(Record):
    """News of an app, or of an instance of it."""

    app_id: str


class AppTerminated(AppNews):
    """The app was deleted, and its last instance has ended."""


class InstanceChanged(AppNews):
    instance_id: str
    agent_id: AgentId
    host: str
    version_ms: WallMillis
    condition: Condition


class UnknownInstanceTerminated(AppNews):
    """A task has ended that is none of ours any more. app_id: as far as the task's id tells."""

    instance_id: str
    condition: Condition


class StatusUpdated(AppNews):
    """The master has told something new of a task."""

    task_id: TaskId
    agent_id: AgentId
    host: str
    version_ms: WallMillis
    state: TaskState
    message: str
    addresses: tuple[IpAddress, ...]
    ports: tuple[int, ...]


# ---- their health


class HealthCheckFailed(AppNews):
    task_id: TaskId
    instance_id: str
    check: HealthCheck


class HealthStatusChanged(AppNews):
    instance_id: str
    version_ms: WallMillis
    alive: bool


class InstanceHealthChanged(AppNews):
    """healthy None: not all of its checks have answered."""

    instance_id: str
    version_ms: WallMillis
    healthy: bool | None


class UnhealthyInstanceKilled(AppNews):
    task_id: TaskId
    instance_id: str
    agent_id: AgentId
    host: str
    version_ms: WallMillis
    reason: str


News = (
    SchedulerRegistered
    | SchedulerReregistered
    | SchedulerDisconnected
    | ExecutorSaid
    | AppPosted
    | GroupChanged
    | DeploymentStepBegan
    | DeploymentStepSucceeded
    | DeploymentSucceeded
    | DeploymentFailed
    | AppTerminated
    | InstanceChanged
    | UnknownInstanceTerminated
    | StatusUpdated
    | HealthCheckFailed
    | HealthStatusChanged
    | InstanceHealthChanged
    | UnhealthyInstanceKilled
)
