"""Bugs in how Marathon plans its deployments and carries them out."""

from __future__ import annotations

from typing import Any

from mezzo import core
from mezzo.marathon.commands import Locked, Stale
from mezzo.marathon.deployments import balancing, command_rules, deployer, upgrade_strategy
from mezzo.marathon.killing import killer
from mezzo.marathon.model.app import KillSelection
from mezzo.marathon.model.deployment import ActionKind
from mezzo.marathon.news import DeploymentStepBegan
from mezzo.marathon.placement import reviving
from mezzo.marathon.state import app_changes
from mezzo.marathon.state.running_plans import RestartBounds
from mezzo.marathon.state.tables import DEPLOYMENTS
from mezzo.record import replace

from ..mutant import all_but, mutant, never


def _scales(action: Any, new: Any) -> bool:
    return action.kind is ActionKind.SCALE and action.app_id in new


@mutant(balancing, "choose_surplus")
def surplus_is_taken_from_any_group(original: Any) -> Any:
    return lambda app, instances, count: original(replace(app, constraints=()), instances, count)


@mutant(balancing, "_want_up_to_target")
def one_instance_too_few_is_wanted(original: Any) -> Any:
    def want(state: Any, step: Any, app: Any) -> None:
        total = state.fleet(app.id).total
        reviving.want(state, step, app, app.instances - total.active - 1)

    return want


@mutant(balancing, "_kill_down_to")
def surplus_instances_stay(original: Any) -> Any:
    return never


@mutant(balancing, "_doom_all")
def instances_of_a_deleted_app_stay(original: Any) -> Any:
    return never


@mutant(balancing, "_kill_old")
def an_upgrade_leaves_the_old_ones(original: Any) -> Any:
    return never


@mutant(balancing, "_all_confirmed")
def surplus_is_killed_before_it_is_known_what_runs(original: Any) -> Any:
    def all_confirmed(state: Any, app_id: str) -> bool:
        fleet = state.fleets.get(app_id)
        for live in fleet.instances.values() if fleet is not None else ():
            if live.unsure:
                killer.doom(state, live)
        return True

    return all_confirmed


@mutant(balancing, "kill_order")
def an_upgrade_ends_the_youngest_first(original: Any) -> Any:
    return lambda candidates, selection: original(candidates, KillSelection.YOUNGEST_FIRST)


@mutant(command_rules, "_change")
def a_change_that_is_refused_is_stored(original: Any) -> Any:
    def change(state: Any, step: Any, command: Any) -> Any:
        result = original(state, step, command)
        if isinstance(result, Stale | Locked):
            for target in command.targets:
                app_changes.put_app(state, step, target.app)
        return result

    return change


@mutant(command_rules, "_cancel")
def a_cancelled_deployment_only_stops(original: Any) -> Any:
    return lambda state, step, command: original(state, step, replace(command, force=True))


@mutant(command_rules, "_versioned")
def a_change_is_taken_for_a_new_app(original: Any) -> Any:
    return lambda app, before, version: original(app, None, version)


@mutant(command_rules, "_too_many")
def as_many_deployments_run_as_anybody_wants(original: Any) -> Any:
    return never


@mutant(core.Step, "put")
def a_deployment_is_not_stored(original: Any) -> Any:
    return all_but(DEPLOYMENTS, original)


@mutant(deployer, "resume")
def a_new_leader_does_not_go_on_with_deployments(original: Any) -> Any:
    return never


@mutant(deployer, "_show")
def deployments_are_not_shown(original: Any) -> Any:
    return never


@mutant(deployer, "make_steps")
def a_new_app_is_only_started(original: Any) -> Any:
    def make_steps(changes: Any) -> Any:
        new = {each.app_id: None for each in changes if each.original is None}
        steps = (
            replace(step, actions=tuple(a for a in step.actions if not _scales(a, new)))
            for step in original(changes)
        )
        return tuple(step for step in steps if step.actions)

    return make_steps


@mutant(deployer, "make_steps")
def an_upgrade_is_planned_as_a_scaling(original: Any) -> Any:
    def make_steps(changes: Any) -> Any:
        return tuple(
            replace(
                step,
                actions=tuple(
                    replace(a, kind=ActionKind.SCALE) if a.kind is ActionKind.RESTART else a
                    for a in step.actions
                ),
            )
            for step in original(changes)
        )

    return make_steps


@mutant(deployer, "_begin")
def a_deployment_waits_for_nobody_to_be_ready(original: Any) -> Any:
    def begin(state: Any, running: Any, action: Any) -> Any:
        work = original(state, running, action)
        work.needs_ready = False
        return work

    return begin


@mutant(deployer, "next_step")
def a_step_that_ends_is_told_twice(original: Any) -> Any:
    def next_step(state: Any, step: Any, running: Any) -> None:
        original(state, step, running)
        if running.step < len(running.plan.steps):
            now = running.plan.steps[running.step]
            step.publish(DeploymentStepBegan(running.plan, now))

    return next_step


@mutant(deployer, "_show")
def a_deployment_is_shown_a_step_too_far(original: Any) -> Any:
    def show(step: Any, running: Any) -> None:
        running.step += 1
        original(step, running)
        running.step -= 1

    return show


@mutant(upgrade_strategy, "restart_bounds")
def an_upgrade_may_do_nothing_at_all(original: Any) -> Any:
    def bounds(app: Any, old_alive: int, old_healthy: int) -> Any:
        return RestartBounds(app.instances, 0, old_alive)

    return bounds


@mutant(upgrade_strategy, "restart_bounds")
def an_upgrade_ends_old_ones_before_new_ones_are_ready(original: Any) -> Any:
    def restart_bounds(app: Any, old_alive: int, old_healthy: int) -> Any:
        bounds = original(app, old_alive, old_healthy)
        return RestartBounds(bounds.min_healthy, bounds.max_capacity, 0)

    return restart_bounds


@mutant(upgrade_strategy, "restart_bounds")
def an_upgrade_keeps_one_old_instance_too_many(original: Any) -> Any:
    def restart_bounds(app: Any, old_alive: int, old_healthy: int) -> Any:
        bounds = original(app, old_alive, old_healthy)
        return RestartBounds(
            bounds.min_healthy, bounds.max_capacity, min(old_alive, bounds.keep_old + 1)
        )

    return restart_bounds
