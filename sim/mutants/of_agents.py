# ruff: noqa: ANN401
"""Bugs in the agent."""

from __future__ import annotations

import math
from typing import Any

from mezzo.agent.container import Kind
from mezzo.agent.core import AgentCore
from mezzo.agent.effects import LaunchContainer, RecoverContainers, RemoveContainer, RenewLease
from mezzo.agent.membership import Membership
from mezzo.agent.state.agent_state import AgentState
from mezzo.agent.state.agent_task import AgentTask, KillCause
from mezzo.agent.tasks import lifecycle, verdicts
from mezzo.agent.tasks.lifecycle import Lifecycle
from mezzo.agent.tasks.outgoing_updates import Updates
from mezzo.agent.tasks.unique_leases import Leases
from mezzo.record import replace

from .mutant import mutant, never


@mutant("agent", AgentState, "has_ended")
def an_agent_forgets_what_has_ended(original: Any) -> Any:
    return lambda self, key: False


@mutant("agent", AgentState, "forget_task")
def an_acknowledged_end_is_not_durable(original: Any) -> Any:
    def forget(self: Any, task: Any, out: Any) -> None:
        known = len(out.writes)
        original(self, task, out)
        del out.writes[known:]

    return forget


@mutant("agent", AgentState, "put_task")
def a_task_is_not_stored(original: Any) -> Any:
    def put(self: Any, task: Any, out: Any) -> None:
        original(self, task, out)
        out.writes.pop()

    return put


@mutant("agent", AgentState, "set_epoch")
def the_newest_epoch_is_not_stored(original: Any) -> Any:
    def set_epoch(self: Any, epoch: int, out: Any) -> None:
        self.epoch = epoch

    return set_epoch


@mutant("agent", AgentState, "set_identity")
def an_agent_forgets_its_id(original: Any) -> Any:
    def set_identity(self: Any, identity: Any, out: Any) -> None:
        self.identity = identity

    return set_identity


@mutant("agent", Membership, "obeys")
def an_agent_obeys_the_deposed(original: Any) -> Any:
    return lambda self, event, out: event.conn == self.conn


@mutant("agent", Membership, "_ask")
def an_agent_does_not_say_what_runs(original: Any) -> Any:
    def ask(self: Any, now: Any, out: Any) -> None:
        tasks, self._state.tasks = self._state.tasks, {}
        original(self, now, out)
        self._state.tasks = tasks

    return ask


@mutant("agent", Updates, "repeat")
def updates_are_told_once(original: Any) -> Any:
    return never


@mutant("agent", Updates, "connect")
def updates_do_not_follow_to_a_new_master(original: Any) -> Any:
    def connect(self: Any, conn: Any, tasks: Any, now: Any, out: Any) -> None:
        original(self, conn, (), now, out)

    return connect


@mutant("agent", AgentCore, "_acknowledged")
def any_acknowledgement_will_do(original: Any) -> Any:
    def acknowledged(self: Any, message: Any, now: Any, out: Any) -> None:
        task = self._state.tasks.get((message.framework_id, message.task_id))
        if task is not None:
            self._updates.settled(task.key, out)
            self._state.forget_task(task, out)

    return acknowledged


@mutant("agent", AgentCore, "_started")
def containers_are_not_recovered(original: Any) -> Any:
    def started(self: Any, event: Any, now: Any, out: Any) -> None:
        original(self, event, now, out)
        out.effects = [each for each in out.effects if not isinstance(each, RecoverContainers)]

    return started


@mutant("agent", AgentCore, "_started")
def a_restarted_agent_starts_anew(original: Any) -> Any:
    def started(self: Any, event: Any, now: Any, out: Any) -> None:
        original(self, event, now, out)
        for each in self._live_tasks():
            self._life.kill(each, KillCause.NOT_CHECKPOINTED, now, out)

    return started


@mutant("agent", AgentCore, "_reconcile")
def launches_that_got_lost_are_not_told(original: Any) -> Any:
    return never


@mutant("agent", Lifecycle, "absent")
def a_container_that_is_gone_is_started_again(original: Any) -> Any:
    def absent(self: Any, event: Any, now: Any, out: Any) -> None:
        task = self._live(event.container_id)
        if task is not None:
            out.effects.append(LaunchContainer(self.spec(task)))

    return absent


@mutant("agent", Lifecycle, "exited")
def ends_are_not_noticed(original: Any) -> Any:
    return never


@mutant("agent", Lifecycle, "end")
def what_has_ended_is_removed_before_it_ended(original: Any) -> Any:
    def end(self: Any, task: Any, verdict: Any, now: Any, out: Any) -> None:
        original(self, task, verdict, now, out)
        for other in self._state.tasks.values():
            if other.live and other.container_id is not None:
                out.effects.append(RemoveContainer(other.container_id, Kind.PROCESS, ""))
                return

    return end


@mutant("agent", Leases, "_prove")
def a_lease_is_counted_from_when_the_master_spoke(original: Any) -> Any:
    def prove(self: Any, at: float, out: Any) -> None:
        original(self, at + 30.0, out)

    return prove


@mutant("agent", Lifecycle, "lease_due")
def an_agent_heeds_no_leases(original: Any) -> Any:
    return never


@mutant("agent", Leases, "kill_at")
def unique_tasks_are_killed_long_before_their_lease_is_over(original: Any) -> Any:
    return lambda self, info: original(self, info) - 70.0


@mutant("agent", Leases, "_pass_on")
def keepers_hear_of_no_renewal(original: Any) -> Any:
    def pass_on(self: Any, unique: Any, out: Any) -> None:
        original(self, unique, out)
        out.effects = [each for each in out.effects if not isinstance(each, RenewLease)]

    return pass_on


@mutant("agent", Lifecycle, "_order_kill")
def kills_are_noted_but_not_carried_out(original: Any) -> Any:
    return never


@mutant("agent", Membership, "up")
def a_new_stream_is_not_registered_on(original: Any) -> Any:
    def up(self: Any, event: Any, now: Any, out: Any) -> None:
        self.conn = event.conn

    return up


@mutant("agent", Membership, "_expect_ping")
def a_ping_does_not_keep_the_stream(original: Any) -> Any:
    def expect(self: Any, now: Any, out: Any) -> None:
        if not self.registered:
            original(self, now, out)

    return expect


@mutant("agent", Membership, "pinged")
def pings_are_not_answered(original: Any) -> Any:
    return lambda self, ping, now, out: self._expect_ping(now, out)


@mutant("agent", lifecycle, "judge")
def a_health_check_knows_no_grace(original: Any) -> Any:
    def judge(check: Any, **facts: Any) -> Any:
        return original(check, **(facts | {"running_for_s": math.inf}))

    return judge


@mutant("agent", lifecycle, "judge")
def failures_of_a_check_need_not_be_in_a_row(original: Any) -> Any:
    def judge(check: Any, **facts: Any) -> Any:
        verdict = original(check, **facts)
        return replace(verdict, failures=max(verdict.failures, facts["failures"]))

    return judge


@mutant("agent", lifecycle, "judge")
def who_is_ill_is_killed_one_failure_late(original: Any) -> Any:
    def judge(check: Any, **facts: Any) -> Any:
        verdict = original(check, **facts)
        return replace(verdict, kill=verdict.failures > check.consecutive_failures)

    return judge


@mutant("agent", lifecycle, "judge")
def who_is_well_again_is_not_told_of(original: Any) -> Any:
    def judge(check: Any, **facts: Any) -> Any:
        verdict = original(check, **facts)
        again = facts["passed"] and facts["reported"] is False
        return replace(verdict, report=verdict.report and not again)

    return judge


@mutant("agent", Lifecycle, "_start_watching")
def a_health_check_does_not_wait_for_its_delay(original: Any) -> Any:
    def start(self: Any, task: Any, container_id: Any, now: Any, out: Any) -> None:
        check = task.info.health_check
        if check is not None:
            info = replace(task.info, health_check=replace(check, delay_seconds=0.0))
            task = replace(task, info=info)
        original(self, task, container_id, now, out)

    return start


@mutant("agent", Lifecycle, "health_due")
def one_of_two_health_checks_is_never_made(original: Any) -> Any:
    def due(self: Any, container_id: Any, out: Any) -> None:
        if int(container_id[-1], 16) % 2:
            original(self, container_id, out)

    return due


@mutant("agent", verdicts, "verdict_of_kill")
def an_end_for_ill_health_is_told_as_any_other(original: Any) -> Any:
    def verdict(*args: Any) -> Any:
        return replace(original(*args), healthy=None)

    return verdict


@mutant("agent", Lifecycle, "_host_network")
def a_process_has_no_address(original: Any) -> Any:
    return lambda self, task: ()


@mutant("agent", AgentTask, "container_status")
def an_address_is_told_once(original: Any) -> Any:
    return property(lambda self: None)
