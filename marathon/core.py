"""Marathon's core: a deterministic state machine. See `mezzo.core` for the contract."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Final

from mezzo.core import Instant, Output, TimerFired
from mezzo.handlers import Handlers, on, when
from mezzo.ids import IdSource
from mezzo.messages import scheduler as m

from . import incoming_updates, overdue_launches, reconciling, subscription, unreachable_instances
from .config import MarathonConfig
from .deployments import balancing, command_rules, deployer
from .effects import Effect, Ready, Registered, Reply
from .events import ApiRequest, Event, HealthResult, LinkDown, LinkUp, MasterEvent, Started
from .health import rules
from .killing import killer
from .news import ExecutorSaid
from .placement import backoff, launcher, reviving
from .state import showing
from .state.marathon_state import MarathonState
from .state.step import Step
from .timers import (
    AskAgainDue,
    BackoffSweepDue,
    ExpungeDue,
    InactiveDue,
    KillRetryDue,
    LaunchDelayOver,
    MarathonTimer,
    MoreKillsDue,
    OverdueCheckDue,
    ReconcileDue,
    ReviveDue,
    ScaleCheckDue,
    TokensRefilled,
)

_OVERDUE_INITIAL_S: Final = 30.0


class MarathonCore:
    """One term of a leading Marathon. `stored`: what the terms before have written.

    The first event is `Started`. A step hands the event to its handler and then lets all rooms
    settle what follows.
    """

    def __init__(
        self,
        config: MarathonConfig,
        stored: Mapping[str, bytes],
        ids: IdSource,
        rng: random.Random,
    ) -> None:
        self.state = MarathonState.new(config, stored, ids, rng)

    def step(self, event: Event, now: Instant) -> Output[Effect]:
        state = self.state
        step = Step(state, now)
        _EVENTS.handle(state, step, event)
        killer.settle(state, step)
        while state.unbalanced:
            balancing.settle(state, step)
            killer.settle(state, step)  # an instance that is given up changes the balance again
        launcher.settle(state, step)
        reviving.settle(state, step)
        showing.show_changes(state, step)
        if isinstance(event, Started):
            step.do(Ready())
        _reply_last(step)
        return step


def _reply_last(step: Step) -> None:
    """A user who asked reads the outcome: pictures are renewed before the answer leaves."""
    replies = [effect for effect in step.effects if isinstance(effect, Reply)]
    if replies:
        step.effects = [e for e in step.effects if not isinstance(e, Reply)] + replies


def _started(state: MarathonState, step: Step) -> None:
    config = state.config
    if state.framework_id is not None:
        step.do(Registered(state.framework_id))
    showing.show_all(state, step)
    deployer.resume(state, step)
    step.timer(ScaleCheckDue(), config.scale_apps_initial_delay_s)
    step.timer(ReconcileDue(), config.reconciliation_initial_delay_s)
    step.timer(ExpungeDue(), config.task_lost_expunge_initial_delay_s)
    step.timer(OverdueCheckDue(), _OVERDUE_INITIAL_S)


def _master_said(state: MarathonState, step: Step, event: MasterEvent) -> None:
    if event.conn != state.conn or event.epoch < state.epoch:
        return  # a stream that is over, or a deposed master
    state.epoch = event.epoch
    _SAID.handle(state, step, event.event)


def _failed(state: MarathonState, step: Step, event: m.Failure) -> None:
    if event.agent_id is not None and event.executor_id is None:
        launcher.agent_lost(state, event.agent_id)
        reconciling.agent_lost(state, step, event.agent_id)


def _executor_said(_state: MarathonState, step: Step, event: m.Message) -> None:
    step.publish(ExecutorSaid(event.agent_id, event.executor_id, event.data))


def _timer_fired(state: MarathonState, step: Step, event: TimerFired) -> None:
    _TIMERS.handle(state, step, event.key)


def _nothing(_state: MarathonState, _step: Step) -> None:
    """No more than what is done at the end of every step."""


_EVENTS: Final = Handlers(
    Event,
    when(Started, _started),
    on(LinkUp, subscription.link_up),
    on(LinkDown, subscription.link_down),
    on(MasterEvent, _master_said),
    on(ApiRequest, command_rules.asked),
    on(HealthResult, rules.probed),
    on(TimerFired, _timer_fired),
)
_SAID: Final = Handlers(
    m.Event,
    on(m.Subscribed, subscription.subscribed),
    on(m.Offers, launcher.offered),
    on(m.Update, incoming_updates.updated),
    on(m.Failure, _failed),
    on(m.Message, _executor_said),
    on(m.Error, subscription.disowned),
    on(m.Answered, subscription.answered),
    when(m.Rescind, _nothing),  # offers are used at once
    when(m.Heartbeat, _nothing),  # the link notices silence
    when(m.UpdateOperationStatus, _nothing),  # no operation has an id
    # Advice only: what has to leave an agent is drained by the master.
    when(m.InverseOffers, _nothing),
    when(m.RescindInverseOffer, _nothing),
)
_TIMERS: Final = Handlers(
    MarathonTimer,
    when(ReconcileDue, reconciling.reconcile_due),
    when(AskAgainDue, reconciling.ask_again),
    when(ScaleCheckDue, balancing.scale_check_due),
    when(ExpungeDue, unreachable_instances.expunge_due),
    on(InactiveDue, unreachable_instances.inactive_due),
    when(OverdueCheckDue, overdue_launches.kill_overdue),
    when(KillRetryDue, killer.retry),
    when(MoreKillsDue, _nothing),
    when(ReviveDue, reviving.revive_due),
    when(TokensRefilled, launcher.tokens_refilled),
    on(LaunchDelayOver, reviving.delay_over),
    when(BackoffSweepDue, backoff.sweep),
)
