# ruff: noqa: ANN401
"""Bugs in how Marathon plans its deployments and carries them out, asks for offers, and keeps what
it has stored."""

from __future__ import annotations

from typing import Any

from mezzo.marathon.deployments import deployer, upgrade_strategy
from mezzo.marathon.deployments.deployer import Deployer
from mezzo.marathon.model.app import KillSelection
from mezzo.marathon.model.deployment import ActionKind
from mezzo.marathon.placement.backoff import Backoffs
from mezzo.marathon.placement.launcher import Launcher
from mezzo.marathon.state.term_state import State
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


@mutant("plans", Deployer, "_begin")
def a_deployment_waits_for_nobody_to_be_ready(original: Any) -> Any:
    def begin(self: Any, running: Any, action: Any) -> Any:
        work = original(self, running, action)
        work.needs_ready = False
        return work

    return begin


@mutant("plans", upgrade_strategy.RestartBounds, "of")
def an_upgrade_ends_old_ones_before_new_ones_are_ready(original: Any) -> Any:
    def of(app: Any, old_alive: int, old_healthy: int) -> Any:
        bounds = original(app, old_alive, old_healthy)
        return upgrade_strategy.RestartBounds(bounds.min_healthy, bounds.max_capacity, 0)

    return of


@mutant("plans", upgrade_strategy.RestartBounds, "of")
def an_upgrade_keeps_one_old_instance_too_many(original: Any) -> Any:
    def of(app: Any, old_alive: int, old_healthy: int) -> Any:
        bounds = original(app, old_alive, old_healthy)
        return upgrade_strategy.RestartBounds(
            bounds.min_healthy, bounds.max_capacity, min(old_alive, bounds.keep_old + 1)
        )

    return of


@mutant("plans", deployer, "kill_order")
def an_upgrade_ends_the_youngest_first(original: Any) -> Any:
    return lambda candidates, selection: original(candidates, KillSelection.YOUNGEST_FIRST)


@mutant("plans", Deployer, "_next_step")
def a_step_that_ends_is_told_twice(original: Any) -> Any:
    def next_step(self: Any, running: Any) -> None:
        original(self, running)
        if running.step < len(running.plan.steps):
            step = running.plan.steps[running.step]
            self._state.publish("deployment_info", plan=running.plan, currentStep=step)

    return next_step


@mutant("plans", Deployer, "_show")
def a_deployment_is_shown_a_step_too_far(original: Any) -> Any:
    def show(self: Any, running: Any) -> None:
        running.step += 1
        original(self, running)
        running.step -= 1

    return show


@mutant("plans", Backoffs, "failed")
def a_delay_does_not_grow(original: Any) -> Any:
    def failed(self: Any, app: Any) -> None:
        original(self, app)
        self._delays[(app.id, app.last_config_change_ms)].delay_s = app.backoff_s

    return failed


@mutant("plans", Backoffs, "progressed")
def a_delay_counts_from_the_failure(original: Any) -> Any:
    return never


@mutant("plans", Backoffs, "reset")
def a_restarted_app_waits_all_the_same(original: Any) -> Any:
    return never


@mutant("plans", Backoffs, "until_s")
def a_delay_is_over_half_a_second_too_early(original: Any) -> Any:
    def until_s(self: Any, app: Any) -> float | None:
        end_s: float | None = original(self, app)
        return None if end_s is None or end_s - 0.5 <= self._state.now.mono_s else end_s - 0.5

    return until_s


@mutant("plans", Launcher, "delay_reset")
def a_delay_that_is_reset_goes_on(original: Any) -> Any:
    return lambda self, app_id: app_id in self._demands


@mutant("plans", Launcher, "_refuse_s")
def offers_are_declined_beyond_the_next_delay(original: Any) -> Any:
    return lambda self: self._state.config.decline_offer_s


@mutant("plans", Launcher, "delay_over")
def nobody_asks_for_offers_when_a_delay_is_over(original: Any) -> Any:
    return never


@mutant("plans", Launcher, "settle")
def offers_are_wanted_by_nobody(original: Any) -> Any:
    def settle(self: Any, conn: Any) -> None:
        if self._demands:
            original(self, conn)

    return settle


@mutant("plans", Launcher, "token_back")
def launch_tokens_come_back_only_with_time(original: Any) -> Any:
    return never


@mutant("plans", State, "forget_versions")
def versions_of_an_app_that_is_gone_stay(original: Any) -> Any:
    return never


@mutant("plans", State, "_prune_versions")
def versions_that_run_are_dropped(original: Any) -> Any:
    def prune(self: Any, app: Any, kept: Any) -> None:
        fleets, self.fleets = self.fleets, {}
        original(self, app, kept)
        self.fleets = fleets

    return prune


@mutant("plans", Deployer, "count")
def as_many_deployments_run_as_anybody_wants(original: Any) -> Any:
    return property(lambda self: 0)
