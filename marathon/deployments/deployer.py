"""Deployments: taking the apps from one state to the next, within the bounds of 6.3.

Nothing here remembers what was ordered: after each change an app is balanced anew, from what its
instances are now towards what it should be. So an instance that dies, a leader that changes or a
kill that gets lost need no case of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ..killing.kill_selection import choose_surplus
from ..killing.killer import Killer
from ..model.app import App
from ..model.deployment import Action, ActionKind, Change, Deployment
from ..model.instance import Tally, kill_order
from ..placement.backoff import Backoffs
from ..placement.launcher import Launcher
from ..state.term_state import State
from ..views import DeploymentView
from .planner import make_steps
from .upgrade_strategy import RestartBounds


@dataclass(slots=True)
class _Work:
    """One action of the present step. needs_ready: it ends only when all instances are ready."""

    action: Action
    target: App | None
    needs_ready: bool = True
    bounds: RestartBounds | None = None
    done: bool = False


@dataclass(slots=True)
class _Running:
    plan: Deployment
    changes: dict[str, Change]
    step: int = -1  # index of the present step
    work: dict[str, _Work] = field(default_factory=dict)  # of the present step, by app
    left: int = 0  # of it, so many are not done
    # Apps whose action is over, and what they are now.
    reached: dict[str, App | None] = field(default_factory=dict)


class Deployer:
    """Runs the plans, and keeps every app at what it should be."""

    def __init__(
        self, state: State, killer: Killer, launcher: Launcher, backoffs: Backoffs
    ) -> None:
        self._state = state
        self._killer = killer
        self._launcher = launcher
        self._backoffs = backoffs
        self._running: dict[str, _Running] = {}
        self._locks: dict[str, _Running] = {}  # by app
        self._surplus_due: dict[str, None] = {}  # apps without a deployment, over their target

    # ---- plans

    @property
    def count(self) -> int:
        return len(self._running)

    def get(self, deployment_id: str) -> Deployment | None:
        running = self._running.get(deployment_id)
        return None if running is None else running.plan

    def lockers(self, app_ids: Iterable[str]) -> list[Deployment]:
        """The running plans that hold any of these apps."""
        found = {
            self._locks[app_id].plan.id: self._locks[app_id].plan
            for app_id in app_ids
            if app_id in self._locks
        }
        return list(found.values())

    def start(self, changes: tuple[Change, ...], version_ms: int) -> Deployment:
        """Store and begin a plan. Whoever held its apps must be cancelled before."""
        plan = Deployment(self._state.ids.uuid(), version_ms, make_steps(changes), changes)
        if not plan.steps:
            self._state.publish("deployment_success", id=plan.id, plan=plan)
            return plan
        self._state.put_deployment(plan)
        self._run(plan)
        return plan

    def resume(self) -> None:
        """A new term: go on with what was stored. Steps that are done end at once."""
        for plan in self._state.plans:
            self._run(plan)
        self._state.plans.clear()

    def cancel(self, plan: Deployment) -> None:
        """Stop it where it is."""
        running = self._running.pop(plan.id)
        for app_id in running.changes:
            del self._locks[app_id]
            self._state.unbalanced[app_id] = None
        self._state.delete_deployment(plan)
        self._state.publish(
            "deployment_failed", id=plan.id, plan=plan, reason="The deployment was cancelled."
        )

    def _run(self, plan: Deployment) -> None:
        running = _Running(plan, {change.app_id: change for change in plan.changes})
        self._running[plan.id] = running
        for app_id in running.changes:
            self._locks[app_id] = running
        self._next_step(running)

    def _next_step(self, running: _Running) -> None:
        running.step += 1
        for work in running.work.values():
            if work.action.kind is not ActionKind.START:
                running.reached[work.action.app_id] = work.target
        if running.step == len(running.plan.steps):
            self._succeed(running)
            return
        step = running.plan.steps[running.step]
        running.work = {action.app_id: self._begin(running, action) for action in step.actions}
        running.left = len(running.work)
        self._state.publish("deployment_info", plan=running.plan, currentStep=step)
        self._show(running)
        for app_id in running.work:
            self._state.unbalanced[app_id] = None

    def _begin(self, running: _Running, action: Action) -> _Work:
        change = running.changes[action.app_id]
        original, target = change.original, change.target
        work = _Work(action, target)
        if action.kind is ActionKind.RESTART and target is not None:
            self._backoffs.reset(action.app_id)
            fleet = self._state.fleet(action.app_id)
            old = _minus(fleet.total, fleet.of(target.last_config_change_ms))
            work.bounds = RestartBounds.of(target, old.active, old.ready)
        elif action.kind is ActionKind.SCALE and target is not None:
            work.needs_ready = original is None or target.instances > original.instances
        return work

    def _succeed(self, running: _Running) -> None:
        del self._running[running.plan.id]
        for app_id in running.changes:
            del self._locks[app_id]
            self._state.unbalanced[app_id] = None
        self._state.delete_deployment(running.plan)
        self._state.publish("deployment_success", id=running.plan.id, plan=running.plan)

    def _show(self, running: _Running) -> None:
        current = tuple(work.action for work in running.work.values())
        self._state.show_deployment(DeploymentView(running.plan, running.step + 1, current))

    # ---- balance

    def kill_surplus(self, app_id: str) -> None:
        """An app without a deployment may be over its target: put it right."""
        self._surplus_due[app_id] = None
        self._state.unbalanced[app_id] = None

    def settle(self) -> None:
        """At the end of a step: bring everything that it has touched nearer to its target."""
        unbalanced = self._state.unbalanced
        while unbalanced:
            app_id = next(iter(unbalanced))
            del unbalanced[app_id]
            self._balance(app_id)

    def _balance(self, app_id: str) -> None:
        running = self._locks.get(app_id)
        if running is None:
            self._maintain(app_id, self._state.apps.get(app_id))
            return
        work = running.work.get(app_id)
        if work is None:
            # Its turn is over, or yet to come.
            before = running.changes[app_id].original
            self._maintain(app_id, running.reached.get(app_id, before))
            return
        if self._work_on(work) and not work.done:
            work.done = True
            running.left -= 1
        if not running.left:
            step = running.plan.steps[running.step]
            self._state.publish("deployment_step_success", plan=running.plan, currentStep=step)
            self._next_step(running)

    def _work_on(self, work: _Work) -> bool:
        """Order what can be ordered now. True if the target is reached."""
        app = work.target
        if app is None:
            return self._stop(work.action.app_id)
        if work.action.kind is ActionKind.START:
            return True
        if work.bounds is not None:
            return self._restart(app, work.bounds)
        return self._scale(app, needs_ready=work.needs_ready)

    def _maintain(self, app_id: str, app: App | None) -> None:
        if self._state.is_aside(app_id):
            self._surplus_due.pop(app_id, None)
            return  # nobody knows what it should be
        due = app_id in self._surplus_due and self._all_confirmed(app_id)
        if due:
            del self._surplus_due[app_id]
        if app is None:
            self._launcher.want_none(app_id)
            if due:
                self._doom_all(app_id)
            if not self._state.fleet(app_id).instances and app_id not in self._state.apps:
                self._state.forget_versions(app_id)
            return
        self._want_up_to_target(app)
        if due:
            self._kill_down_to(app)

    def _all_confirmed(self, app_id: str) -> bool:
        """After a change of leader: who has not been heard of may turn out to be unreachable."""
        fleet = self._state.fleets.get(app_id)
        lives = fleet.instances.values() if fleet is not None else ()
        return all(live.confirmed or not live.inherited for live in lives)

    def _scale(self, app: App, *, needs_ready: bool) -> bool:
        self._want_up_to_target(app)
        self._kill_down_to(app)
        total = self._state.fleet(app.id).total
        enough = total.ready if needs_ready else total.active
        return total.alive <= app.instances <= enough

    def _want_up_to_target(self, app: App) -> None:
        total = self._state.fleet(app.id).total
        # A doomed one is replaced while it ends, unless there may never be two.
        self._launcher.want(app, app.instances - self._counted(app, total))

    def _counted(self, app: App, tally: Tally) -> int:
        """How many of the app's instances keep others from being launched."""
        if not app.single_instance:
            return tally.active
        return tally.alive + self._state.aside_instances(app.id)

    def _kill_down_to(self, app: App) -> None:
        fleet = self._state.fleet(app.id)
        surplus = fleet.total.active - app.instances
        if surplus > 0:
            for live in choose_surplus(app, fleet.instances.values(), surplus):
                self._killer.doom(live)

    def _stop(self, app_id: str) -> bool:
        self._launcher.want_none(app_id)
        self._doom_all(app_id)
        if self._state.fleet(app_id).instances:
            return False
        self._backoffs.reset(app_id)
        self._state.forget_versions(app_id)
        self._state.publish("app_terminated_event", appId=app_id)
        return True

    def _doom_all(self, app_id: str) -> None:
        fleet = self._state.fleet(app_id)
        total = fleet.total
        if total.active or len(fleet.instances) > total.alive:  # else all are doomed
            for live in fleet.instances.values():
                self._killer.doom(live)

    def _restart(self, app: App, bounds: RestartBounds) -> bool:
        config, fleet = app.last_config_change_ms, self._state.fleet(app.id)
        self._forget_unreachable(app)
        self._kill_old(app, bounds)
        self._kill_surplus_of_new(app)
        new = fleet.of(config)
        old = _minus(fleet.total, new)
        missing = app.instances - self._counted(app, new)
        room = bounds.max_capacity - old.alive - new.alive
        self._launcher.want(app, min(missing, room))
        return (
            new.ready >= app.instances >= new.alive
            and old.alive == 0
            and not any(live.record.config_ms != config for live in fleet.instances.values())
        )

    def _forget_unreachable(self, app: App) -> None:
        """Old ones that were given up already: nothing is to be waited for."""
        fleet = self._state.fleet(app.id)
        if len(fleet.instances) > fleet.total.alive:
            for live in fleet.instances.values():
                if not live.alive and live.record.config_ms != app.last_config_change_ms:
                    self._killer.doom(live)

    def _kill_old(self, app: App, bounds: RestartBounds) -> None:
        """End as many old instances as ready new ones allow, those that serve nobody first."""
        config, fleet = app.last_config_change_ms, self._state.fleet(app.id)
        new = fleet.of(config)
        old = _minus(fleet.total, new)
        excess = old.active - max(0, bounds.keep_old - new.ready)
        full = old.alive + new.alive >= bounds.max_capacity
        settled = old.alive == old.active and new.alive == new.ready
        if excess <= 0 and full and settled and new.alive < app.instances:
            excess = 1  # everything waits for room that nothing else will make
        if excess <= 0 or old.active == 0:
            return
        candidates = [
            live
            for live in fleet.instances.values()
            if live.record.config_ms != config and live.active
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
            self._killer.doom(live)

    def _kill_surplus_of_new(self, app: App) -> None:
        """More than wanted, as after a return from the unreachable."""
        config, fleet = app.last_config_change_ms, self._state.fleet(app.id)
        surplus = fleet.of(config).active - app.instances
        if surplus > 0:
            new = [live for live in fleet.instances.values() if live.record.config_ms == config]
            for live in choose_surplus(app, new, surplus):
                self._killer.doom(live)


def _minus(a: Tally, b: Tally) -> Tally:
    return Tally(a.alive - b.alive, a.active - b.active, a.ready - b.ready)
