"""The commands of users to the Marathon core, and their results."""

from __future__ import annotations

from mezzo.ids import TaskId
from mezzo.record import Record

from .model.app import App
from .views import QueueItem


class Origin(Record):
    """The client that asked, for the event that tells it."""

    client_ip: str
    uri: str


class Target(Record):
    """An app as it should be; its versions are the core's to fill.

    based_on: the version that it was made from, None to create it. If that has changed meanwhile,
    the answer is `Stale` or `AlreadyExists`, and nothing happens.
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
    """Delete a record that was set aside. Instances that run for its sake may be ended then."""

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
    """Running deployments hold apps that this command would change."""

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
