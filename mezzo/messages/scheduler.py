"""Framework <-> master: Calls and Events of the Mesos v1 scheduler API.

A stream belongs to one framework, so calls after Subscribe carry no framework id here; the wire
adds and checks it.
"""

from __future__ import annotations

from mezzo.ids import AgentId, ExecutorId, FrameworkId, OfferId, TaskId
from mezzo.model import (
    Filters,
    FrameworkInfo,
    KillPolicy,
    MasterInfo,
    Offer,
    Operation,
    OperationStatus,
    TaskStatus,
)
from mezzo.record import Record

# ---------------------------------------------------------------------------------- calls


class Subscribe(Record):
    """The first call of a stream. `framework_info.id` is unset the first time ever."""

    framework_info: FrameworkInfo
    suppressed_roles: tuple[str, ...] = ()


class Teardown(Record):
    """Kill all tasks, complete the framework; its id can't be used again."""


class Accept(Record):
    """Use offers of one agent and one role; what is left goes back with `filters`."""

    offer_ids: tuple[OfferId, ...]
    operations: tuple[Operation, ...] = ()
    filters: Filters = Filters()


class Decline(Record):
    offer_ids: tuple[OfferId, ...]
    filters: Filters = Filters()


class Revive(Record):
    """Clear filters and suppression of `roles` (empty: all)."""

    roles: tuple[str, ...] = ()


class Suppress(Record):
    """No more offers for `roles` (empty: all) until Revive."""

    roles: tuple[str, ...] = ()


class Kill(Record):
    task_id: TaskId
    agent_id: AgentId | None = None
    kill_policy: KillPolicy | None = None


class Acknowledge(Record):
    agent_id: AgentId
    task_id: TaskId
    uuid: bytes  # 16 bytes


class ReconcileTask(Record):
    task_id: TaskId
    agent_id: AgentId | None = None


class Reconcile(Record):
    """Tell the state of `tasks`; empty: of all that are known and not terminal."""

    tasks: tuple[ReconcileTask, ...] = ()


class Message(Record):
    """Call: framework to executor. Event: executor to framework. Best effort."""

    agent_id: AgentId
    executor_id: ExecutorId
    data: bytes


Call = (
    Subscribe
    | Teardown
    | Accept
    | Decline
    | Revive
    | Suppress
    | Kill
    | Acknowledge
    | Reconcile
    | Message
)

# ---------------------------------------------------------------------------------- events


class Subscribed(Record):
    framework_id: FrameworkId
    heartbeat_interval_seconds: float | None = None
    master_info: MasterInfo | None = None


class Offers(Record):
    offers: tuple[Offer, ...]


class Rescind(Record):
    offer_id: OfferId


class Update(Record):
    status: TaskStatus


class UpdateOperationStatus(Record):
    status: OperationStatus


class Failure(Record):
    """Only `agent_id`: the agent is lost. With `executor_id`: that executor ended."""

    agent_id: AgentId | None = None
    executor_id: ExecutorId | None = None
    status: int | None = None  # raw wait status, -1 unknown


class Error(Record):
    """The stream ends after it; the framework should abort."""

    message: str


class Heartbeat(Record):
    pass


Event = (
    Subscribed
    | Offers
    | Rescind
    | Update
    | UpdateOperationStatus
    | Message
    | Failure
    | Error
    | Heartbeat
)
