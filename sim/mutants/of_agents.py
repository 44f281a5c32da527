"""Bugs in the agent."""

from __future__ import annotations

import math
from typing import Any

from mezzo.agent import membership, recovering
from mezzo.agent.container import Kind
from mezzo.agent.effects import LaunchContainer, RecoverContainers, RemoveContainer, RenewLease
from mezzo.agent.state.agent_task import AgentTask, KillCause
from mezzo.agent.state.checkpoint import Checkpoint
from mezzo.agent.tasks import (
    launches,
    lifecycle,
    outgoing_updates,
    task_kills,
    unique_leases,
    verdicts,
    watching,
)
from mezzo.record import replace

from .mutant import mutant, never


@mutant("agent", Checkpoint, "has_ended")
def an_agent_forgets_what_has_ended(original: Any) -> Any:
    return lambda self, key: False


@mutant("agent", Checkpoint, "forget_task")
def an_acknowledged_end_is_not_durable(original: Any) -> Any:
    def forget(self: Any, step: Any, task: Any) -> None:
        known = len(step.writes)
        original(self, step, task)
        del step.writes[known:]

    return forget


@mutant("agent", Checkpoint, "put_task")
def a_task_is_not_stored(original: Any) -> Any:
    def put(self: Any, step: Any, task: Any) -> None:
        original(self, step, task)
        step.writes.pop()

    return put


@mutant("agent", Checkpoint, "set_epoch")
def the_newest_epoch_is_not_stored(original: Any) -> Any:
    def set_epoch(self: Any, step: Any, epoch: int) -> None:
        self.epoch = epoch

    return set_epoch


@mutant("agent", Checkpoint, "set_identity")
def an_agent_forgets_its_id(original: Any) -> Any:
    def set_identity(self: Any, step: Any, identity: Any) -> None:
        self.identity = identity

    return set_identity


@mutant("agent", membership, "obeys")
def an_agent_obeys_the_deposed(original: Any) -> Any:
    return lambda state, step, event: event.conn == state.conn


@mutant("agent", membership, "_ask")
def an_agent_does_not_say_what_runs(original: Any) -> Any:
    def ask(state: Any, step: Any) -> None:
        tasks, state.checkpoint.tasks = state.checkpoint.tasks, {}
        original(state, step)
        state.checkpoint.tasks = tasks

    return ask


@mutant("agent", outgoing_updates, "overdue")
def updates_are_told_once(original: Any) -> Any:
    return never


@mutant("agent", outgoing_updates, "connect")
def updates_do_not_follow_to_a_new_master(original: Any) -> Any:
    def connect(state: Any, step: Any, conn: Any) -> None:
        tasks, state.checkpoint.tasks = state.checkpoint.tasks, {}
        original(state, step, conn)
        state.checkpoint.tasks = tasks

    return connect


@mutant("agent", outgoing_updates, "acknowledged")
def any_acknowledgement_will_do(original: Any) -> Any:
    def acknowledged(state: Any, step: Any, message: Any) -> None:
        task = state.checkpoint.tasks.get((message.framework_id, message.task_id))
        if task is not None:
            outgoing_updates.forget_unheard(state, step, task)

    return acknowledged


@mutant("agent", recovering, "started")
def containers_are_not_recovered(original: Any) -> Any:
    def started(state: Any, step: Any, event: Any) -> None:
        original(state, step, event)
        step.effects = [each for each in step.effects if not isinstance(each, RecoverContainers)]

    return started


@mutant("agent", recovering, "started")
def a_restarted_agent_starts_anew(original: Any) -> Any:
    def started(state: Any, step: Any, event: Any) -> None:
        original(state, step, event)
        for each in state.checkpoint.live_tasks():
            task_kills.kill(state, step, each, KillCause.NOT_CHECKPOINTED)

    return started


@mutant("agent", launches, "reconcile")
def launches_that_got_lost_are_not_told(original: Any) -> Any:
    return never


@mutant("agent", lifecycle, "absent")
def a_container_that_is_gone_is_started_again(original: Any) -> Any:
    def absent(state: Any, step: Any, event: Any) -> None:
        task = state.checkpoint.live_task_of(event.container_id)
        if task is not None:
            step.do(LaunchContainer(lifecycle.spec(state, task)))

    return absent


@mutant("agent", lifecycle, "exited")
def ends_are_not_noticed(original: Any) -> Any:
    return never


@mutant("agent", lifecycle, "end")
def what_has_ended_is_removed_before_it_ended(original: Any) -> Any:
    def end(state: Any, step: Any, task: Any, verdict: Any) -> None:
        original(state, step, task, verdict)
        for other in state.checkpoint.live_tasks():
            if other.container_id is not None:
                step.do(RemoveContainer(other.container_id, Kind.PROCESS, ""))
                return

    return end


@mutant("agent", unique_leases, "_prove")
def a_lease_is_counted_from_when_the_master_spoke(original: Any) -> Any:
    def prove(state: Any, step: Any, at_s: float) -> None:
        original(state, step, at_s + 30.0)

    return prove


@mutant("agent", watching, "lease_due")
def an_agent_heeds_no_leases(original: Any) -> Any:
    return never


@mutant("agent", unique_leases, "kill_at_s")
def unique_tasks_are_killed_long_before_their_lease_is_over(original: Any) -> Any:
    return lambda state, info: original(state, info) - 70.0


@mutant("agent", unique_leases, "_pass_on")
def keepers_hear_of_no_renewal(original: Any) -> Any:
    def pass_on(state: Any, step: Any, unique: Any) -> None:
        original(state, step, unique)
        step.effects = [each for each in step.effects if not isinstance(each, RenewLease)]

    return pass_on


@mutant("agent", task_kills, "order")
def kills_are_noted_but_not_carried_out(original: Any) -> Any:
    return never


@mutant("agent", membership, "up")
def a_new_stream_is_not_registered_on(original: Any) -> Any:
    def up(state: Any, step: Any, event: Any) -> None:
        state.conn = event.conn

    return up


@mutant("agent", membership, "_expect_ping")
def a_ping_does_not_keep_the_stream(original: Any) -> Any:
    def expect(state: Any, step: Any) -> None:
        if not state.registered:
            original(state, step)

    return expect


@mutant("agent", membership, "pinged")
def pings_are_not_answered(original: Any) -> Any:
    return lambda state, step, ping: membership._expect_ping(state, step)


@mutant("agent", watching, "judge")
def a_health_check_knows_no_grace(original: Any) -> Any:
    def judge(check: Any, **facts: Any) -> Any:
        return original(check, **(facts | {"running_for_s": math.inf}))

    return judge


@mutant("agent", watching, "judge")
def failures_of_a_check_need_not_be_in_a_row(original: Any) -> Any:
    def judge(check: Any, **facts: Any) -> Any:
        verdict = original(check, **facts)
        return replace(verdict, failures=max(verdict.failures, facts["failures"]))

    return judge


@mutant("agent", watching, "judge")
def who_is_ill_is_killed_one_failure_late(original: Any) -> Any:
    def judge(check: Any, **facts: Any) -> Any:
        verdict = original(check, **facts)
        return replace(verdict, kill=verdict.failures > check.consecutive_failures)

    return judge


@mutant("agent", watching, "judge")
def who_is_well_again_is_not_told_of(original: Any) -> Any:
    def judge(check: Any, **facts: Any) -> Any:
        verdict = original(check, **facts)
        again = facts["passed"] and facts["reported"] is False
        return replace(verdict, report=verdict.report and not again)

    return judge


@mutant("agent", watching, "start")
def a_health_check_does_not_wait_for_its_delay(original: Any) -> Any:
    def start(state: Any, step: Any, task: Any, container_id: Any) -> None:
        check = task.info.health_check
        if check is not None:
            info = replace(task.info, health_check=replace(check, delay_seconds=0.0))
            task = replace(task, info=info)
        original(state, step, task, container_id)

    return start


@mutant("agent", watching, "health_due")
def one_of_two_health_checks_is_never_made(original: Any) -> Any:
    def health_due(state: Any, step: Any, due: Any) -> None:
        if int(due.container_id[-1], 16) % 2:
            original(state, step, due)

    return health_due


@mutant("agent", verdicts, "verdict_of_kill")
def an_end_for_ill_health_is_told_as_any_other(original: Any) -> Any:
    def verdict(*args: Any) -> Any:
        return replace(original(*args), healthy=None)

    return verdict


@mutant("agent", lifecycle, "_host_network")
def a_process_has_no_address(original: Any) -> Any:
    return lambda state, task: ()


@mutant("agent", AgentTask, "container_status")
def an_address_is_told_once(original: Any) -> Any:
    return property(lambda self: None)
