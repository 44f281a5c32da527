"""The class that a framework's author subclasses: `Scheduler`."""

from __future__ import annotations

from typing import Final

from mezzo.cluster.model import (
    Capability,
    FrameworkInfo,
    InverseOffer,
    MasterInfo,
    Offer,
    TaskStatus,
)
from mezzo.cluster.operations import OperationStatus
from mezzo.ids import AgentId, ExecutorId, FrameworkId, OfferId
from mezzo.process.users import current_user

from .driver import Driver

# After that time away the master ends the framework's tasks. Mesos' own default, 0, has surprised
# everybody whose scheduler crashed once.
FAILOVER_TIMEOUT_S: Final = 7 * 86400.0


def framework_info(
    name: str, *, user: str | None = None, roles: tuple[str, ...] = ("*",)
) -> FrameworkInfo:
    """A FrameworkInfo with the defaults that a new framework wants: a week to come back, tasks that
    survive their agent's restart, and the modern task states."""
    return FrameworkInfo(
        user=user or current_user(),
        name=name,
        failover_timeout=FAILOVER_TIMEOUT_S,
        checkpoint=True,
        roles=roles,
        capabilities=(Capability.PARTITION_AWARE, Capability.MULTI_ROLE),
    )


class Scheduler:
    """Callbacks, all on one thread, one at a time, in the order of the events.

    Override what you need: each does nothing by default, but `resource_offers`, which declines.
    """

    def registered(
        self, driver: Driver, framework_id: FrameworkId, master: MasterInfo | None
    ) -> None:
        """Subscribed for the first time. Store the id to fail over with it later."""

    def reregistered(self, driver: Driver, master: MasterInfo | None) -> None:
        """Subscribed again: the stream broke, or a new master leads. Offers of before are void."""

    def disconnected(self, driver: Driver) -> None:
        """The stream is down; the driver is looking for the leader."""

    def resource_offers(self, driver: Driver, offers: list[Offer]) -> None:
        """Use each offer with `launch_tasks`, or give it back with `decline_offer`."""
        for offer in offers:
            driver.decline_offer(offer.id)

    def offer_rescinded(self, driver: Driver, offer_id: OfferId) -> None:
        """The offer can't be used any more."""

    def status_update(self, driver: Driver, status: TaskStatus) -> None:
        """A task changed. Acknowledged after this returns, unless the driver is told not to."""

    def operation_update(self, driver: Driver, status: OperationStatus) -> None:
        """How an operation with an id went. Acknowledged as a `status_update` is."""

    def inverse_offers(self, driver: Driver, offers: list[InverseOffer]) -> None:
        """A machine will go into maintenance. Accept what you will have moved by then."""

    def inverse_offer_rescinded(self, driver: Driver, offer_id: OfferId) -> None:
        """The maintenance was called off, or nothing of yours is there any more."""

    def call_refused(self, driver: Driver, call: str, reason: str) -> None:
        """A call (REQUEST, ...) made no sense, and changed nothing. It is logged, too."""

    def framework_message(
        self, driver: Driver, agent_id: AgentId, executor_id: ExecutorId, data: bytes
    ) -> None:
        """An executor sent something."""

    def agent_lost(self, driver: Driver, agent_id: AgentId) -> None:
        """The agent is unreachable; its tasks get updates of their own."""

    def executor_lost(
        self, driver: Driver, agent_id: AgentId, executor_id: ExecutorId, status: int
    ) -> None:
        """An executor ended."""

    def error(self, driver: Driver, message: str) -> None:
        """The master refused the framework; the driver has stopped. It is logged, too."""
