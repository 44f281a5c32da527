"""Events into the Marathon core and effects out of it. Timers are those of `mezzo.core`."""

from __future__ import annotations

from typing import Any

from mezzo.core import CancelTimer, SetTimer, TimerFired
from mezzo.ids import AgentId, ConnId, FrameworkId, TaskId
from mezzo.messages import scheduler
from mezzo.record import Record
from mezzo.states import TaskState

from .app import App, HealthCheck
from .views import AppView, Aside, DeploymentView, InstanceView, QueueItem

# ---------------------------------------------------------------------------------- commands


class Origin(Record):
    """Who asked, for the event that tells it."""

    client_ip: str
    uri: str


class Target(Record):
    """An app as it should be; its versions are the core's to fill.

    based_on: the version that it was made from, None to create it. What has changed meanwhile is
    answered with `Stale` or `AlreadyExists`, and nothing happens.
    """

    app: App
    based_on: int | None


class ChangeApps(Record):
    """Create or change apps, all in one deployment or none."""

    targets: tuple[Target, ...]
    origin: Origin
    force: bool = False


class DeleteApp(Record):
    app_id: str
    force: bool = True


class RestartApp(Record):
    app_id: str
    force: bool = False


class KillTasks(Record):
    """Unknown ids are skipped. With `scale`, each kill lowers its app's target by one."""

    task_ids: tuple[TaskId, ...]
    scale: bool = False
    force: bool = False


class CancelDeployment(Record):
    """Roll back; with `force` only stop, and leave everything as it is."""

    deployment_id: str
    force: bool = False


class ResetDelay(Record):
    app_id: str


class ReadQueue(Record):
    pass


class DropAside(Record):
    """Delete a record that was set aside. What runs because of it may be ended then."""

    key: str


Command = (
    ChangeApps
    | DeleteApp
    | RestartApp
    | KillTasks
    | CancelDeployment
    | ResetDelay
    | ReadQueue
    | DropAside
)

# ---------------------------------------------------------------------------------- results


class Deployed(Record):
    """A deployment has begun (and is over already if it has no steps)."""

    deployment_id: str
    version_ms: int
    apps: tuple[App, ...] = ()  # those created or changed, as they are now


class Killed(Record):
    task_ids: tuple[TaskId, ...]


class Done(Record):
    pass


class QueueRead(Record):
    items: tuple[QueueItem, ...]


class NotFound(Record):
    message: str


class AlreadyExists(Record):
    message: str


class Stale(Record):
    """An app was changed by another since it was read: read it again."""


class Locked(Record):
    """Running deployments hold what this would change."""

    deployment_ids: tuple[str, ...]


class TooMany(Record):
    message: str


class NotValid(Record):
    """A rule about the whole state is broken. `path` is inside the app's document."""

    path: str
    error: str


Result = (
    Deployed
    | Killed
    | Done
    | QueueRead
    | NotFound
    | AlreadyExists
    | Stale
    | Locked
    | TooMany
    | NotValid
)

# ---------------------------------------------------------------------------------- events


class Started(Record):
    """The first event of a term."""


class LinkUp(Record):
    conn: ConnId


class LinkDown(Record):
    conn: ConnId


class MasterEvent(Record):
    conn: ConnId
    epoch: int
    event: scheduler.Event


class ApiRequest(Record):
    request_id: int
    command: Command


class HealthResult(Record):
    """One probe by Marathon. alive None: it says nothing (an ignored 1xx). cause: of a failure."""

    instance_id: str
    index: int
    alive: bool | None
    cause: str | None = None


Event = Started | LinkUp | LinkDown | MasterEvent | ApiRequest | HealthResult | TimerFired

# ---------------------------------------------------------------------------------- effects


class Call(Record):
    conn: ConnId
    call: scheduler.Call


class Registered(Record):
    """The id that every later call carries."""

    framework_id: FrameworkId


class Reply(Record):
    request_id: int
    result: Result


class Publish(Record):
    """An event for the streams. `at`: wall seconds. `fields` may hold records of this package."""

    type: str
    at: float
    fields: dict[str, Any]


class StartHealthCheck(Record):
    """Probe `host:port` every `check.interval_s` until stopped; report by `HealthResult`."""

    instance_id: str
    index: int
    check: HealthCheck
    host: str
    port: int
    app_id: str


class StopHealthChecks(Record):
    instance_id: str


class ShowApp(Record):
    """view None: it is gone. The same for the two below."""

    app_id: str
    view: AppView | None


class ShowInstance(Record):
    app_id: str
    instance_id: str
    view: InstanceView | None


class ShowDeployment(Record):
    deployment_id: str
    view: DeploymentView | None


class ShowAside(Record):
    """A stored record was set aside. aside None: it is gone."""

    key: str
    aside: Aside | None


class Faulted(Record):
    """The data of one app made something impossible. news: the last time it was something else."""

    app_id: str
    fault: str
    news: bool


class UpdateDenied(Record):
    """An agent spoke of a task that runs on another one: it counts for nothing."""

    task_id: TaskId
    agent_id: AgentId
    state: TaskState


class CallRefused(Record):
    """The master did not carry out a call of this kind. For the log: what follows is ordered."""

    call: str
    reason: str


class Launched(Record):
    """For the log: a launch leaves with the call that follows."""

    app_id: str
    task_id: TaskId
    agent_id: AgentId


class Ready(Record):
    """What was stored has been shown: users may be answered."""


class StandBy(Record):
    """Another scheduler of this framework has come after us: our term is over, whether or not the
    election has told it yet. Begin anew as a standby.
    """

    reason: str


class Abort(Record):
    """The master will not have us: end the process."""

    reason: str


Effect = (
    Call
    | Registered
    | Reply
    | Publish
    | StartHealthCheck
    | StopHealthChecks
    | ShowApp
    | ShowInstance
    | ShowDeployment
    | ShowAside
    | Faulted
    | CallRefused
    | UpdateDenied
    | Launched
    | Ready
    | StandBy
    | Abort
    | SetTimer
    | CancelTimer
)
