# ruff: noqa: ANN401
"""Bugs in Marathon."""

from __future__ import annotations

import random
from typing import Any

from mezzo.cluster.states import TaskState
from mezzo.marathon.core import MarathonCore
from mezzo.marathon.deployments import command_rules, upgrade_strategy
from mezzo.marathon.deployments.command_rules import Commands
from mezzo.marathon.deployments.deployer import Deployer
from mezzo.marathon.effects import Call
from mezzo.marathon.health.rules import Health
from mezzo.marathon.incoming_updates import Updates
from mezzo.marathon.killing import kill_selection
from mezzo.marathon.killing.killer import Killer
from mezzo.marathon.model.app import KillSelection
from mezzo.marathon.model.instance import Condition
from mezzo.marathon.placement import environment, launcher, matching, task_info
from mezzo.marathon.placement.backoff import Backoffs
from mezzo.marathon.placement.constraints import Census
from mezzo.marathon.placement.launcher import Demand, Launcher
from mezzo.marathon.state.term_state import State
from mezzo.messages.scheduler import Acknowledge
from mezzo.record import replace

from .mutant import mutant, never


@mutant("marathon", Launcher, "settle")
def nothing_is_ever_revived(original: Any) -> Any:
    return never


@mutant("marathon", Launcher, "on_offers")
def offers_that_are_of_no_use_are_kept(original: Any) -> Any:
    def on_offers(self: Any, conn: Any, offers: Any) -> None:
        if self._demands:
            original(self, conn, offers)

    return on_offers


@mutant("marathon", Demand, "refused")
def nobody_notes_why_an_offer_was_not_used(original: Any) -> Any:
    def refused(self: Any, offer: Any, reason: Any, at: float) -> None:
        self.processed += 1
        self.unused += 1

    return refused


@mutant("marathon", State, "launch")
def an_instance_is_launched_but_not_stored(original: Any) -> Any:
    def launch(self: Any, record: Any, app: Any, data: bytes) -> Any:
        live = original(self, record, app, data)
        self.output.writes.pop()
        return live

    return launch


@mutant("marathon", State, "forget")
def an_end_is_acknowledged_but_not_stored(original: Any) -> Any:
    def forget(self: Any, live: Any, condition: Any) -> None:
        known = len(self.output.writes)
        original(self, live, condition)
        del self.output.writes[known:]

    return forget


@mutant("marathon", State, "put_deployment")
def a_deployment_is_not_stored(original: Any) -> Any:
    return never


@mutant("marathon", State, "store_doom")
def a_doomed_instance_is_not_stored_as_such(original: Any) -> Any:
    return never


@mutant("marathon", State, "set_framework_id")
def a_framework_id_is_not_stored(original: Any) -> Any:
    def set_id(self: Any, framework_id: Any) -> None:
        known = len(self.output.writes)
        original(self, framework_id)
        del self.output.writes[known:]

    return set_id


@mutant("marathon", Killer, "retry")
def kills_are_told_once(original: Any) -> Any:
    return never


@mutant("marathon", Killer, "_send")
def every_kill_hits_another_one_too(original: Any) -> Any:
    def send(self: Any, conn: Any, live: Any) -> None:
        original(self, conn, live)
        others = [each for each in self._state.by_id.values() if not each.doomed]
        if others:
            original(self, conn, others[0])

    return send


@mutant("marathon", Updates, "_on_unknown")
def unknown_tasks_may_run(original: Any) -> Any:
    return never


@mutant("marathon", Updates, "reconcile")
def a_new_leader_does_not_ask_what_runs(original: Any) -> Any:
    return never


@mutant("marathon", Updates, "_unreachable")
def an_unreachable_instance_is_never_replaced(original: Any) -> Any:
    return never


@mutant("marathon", Updates, "on_update")
def updates_are_not_acknowledged(original: Any) -> Any:
    def on_update(self: Any, conn: Any, status: Any) -> None:
        original(self, conn, status)
        effects = self._state.output.effects
        effects[:] = [
            each
            for each in effects
            if not (isinstance(each, Call) and isinstance(each.call, Acknowledge))
        ]

    return on_update


@mutant("marathon", Updates, "_ended")
def the_ends_of_doomed_ones_are_not_counted(original: Any) -> Any:
    def ended(self: Any, live: Any, condition: Any, status: Any) -> None:
        if not live.doomed:
            original(self, live, condition, status)

    return ended


@mutant("marathon", MarathonCore, "_master_said")
def marathon_obeys_the_deposed(original: Any) -> Any:
    def said(self: Any, conn: Any, epoch: int, event: Any) -> None:
        original(self, conn, max(epoch, self._epoch), event)

    return said


@mutant("marathon", Deployer, "resume")
def a_new_leader_does_not_go_on_with_deployments(original: Any) -> Any:
    return never


@mutant("marathon", Deployer, "_want_up_to_target")
def one_instance_too_few_is_wanted(original: Any) -> Any:
    def want(self: Any, app: Any) -> None:
        total = self._state.fleet(app.id).total
        self._launcher.want(app, app.instances - total.active - 1)

    return want


@mutant("marathon", Deployer, "_kill_down_to")
def surplus_instances_stay(original: Any) -> Any:
    return never


@mutant("marathon", Deployer, "_doom_all")
def instances_of_a_deleted_app_stay(original: Any) -> Any:
    return never


@mutant("marathon", Deployer, "_kill_old")
def an_upgrade_leaves_the_old_ones(original: Any) -> Any:
    return never


@mutant("marathon", Deployer, "_all_confirmed")
def surplus_is_killed_before_it_is_known_what_runs(original: Any) -> Any:
    def all_confirmed(self: Any, app_id: str) -> bool:
        fleet = self._state.fleets.get(app_id)
        for live in fleet.instances.values() if fleet is not None else ():
            if live.unsure:
                self._killer.doom(live)
        return True

    return all_confirmed


@mutant("marathon", Backoffs, "until_s")
def a_delay_never_ends(original: Any) -> Any:
    def until_s(self: Any, app: Any) -> float | None:
        known = (app.id, app.last_config_change_ms) in self._delays
        return self._state.now.mono_s + 3600.0 if known else None

    return until_s


@mutant("marathon", upgrade_strategy.RestartBounds, "of")
def an_upgrade_may_do_nothing_at_all(original: Any) -> Any:
    def of(app: Any, old_alive: int, old_healthy: int) -> Any:
        return upgrade_strategy.RestartBounds(app.instances, 0, old_alive)

    return of


@mutant("marathon", State, "set_condition")
def the_unreachable_are_given_up_for_good(original: Any) -> Any:
    def set_condition(self: Any, live: Any, condition: Any) -> None:
        if condition in (Condition.UNREACHABLE, Condition.UNREACHABLE_INACTIVE):
            self.forget(live, Condition.GONE)
        elif live.id in self.by_id:
            original(self, live, condition)

    return set_condition


@mutant("marathon", State, "remove_app")
def a_deleted_app_comes_back_with_the_next_leader(original: Any) -> Any:
    def remove(self: Any, app_id: str) -> None:
        known = len(self.output.writes)
        original(self, app_id)
        del self.output.writes[known:]

    return remove


@mutant("marathon", matching, "pick_host_ports")
def ports_are_used_but_not_taken(original: Any) -> Any:
    def pick(wanted: Any, offered: Any, rng: Any) -> Any:
        found = original(wanted, offered, random.Random(1))
        return None if found is None else (found[0], {})

    return pick


@mutant("marathon", Commands, "_cancel")
def a_cancelled_deployment_only_stops(original: Any) -> Any:
    return lambda self, command: original(self, replace(command, force=True))


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


@mutant("marathon", State, "remember_failure")
def nobody_remembers_the_last_failure(original: Any) -> Any:
    return never


@mutant("marathon", State, "show_deployment")
def deployments_are_not_shown(original: Any) -> Any:
    return never


@mutant("marathon", Updates, "_publish_update")
def nobody_is_told_of_updates(original: Any) -> Any:
    return never


@mutant("marathon", command_rules, "_versioned")
def a_change_is_taken_for_a_new_app(original: Any) -> Any:
    return lambda app, before, version: original(app, None, version)


@mutant("marathon", Launcher, "_census")
def constraints_see_nobody(original: Any) -> Any:
    return lambda self, demand: Census(demand.app.constraints)


# ---------------------------------------------------------------------------------- health


@mutant("marathon", Backoffs, "failed")
def who_is_ill_delays_nothing(original: Any) -> Any:
    def failed(self: Any, app: Any) -> None:
        original(self, replace(app, backoff_s=0.0))

    return failed


@mutant("marathon", Health, "_publish_change")
def nobody_is_told_of_a_change_of_health(original: Any) -> Any:
    return never


@mutant("marathon", Health, "_failed")
def a_failed_check_within_its_grace_counts(original: Any) -> Any:
    def failed(self: Any, live: Any, check: Any, seen: Any, cause: Any) -> None:
        original(self, live, replace(check, grace_s=0.0), seen, cause)

    return failed


@mutant("marathon", Health, "on_result")
def a_promise_of_an_answer_is_a_failure(original: Any) -> Any:
    def on_result(self: Any, result: Any) -> None:
        original(self, replace(result, alive=result.alive is True))

    return on_result


@mutant("marathon", Health, "_kill")
def who_fails_its_checks_lives_on(original: Any) -> Any:
    return never


@mutant("marathon", State, "remember_failure")
def a_kill_for_ill_health_is_no_failure(original: Any) -> Any:
    def remember(self: Any, live: Any, state: Any, message: str) -> None:
        if state is not TaskState.KILLED:
            original(self, live, state, message)

    return remember


@mutant("marathon", State, "stop_checks")
def who_is_away_is_asked_how_it_is(original: Any) -> Any:
    def stop(self: Any, live: Any) -> None:
        if live.condition is not Condition.RUNNING:
            original(self, live)

    return stop
