"""Killing: a bounded number in flight, each repeated until the end is reported (8.2).

A doomed instance never counts towards a target again.
"""

from __future__ import annotations

from mezzo.messages.scheduler import Kill

from ..model.instance import Condition, Live
from ..placement import launcher
from ..state import instance_changes
from ..state.marathon_state import MarathonState
from ..state.step import Step
from ..timers import KillRetryDue, MoreKillsDue


def doom(state: MarathonState, live: Live) -> None:
    """Doom an instance. It counts no more from now on; the rest happens at the step's end."""
    if not live.doomed:
        live.doomed = True
        state.changed(live)
        state.kills.new[live.id] = live


def forget(state: MarathonState, step: Step, live: Live, condition: Condition) -> None:
    """The instance has ended, or is given up: nobody waits for it any more."""
    launcher.token_back(state, live)
    state.kills.drop(live)
    instance_changes.forget(state, step, live, condition)


def disconnected(state: MarathonState) -> None:
    """Kills that were sent may be lost: send them again to the next master."""
    kills = state.kills
    kills.waiting = {id_: live for id_, (live, _) in kills.sent.items()} | kills.waiting
    kills.sent.clear()


def settle(state: MarathonState, step: Step) -> None:
    """At the end of a step: store newly doomed instances, and send as many kills as may be."""
    _store_new(state, step)
    if not state.subscribed:
        return
    kills, config = state.kills, state.config
    while kills.waiting and len(kills.sent) < config.kills_at_once:
        live = kills.waiting.pop(next(iter(kills.waiting)))
        kills.sent[live.id] = (live, step.now.mono_s)
        _send(step, live)
    if kills.sent and not kills.retry_set:
        kills.retry_set = True
        step.timer(KillRetryDue(), config.kill_retry_s)


def _store_new(state: MarathonState, step: Step) -> None:
    kills = state.kills
    while kills.new:
        if step.full:
            step.timer(MoreKillsDue(), 0.0)
            return
        live = kills.new.pop(next(iter(kills.new)))
        if live.condition.unreachable:
            # It can't be told, so it is given up: back again it is unknown, and is killed as such.
            instance_changes.forget(state, step, live, Condition.KILLED)
        else:
            instance_changes.store_doom(step, live)
            kills.waiting[live.id] = live


def retry(state: MarathonState, step: Step) -> None:
    """The retry timer fired: repeat overdue kills, and look again after the youngest."""
    kills, now_s, every_s = state.kills, step.now.mono_s, state.config.kill_retry_s
    kills.retry_set = False
    if not state.subscribed or not kills.sent:
        return
    for id_, (live, sent_s) in kills.sent.items():
        if sent_s + every_s <= now_s:  # as the timer was set: a difference may be rounded below
            kills.sent[id_] = (live, now_s)
            _send(step, live)
    oldest_s = min(sent_s for _, sent_s in kills.sent.values())
    kills.retry_set = True
    step.timer_at(KillRetryDue(), oldest_s + every_s)


def _send(step: Step, live: Live) -> None:
    step.call(Kill(live.record.task_id, live.record.agent_id))
