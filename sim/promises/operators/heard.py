"""The words that a leader has heard and said since it leads, as far as its reads tell of them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from typing import Any, Final

from mezzo.core import TimerFired
from mezzo.gateway.replica.cluster_replica import Replica
from mezzo.ids import AgentId, ConnId, FrameworkId
from mezzo.master.core import MasterCore
from mezzo.master.effects import Publish, ToAgent, ToFramework, ToOperator
from mezzo.master.events import AgentSaid, FrameworkSaid
from mezzo.master.timers import AllocationDue, CycleDue, HistoryDue
from mezzo.messages import agent as am
from mezzo.messages import scheduler as sm
from mezzo.record import Record

from ...daemons.masters import VirtualMaster
from . import tally

_KEPT: Final = 40  # events
_RETURNS_AFTER: Final = 30  # steps
GATEWAY: Final = ConnId(1_000_000_001)  # no stream of the network has such a number
_RUNS: Final = (AllocationDue, CycleDue)
# Mesos' names of what it counts.
CAME: Final[Mapping[type[Record], str]] = {
    am.RegisterAgent: "messages_register_slave",
    am.ReregisterAgent: "messages_reregister_slave",
    am.UnregisterAgent: "messages_unregister_slave",
    am.StatusUpdate: "messages_status_update",
    am.OperationUpdate: "messages_operation_status_update",
    am.ExecutorMessage: "messages_executor_to_framework",
    am.ExecutorExited: "messages_exited_executor",
}
CALLED: Final[Mapping[type[Record], str]] = {
    sm.Subscribe: "messages_register_framework",
    sm.UpdateFramework: "messages_update_framework",
    sm.Accept: "messages_launch_tasks",
    sm.Decline: "messages_decline_offers",
    sm.AcceptInverseOffers: "messages_accept_inverse_offers",
    sm.DeclineInverseOffers: "messages_decline_inverse_offers",
    sm.Revive: "messages_revive_offers",
    sm.Suppress: "messages_suppress_offers",
    sm.Kill: "messages_kill_task",
    sm.Shutdown: "messages_shutdown_executor",
    sm.Acknowledge: "messages_status_update_acknowledgement",
    sm.AcknowledgeOperationStatus: "messages_operation_status_update_acknowledgement",
    sm.Reconcile: "messages_reconcile_tasks",
    sm.ReconcileOperations: "messages_reconcile_operations",
    sm.Message: "messages_framework_to_executor",
    sm.Request: "messages_resource_request",
}
SENT: Final[Mapping[type[Record], str]] = {
    am.AgentRegistered: "slave_registrations",
    am.AgentReregistered: "slave_reregistrations",
}


class Heard:
    """What one leader has heard and said so far, as far as its reads tell of it.

    came, back: when agents were welcomed, wall. said, heard: of frameworks, events to them that
    were counted, and their calls.
    """

    def __init__(self, core: MasterCore) -> None:
        self.core = core
        self.steps = 0
        self.counters: Counter[str] = Counter()
        self.tally: tally.Tally | None = None  # since it publishes
        self.said: dict[FrameworkId, Counter[str]] = {}
        self.came: dict[AgentId, float] = {}
        self.back: dict[AgentId, float] = {}
        self.replica: Replica | None = None
        self.away = False  # the gateway has left, at the event of that number
        self.left_at = 0
        self.returns_at = 0  # step
        self.published: deque[tuple[int, Any]] = deque(maxlen=_KEPT)  # since then

    def leave(self) -> None:
        """The gateway leaves; it comes back when nobody remembers what happened meanwhile."""
        self.away, self.left_at = True, self.core.state.sequence
        self.replica = self.tally = None
        self.published.clear()

    def of(self, framework_id: FrameworkId) -> Counter[str]:
        counters = self.said.get(framework_id)
        if counters is None:
            counters = self.said[framework_id] = Counter()
        return counters

    def note_event(self, event: Any) -> None:
        kind = type(event)
        state = self.core.state
        if kind is AgentSaid:
            self.counters[CAME.get(type(event.message), "")] += 1
        elif kind is FrameworkSaid:
            framework_id = state.framework_of.get(event.conn)
            if framework_id is None:
                return  # its stream is over by now
            self.counters[CALLED.get(type(event.call), "")] += 1
            self.of(framework_id)["calls"] += 1
        elif kind is TimerFired and type(event.key) in _RUNS:
            self.counters["allocation_runs"] += 1
        elif kind is TimerFired and event.key == HistoryDue() and self.away:
            self.returns_at = self.steps + _RETURNS_AFTER

    def note_effect(self, master: VirtualMaster, effect: Any) -> None:
        kind, state = type(effect), self.core.state
        if kind is ToFramework:
            framework_id = state.framework_of.get(effect.conn)
            if framework_id is None:
                return
            said, told = self.of(framework_id), type(effect.event)
            said["events"] += 1
            if told is sm.Offers:
                said["offers/sent"] += len(effect.event.offers)
            elif told is sm.Rescind:
                said["offers/rescinded"] += 1
        elif kind is ToAgent:
            name = SENT.get(type(effect.message))
            if name is not None:
                self.counters[name] += 1
                welcomed = self.came if name == "slave_registrations" else self.back
                wall_s = master.process.now().wall_s
                if welcomed is self.back or effect.message.agent_id not in welcomed:
                    welcomed[effect.message.agent_id] = wall_s
        elif kind is Publish and self.replica is not None:
            self.replica.apply(effect.sequence, master.process.epoch, effect.event)
            self.published.append((effect.sequence, effect.event))
        elif kind is ToOperator and effect.conn == GATEWAY and not (self.replica or self.away):
            self.replica = Replica()
            self.tally = tally.Tally(state)
            self.replica.apply(effect.sequence, master.process.epoch, effect.event)
