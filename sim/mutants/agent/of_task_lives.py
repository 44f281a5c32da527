"""Bugs in how an agent launches tasks, ends them and tells of it."""

from __future__ import annotations

from typing import Any

from mezzo.agent.container import Kind
from mezzo.agent.effects import LaunchContainer, RemoveContainer
from mezzo.agent.state.agent_task import KillCause
from mezzo.agent.tasks import (
    launches,
    lifecycle,
    outgoing_updates,
    sandbox_gc,
    task_kills,
    verdicts,
)
from mezzo.agent.tasks.verdicts import verdict_of_exit
from mezzo.record import replace

from ..mutant import mutant, never


@mutant(launches, "reconcile")
def launches_that_got_lost_are_not_told(original: Any) -> Any:
    return never


@mutant(launches, "unknown_resources")
def an_agent_launches_what_its_volumes_are_not_there_for(original: Any) -> Any:
    return lambda info, total: False


@mutant(launches, "unknown_resources")
def an_agent_refuses_what_its_master_has_counted(original: Any) -> Any:
    return lambda info, total: not info.resources <= total


@mutant(lifecycle, "absent")
def a_container_that_is_gone_is_started_again(original: Any) -> Any:
    def absent(state: Any, step: Any, event: Any) -> None:
        task = state.checkpoint.live_task_of(event.container_id)
        if task is not None:
            step.do(LaunchContainer(lifecycle.spec(state, task)))

    return absent


@mutant(lifecycle, "exited")
def ends_are_not_noticed(original: Any) -> Any:
    return never


@mutant(lifecycle, "end")
def what_has_ended_is_removed_before_it_ended(original: Any) -> Any:
    def end(state: Any, step: Any, task: Any, verdict: Any) -> None:
        original(state, step, task, verdict)
        for other in state.checkpoint.live_tasks():
            if other.container_id is not None:
                step.do(RemoveContainer(other.container_id, Kind.PROCESS, ""))
                return

    return end


@mutant(lifecycle, "_host_network")
def a_process_has_no_address(original: Any) -> Any:
    return lambda state, task: ()


@mutant(lifecycle, "verdict_of_exit")
def too_little_memory_is_told_as_any_failure(original: Any) -> Any:
    return lambda task, framework, ended: original(
        task, framework, replace(ended, oom_killed=False)
    )


@mutant(lifecycle, "verdict_of_exit")
def a_drained_task_is_told_as_killed_by_its_framework(original: Any) -> Any:
    def verdict(task: Any, framework: Any, ended: Any) -> Any:
        if task.kill is not None and task.kill.cause is KillCause.DRAINING:
            task = replace(task, kill=replace(task.kill, cause=KillCause.REQUESTED))
        return original(task, framework, ended)

    return verdict


@mutant(lifecycle, "exited")
def what_ran_unseen_is_not_told_to_have_run(original: Any) -> Any:
    def exited(state: Any, step: Any, event: Any) -> None:
        task = state.checkpoint.live_task_of(event.container_id)
        if task is not None:
            framework = state.checkpoint.framework_of(task)
            lifecycle.end(state, step, task, verdict_of_exit(task, framework, event))

    return exited


@mutant(task_kills, "order")
def kills_are_noted_but_not_carried_out(original: Any) -> Any:
    return never


@mutant(task_kills, "shutdown_framework")
def an_agent_keeps_what_a_removed_framework_has(original: Any) -> Any:
    return never


@mutant(task_kills, "want_dead")
def who_does_not_checkpoint_keeps_its_tasks(original: Any) -> Any:
    def want_dead(state: Any, step: Any, task: Any, cause: Any, **named: Any) -> Any:
        if cause is KillCause.NOT_CHECKPOINTED:
            return task
        return original(state, step, task, cause, **named)

    return want_dead


@mutant(verdicts, "verdict_of_kill")
def an_end_for_ill_health_is_told_as_any_other(original: Any) -> Any:
    def verdict(*args: Any) -> Any:
        return replace(original(*args), healthy=None)

    return verdict


@mutant(outgoing_updates, "overdue")
def updates_are_told_once(original: Any) -> Any:
    return never


@mutant(outgoing_updates, "connect")
def updates_do_not_follow_to_a_new_master(original: Any) -> Any:
    def connect(state: Any, step: Any, conn: Any) -> None:
        tasks, state.checkpoint.tasks = state.checkpoint.tasks, {}
        original(state, step, conn)
        state.checkpoint.tasks = tasks

    return connect


@mutant(outgoing_updates, "acknowledged")
def any_acknowledgement_will_do(original: Any) -> Any:
    def acknowledged(state: Any, step: Any, message: Any) -> None:
        task = state.checkpoint.tasks.get((message.framework_id, message.task_id))
        if task is not None:
            outgoing_updates.forget_unheard(state, step, task)

    return acknowledged


@mutant(outgoing_updates, "overdue")
def an_update_is_told_once(original: Any) -> Any:
    return never


@mutant(sandbox_gc, "_remove")
def a_sandbox_is_removed_while_it_is_being_removed(original: Any) -> Any:
    def remove(state: Any, step: Any, container_id: Any) -> None:
        state.removals_asked.clear()
        original(state, step, container_id)

    return remove


@mutant(sandbox_gc, "found")
def what_an_earlier_life_has_left_stays(original: Any) -> Any:
    return never
