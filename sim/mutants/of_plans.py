"""Bugs in how Marathon plans its deployments and carries them out, asks for offers, and keeps what
it has stored."""

from __future__ import annotations

from typing import Any

from mezzo.marathon.deployments import balancing, command_rules, deployer, upgrade_strategy
from mezzo.marathon.model.app import KillSelection
from mezzo.marathon.model.deployment import ActionKind
from mezzo.marathon.news import DeploymentStepBegan
from mezzo.marathon.placement import backoff, launcher, reviving
from mezzo.marathon.state import app_changes
from mezzo.marathon.state.running_plans import RestartBounds
from mezzo.record import replace

from .mutant import mutant, never


@mutant("plans", deployer, "make_steps")
def a_new_app_is_only_started(original: Any) -> Any:
    def make_steps(changes: Any) -> Any:
        new = {each.app_id: None for each in changes if each.original is None}
        steps = (
            replace(step, actions=tuple(a for a in step.actions if not _scales(a, new)))
            for step in original(changes)
        )
        return tuple(step for step in steps if step.actions)

    return make_steps


def _scales(action: Any, new: Any) -> bool:
    return action.kind is ActionKind.SCALE and action.app_id in new


@mutant("plans", deployer, "make_steps")
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


@mutant("plans", deployer, "_begin")
def a_deployment_waits_for_nobody_to_be_ready(original: Any) -> Any:
    def begin(state: Any, running: Any, action: Any) -> Any:
        work = original(state, running, action)
        work.needs_ready = False
        return work

    return begin


@mutant("plans", upgrade_strategy, "restart_bounds")
def an_upgrade_ends_old_ones_before_new_ones_are_ready(original: Any) -> Any:
    def restart_bounds(app: Any, old_alive: int, old_healthy: int) -> Any:
        bounds = original(app, old_alive, old_healthy)
        return RestartBounds(bounds.min_healthy, bounds.max_capacity, 0)

    return restart_bounds


@mutant("plans", upgrade_strategy, "restart_bounds")
def an_upgrade_keeps_one_old_instance_too_many(original: Any) -> Any:
    def restart_bounds(app: Any, old_alive: int, old_healthy: int) -> Any:
        bounds = original(app, old_alive, old_healthy)
        return RestartBounds(
            bounds.min_healthy, bounds.max_capacity, min(old_alive, bounds.keep_old + 1)
        )

    return restart_bounds


@mutant("plans", balancing, "kill_order")
def an_upgrade_ends_the_youngest_first(original: Any) -> Any:
    return lambda candidates, selection: original(candidates, KillSelection.YOUNGEST_FIRST)


@mutant("plans", deployer, "next_step")
def a_step_that_ends_is_told_twice(original: Any) -> Any:
    def next_step(state: Any, step: Any, running: Any) -> None:
        original(state, step, running)
        if running.step < len(running.plan.steps):
            now = running.plan.steps[running.step]
            step.publish(DeploymentStepBegan(running.plan, now))

    return next_step


@mutant("plans", deployer, "_show")
def a_deployment_is_shown_a_step_too_far(original: Any) -> Any:
    def show(step: Any, running: Any) -> None:
        running.step += 1
        original(step, running)
        running.step -= 1

    return show


@mutant("plans", backoff, "failed")
def a_delay_does_not_grow(original: Any) -> Any:
    def failed(state: Any, step: Any, app: Any) -> None:
        original(state, step, app)
        state.queue.delays[(app.id, app.last_config_change_ms)].delay_s = app.backoff_s

    return failed


@mutant("plans", backoff, "progressed")
def a_delay_counts_from_the_failure(original: Any) -> Any:
    return never


@mutant("plans", backoff, "reset")
def a_restarted_app_waits_all_the_same(original: Any) -> Any:
    return never


@mutant("plans", backoff, "until_s")
def a_delay_is_over_half_a_second_too_early(original: Any) -> Any:
    def until_s(state: Any, step: Any, app: Any) -> float | None:
        end_s: float | None = original(state, step, app)
        return None if end_s is None or end_s - 0.5 <= step.now.mono_s else end_s - 0.5

    return until_s


@mutant("plans", reviving, "delay_reset")
def a_delay_that_is_reset_goes_on(original: Any) -> Any:
    return lambda state, step, app_id: app_id in state.queue.demands


@mutant("plans", launcher, "_refuse_s")
def offers_are_declined_beyond_the_next_delay(original: Any) -> Any:
    return lambda state, step: state.config.decline_offer_s


@mutant("plans", reviving, "delay_over")
def nobody_asks_for_offers_when_a_delay_is_over(original: Any) -> Any:
    return never


@mutant("plans", reviving, "settle")
def offers_are_wanted_by_nobody(original: Any) -> Any:
    def settle(state: Any, step: Any) -> None:
        if state.queue.demands:
            original(state, step)

    return settle


@mutant("plans", launcher, "token_back")
def launch_tokens_come_back_only_with_time(original: Any) -> Any:
    return never


@mutant("plans", app_changes, "forget_versions")
def versions_of_an_app_that_is_gone_stay(original: Any) -> Any:
    return never


@mutant("plans", app_changes, "_prune_versions")
def versions_that_run_are_dropped(original: Any) -> Any:
    def prune(state: Any, step: Any, app: Any, kept: Any) -> None:
        fleets, state.fleets = state.fleets, {}
        original(state, step, app, kept)
        state.fleets = fleets

    return prune


@mutant("plans", command_rules, "_too_many")
def as_many_deployments_run_as_anybody_wants(original: Any) -> Any:
    return never
