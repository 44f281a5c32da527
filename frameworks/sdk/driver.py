"""The calls of a scheduler to the cluster, whatever carries them there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import TypeVar

from mezzo.cluster.model import Filters, FrameworkInfo, KillPolicy, TaskInfo, TaskStatus
from mezzo.cluster.operations import Launch, Operation, OperationStatus
from mezzo.ids import AgentId, FrameworkId, OfferId, TaskId
from mezzo.messages import scheduler as m
from mezzo.record import Record, replace
from mezzo.units import shown

T = TypeVar("T")


class Driver(ABC):
    """Callbacks of a `Scheduler` get one: each method may be called from any thread.

    One thing where a call wants a list is a TypeError; other calls that can't be sent are told by
    `call_refused`, or by an update of the task. Calls while disconnected are dropped, as by Mesos'
    drivers: offers are void by then, and reconciliation repeats the rest.
    """

    @property
    @abstractmethod
    def framework_info(self) -> FrameworkInfo:
        """The framework as the master knows it, or as it will be asked to."""

    @property
    def framework_id(self) -> FrameworkId | None:
        """The framework's id; None until it is registered for the first time."""
        return self.framework_info.id

    @abstractmethod
    def stop(self, *, failover: bool = False) -> None:
        """End. Without `failover` the framework is torn down and its tasks are killed; with it they
        run on until the framework's failover timeout, waiting for a driver with the same id.

        No callback begins after it. Without a connection to the master there is no tearing down.
        """

    @abstractmethod
    def _call(self, call: m.Call) -> None: ...

    def launch_tasks(
        self,
        offer_ids: Sequence[OfferId],
        tasks: Iterable[TaskInfo],
        filters: Filters | None = None,
    ) -> None:
        """Launch on offers of one agent; what is left goes back, hidden for `refuse_seconds`."""
        call = "launch_tasks"
        launch = Launch(_many(call, "tasks", tasks))
        self._accept(_many(call, "offer_ids", offer_ids), (launch,), filters)

    def accept_offers(
        self,
        offer_ids: Sequence[OfferId],
        operations: Iterable[Operation],
        filters: Filters | None = None,
    ) -> None:
        """Reserve, create volumes, launch, ... in this order. `operation_update` tells how an
        operation with an id went."""
        call = "accept_offers"
        operations = _many(call, "operations", operations)
        self._accept(_many(call, "offer_ids", offer_ids), operations, filters)

    def _accept(
        self,
        offer_ids: tuple[OfferId, ...],
        operations: tuple[Operation, ...],
        filters: Filters | None,
    ) -> None:
        self._call(m.Accept(offer_ids, operations, filters or Filters()))

    def request_resources(self, requests: Iterable[m.DemandRequest]) -> None:
        """Declare the whole demand, each with a `count`: offers are made where it fits, and no
        larger than it. Declare it again when it changes, and after each (re)registration."""
        self._call(m.Request(_many("request_resources", "requests", requests)))

    def update_framework(self, framework: FrameworkInfo) -> None:
        """Change the framework: roles, capabilities, name. `call_refused` tells if it can't be."""
        self._call(m.UpdateFramework(replace(framework, id=self.framework_id)))

    def decline_offer(self, offer_id: OfferId, filters: Filters | None = None) -> None:
        self._call(m.Decline((offer_id,), filters or Filters()))

    def kill_task(
        self,
        task_id: TaskId,
        agent_id: AgentId | None = None,
        *,
        grace_s: float | None = None,
    ) -> None:
        """`grace_s`: from SIGTERM to SIGKILL; None: as the task says."""
        policy = None if grace_s is None else KillPolicy(grace_s)
        self._call(m.Kill(task_id, agent_id, policy))

    def revive_offers(self, *roles: str) -> None:
        self._call(m.Revive(_texts("revive_offers", roles)))

    def suppress_offers(self, *roles: str) -> None:
        self._call(m.Suppress(_texts("suppress_offers", roles)))

    def reconcile_tasks(self, tasks: Iterable[m.ReconcileTask] = ()) -> None:
        """Ask for the states of these tasks; of all that are known when none is named."""
        self._call(m.Reconcile(_many("reconcile_tasks", "tasks", tasks)))

    def reconcile_operations(self, operations: Iterable[m.ReconcileOperation] = ()) -> None:
        """As `reconcile_tasks`, of operations with an id."""
        operations = _many("reconcile_operations", "operations", operations)
        self._call(m.ReconcileOperations(operations))

    def accept_inverse_offers(
        self, offer_ids: Sequence[OfferId], filters: Filters | None = None
    ) -> None:
        """Promise that what the machine's maintenance asks back will have gone by then."""
        ids = _many("accept_inverse_offers", "offer_ids", offer_ids)
        self._call(m.AcceptInverseOffers(ids, filters or Filters()))

    def decline_inverse_offers(
        self, offer_ids: Sequence[OfferId], filters: Filters | None = None
    ) -> None:
        ids = _many("decline_inverse_offers", "offer_ids", offer_ids)
        self._call(m.DeclineInverseOffers(ids, filters or Filters()))

    def acknowledge_operation_update(self, status: OperationStatus) -> None:
        """For drivers without implicit acknowledgements. Updates without uuid need none."""
        if status.uuid is not None and status.agent_id is not None and status.operation_id:
            self._call(
                m.AcknowledgeOperationStatus(status.agent_id, status.uuid, status.operation_id)
            )

    def acknowledge_status_update(self, status: TaskStatus) -> None:
        """For drivers without implicit acknowledgements. Updates without uuid need none."""
        if status.uuid is not None and status.agent_id is not None:
            self._call(m.Acknowledge(status.agent_id, status.task_id, status.uuid))


def _many(call: str, name: str, given: Iterable[T]) -> tuple[T, ...]:
    """Raises TypeError for one alone; a text would count as a list of its letters."""
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        what = f"a {type(given).__name__}" if isinstance(given, Record) else shown(given)
        raise TypeError(f"{call}: {name} is {what}, which is no list: give one, if only of one")
    return tuple(given)


def _texts(call: str, roles: tuple[str, ...]) -> tuple[str, ...]:
    for role in roles:
        if not isinstance(role, str):
            raise TypeError(
                f"{call}: a role is {shown(role)}, which is no text: give each as an argument"
            )
    return roles
