"""Frozen pictures for readers, replaced one by one as the core changes and stores things."""

from __future__ import annotations

from mezzo.cluster.model import IpAddress, Offer
from mezzo.cluster.states import TaskState
from mezzo.ids import AgentId, TaskId
from mezzo.record import Record

from .model.app import App
from .model.deployment import Action, Deployment
from .model.instance import Condition


class CheckView(Record):
    """A health check's result; times in wall seconds."""

    alive: bool | None
    consecutive_failures: int
    first_success_s: float | None = None
    last_success_s: float | None = None
    last_failure_s: float | None = None
    cause: str | None = None


class InstanceView(Record):
    id: str
    task_id: TaskId
    app_id: str
    version_ms: int
    config_ms: int
    agent_id: AgentId
    host: str
    condition: Condition
    state: TaskState
    staged_s: float
    healthy: bool | None
    doomed: bool = False
    started_s: float | None = None
    ports: tuple[int, ...] = ()
    ip_addresses: tuple[IpAddress, ...] = ()
    checks: tuple[CheckView, ...] = ()
    region: str | None = None
    zone: str | None = None
    role: str = "*"

    @property
    def active(self) -> bool:
        return self.condition is not Condition.UNREACHABLE_INACTIVE


class TaskFailure(Record):
    """The last failure of an app. `at_s`: wall time."""

    app_id: str
    host: str
    message: str
    task_id: TaskId
    instance_id: str
    agent_id: AgentId
    state: TaskState
    version_ms: int
    at_s: float


class AppView(Record):
    """An app with its kept versions, oldest first. fault: what the app's data made impossible."""

    app: App
    versions: tuple[App, ...] = ()
    last_failure: TaskFailure | None = None
    fault: str | None = None


class Aside(Record):
    """A stored record that could not be loaded. app_id: its app, as far as its key tells."""

    key: str
    kind: str
    app_id: str | None
    reason: str
    size_bytes: int


class DeploymentView(Record):
    """A running plan. `step` counts from 1; 0: not begun."""

    plan: Deployment
    step: int
    current: tuple[Action, ...]


class OfferRefused(Record):
    """An offer that was of no use to an app."""

    offer: Offer
    reason: str
    at_s: float


class QueueItem(Record):
    """An app that waits for offers. Counters since the first offer after it began to wait."""

    app: App
    count: int
    delay_left_s: float
    since_s: float
    processed: int
    unused: int
    last_used_s: float | None
    last_unused_s: float | None
    refused_in_all: dict[str, int]  # by reason
    last_refused: tuple[OfferRefused, ...]  # of each agent the last
    fault: str | None = None  # as in AppView
