"""Bugs in Marathon."""

from __future__ import annotations

import random
from typing import Any

from mezzo.cluster.states import TaskState
from mezzo.marathon import core, incoming_updates, reconciling, subscription
from mezzo.marathon.deployments import balancing, command_rules, deployer, upgrade_strategy
from mezzo.marathon.effects import Call
from mezzo.marathon.health import rules
from mezzo.marathon.killing import kill_selection, killer
from mezzo.marathon.model.app import KillSelection
from mezzo.marathon.model.instance import Condition
from mezzo.marathon.placement import (
    backoff,
    environment,
    launcher,
    matching,
    reviving,
    task_info,
)
from mezzo.marathon.state import app_changes, instance_changes
from mezzo.marathon.state.census import Census
from mezzo.marathon.state.launch_queue import Demand
from mezzo.marathon.state.running_plans import RestartBounds
from mezzo.messages.scheduler import Acknowledge
from mezzo.record import replace

from .mutant import mutant, never


@mutant("marathon", reviving, "settle")
def nothing_is_ever_revived(original: Any) -> Any:
    return never


@mutant("marathon", launcher, "offered")
def offers_that_are_of_no_use_are_kept(original: Any) -> Any:
    def offered(state: Any, step: Any, event: Any) -> None:
        if state.queue.demands:
            original(state, step, event)

    return offered


@mutant("marathon", Demand, "refused")
def nobody_notes_why_an_offer_was_not_used(original: Any) -> Any:
    def refused(self: Any, offer: Any, reason: Any, at: float) -> None:
        self.processed += 1
        self.unused += 1

    return refused


@mutant("marathon", instance_changes, "launch")
def an_instance_is_launched_but_not_stored(original: Any) -> Any:
    def launch(state: Any, step: Any, record: Any, app: Any, data: bytes) -> Any:
        live = original(state, step, record, app, data)
        step.writes.pop()
        return live

    return launch


@mutant("marathon", instance_changes, "forget")
def an_end_is_acknowledged_but_not_stored(original: Any) -> Any:
    def forget(state: Any, step: Any, live: Any, condition: Any) -> None:
        known = len(step.writes)
        original(state, step, live, condition)
        del step.writes[known:]

    return forget


@mutant("marathon", deployer, "_store")
def a_deployment_is_not_stored(original: Any) -> Any:
    return never


@mutant("marathon", instance_changes, "store_doom")
def a_doomed_instance_is_not_stored_as_such(original: Any) -> Any:
    return never


@mutant("marathon", subscription, "_set_framework_id")
def a_framework_id_is_not_stored(original: Any) -> Any:
    def set_id(state: Any, step: Any, framework_id: Any) -> None:
        known = len(step.writes)
        original(state, step, framework_id)
        del step.writes[known:]

    return set_id


@mutant("marathon", killer, "retry")
def kills_are_told_once(original: Any) -> Any:
    return never


@mutant("marathon", killer, "_send")
def every_kill_hits_another_one_too(original: Any) -> Any:
    def send(step: Any, live: Any) -> None:
        original(step, live)
        others = [each for each in step.state.by_id.values() if not each.doomed]
        if others:
            original(step, others[0])

    return send


@mutant("marathon", incoming_updates, "_on_unknown")
def unknown_tasks_may_run(original: Any) -> Any:
    return never


@mutant("marathon", reconciling, "reconcile")
def a_new_leader_does_not_ask_what_runs(original: Any) -> Any:
    return never


@mutant("marathon", incoming_updates, "_unreachable")
def an_unreachable_instance_is_never_replaced(original: Any) -> Any:
    return never


@mutant("marathon", incoming_updates, "updated")
def updates_are_not_acknowledged(original: Any) -> Any:
    def updated(state: Any, step: Any, event: Any) -> None:
        original(state, step, event)
        step.effects = [
            each
            for each in step.effects
            if not (isinstance(each, Call) and isinstance(each.call, Acknowledge))
        ]

    return updated


@mutant("marathon", incoming_updates, "_ended")
def the_ends_of_doomed_ones_are_not_counted(original: Any) -> Any:
    def ended(state: Any, step: Any, live: Any, condition: Any, status: Any) -> None:
        if not live.doomed:
            original(state, step, live, condition, status)

    return ended


@mutant("marathon", core, "_master_said")
def marathon_obeys_the_deposed(original: Any) -> Any:
    def said(state: Any, step: Any, event: Any) -> None:
        original(state, step, replace(event, epoch=max(event.epoch, state.epoch)))

    return said


@mutant("marathon", deployer, "resume")
def a_new_leader_does_not_go_on_with_deployments(original: Any) -> Any:
    return never


@mutant("marathon", balancing, "_want_up_to_target")
def one_instance_too_few_is_wanted(original: Any) -> Any:
    def want(state: Any, step: Any, app: Any) -> None:
        total = state.fleet(app.id).total
        reviving.want(state, step, app, app.instances - total.active - 1)

    return want


@mutant("marathon", balancing, "_kill_down_to")
def surplus_instances_stay(original: Any) -> Any:
    return never


@mutant("marathon", balancing, "_doom_all")
def instances_of_a_deleted_app_stay(original: Any) -> Any:
    return never


@mutant("marathon", balancing, "_kill_old")
def an_upgrade_leaves_the_old_ones(original: Any) -> Any:
    return never


@mutant("marathon", balancing, "_all_confirmed")
def surplus_is_killed_before_it_is_known_what_runs(original: Any) -> Any:
    def all_confirmed(state: Any, app_id: str) -> bool:
        fleet = state.fleets.get(app_id)
        for live in fleet.instances.values() if fleet is not None else ():
            if live.unsure:
                killer.doom(state, live)
        return True

    return all_confirmed


@mutant("marathon", backoff, "until_s")
def a_delay_never_ends(original: Any) -> Any:
    def until_s(state: Any, step: Any, app: Any) -> float | None:
        known = (app.id, app.last_config_change_ms) in state.queue.delays
        return step.now.mono_s + 3600.0 if known else None

    return until_s


@mutant("marathon", upgrade_strategy, "restart_bounds")
def an_upgrade_may_do_nothing_at_all(original: Any) -> Any:
    def bounds(app: Any, old_alive: int, old_healthy: int) -> Any:
        return RestartBounds(app.instances, 0, old_alive)

    return bounds


@mutant("marathon", instance_changes, "set_condition")
def the_unreachable_are_given_up_for_good(original: Any) -> Any:
    def set_condition(state: Any, step: Any, live: Any, condition: Any) -> None:
        if condition in (Condition.UNREACHABLE, Condition.UNREACHABLE_INACTIVE):
            instance_changes.forget(state, step, live, Condition.GONE)
        elif live.id in state.by_id:
            original(state, step, live, condition)

    return set_condition


@mutant("marathon", app_changes, "remove_app")
def a_deleted_app_comes_back_with_the_next_leader(original: Any) -> Any:
    def remove(state: Any, step: Any, app_id: str) -> None:
        known = len(step.writes)
        original(state, step, app_id)
        del step.writes[known:]

    return remove


@mutant("marathon", matching, "pick_host_ports")
def ports_are_used_but_not_taken(original: Any) -> Any:
    def pick(wanted: Any, offered: Any, rng: Any) -> Any:
        found = original(wanted, offered, random.Random(1))
        return None if found is None else (found[0], {})

    return pick


@mutant("marathon", command_rules, "_cancel")
def a_cancelled_deployment_only_stops(original: Any) -> Any:
    return lambda state, step, command: original(state, step, replace(command, force=True))


@mutant("marathon", task_info, "_labels")
def a_task_has_none_of_its_labels(original: Any) -> Any:
    return lambda labels: ()


@mutant("marathon", environment, "task_environment")
def the_ports_of_a_task_have_no_prefix(original: Any) -> Any:
    return lambda app, instance, prefix: original(app, instance, None)


@mutant("marathon", launcher, "resolve_container_ports")
def ports_in_a_container_are_those_on_its_host(original: Any) -> Any:
    return lambda app, host_ports: tuple(port or 0 for port in host_ports)


@mutant("marathon", kill_selection, "kill_order")
def of_too_many_the_oldest_goes_first(original: Any) -> Any:
    return lambda candidates, selection: original(candidates, KillSelection.OLDEST_FIRST)


@mutant("marathon", instance_changes, "remember_failure")
def nobody_remembers_the_last_failure(original: Any) -> Any:
    return never


@mutant("marathon", deployer, "_show")
def deployments_are_not_shown(original: Any) -> Any:
    return never


@mutant("marathon", incoming_updates, "_publish_update")
def nobody_is_told_of_updates(original: Any) -> Any:
    return never


@mutant("marathon", command_rules, "_versioned")
def a_change_is_taken_for_a_new_app(original: Any) -> Any:
    return lambda app, before, version: original(app, None, version)


@mutant("marathon", launcher, "_census")
def constraints_see_nobody(original: Any) -> Any:
    return lambda state, demand: Census(demand.app.constraints)


# ---------------------------------------------------------------------------------- health


@mutant("marathon", backoff, "failed")
def who_is_ill_delays_nothing(original: Any) -> Any:
    def failed(state: Any, step: Any, app: Any) -> None:
        original(state, step, replace(app, backoff_s=0.0))

    return failed


@mutant("marathon", rules, "_publish_change")
def nobody_is_told_of_a_change_of_health(original: Any) -> Any:
    return never


@mutant("marathon", rules, "_failed")
def a_failed_check_within_its_grace_counts(original: Any) -> Any:
    def failed(step: Any, live: Any, check: Any, seen: Any, cause: Any) -> None:
        original(step, live, replace(check, grace_s=0.0), seen, cause)

    return failed


@mutant("marathon", rules, "probed")
def a_promise_of_an_answer_is_a_failure(original: Any) -> Any:
    def probed(state: Any, step: Any, result: Any) -> None:
        original(state, step, replace(result, alive=result.alive is True))

    return probed


@mutant("marathon", rules, "_kill")
def who_fails_its_checks_lives_on(original: Any) -> Any:
    return never


@mutant("marathon", instance_changes, "remember_failure")
def a_kill_for_ill_health_is_no_failure(original: Any) -> Any:
    def remember(state: Any, step: Any, live: Any, task_state: Any, message: str) -> None:
        if task_state is not TaskState.KILLED:
            original(state, step, live, task_state, message)

    return remember


@mutant("marathon", instance_changes, "stop_checks")
def who_is_away_is_asked_how_it_is(original: Any) -> Any:
    def stop(step: Any, live: Any) -> None:
        if live.condition is not Condition.RUNNING:
            original(step, live)

    return stop
