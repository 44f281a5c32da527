"""Bugs in what Marathon knows of its instances, asks about and ends."""

from __future__ import annotations

from typing import Any

from mezzo.cluster.states import TaskState
from mezzo.core import SetTimer
from mezzo.marathon import incoming_updates, overdue_launches, reconciling, unreachable_instances
from mezzo.marathon.effects import Call
from mezzo.marathon.killing import kill_selection, killer
from mezzo.marathon.model.app import KillSelection
from mezzo.marathon.model.instance import Condition
from mezzo.marathon.state import instance_changes
from mezzo.marathon.state.kill_queue import KillQueue
from mezzo.messages.scheduler import Acknowledge

from ..mutant import mutant, never


@mutant(overdue_launches, "kill_overdue")
def who_does_not_come_up_is_looked_for_once(original: Any) -> Any:
    def overdue(state: Any, step: Any) -> None:
        set_before = len(step.effects)
        original(state, step)
        effects = step.effects
        effects[set_before:] = [e for e in effects[set_before:] if not isinstance(e, SetTimer)]

    return overdue


@mutant(incoming_updates, "_on_unknown")
def what_is_unknown_runs_on(original: Any) -> Any:
    return never


@mutant(incoming_updates, "_on_unknown")
def what_runs_of_a_record_that_is_set_aside_is_killed(original: Any) -> Any:
    def on_unknown(state: Any, step: Any, status: Any, condition: Any) -> None:
        aside, state.aside = state.aside, {}
        original(state, step, status, condition)
        state.aside = aside

    return on_unknown


@mutant(incoming_updates, "_on_unknown")
def unknown_tasks_may_run(original: Any) -> Any:
    return never


@mutant(unreachable_instances, "lost_sight_of")
def an_unreachable_instance_is_never_replaced(original: Any) -> Any:
    return never


@mutant(incoming_updates, "updated")
def updates_are_not_acknowledged(original: Any) -> Any:
    def updated(state: Any, step: Any, event: Any) -> None:
        original(state, step, event)
        step.effects = [
            each
            for each in step.effects
            if not (isinstance(each, Call) and isinstance(each.call, Acknowledge))
        ]

    return updated


@mutant(incoming_updates, "_ended")
def the_ends_of_doomed_ones_are_not_counted(original: Any) -> Any:
    def ended(state: Any, step: Any, live: Any, condition: Any, status: Any) -> None:
        if not live.doomed:
            original(state, step, live, condition, status)

    return ended


@mutant(incoming_updates, "_publish_update")
def nobody_is_told_of_updates(original: Any) -> Any:
    return never


@mutant(reconciling, "_ask_again_in")
def what_is_not_answered_is_asked_for_without_rest(original: Any) -> Any:
    def again(state: Any, step: Any, seconds: float) -> None:
        original(state, step, 10.0)

    return again


@mutant(reconciling, "agent_lost")
def what_runs_on_a_lost_agent_is_not_asked_for(original: Any) -> Any:
    return never


@mutant(reconciling, "reconcile")
def a_new_leader_does_not_ask_what_runs(original: Any) -> Any:
    return never


@mutant(kill_selection, "kill_order")
def of_too_many_the_oldest_goes_first(original: Any) -> Any:
    return lambda candidates, selection: original(candidates, KillSelection.OLDEST_FIRST)


@mutant(killer, "_store_new")
def of_many_that_end_some_are_forgotten(original: Any) -> Any:
    def store(state: Any, step: Any) -> None:
        original(state, step)
        state.kills.new.clear()

    return store


@mutant(killer, "retry")
def kills_are_told_once(original: Any) -> Any:
    return never


@mutant(killer, "_send")
def every_kill_hits_another_one_too(original: Any) -> Any:
    def send(step: Any, live: Any) -> None:
        original(step, live)
        others = [each for each in step.state.by_id.values() if not each.doomed]
        if others:
            original(step, others[0])

    return send


@mutant(instance_changes, "launch")
def an_instance_is_launched_but_not_stored(original: Any) -> Any:
    def launch(state: Any, step: Any, record: Any, app: Any, data: bytes) -> Any:
        live = original(state, step, record, app, data)
        step.writes.pop()
        return live

    return launch


@mutant(instance_changes, "forget")
def an_end_is_acknowledged_but_not_stored(original: Any) -> Any:
    def forget(state: Any, step: Any, live: Any, condition: Any) -> None:
        known = len(step.writes)
        original(state, step, live, condition)
        del step.writes[known:]

    return forget


@mutant(instance_changes, "store_doom")
def a_doomed_instance_is_not_stored_as_such(original: Any) -> Any:
    return never


@mutant(instance_changes, "set_condition")
def the_unreachable_are_given_up_for_good(original: Any) -> Any:
    def set_condition(state: Any, step: Any, live: Any, condition: Any) -> None:
        if condition in (Condition.UNREACHABLE, Condition.UNREACHABLE_INACTIVE):
            instance_changes.forget(state, step, live, Condition.GONE)
        elif live.id in state.by_id:
            original(state, step, live, condition)

    return set_condition


@mutant(instance_changes, "remember_failure")
def nobody_remembers_the_last_failure(original: Any) -> Any:
    return never


@mutant(instance_changes, "remember_failure")
def a_kill_for_ill_health_is_no_failure(original: Any) -> Any:
    def remember(state: Any, step: Any, live: Any, task_state: Any, message: str) -> None:
        if task_state is not TaskState.KILLED:
            original(state, step, live, task_state, message)

    return remember


@mutant(instance_changes, "stop_checks")
def who_is_away_is_asked_how_it_is(original: Any) -> Any:
    def stop(step: Any, live: Any) -> None:
        if live.condition is not Condition.RUNNING:
            original(step, live)

    return stop


@mutant(KillQueue, "drop")
def who_has_ended_still_counts_as_being_killed(original: Any) -> Any:
    def drop(self: Any, live: Any) -> None:
        self.new.pop(live.id, None)
        self.waiting.pop(live.id, None)

    return drop
