"""The timers of the master's core: what comes back as `TimerFired(key)`."""

from __future__ import annotations

from mezzo.ids import AgentId, FrameworkId, OfferId
from mezzo.record import Record


class AllocationDue(Record):
    """Somebody may be offered something: see offers/offering.py."""


class CycleDue(Record):
    """A refusal runs out, or the allocator's patience."""


class OfferTimeout(Record):
    offer_id: OfferId


class InverseFilterOver(Record):
    """The framework may be asked again to leave the agent."""

    agent_id: AgentId
    framework_id: FrameworkId


class HeartbeatDue(Record):
    """Frameworks get heartbeats."""


class OperatorHeartbeatDue(Record):
    pass


class ViewsDue(Record):
    """Operators are shown what has changed."""


class HistoryDue(Record):
    """Nobody has listened for long: events are not kept any more."""


class AdmissionDue(Record):
    """The framework's turn to be in the allocator: see frameworks/subscribing.py."""

    framework_id: FrameworkId


class FailoverTimeout(Record):
    framework_id: FrameworkId


class DeadlinesDue(Record):
    """More deadlines of frameworks than a step can store are to be set."""


class QuotaRecoveryOver(Record):
    """Allocation waits for agents no longer."""


class PingsDue(Record):
    pass


class RemovalsDue(Record):
    """The next of the agents that are to be called unreachable."""


class RecoveryOver(Record):
    """The recovered agents have had their time."""


class RegistryGcDue(Record):
    pass


class ShutDownsDue(Record):
    """Agents of machines that are down are left to be shut down."""


class DrainCheckDue(Record):
    """More agents may be drained than a step can store."""


class DrainAskDue(Record):
    """The agent has not said yet that it has heard of its drain."""

    agent_id: AgentId


MasterTimer = (
    AllocationDue
    | CycleDue
    | OfferTimeout
    | InverseFilterOver
    | HeartbeatDue
    | OperatorHeartbeatDue
    | ViewsDue
    | HistoryDue
    | AdmissionDue
    | FailoverTimeout
    | DeadlinesDue
    | QuotaRecoveryOver
    | PingsDue
    | RemovalsDue
    | RecoveryOver
    | RegistryGcDue
    | ShutDownsDue
    | DrainCheckDue
    | DrainAskDue
)
