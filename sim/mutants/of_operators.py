"""Bugs in what operators ask of the master: drains, maintenance, quota, the end of frameworks."""

from __future__ import annotations

from typing import Any

from mezzo import core
from mezzo.agent import core as agents_core
from mezzo.agent import leaving
from mezzo.agent.tasks import task_kills
from mezzo.master.agents import admission, draining, maintenance, merging_reports, registration
from mezzo.master.allocator.quota import Quotas
from mezzo.master.frameworks import ending
from mezzo.master.state.agent_entry import AgentEntry
from mezzo.master.tables import MAINTENANCE, QUOTAS, WEIGHTS
from mezzo.messages.agent import DrainAgent, ReactivateAgent, ShutdownFramework
from mezzo.record import replace
from mezzo.tables import Table

from .mutant import mutant, never


def _without(kind: type[Any], original: Any) -> Any:
    """The same, but no message of that kind leaves."""

    def same(state: Any, step: Any, *args: Any) -> Any:
        answer = original(state, step, *args)
        step.effects = [
            each for each in step.effects if not isinstance(getattr(each, "message", None), kind)
        ]
        return answer

    return same


@mutant("operators", AgentEntry, "active")
def a_deactivated_agent_is_offered_when_it_is_back(original: Any) -> Any:
    return property(lambda self: self.connected)


@mutant("operators", draining, "_settle")
def what_is_done_to_an_agent_is_not_stored(original: Any) -> Any:
    def settle(state: Any, step: Any, *args: Any) -> Any:
        known = len(step.writes)
        answer = original(state, step, *args)
        del step.writes[known:]
        return answer

    return settle


@mutant("operators", registration, "_as_it_says")
def what_is_done_to_an_agent_is_not_kept_with_it(original: Any) -> Any:
    def says(record: Any, message: Any) -> Any:
        return replace(original(record, message), deactivated=False, drain=None, drain_start_s=None)

    return says


@mutant("operators", draining, "_is_empty")
def a_draining_agent_is_drained_at_once(original: Any) -> Any:
    def is_empty(agent: Any) -> bool:
        tasks, agent.tasks = agent.tasks, {}
        try:
            return bool(original(agent))
        finally:
            agent.tasks = tasks

    return is_empty


@mutant("operators", draining, "check")
def drains_never_end(original: Any) -> Any:
    return never


@mutant("operators", registration, "reregister")
def who_was_away_does_not_hear_that_it_drains(original: Any) -> Any:
    return _without(DrainAgent, original)


@mutant("operators", agents_core, "_master_said")
def an_agent_does_not_hear_that_it_may_work_again(original: Any) -> Any:
    def said(state: Any, step: Any, event: Any) -> None:
        if not isinstance(event.message, ReactivateAgent):
            original(state, step, event)

    return said


@mutant("operators", leaving, "drain")
def a_draining_agent_kills_nothing(original: Any) -> Any:
    def drain(state: Any, step: Any, message: Any) -> None:
        state.drain = message.config

    return drain


@mutant("operators", admission, "check_return")
def an_agent_that_was_marked_gone_may_come_back(original: Any) -> Any:
    def check(state: Any, conn: Any, message: Any) -> Any:
        gone, state.gone_since_s = state.gone_since_s, {}
        try:
            return original(state, conn, message)
        finally:
            state.gone_since_s = gone

    return check


@mutant("operators", admission, "check_agent")
def agents_of_machines_that_are_down_may_register(original: Any) -> Any:
    return never


@mutant("operators", maintenance, "shut_down")
def agents_of_machines_that_go_down_stay(original: Any) -> Any:
    return never


@mutant("operators", core.Step, "put")
def maintenance_is_not_stored(original: Any) -> Any:
    return _all_but(MAINTENANCE, original)


@mutant("operators", ending, "complete")
def tasks_of_a_removed_framework_run_on(original: Any) -> Any:
    return _without(ShutdownFramework, original)


@mutant("operators", ending, "complete")
def that_a_framework_was_removed_is_not_stored(original: Any) -> Any:
    def complete(state: Any, step: Any, *args: Any) -> None:
        known = len(step.writes)
        original(state, step, *args)
        del step.writes[known:]

    return complete


@mutant("operators", merging_reports, "_framework_of")
def a_returning_agent_may_keep_the_tasks_of_a_removed_framework(original: Any) -> Any:
    def framework_of(state: Any, step: Any, agent: Any, framework_id: Any, infos: Any) -> Any:
        known = state.completed.pop(framework_id, None)
        try:
            return original(state, step, agent, framework_id, infos)
        finally:
            if known is not None:
                state.completed[framework_id] = known

    return framework_of


@mutant("operators", Quotas, "limit_left")
def limits_limit_nothing(original: Any) -> Any:
    return lambda self, top: {}


@mutant("operators", core.Step, "put")
def a_quota_is_not_stored(original: Any) -> Any:
    return _all_but(QUOTAS, original)


@mutant("operators", core.Step, "put")
def a_weight_is_not_stored(original: Any) -> Any:
    return _all_but(WEIGHTS, original)


@mutant("operators", task_kills, "shutdown_framework")
def an_agent_keeps_what_a_removed_framework_has(original: Any) -> Any:
    return never


def _all_but(left_out: Table[Any], original: Any) -> Any:
    def put(self: Any, table: Any, record: Any) -> None:
        if table is not left_out:
            original(self, table, record)

    return put
