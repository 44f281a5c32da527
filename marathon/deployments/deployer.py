"""Deployments: plans are carried out step by step (6.1); `balancing` does the work of a step."""

from __future__ import annotations

from collections.abc import Iterable

from ..effects import ShowDeployment
from ..model.deployment import Action, ActionKind, Change, Deployment
from ..news import DeploymentFailed, DeploymentStepBegan, DeploymentSucceeded
from ..placement import backoff
from ..state.marathon_state import MarathonState
from ..state.running_plans import Running, Work
from ..state.step import Step
from ..state.tables import DEPLOYMENTS
from ..views import DeploymentView
from . import upgrade_strategy
from .planner import make_steps


def lockers(state: MarathonState, app_ids: Iterable[str]) -> list[Deployment]:
    """The running plans that hold any of these apps."""
    locks = state.locks
    found = {locks[app_id].plan.id: locks[app_id].plan for app_id in app_ids if app_id in locks}
    return list(found.values())


def start(
    state: MarathonState, step: Step, changes: tuple[Change, ...], version_ms: int
) -> Deployment:
    """Store and begin a plan. Plans that held its apps must be cancelled before."""
    by_version = tuple(change.by_version for change in changes)
    plan = Deployment(state.ids.uuid(), version_ms, make_steps(changes), by_version)
    if not plan.steps:
        step.publish(DeploymentSucceeded(plan))
        return plan
    step.put(DEPLOYMENTS, plan)
    _run(state, step, plan, changes)
    return plan


def resume(state: MarathonState, step: Step) -> None:
    """A new term: go on with stored plans. Steps that are done end at once."""
    for plan in state.plans:
        _run(state, step, plan, [state.change_of(each) for each in plan.changes])
    state.plans.clear()


def cancel(state: MarathonState, step: Step, plan: Deployment) -> None:
    """Stop a plan where it is."""
    _over(state, step, state.running[plan.id])
    step.publish(DeploymentFailed(plan, "The deployment was cancelled."))


def next_step(state: MarathonState, step: Step, running: Running) -> None:
    """The present step is done, or none has begun."""
    plan = running.plan
    running.step += 1
    for work in running.work.values():
        if work.action.kind is not ActionKind.START:
            running.reached[work.action.app_id] = work.target
    if running.step == len(plan.steps):
        _over(state, step, running)
        step.publish(DeploymentSucceeded(plan))
        return
    now = plan.steps[running.step]
    running.work = {action.app_id: _begin(state, running, action) for action in now.actions}
    running.left = len(running.work)
    step.publish(DeploymentStepBegan(plan, now))
    _show(step, running)
    for app_id in running.work:
        state.unbalanced[app_id] = None


def _run(state: MarathonState, step: Step, plan: Deployment, changes: Iterable[Change]) -> None:
    running = Running(plan, {change.app_id: change for change in changes})
    state.running[plan.id] = running
    for app_id in running.changes:
        state.locks[app_id] = running
    next_step(state, step, running)


def _begin(state: MarathonState, running: Running, action: Action) -> Work:
    change = running.changes[action.app_id]
    original, target = change.original, change.target
    work = Work(action, target)
    if action.kind is ActionKind.RESTART and target is not None:
        backoff.reset(state, action.app_id)
        old = state.fleet(action.app_id).without(target.last_config_change_ms)
        work.bounds = upgrade_strategy.restart_bounds(target, old.active, old.ready)
    elif action.kind is ActionKind.SCALE and target is not None:
        work.needs_ready = original is None or target.instances > original.instances
    return work


def _over(state: MarathonState, step: Step, running: Running) -> None:
    del state.running[running.plan.id]
    for app_id in running.changes:
        del state.locks[app_id]
        state.unbalanced[app_id] = None
    step.delete(DEPLOYMENTS, running.plan.id)
    step.do(ShowDeployment(running.plan.id, None))


def _show(step: Step, running: Running) -> None:
    current = tuple(work.action for work in running.work.values())
    view = DeploymentView(running.plan, running.step + 1, current)
    step.do(ShowDeployment(running.plan.id, view))
