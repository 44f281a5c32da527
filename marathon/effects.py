"""What the Marathon core wants done. Timers are those of `mezzo.core`."""

from __future__ import annotations

from mezzo.cluster.states import TaskState
from mezzo.core import CancelTimer, SetTimer
from mezzo.ids import AgentId, ConnId, FrameworkId, TaskId
from mezzo.messages import scheduler
from mezzo.record import Record

from .commands import Result
from .model.app import HealthCheck
from .news import News
from .views import AppView, Aside, DeploymentView, InstanceView


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
    """News for those who listen. `at_s`: wall time."""

    news: News
    at_s: float


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
    """Show an app; view None: it is gone. The same for the two below."""

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
    """The data of one app made something impossible. news: the fault before was another."""

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
    """Stored changes have been shown: users may be answered."""


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
