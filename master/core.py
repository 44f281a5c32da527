"""The master's core: a deterministic state machine. See `mezzo.core` for the contract."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final

from mezzo.core import Instant, Output, TimerFired
from mezzo.ids import ConnId, FrameworkId
from mezzo.messages.scheduler import (
    Accept,
    AcceptInverseOffers,
    Acknowledge,
    AcknowledgeOperationStatus,
    Call,
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
    Suppress,
    Teardown,
    UpdateFramework,
)

from . import loading, metrics, rescinding
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
from .state.step import TIMER_VIEWS, Step
from .tasks import executors, killing, reconciliation, status_updates, unheard


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
        step = Step(self.state, now)
        self._handle(event, step)
        if self.state.drain_checks:
            draining.check(self.state, step)
        if self.state.agents_awaited:
            quota_recovery.agents_came_back(self.state, step)
        if self.state.inverse_looks:
            inverse_offers.settle(self.state, step)
        offering.schedule_cycle(self.state, step)
        metrics.observe(self.state, event, step)
        return step

    def _handle(self, event: MasterEvent, step: Step) -> None:
        state = self.state
        match event:
            case TimerFired(key=key):
                self._timer(key, step)
            case AgentSaid(conn=conn, message=message):
                registration.said(state, step, conn, message)
            case FrameworkSaid(conn=conn, framework_id=framework_id, call=call):
                self._framework_said(step, conn, framework_id, call)
            case StreamClosed(conn=conn):
                self._closed(step, conn)
            case OperatorAsked(request=request, call=operator_call):
                calls.asked(state, step, request, operator_call)
            case OperatorJoined(conn=conn, resume=resume):
                event_stream.joined(state, step, conn, resume)
            case LaunchUnsent(conn=conn, message=launch, why=why):
                unheard.launch_unsent(state, step, conn, launch, why)
            case WhitelistChanged(hostnames=hostnames):
                state.allocator.set_whitelist(hostnames)
            case Started():
                self._started(step)

    def _started(self, step: Step) -> None:
        state = self.state
        state.elected_s = step.now.wall_s
        for key, why in state.set_aside.items():
            step.do(NoteSetAside(key, why))
        failover.recover(state, step)
        quota_recovery.recover(state, step)
        maintenance.shut_down(state, step)
        unreachable.recover(state, step)
        step.timer(failover.TIMER_HEARTBEAT, state.config.heartbeat_s)
        step.timer(event_stream.TIMER_OPERATOR_HEARTBEAT, state.config.heartbeat_s)

    def _timer(self, key: Hashable, step: Step) -> None:
        state = self.state
        if isinstance(key, tuple):
            name, subject = key
            _KEYED_TIMERS[name](state, step, subject)
            return
        _TIMERS[key](state, step)

    def _closed(self, step: Step, conn: ConnId) -> None:
        state = self.state
        event_stream.left(state, step, conn)
        framework_id = state.framework_of.pop(conn, None)
        if framework_id is not None:
            failover.disconnected(state, step, state.frameworks[framework_id])
        agent_id = state.agent_of.pop(conn, None)
        if agent_id is not None:
            registration.disconnected(state, step, state.agents[agent_id])

    def _framework_said(
        self, step: Step, conn: ConnId, named_id: FrameworkId | None, call: Call
    ) -> None:
        state = self.state
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
        self._call(step, state.frameworks[framework_id], call)

    def _call(self, step: Step, framework: FrameworkEntry, call: Call) -> None:
        state = self.state
        match call:
            case Accept():
                accepting.accept(state, step, framework, call)
            case Decline():
                declining.decline(state, step, framework, call)
            case Acknowledge():
                status_updates.acknowledge(state, step, framework, call)
            case Revive(roles=roles):
                subscribing.revive(state, step, framework, roles)
            case Suppress(roles=roles):
                subscribing.suppress(state, step, framework, roles)
            case Kill():
                killing.kill(state, step, framework, call)
            case Reconcile():
                reconciliation.reconcile(state, step, framework, call)
            case Teardown():
                ending.complete(state, step, framework, "the framework tore itself down")
            case Message():
                executors.tell(state, step, framework, call)
            case AcknowledgeOperationStatus():
                pending_operations.acknowledge(state, step, framework, call)
            case ReconcileOperations():
                pending_operations.reconcile(state, step, framework, call)
            case UpdateFramework():
                subscribing.update(state, step, framework, call)
            case Request():
                subscribing.request(state, step, framework, call)
            case Shutdown():
                executors.shutdown(state, step, framework, call)
            case AcceptInverseOffers() | DeclineInverseOffers():
                inverse_offers.answer(state, step, framework, call)
            case Subscribe():
                raise AssertionError("handled before")


# What a timer does when it is due: plain ones, and those that are set per agent, offer, framework.
_TIMERS: Final[Mapping[Hashable, Callable[[MasterState, Step], None]]] = {
    TIMER_VIEWS: event_stream.publish_views,
    offering.TIMER_ALLOCATE: offering.cycle_due,
    offering.TIMER_CYCLE: offering.time_for_a_cycle,
    failover.TIMER_HEARTBEAT: failover.heartbeat,
    failover.TIMER_RESUME: failover.resume_deadlines,
    event_stream.TIMER_OPERATOR_HEARTBEAT: event_stream.heartbeat,
    event_stream.TIMER_JOURNAL: event_stream.close_journal,
    quota_recovery.TIMER_QUOTA_RECOVERY: quota_recovery.recovery_over,
    pings.TIMER_PINGS: pings.pings_due,
    unreachable.TIMER_REMOVALS: unreachable.remove_due,
    unreachable.TIMER_RECOVERY: unreachable.recovery_over,
    registry_gc.TIMER_GC: registry_gc.collect_garbage,
    maintenance.TIMER_DOWN: maintenance.shut_down,
    draining.TIMER_CHECK: draining.check,
}
_KEYED_TIMERS: Final[Mapping[str, Callable[[MasterState, Step, Any], None]]] = {
    rescinding.TIMER_OFFER: declining.timed_out,
    ending.TIMER_FAILOVER: failover.failover_due,
    inverse_offers.TIMER_INVERSE_OFFER: inverse_offers.filter_over,
    ending.TIMER_ADMIT: subscribing.time_to_admit,
    draining.TIMER_ASK: draining.ask,
}
