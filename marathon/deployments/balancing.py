"""Every app is brought to its target, an upgrade within the bounds of 6.3.

No order is remembered here: after each change an app is balanced anew, from its present instances
towards its target. So an instance that dies, a leader that changes or a
kill that gets lost need no case of their own.
"""

from __future__ import annotations

from ..killing import killer
from ..killing.kill_selection import choose_surplus
from ..model.app import App
from ..model.deployment import ActionKind
from ..model.instance import Tally, kill_order
from ..news import AppTerminated, DeploymentStepSucceeded
from ..placement import backoff, reviving
from ..state import app_changes
from ..state.marathon_state import MarathonState
from ..state.running_plans import RestartBounds, Work
from ..state.step import Step
from ..timers import ScaleCheckDue
from . import deployer


def kill_surplus(state: MarathonState, app_id: str) -> None:
    """An app without a deployment may be over its target: put it right."""
    state.surplus_due[app_id] = None
    state.unbalanced[app_id] = None


def scale_check_due(state: MarathonState, step: Step) -> None:
    """Look at all apps, also at those of which only versions are left: the deployment that removed
    one could not be loaded. What is set aside now may still need them."""
    left = {} if state.aside else state.versions
    for app_id in {**state.apps, **state.fleets, **left}:
        kill_surplus(state, app_id)
    step.timer(ScaleCheckDue(), state.config.scale_apps_interval_s)


def settle(state: MarathonState, step: Step) -> None:
    """At the end of a step: bring all apps that it has touched nearer to their targets."""
    unbalanced = state.unbalanced
    while unbalanced:
        app_id = next(iter(unbalanced))
        del unbalanced[app_id]
        _balance(state, step, app_id)
        app_changes.tidy_versions(state, step, app_id)


def _balance(state: MarathonState, step: Step, app_id: str) -> None:
    running = state.locks.get(app_id)
    if running is None:
        _maintain(state, step, app_id, state.apps.get(app_id))
        return
    work = running.work.get(app_id)
    if work is None:
        # The app's turn is over, or yet to come.
        before = running.changes[app_id].original
        _maintain(state, step, app_id, running.reached.get(app_id, before))
        return
    if _work_on(state, step, work) and not work.done:
        work.done = True
        running.left -= 1
    if not running.left:
        now = running.plan.steps[running.step]
        step.publish(DeploymentStepSucceeded(running.plan, now))
        deployer.next_step(state, step, running)


def _work_on(state: MarathonState, step: Step, work: Work) -> bool:
    """Order all that can be ordered now. True if the target is reached."""
    app = work.target
    if app is None:
        return _stop(state, step, work.action.app_id)
    if work.action.kind is ActionKind.START:
        return True
    if work.bounds is not None:
        return _restart(state, step, app, work.bounds)
    return _scale(state, step, app, needs_ready=work.needs_ready)


# ---- without an upgrade


def _maintain(state: MarathonState, step: Step, app_id: str, app: App | None) -> None:
    if state.is_aside(app_id) or (app is not None and not app.version_ms):
        state.surplus_due.pop(app_id, None)
        return  # nobody knows the app's target
    due = app_id in state.surplus_due and _all_confirmed(state, app_id)
    if due:
        del state.surplus_due[app_id]
    if app is None:
        reviving.want_none(state, app_id)
        if due:
            _doom_all(state, app_id)
        return
    _want_up_to_target(state, step, app)
    if due:
        _kill_down_to(state, app)


def _all_confirmed(state: MarathonState, app_id: str) -> bool:
    """After a change of leader instances that were not heard of may turn out to be unreachable."""
    fleet = state.fleets.get(app_id)
    lives = fleet.instances.values() if fleet is not None else ()
    return all(live.confirmed or not live.inherited for live in lives)


def _scale(state: MarathonState, step: Step, app: App, *, needs_ready: bool) -> bool:
    _want_up_to_target(state, step, app)
    _kill_down_to(state, app)
    total = state.fleet(app.id).total
    enough = total.ready if needs_ready else total.active
    return total.alive <= app.instances <= enough


def _want_up_to_target(state: MarathonState, step: Step, app: App) -> None:
    total = state.fleet(app.id).total
    # A doomed instance is replaced while it ends, unless there may never be two.
    reviving.want(state, step, app, app.instances - _counted(state, app, total))


def _counted(state: MarathonState, app: App, tally: Tally) -> int:
    """How many of the app's instances keep others from being launched."""
    if not app.single_instance:
        return tally.active
    return tally.alive + state.aside_instances(app.id)


def _kill_down_to(state: MarathonState, app: App) -> None:
    fleet = state.fleet(app.id)
    surplus = fleet.total.active - app.instances
    if surplus > 0:
        for live in choose_surplus(app, fleet.instances.values(), surplus):
            killer.doom(state, live)


def _stop(state: MarathonState, step: Step, app_id: str) -> bool:
    reviving.want_none(state, app_id)
    _doom_all(state, app_id)
    if state.fleet(app_id).instances:
        return False
    backoff.reset(state, app_id)
    step.publish(AppTerminated(app_id))
    return True


def _doom_all(state: MarathonState, app_id: str) -> None:
    fleet = state.fleet(app_id)
    total = fleet.total
    if total.active or len(fleet.instances) > total.alive:  # else all are doomed
        for live in fleet.instances.values():
            killer.doom(state, live)


# ---- a rolling upgrade


def _restart(state: MarathonState, step: Step, app: App, bounds: RestartBounds) -> bool:
    config, fleet = app.last_config_change_ms, state.fleet(app.id)
    _forget_unreachable(state, app)
    _kill_old(state, app, bounds)
    _kill_surplus_of_new(state, app)
    new, old = fleet.of(config), fleet.without(config)
    missing = app.instances - _counted(state, app, new)
    room = bounds.max_capacity - old.alive - new.alive
    reviving.want(state, step, app, min(missing, room))
    return (
        new.ready >= app.instances >= new.alive
        and old.alive == 0
        and not any(live.record.config_ms != config for live in fleet.instances.values())
    )


def _forget_unreachable(state: MarathonState, app: App) -> None:
    """Old instances that were given up already are forgotten: nothing is to be waited for."""
    fleet = state.fleet(app.id)
    if len(fleet.instances) > fleet.total.alive:
        for live in fleet.instances.values():
            if not live.alive and live.record.config_ms != app.last_config_change_ms:
                killer.doom(state, live)


def _kill_old(state: MarathonState, app: App, bounds: RestartBounds) -> None:
    """End as many old instances as ready new ones allow, first those that do not serve."""
    config, fleet = app.last_config_change_ms, state.fleet(app.id)
    new, old = fleet.of(config), fleet.without(config)
    excess = old.active - max(0, bounds.keep_old - new.ready)
    full = old.alive + new.alive >= bounds.max_capacity
    settled = old.alive == old.active and new.alive == new.ready
    if excess <= 0 and full and settled and new.alive < app.instances:
        excess = 1  # everything waits for room that nothing else will make
    if excess <= 0 or old.active == 0:
        return
    candidates = [
        live for live in fleet.instances.values() if live.record.config_ms != config and live.active
    ]
    spare = old.ready + new.ready - bounds.min_healthy
    unsure = [live for live in candidates if live.unsure and spare >= 0]
    idle = [live for live in candidates if not live.ready and not live.unsure]
    serving = kill_order((c for c in candidates if c.ready), app.kill_selection)
    order = [
        *kill_order(idle, app.kill_selection),
        *kill_order(unsure, app.kill_selection),
        *serving[: max(0, spare)],
    ]
    for live in order[:excess]:
        killer.doom(state, live)


def _kill_surplus_of_new(state: MarathonState, app: App) -> None:
    """New instances beyond the target end: some may have come back from the unreachable."""
    config, fleet = app.last_config_change_ms, state.fleet(app.id)
    surplus = fleet.of(config).active - app.instances
    if surplus > 0:
        new = [live for live in fleet.instances.values() if live.record.config_ms == config]
        for live in choose_surplus(app, new, surplus):
            killer.doom(state, live)
