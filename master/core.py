"""The master's core: a deterministic state machine. See `mezzo.core` for the contract."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Final

from mezzo.core import Instant, Output, TimerFired
from mezzo.handlers import Handlers, on, when
from mezzo.messages.scheduler import (
    Accept,
    AcceptInverseOffers,
    Acknowledge,
    AcknowledgeOperationStatus,
    Decline,
    DeclineInverseOffers,
    Error,
    Kill,
    Message,
    Reconcile,
    ReconcileOperations,
    Request,
    Revive,
    Shutdown,
    Subscribe,
    SubscribedCall,
    Suppress,
    Teardown,
    UpdateFramework,
)

from . import loading, metrics
from .agents import draining, maintenance, pings, registration, registry_gc, unreachable
from .config import MasterConfig
from .effects import CloseStream, MasterEffect, NoteSetAside, ToFramework
from .events import (
    AgentSaid,
    FrameworkSaid,
    LaunchUnsent,
    MasterEvent,
    OperatorAsked,
    OperatorJoined,
    Started,
    StreamClosed,
    WhitelistChanged,
)
from .frameworks import ending, failover, subscribing
from .offers import accepting, declining, inverse_offers, offering
from .operations import pending_operations
from .operators import calls, event_stream
from .roles import quota_recovery
from .state.framework_entry import FrameworkEntry
from .state.master_state import MasterState
from .state.step import Step
from .tasks import executors, killing, reconciliation, status_updates, unheard
from .timers import (
    AdmissionDue,
    AllocationDue,
    CycleDue,
    DeadlinesDue,
    DrainAskDue,
    DrainCheckDue,
    FailoverTimeout,
    HeartbeatDue,
    HistoryDue,
    InverseFilterOver,
    MasterTimer,
    OfferTimeout,
    OperatorHeartbeatDue,
    PingsDue,
    QuotaRecoveryOver,
    RecoveryOver,
    RegistryGcDue,
    RemovalsDue,
    ShutDownsDue,
    ViewsDue,
)


class MasterCore:
    """The leading master. `stored` is all that the store holds; `epoch` the term's number.

    The first event is `Started`. Which frameworks and agents exist is durable; tasks are learnt
    from the agents, which re-register.
    """

    def __init__(
        self,
        config: MasterConfig,
        epoch: int,
        stored: Mapping[str, bytes],
        rng: random.Random,
    ) -> None:
        self.state = MasterState.new(config, epoch, rng)
        loading.load(self.state, stored)

    def step(self, event: MasterEvent, now: Instant) -> Output[MasterEffect]:
        state = self.state
        step = Step(state, now)
        _EVENTS.handle(state, step, event)
        if state.drain_checks:
            draining.check(state, step)
        if state.agents_awaited:
            quota_recovery.agents_came_back(state, step)
        if state.inverse_looks:
            inverse_offers.settle(state, step)
        offering.schedule_cycle(state, step)
        metrics.observe(state, event, step)
        return step


def _started(state: MasterState, step: Step) -> None:
    state.elected_s = step.now.wall_s
    for key, why in state.set_aside.items():
        step.do(NoteSetAside(key, why))
    failover.recover(state, step)
    quota_recovery.recover(state, step)
    maintenance.shut_down(state, step)
    unreachable.recover(state, step)
    step.timer(HeartbeatDue(), state.config.heartbeat_s)
    step.timer(OperatorHeartbeatDue(), state.config.heartbeat_s)


def _stream_closed(state: MasterState, step: Step, event: StreamClosed) -> None:
    event_stream.left(state, step, event.conn)
    framework_id = state.framework_of.pop(event.conn, None)
    if framework_id is not None:
        failover.disconnected(state, step, state.frameworks[framework_id])
    agent_id = state.agent_of.pop(event.conn, None)
    if agent_id is not None:
        registration.disconnected(state, step, state.agents[agent_id])


def _framework_said(state: MasterState, step: Step, event: FrameworkSaid) -> None:
    conn, named_id, call = event.conn, event.framework_id, event.call
    if isinstance(call, Subscribe):
        subscribing.subscribe(state, step, conn, named_id, call)
        if state.machines.planned:
            inverse_offers.framework_came(state, conn)
        return
    framework_id = state.framework_of.get(conn)
    if framework_id is None or (named_id is not None and named_id != framework_id):
        step.do(ToFramework(conn, Error("Framework is not subscribed on this stream")))
        step.do(CloseStream(conn))
        return
    _CALLS.handle(state, step, state.frameworks[framework_id], call)


def _torn_down(state: MasterState, step: Step, framework: FrameworkEntry) -> None:
    ending.complete(state, step, framework, "the framework tore itself down")


def _whitelist_changed(state: MasterState, _step: Step, event: WhitelistChanged) -> None:
    state.allocator.set_whitelist(event.hostnames)


def _timer_fired(state: MasterState, step: Step, event: TimerFired) -> None:
    _TIMERS.handle(state, step, event.key)


_EVENTS: Final = Handlers(
    MasterEvent,
    when(Started, _started),
    on(AgentSaid, registration.said),
    on(FrameworkSaid, _framework_said),
    on(StreamClosed, _stream_closed),
    on(OperatorAsked, calls.asked),
    on(OperatorJoined, event_stream.joined),
    on(LaunchUnsent, unheard.launch_unsent),
    on(WhitelistChanged, _whitelist_changed),
    on(TimerFired, _timer_fired),
)
# Of a framework that is subscribed on its stream.
_CALLS: Final = Handlers(
    SubscribedCall,
    on(Accept, accepting.accept),
    on(Decline, declining.decline),
    on(Acknowledge, status_updates.acknowledge),
    on(Revive, subscribing.revive),
    on(Suppress, subscribing.suppress),
    on(Kill, killing.kill),
    on(Reconcile, reconciliation.reconcile),
    when(Teardown, _torn_down),
    on(Message, executors.tell),
    on(AcknowledgeOperationStatus, pending_operations.acknowledge),
    on(ReconcileOperations, pending_operations.reconcile),
    on(UpdateFramework, subscribing.update),
    on(Request, subscribing.request),
    on(Shutdown, executors.shutdown),
    on(AcceptInverseOffers, inverse_offers.answer),
    on(DeclineInverseOffers, inverse_offers.answer),
)
_TIMERS: Final = Handlers(
    MasterTimer,
    when(ViewsDue, event_stream.publish_views),
    when(AllocationDue, offering.cycle_due),
    when(CycleDue, offering.time_for_a_cycle),
    when(HeartbeatDue, failover.heartbeat),
    when(DeadlinesDue, failover.resume_deadlines),
    when(OperatorHeartbeatDue, event_stream.heartbeat),
    when(HistoryDue, event_stream.close_journal),
    when(QuotaRecoveryOver, quota_recovery.recovery_over),
    when(PingsDue, pings.pings_due),
    when(RemovalsDue, unreachable.remove_due),
    when(RecoveryOver, unreachable.recovery_over),
    when(RegistryGcDue, registry_gc.collect_garbage),
    when(ShutDownsDue, maintenance.shut_down),
    when(DrainCheckDue, draining.check),
    on(OfferTimeout, declining.timed_out),
    on(FailoverTimeout, failover.failover_due),
    on(InverseFilterOver, inverse_offers.filter_over),
    on(AdmissionDue, subscribing.time_to_admit),
    on(DrainAskDue, draining.ask),
)
