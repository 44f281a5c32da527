"""The apps to be launched, and when the master is asked for offers for them, or for none."""

from __future__ import annotations

from typing import Final

from mezzo.messages.scheduler import Revive, Suppress

from ..model.app import App
from ..state.launch_queue import Demand
from ..state.marathon_state import MarathonState
from ..state.step import Step
from ..timers import LaunchDelayOver, ReviveDue
from . import backoff

# New demand has its revive at once, unless the last one is still without an answer: then it waits
# so long. The long gap (`min_revive_offers_s`) is for demand that had its revive: a user who posts
# a second app must not wait for it.
FRESH_REVIVE_GAP_S: Final = 0.1

# ---- what is wanted


def want(state: MarathonState, step: Step, app: App, count: int) -> None:
    """From now on `app` waits for `count` instances; 0: for none."""
    demands = state.queue.demands
    demand = demands.get(app.id)
    if count <= 0:
        demands.pop(app.id, None)
        return
    grown = demand is None or count > demand.count
    if demand is None:
        demands[app.id] = Demand(app, count, step.now.wall_s)
    else:
        grown = grown or demand.app.last_config_change_ms != app.last_config_change_ms
        demand.app, demand.count = app, count
    _set_delay_timer(state, step, app)
    if grown and backoff.until_s(state, step, app) is None:  # else the delay's timer asks
        _ask_for_offers(state, step, FRESH_REVIVE_GAP_S)


def want_none(state: MarathonState, app_id: str) -> None:
    state.queue.demands.pop(app_id, None)


def delay_reset(state: MarathonState, step: Step, app_id: str) -> bool:
    """Launch without waiting. False if the app does not wait for offers."""
    if app_id not in state.queue.demands:
        return False
    backoff.reset(state, app_id)
    _ask_for_offers(state, step, FRESH_REVIVE_GAP_S)
    return True


def delay_over(state: MarathonState, step: Step, due: LaunchDelayOver) -> None:
    queue = state.queue
    queue.delay_timers_s.pop(due.app_id, None)
    if (demand := queue.demands.get(due.app_id)) is None:
        return
    _set_delay_timer(state, step, demand.app)  # it may have grown meanwhile
    if due.app_id not in queue.delay_timers_s:
        _ask_for_offers(state, step, state.config.min_revive_offers_s)


def _set_delay_timer(state: MarathonState, step: Step, app: App) -> None:
    until_s = backoff.until_s(state, step, app)
    if until_s is not None and state.queue.delay_timers_s.get(app.id) != until_s:
        state.queue.delay_timers_s[app.id] = until_s
        step.timer_at(LaunchDelayOver(app.id), until_s)


# ---- asking for offers, and for none


def suppress(state: MarathonState) -> bool:
    """A new subscription begins: is it to be one without offers?"""
    queue = state.queue
    queue.suppressed = not queue.demands
    queue.revive_wanted_s = None
    return queue.suppressed


def subscribed(state: MarathonState, step: Step) -> None:
    """The subscription stands, without filters: offers come by themselves, if there was need."""
    if state.queue.suppressed and state.queue.demands:
        _ask_for_offers(state, step, 0.0)


def _ask_for_offers(state: MarathonState, step: Step, gap_s: float) -> None:
    queue = state.queue
    if queue.answered and gap_s <= FRESH_REVIVE_GAP_S:
        gap_s = 0.0  # the master keeps up
    at_s = max(step.now.mono_s, queue.revived_s + gap_s)
    if queue.revive_wanted_s is None or at_s < queue.revive_wanted_s:
        queue.revive_wanted_s = at_s


def revive_due(state: MarathonState, _step: Step) -> None:
    """The timer fired: the end of the step looks whether to revive."""
    state.queue.revive_due_s = None


def settle(state: MarathonState, step: Step) -> None:
    """At the end of a step: suppress, revive, or set the timer for it."""
    queue = state.queue
    if not state.subscribed:
        return
    if not queue.demands:
        queue.revive_wanted_s = None
        if not queue.suppressed:
            queue.suppressed = True
            step.call(Suppress())
    elif queue.revive_wanted_s is not None:
        _revive(state, step, queue.revive_wanted_s)


def _revive(state: MarathonState, step: Step, at_s: float) -> None:
    queue, now_s = state.queue, step.now.mono_s
    if at_s > now_s:
        if queue.revive_due_s != at_s:
            queue.revive_due_s = at_s
            step.timer_at(ReviveDue(), at_s)
        return
    queue.revive_wanted_s = None
    if all(backoff.until_s(state, step, demand.app) for demand in queue.demands.values()):
        return  # the delay's timer asks again
    queue.revived_s = now_s
    queue.answered = False
    queue.suppressed = False
    step.call(Revive())
