"""Bugs in who is a member, and what is done to it."""

from __future__ import annotations

from typing import Any

from mezzo.master.agents import (
    admission,
    draining,
    maintenance,
    merging_reports,
    pings,
    registration,
    unreachable,
)
from mezzo.master.effects import CloseStream, ToAgent
from mezzo.master.state.agent_entry import AgentEntry
from mezzo.master.state.ping_schedule import Pings
from mezzo.master.tasks import status_updates
from mezzo.messages.agent import AgentReregistered, DrainAgent, KillTask
from mezzo.record import replace

from ..mutant import mutant, never


def _without(kind: type[Any], original: Any) -> Any:
    """The same, but no message of that kind leaves."""

    def same(state: Any, step: Any, *args: Any) -> Any:
        answer = original(state, step, *args)
        step.effects = [
            each for each in step.effects if not isinstance(getattr(each, "message", None), kind)
        ]
        return answer

    return same


@mutant(admission, "check")
def the_sum_of_what_an_agent_has_knows_no_bounds(original: Any) -> Any:
    return never


@mutant(admission, "check_return")
def an_agent_that_was_marked_gone_may_come_back(original: Any) -> Any:
    def check(state: Any, conn: Any, message: Any) -> Any:
        gone, state.gone_since_s = state.gone_since_s, {}
        try:
            return original(state, conn, message)
        finally:
            state.gone_since_s = gone

    return check


@mutant(admission, "check_agent")
def agents_of_machines_that_are_down_may_register(original: Any) -> Any:
    return never


@mutant(admission, "check_return")
def a_stream_may_be_that_of_many_agents(original: Any) -> Any:
    def check_return(state: Any, conn: Any, message: Any) -> Any:
        bound = state.agent_of.pop(conn, None)
        try:
            return original(state, conn, message)
        finally:
            if bound is not None:
                state.agent_of[conn] = bound

    return check_return


@mutant(draining, "_settle")
def what_is_done_to_an_agent_is_not_stored(original: Any) -> Any:
    def settle(state: Any, step: Any, *args: Any) -> Any:
        known = len(step.writes)
        answer = original(state, step, *args)
        del step.writes[known:]
        return answer

    return settle


@mutant(draining, "_is_empty")
def a_draining_agent_is_drained_at_once(original: Any) -> Any:
    def is_empty(agent: Any) -> bool:
        tasks, agent.tasks = agent.tasks, {}
        try:
            return bool(original(agent))
        finally:
            agent.tasks = tasks

    return is_empty


@mutant(draining, "check")
def drains_never_end(original: Any) -> Any:
    return never


@mutant(maintenance, "shut_down")
def agents_of_machines_that_go_down_stay(original: Any) -> Any:
    return never


@mutant(merging_reports, "_merge_task")
def what_runs_on_a_returning_agent_is_not_adopted(original: Any) -> Any:
    def merge(
        state: Any, step: Any, agent: Any, framework: Any, task: Any, *, resend: bool
    ) -> None:
        if (framework.id, task.task_id) in agent.tasks:
            original(state, step, agent, framework, task, resend=resend)

    return merge


@mutant(merging_reports, "merge_tasks")
def launches_that_never_arrived_are_not_asked_for(original: Any) -> Any:
    def merge(*args: Any, **kwargs: Any) -> tuple[()]:
        original(*args, **kwargs)
        return ()

    return merge


@mutant(merging_reports, "_framework_of")
def a_returning_agent_may_keep_the_tasks_of_a_removed_framework(original: Any) -> Any:
    def framework_of(state: Any, step: Any, agent: Any, framework_id: Any, infos: Any) -> Any:
        known = state.completed.pop(framework_id, None)
        try:
            return original(state, step, agent, framework_id, infos)
        finally:
            if known is not None:
                state.completed[framework_id] = known

    return framework_of


@mutant(pings, "_ping")
def a_ping_that_is_not_answered_counts_twice(original: Any) -> Any:
    def ping(state: Any, step: Any, agent: Any, made: Any) -> None:
        original(state, step, agent, made)
        agent.missed_pings += 1

    return ping


@mutant(pings, "heard")
def missed_pings_are_never_forgiven(original: Any) -> Any:
    return never


@mutant(pings, "answered")
def pongs_are_not_counted(original: Any) -> Any:
    return never


@mutant(registration, "reregister")
def a_kill_is_not_repeated_to_who_is_back(original: Any) -> Any:
    def reregister(state: Any, step: Any, conn: Any, message: Any) -> None:
        original(state, step, conn, message)
        step.effects = [
            each
            for each in step.effects
            if not (isinstance(each, ToAgent) and isinstance(each.message, KillTask))
        ]

    return reregister


@mutant(registration, "_attach")
def an_agent_keeps_the_stream_of_before(original: Any) -> Any:
    def attach(state: Any, step: Any, agent: Any, conn: Any) -> None:
        original(state, step, agent, conn)
        step.effects = [each for each in step.effects if not isinstance(each, CloseStream)]

    return attach


@mutant(registration, "disconnected")
def a_disconnected_agent_counts_as_connected(original: Any) -> Any:
    return never


@mutant(registration, "reregister")
def an_agent_that_comes_back_is_not_welcomed(original: Any) -> Any:
    def reregister(state: Any, step: Any, conn: Any, message: Any) -> None:
        original(state, step, conn, message)
        step.effects = [
            each
            for each in step.effects
            if not isinstance(getattr(each, "message", None), AgentReregistered)
        ]

    return reregister


@mutant(registration, "_as_it_says")
def what_is_done_to_an_agent_is_not_kept_with_it(original: Any) -> Any:
    def says(record: Any, message: Any) -> Any:
        return replace(original(record, message), deactivated=False, drain=None, drain_start_s=None)

    return says


@mutant(registration, "reregister")
def who_was_away_does_not_hear_that_it_drains(original: Any) -> Any:
    return _without(DrainAgent, original)


@mutant(registration, "_ignored")
def strays_are_admitted(original: Any) -> Any:
    return lambda state, step, message: False


@mutant(unreachable, "remove_due")
def who_is_silent_is_never_given_up(original: Any) -> Any:
    return never


@mutant(unreachable, "replaced")
def who_has_lost_its_memory_stays_a_member(original: Any) -> Any:
    return never


@mutant(unreachable, "_lose")
def a_lost_agent_takes_its_tasks_along(original: Any) -> Any:
    def lose(state: Any, step: Any, agent: Any, why: str) -> None:
        for key in list(agent.tasks):
            status_updates.free(state, step, agent.tasks[key].info)
            del state.frameworks[key[0]].tasks[key[1]], agent.tasks[key]
        original(state, step, agent, why)

    return lose


@mutant(AgentEntry, "active")
def a_deactivated_agent_is_offered_when_it_is_back(original: Any) -> Any:
    return property(lambda self: self.connected)


@mutant(Pings, "remove")
def who_is_gone_is_pinged_on(original: Any) -> Any:
    return never
