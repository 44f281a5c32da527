"""Instances that nobody can reach: when one is given up, replaced, and forgotten (8.3)."""

from __future__ import annotations

from mezzo.cluster.model import TaskStatus

from .killing import killer
from .model.app import UnreachableStrategy
from .model.instance import Condition, Live
from .state import instance_changes
from .state.marathon_state import MarathonState
from .state.step import Step
from .timers import ExpungeDue, InactiveDue


def lost_sight_of(state: MarathonState, step: Step, live: Live, status: TaskStatus) -> None:
    if live.doomed:
        # The instance can't be told to end. If it comes back it is unknown, and killed as such.
        killer.forget(state, step, live, Condition.KILLED)
        return
    if live.condition.unreachable:
        return
    instance_changes.stop_checks(step, live)
    since = status.unreachable_time or step.now.wall_s
    live.unreachable_since_s = since
    instance_changes.set_condition(state, step, live, Condition.UNREACHABLE)
    strategy = live.app.unreachable
    if strategy is None:
        return
    left_s = step.now.left_s(since, strategy.inactive_after_s)
    if left_s <= 0:
        instance_changes.set_condition(state, step, live, Condition.UNREACHABLE_INACTIVE)
    else:
        step.timer(InactiveDue(live.id), left_s)


def inactive_due(state: MarathonState, step: Step, due: InactiveDue) -> None:
    live = state.by_id.get(due.instance_id)
    if live is not None and live.condition is Condition.UNREACHABLE:
        instance_changes.set_condition(state, step, live, Condition.UNREACHABLE_INACTIVE)


def expunge_due(state: MarathonState, step: Step) -> None:
    _expunge(state, step)
    step.timer(ExpungeDue(), state.config.task_lost_expunge_interval_s)


def _expunge(state: MarathonState, step: Step) -> None:
    """Forget the instances that have been unreachable for too long."""
    now = step.now
    for live in list(state.by_id.values()):
        if step.full:
            return  # the rest next time
        strategy: UnreachableStrategy | None = live.app.unreachable
        since = live.unreachable_since_s
        if strategy is None or since is None:
            continue
        if since > now.wall_s:  # the clock was set back: count anew
            live.unreachable_since_s = since = now.wall_s
        if live.condition.unreachable and now.wall_s - since >= strategy.expunge_after_s:
            killer.forget(state, step, live, Condition.GONE)
