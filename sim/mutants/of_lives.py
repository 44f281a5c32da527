"""Bugs in what agents say of ends, run and refuse, in who is a member, and what Marathon asks."""

from __future__ import annotations

from typing import Any

from mezzo.agent import membership
from mezzo.agent.resources import applying
from mezzo.agent.state.agent_task import KillCause
from mezzo.agent.tasks import launches, lifecycle, sandbox_gc
from mezzo.agent.tasks.verdicts import verdict_of_exit
from mezzo.core import SetTimer
from mezzo.errors import BadRequest
from mezzo.marathon import incoming_updates, reconciling
from mezzo.marathon.deployments import balancing
from mezzo.master.agents import pings, registration, unreachable
from mezzo.master.effects import CloseStream
from mezzo.record import replace

from .mutant import mutant, never


@mutant("agent", lifecycle, "verdict_of_exit")
def too_little_memory_is_told_as_any_failure(original: Any) -> Any:
    return lambda task, framework, ended: original(
        task, framework, replace(ended, oom_killed=False)
    )


@mutant("agent", lifecycle, "verdict_of_exit")
def a_drained_task_is_told_as_killed_by_its_framework(original: Any) -> Any:
    def verdict(task: Any, framework: Any, ended: Any) -> Any:
        if task.kill is not None and task.kill.cause is KillCause.DRAINING:
            task = replace(task, kill=replace(task.kill, cause=KillCause.REQUESTED))
        return original(task, framework, ended)

    return verdict


@mutant("agent", lifecycle, "exited")
def what_ran_unseen_is_not_told_to_have_run(original: Any) -> Any:
    def exited(state: Any, step: Any, event: Any) -> None:
        task = state.checkpoint.live_task_of(event.container_id)
        if task is not None:
            framework = state.checkpoint.framework_of(task)
            lifecycle.end(state, step, task, verdict_of_exit(task, framework, event))

    return exited


@mutant("agent", launches, "unknown_resources")
def an_agent_launches_what_its_volumes_are_not_there_for(original: Any) -> Any:
    return lambda info, total: False


@mutant("agent", launches, "unknown_resources")
def an_agent_refuses_what_its_master_has_counted(original: Any) -> Any:
    return lambda info, total: not info.resources <= total


@mutant("agent", applying, "new_folder")
def an_agent_has_no_volumes_on_disks_of_their_own(original: Any) -> Any:
    def new_folder(kind: Any, created_by: Any, work_dir: Any) -> Any:
        if kind.disk.source is not None:
            raise BadRequest("no")
        return original(kind, created_by, work_dir)

    return new_folder


@mutant("agent", membership, "_ask")
def an_agent_asks_a_new_master_no_sooner_again_than_the_one_before(original: Any) -> Any:
    def ask(state: Any, step: Any) -> None:
        state.ask_again_s = 60.0
        original(state, step)

    return ask


@mutant("agent", membership, "obeys")
def an_agent_obeys_what_was_said_on_a_stream_that_is_over(original: Any) -> Any:
    return lambda state, step, event: event.conn != state.conn or original(state, step, event)


@mutant("agent", sandbox_gc, "_remove")
def a_sandbox_is_removed_while_it_is_being_removed(original: Any) -> Any:
    def remove(state: Any, step: Any, container_id: Any) -> None:
        state.removals_asked.clear()
        original(state, step, container_id)

    return remove


@mutant("master", pings, "_ping")
def a_ping_that_is_not_answered_counts_twice(original: Any) -> Any:
    def ping(state: Any, step: Any, agent: Any, made: Any) -> None:
        original(state, step, agent, made)
        agent.missed_pings += 1

    return ping


@mutant("master", unreachable, "replaced")
def who_has_lost_its_memory_stays_a_member(original: Any) -> Any:
    return never


@mutant("master", registration, "_attach")
def an_agent_keeps_the_stream_of_before(original: Any) -> Any:
    def attach(state: Any, step: Any, agent: Any, conn: Any) -> None:
        original(state, step, agent, conn)
        step.effects = [each for each in step.effects if not isinstance(each, CloseStream)]

    return attach


@mutant("marathon", reconciling, "_ask_again_in")
def what_is_not_answered_is_asked_for_without_rest(original: Any) -> Any:
    def again(state: Any, step: Any, seconds: float) -> None:
        original(state, step, 10.0)

    return again


@mutant("marathon", incoming_updates, "kill_overdue")
def who_does_not_come_up_is_looked_for_once(original: Any) -> Any:
    def overdue(state: Any, step: Any) -> None:
        set_before = len(step.effects)
        original(state, step)
        effects = step.effects
        effects[set_before:] = [e for e in effects[set_before:] if not isinstance(e, SetTimer)]

    return overdue


@mutant("marathon", reconciling, "agent_lost")
def what_runs_on_a_lost_agent_is_not_asked_for(original: Any) -> Any:
    return never


@mutant("marathon", incoming_updates, "_on_unknown")
def what_is_unknown_runs_on(original: Any) -> Any:
    return never


@mutant("marathon", balancing, "choose_surplus")
def surplus_is_taken_from_any_group(original: Any) -> Any:
    return lambda app, instances, count: original(replace(app, constraints=()), instances, count)


@mutant("marathon", incoming_updates, "_on_unknown")
def what_runs_of_a_record_that_is_set_aside_is_killed(original: Any) -> Any:
    def on_unknown(state: Any, step: Any, status: Any, condition: Any) -> None:
        aside, state.aside = state.aside, {}
        original(state, step, status, condition)
        state.aside = aside

    return on_unknown
