"""Frameworks: how they come to be known, go away, and end. What they say of themselves is in
subscribing.py."""

from __future__ import annotations

from itertools import islice

from mezzo.cluster.model import FrameworkInfo
from mezzo.ids import FrameworkId
from mezzo.messages.operator import FrameworkAdded, FrameworkUpdated
from mezzo.messages.scheduler import Heartbeat
from mezzo.record import replace

from .. import registry, views
from ..state.framework_entry import VIEWS_EVERY_S, FrameworkEntry
from ..state.master_state import MasterState
from ..state.step import Step
from ..timers import DeadlinesDue, FailoverTimeout, HeartbeatDue
from . import ending

# Most are back in a moment, some again and again: a deadline is stored after this time. A leader
# that comes before gives the framework its whole time again.
AWAY_UNSTORED_S = 5.0
_LOOKED_AT = 100  # of those that are away, for one that has nothing

# ---------------------------------------------------------------------------------- coming


def add(state: MasterState, step: Step, info: FrameworkInfo) -> FrameworkEntry:
    """A new framework; or one that the store does not know and that brings its old id."""
    framework_id = info.id if info.id is not None else state.new_framework_id()
    framework = FrameworkEntry(
        framework_id,
        replace(info, id=framework_id),
        of_before=info.id is not None,
        forgotten=info.id is not None,
        registered_s=step.now.wall_s,
    )
    state.frameworks[framework_id] = framework
    return framework


def rebuild(
    state: MasterState, step: Step, framework_id: FrameworkId, info: FrameworkInfo
) -> FrameworkEntry:
    """A framework that only its agents know."""
    framework = add(state, step, replace(info, id=framework_id))
    framework.recovered = True
    state.away.add(framework_id, info.name)
    start_long_deadline(state, step, framework)
    step.publish(FrameworkAdded(views.framework(state, framework)))
    return framework


def show(state: MasterState, step: Step, framework: FrameworkEntry) -> None:
    """Show the framework to operators, at once or, if it just was, in a moment: views cost much."""
    if step.now.mono_s < framework.shown_s + VIEWS_EVERY_S:
        step.changed(None, framework.id)
        return
    framework.shown_s = step.now.mono_s
    step.publish(FrameworkUpdated(views.framework(state, framework)))


# ---------------------------------------------------------------------------------- going away


def disconnected(state: MasterState, step: Step, framework: FrameworkEntry) -> None:
    """The framework's stream ended: no offers, tasks run on, the failover timeout starts."""
    framework.conn = None
    ending.withdraw(state, step, framework)
    _start_deadline(step, framework, framework.info.failover_timeout)
    step.timer(FailoverTimeout(framework.id), min(AWAY_UNSTORED_S, _left_s(step, framework)))
    show(state, step, framework)
    state.away.add(framework.id, framework.info.name)
    _give_up_surplus(state, step, framework.info.name)


def _give_up_surplus(state: MasterState, step: Step, name: str) -> None:
    """A client that comes anew again and again leaves many frameworks with a long failover timeout.
    Of too many that have nothing here, the one that left first is given up: of the name that came
    last, if many are called so."""
    surplus = len(state.away) - state.config.max_idle_frameworks_away
    if surplus <= 0:
        return
    crowd = name if state.away.count(name) > state.config.max_completed_frameworks else None
    oldest = list(islice(state.away.oldest(crowd), _LOOKED_AT))
    for framework in [state.frameworks[id_] for id_ in oldest]:
        if surplus <= 0 or step.full:
            return
        if _may_have_something(state, step, framework):
            state.away.add(framework.id, framework.info.name)  # the others are looked at before
        else:
            ending.complete(
                state, step, framework, "too many frameworks are away that have nothing here"
            )
            surplus -= 1


def _may_have_something(state: MasterState, step: Step, framework: FrameworkEntry) -> bool:
    """Of a framework that an earlier leader knew, agents that are not back may run tasks."""
    awaited = step.now.mono_s < state.recovery_over_s or bool(state.unreachable)
    return (framework.of_before and awaited) or bool(
        framework.tasks or framework.unreachable or framework.executors or framework.operations
    )


def _start_deadline(step: Step, framework: FrameworkEntry, left_s: float) -> None:
    framework.deadline_s = step.now.wall_s + left_s
    framework.due_s = step.now.mono_s + left_s


def _left_s(step: Step, framework: FrameworkEntry) -> float:
    return max(0.0, framework.due_s - step.now.mono_s)


def _keep_deadline(step: Step, framework: FrameworkEntry) -> None:
    registry.keep_framework(step, framework)
    step.timer(FailoverTimeout(framework.id), _left_s(step, framework))


def start_long_deadline(state: MasterState, step: Step, framework: FrameworkEntry) -> None:
    """A deadline at least as long as an agent has, also with a failover timeout of 0: that the
    framework is not here is the masters' doing, and its tasks run on."""
    least_s = state.config.agent_reregister_timeout_s
    _start_deadline(step, framework, max(framework.info.failover_timeout, least_s))
    _keep_deadline(step, framework)


def recover(state: MasterState, step: Step) -> None:
    """Under a new leader a framework that was away before keeps its deadline."""
    for framework in state.frameworks.values():
        state.away.add(framework.id, framework.info.name)
        if framework.deadline_s is not None:
            least_s = state.config.agent_reregister_timeout_s
            lasts_s = max(framework.info.failover_timeout, least_s)
            left_s = step.now.left_s(framework.deadline_s - lasts_s, lasts_s)
            _start_deadline(step, framework, left_s)
            step.timer(FailoverTimeout(framework.id), _left_s(step, framework))
    resume_deadlines(state, step)


def resume_deadlines(state: MasterState, step: Step) -> None:
    """A framework that the last leader had connected and that is not back has all its time now."""
    missing = [f for f in state.frameworks.values() if f.conn is None and f.deadline_s is None]
    for framework in missing:
        if step.full:
            step.timer(DeadlinesDue(), 0.0)
            return
        start_long_deadline(state, step, framework)


def failover_due(state: MasterState, step: Step, due: FailoverTimeout) -> None:
    framework = state.frameworks.get(due.framework_id)
    if framework is None or framework.conn is not None:
        return
    if _left_s(step, framework) > 0:
        _keep_deadline(step, framework)
    else:
        ending.complete(state, step, framework, "it did not come back within its failover timeout")


def heartbeat(state: MasterState, step: Step) -> None:
    for framework in state.frameworks.values():
        step.to_framework(framework, Heartbeat())
    step.timer(HeartbeatDue(), state.config.heartbeat_s)
