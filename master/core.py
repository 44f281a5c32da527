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

from . import (
    accepting,
    agents,
    draining,
    executors,
    frameworks,
    inverse_offers,
    loading,
    maintenance,
    metrics,
    offers,
    operations,
    operators,
    removal,
    roles,
    subscribing,
    tasks,
)
from .events import (
    AgentSaid,
    CloseStream,
    FrameworkSaid,
    LaunchUnsent,
    MasterEffect,
    MasterEvent,
    NoteSetAside,
    OperatorAsked,
    OperatorJoined,
    Started,
    StreamClosed,
    ToFramework,
    WhitelistChanged,
)
from .state import TIMER_VIEWS, FrameworkEntry, MasterConfig, MasterState, Step


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
            roles.agents_came_back(self.state, step)
        if self.state.inverse_looks:
            inverse_offers.settle(self.state, step)
        offers.schedule_cycle(self.state, step)
        metrics.observe(self.state, event, step)
        return step

    def _handle(self, event: MasterEvent, step: Step) -> None:
        state = self.state
        match event:
            case TimerFired(key=key):
                self._timer(key, step)
            case AgentSaid(conn=conn, message=message):
                agents.said(state, step, conn, message)
            case FrameworkSaid(conn=conn, framework_id=framework_id, call=call):
                self._framework_said(step, conn, framework_id, call)
            case StreamClosed(conn=conn):
                self._closed(step, conn)
            case OperatorAsked(request=request, call=operator_call):
                operators.asked(state, step, request, operator_call)
            case OperatorJoined(conn=conn, resume=resume):
                operators.joined(state, step, conn, resume)
            case LaunchUnsent(conn=conn, message=launch, why=why):
                tasks.launch_unsent(state, step, conn, launch, why)
            case WhitelistChanged(hostnames=hostnames):
                state.allocator.set_whitelist(hostnames)
            case Started():
                self._started(step)

    def _started(self, step: Step) -> None:
        state = self.state
        state.elected_s = step.now.wall_s
        for key, why in state.set_aside.items():
            step.do(NoteSetAside(key, why))
        frameworks.recover(state, step)
        roles.recover(state, step)
        maintenance.shut_down(state, step)
        removal.recover(state, step)
        step.timer(frameworks.TIMER_HEARTBEAT, state.config.heartbeat_s)
        step.timer(operators.TIMER_OPERATOR_HEARTBEAT, state.config.heartbeat_s)

    def _timer(self, key: Hashable, step: Step) -> None:
        state = self.state
        if isinstance(key, tuple):
            name, subject = key
            _KEYED_TIMERS[name](state, step, subject)
            return
        _TIMERS[key](state, step)

    def _closed(self, step: Step, conn: ConnId) -> None:
        state = self.state
        operators.left(state, step, conn)
        framework_id = state.framework_of.pop(conn, None)
        if framework_id is not None:
            frameworks.disconnected(state, step, state.frameworks[framework_id])
        agent_id = state.agent_of.pop(conn, None)
        if agent_id is not None:
            agents.disconnected(state, step, state.agents[agent_id])

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
                offers.decline(state, step, framework, call)
            case Acknowledge():
                tasks.acknowledge(state, step, framework, call)
            case Revive(roles=roles):
                subscribing.revive(state, step, framework, roles)
            case Suppress(roles=roles):
                subscribing.suppress(state, step, framework, roles)
            case Kill():
                tasks.kill(state, step, framework, call)
            case Reconcile():
                tasks.reconcile(state, step, framework, call)
            case Teardown():
                frameworks.complete(state, step, framework, "the framework tore itself down")
            case Message():
                executors.tell(state, step, framework, call)
            case AcknowledgeOperationStatus():
                operations.acknowledge(state, step, framework, call)
            case ReconcileOperations():
                operations.reconcile(state, step, framework, call)
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
    TIMER_VIEWS: operators.publish_views,
    offers.TIMER_ALLOCATE: offers.cycle_due,
    offers.TIMER_CYCLE: offers.time_for_a_cycle,
    frameworks.TIMER_HEARTBEAT: frameworks.heartbeat,
    frameworks.TIMER_RESUME: frameworks.resume_deadlines,
    operators.TIMER_OPERATOR_HEARTBEAT: operators.heartbeat,
    operators.TIMER_JOURNAL: operators.close_journal,
    roles.TIMER_QUOTA_RECOVERY: roles.recovery_over,
    removal.TIMER_PINGS: removal.pings_due,
    removal.TIMER_REMOVALS: removal.remove_due,
    removal.TIMER_RECOVERY: removal.recovery_over,
    removal.TIMER_GC: removal.collect_garbage,
    maintenance.TIMER_DOWN: maintenance.shut_down,
    draining.TIMER_CHECK: draining.check,
}
_KEYED_TIMERS: Final[Mapping[str, Callable[[MasterState, Step, Any], None]]] = {
    offers.TIMER_OFFER: offers.timed_out,
    frameworks.TIMER_FAILOVER: frameworks.failover_due,
    inverse_offers.TIMER_INVERSE_OFFER: inverse_offers.filter_over,
    frameworks.TIMER_ADMIT: subscribing.time_to_admit,
    draining.TIMER_ASK: draining.ask,
}
