"""Framework <-> master: Calls and Events of the Mesos v1 scheduler API.

A stream belongs to one framework, so calls after Subscribe carry no framework id here; the wire
adds and checks it.
"""

from __future__ import annotations

from mezzo.cluster.model import (
    Filters,
    FrameworkInfo,
    InverseOffer,
    KillPolicy,
    MasterInfo,
    Offer,
    OfferConstraints,
    TaskStatus,
)
from mezzo.cluster.operations import Operation, OperationStatus
from mezzo.cluster.resources import Resources
from mezzo.ids import AgentId, ExecutorId, FrameworkId, OfferId, TaskId
from mezzo.record import Record
from mezzo.units import Count, Int32, Seconds

# ---------------------------------------------------------------------------------- calls


class Subscribe(Record):
    """The first call of a stream. `framework_info.id` is unset the first time ever."""

    framework_info: FrameworkInfo
    suppressed_roles: tuple[str, ...] = ()
    offer_constraints: OfferConstraints | None = None


class UpdateFramework(Record):
    """The framework changes in place. All or nothing; user, principal and checkpoint can't."""

    framework_info: FrameworkInfo
    suppressed_roles: tuple[str, ...] = ()
    offer_constraints: OfferConstraints | None = None


class Teardown(Record):
    """Kill all tasks, complete the framework; its id can't be used again."""


class Unreadable(Record):
    """A task or an operation of an ACCEPT that made no sense as it came, and why: it is answered
    alone, by its id if that could be read. `group`: a task of a group, which fails as a whole."""

    why: str
    task_id: TaskId | None = None
    operation_id: str | None = None
    group: bool = False


class Accept(Record):
    """Use offers of one agent and one role; what is left goes back with `filters`."""

    offer_ids: tuple[OfferId, ...]
    operations: tuple[Operation, ...] = ()
    filters: Filters = Filters()
    unreadable: tuple[Unreadable, ...] = ()  # made at the master's door; never sent


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
    """Tell the state of `tasks`; empty: of all tasks that are known and not terminal."""

    tasks: tuple[ReconcileTask, ...] = ()


class ReconcileOperation(Record):
    operation_id: str
    agent_id: AgentId | None = None


class ReconcileOperations(Record):
    """Tell the state of `operations`; empty: of all operations that are known."""

    operations: tuple[ReconcileOperation, ...] = ()


class AcknowledgeOperationStatus(Record):
    agent_id: AgentId
    uuid: bytes  # 16 bytes
    operation_id: str


class AcceptInverseOffers(Record):
    inverse_offer_ids: tuple[OfferId, ...]
    filters: Filters = Filters()


class DeclineInverseOffers(Record):
    inverse_offer_ids: tuple[OfferId, ...]
    filters: Filters = Filters()


class Shutdown(Record):
    """Shut an executor down."""

    executor_id: ExecutorId
    agent_id: AgentId


class DemandRequest(Record):
    """What the framework wants: `count` times `resources`, in `role` (None: in each of its roles).

    Without `count` it is Mesos' hint, which no allocator has ever heeded, and neither does ours.
    """

    resources: Resources = Resources()
    agent_id: AgentId | None = None
    count: Count | None = None  # ours
    role: str | None = None  # ours


class Request(Record):
    """The whole demand, in place of what was declared before. A request with a `count` makes this
    framework one that declares: it is offered where a shape fits, in multiples of it, no more than
    it wants. A later Request with none ends that."""

    requests: tuple[DemandRequest, ...] = ()


class Message(Record):
    """Call: framework to executor. Event: executor to framework. Best effort."""

    agent_id: AgentId
    executor_id: ExecutorId
    data: bytes


# All but SUBSCRIBE: a framework that is subscribed calls.
SubscribedCall = (
    Teardown
    | Accept
    | Decline
    | Revive
    | Suppress
    | Kill
    | Acknowledge
    | Reconcile
    | Message
    | UpdateFramework
    | ReconcileOperations
    | AcknowledgeOperationStatus
    | AcceptInverseOffers
    | DeclineInverseOffers
    | Shutdown
    | Request
)
Call = Subscribe | SubscribedCall

# ---------------------------------------------------------------------------------- events


class Subscribed(Record):
    framework_id: FrameworkId
    heartbeat_interval_seconds: Seconds | None = None
    master_info: MasterInfo | None = None


class Offers(Record):
    offers: tuple[Offer, ...]


class Rescind(Record):
    offer_id: OfferId


class InverseOffers(Record):
    inverse_offers: tuple[InverseOffer, ...]


class RescindInverseOffer(Record):
    inverse_offer_id: OfferId


class Update(Record):
    status: TaskStatus


class UpdateOperationStatus(Record):
    status: OperationStatus


class Failure(Record):
    """Only `agent_id`: the agent is lost. With `executor_id`: that executor ended."""

    agent_id: AgentId | None = None
    executor_id: ExecutorId | None = None
    status: Int32 | None = None  # raw wait status, -1 unknown


class Error(Record):
    """The stream ends after it; the framework should abort."""

    message: str


class Heartbeat(Record):
    pass


class Answered(Record):
    """Ours: what Mesos says by the status of an HTTP response. A call was refused, has changed
    nothing, and the stream goes on; or, without a `refusal`, UPDATE_FRAMEWORK was done."""

    call: str  # its type, as UPDATE_FRAMEWORK
    refusal: str | None = None


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
    | InverseOffers
    | RescindInverseOffer
    | Answered
)
