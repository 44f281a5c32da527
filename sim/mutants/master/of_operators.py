"""Bugs in what operators are told and may ask for."""

from __future__ import annotations

from typing import Any

from mezzo.master import metrics, views
from mezzo.master.operators import calls, event_stream, explaining
from mezzo.master.roles import quota_calls
from mezzo.master.state.event_history import Journal

from ..mutant import mutant, never


@mutant(calls, "BadRequest")
def a_call_that_makes_no_sense_ends_the_master(original: Any) -> Any:
    return ZeroDivisionError


@mutant(event_stream, "publish_views")
def who_has_what_is_never_published(original: Any) -> Any:
    def publish_views(state: Any, step: Any) -> None:
        state.views_due = False
        state.changed_agents, state.changed_frameworks = {}, {}

    return publish_views


@mutant(explaining, "_agents")
def who_asks_of_a_host_is_told_of_all(original: Any) -> Any:
    return lambda state, agent: original(state, agent) and list(state.agents.values())


@mutant(quota_calls, "check_config")
def a_quota_may_be_of_anything(original: Any) -> Any:
    return never


@mutant(quota_calls, "_check_consumption")
def a_limit_may_be_below_what_is_in_use(original: Any) -> Any:
    return never


@mutant(metrics, "_of")
def what_frameworks_say_is_not_counted(original: Any) -> Any:
    return lambda state, conn: None


@mutant(metrics, "end_told")
def why_a_task_has_ended_is_not_counted(original: Any) -> Any:
    return never


@mutant(metrics, "task_over")
def a_task_counts_as_over_for_the_master_only(original: Any) -> Any:
    def over(step: Any, framework: Any, state: Any) -> None:
        step.count(f"tasks_{state.removeprefix('TASK_').lower()}")

    return over


@mutant(metrics, "status_came")
def each_repetition_of_an_end_is_counted(original: Any) -> Any:
    def came(step: Any, entry: Any, status: Any) -> None:
        step.count("invalid_status_updates" if entry is None else "valid_status_updates")
        if entry is not None and status.state.terminal:
            metrics.end_told(step, status)

    return came


@mutant(metrics, "_of_the_allocator")
def agents_that_are_not_back_count_as_there(original: Any) -> Any:
    def of_the_allocator(state: Any) -> Any:
        for name, value in original(state):
            if name == "allocator/mesos/resources/cpus/total":
                agents = state.agents.values()
                yield name, sum(a.info.resources.milli("cpus") for a in agents) / 1000
            else:
                yield name, value

    return of_the_allocator


@mutant(views, "used_on")
def what_runs_on_an_agent_is_not_shown(original: Any) -> Any:
    return lambda entry: {}


@mutant(Journal, "close")
def what_nobody_has_listened_to_is_taken_for_what_was_before(original: Any) -> Any:
    def close(self: Any) -> None:
        self.open = False

    return close
