"""Bugs in how an agent becomes a member, stays one and leaves."""

from __future__ import annotations

from typing import Any

from mezzo.agent import core, leaving, membership, recovering, resending
from mezzo.agent.effects import RecoverContainers
from mezzo.agent.state.agent_task import KillCause
from mezzo.agent.tasks import task_kills
from mezzo.messages.agent import ReactivateAgent

from ..mutant import mutant


@mutant(core, "_master_said")
def an_agent_does_not_hear_that_it_may_work_again(original: Any) -> Any:
    def said(state: Any, step: Any, event: Any) -> None:
        if not isinstance(event.message, ReactivateAgent):
            original(state, step, event)

    return said


@mutant(membership, "obeys")
def an_agent_obeys_the_deposed(original: Any) -> Any:
    return lambda state, step, event: event.conn == state.conn


@mutant(membership, "_ask")
def an_agent_does_not_say_what_runs(original: Any) -> Any:
    def ask(state: Any, step: Any) -> None:
        tasks, state.checkpoint.tasks = state.checkpoint.tasks, {}
        original(state, step)
        state.checkpoint.tasks = tasks

    return ask


@mutant(membership, "up")
def a_new_stream_is_not_registered_on(original: Any) -> Any:
    def up(state: Any, step: Any, event: Any) -> None:
        state.conn = event.conn

    return up


@mutant(membership, "_expect_ping")
def a_ping_does_not_keep_the_stream(original: Any) -> Any:
    def expect(state: Any, step: Any) -> None:
        if not state.registered:
            original(state, step)

    return expect


@mutant(membership, "pinged")
def pings_are_not_answered(original: Any) -> Any:
    return lambda state, step, ping: membership._expect_ping(state, step)


@mutant(membership, "_ask")
def an_agent_asks_a_new_master_no_sooner_again_than_the_one_before(original: Any) -> Any:
    def ask(state: Any, step: Any) -> None:
        state.ask_again_s = 60.0
        original(state, step)

    return ask


@mutant(membership, "obeys")
def an_agent_obeys_what_was_said_on_a_stream_that_is_over(original: Any) -> Any:
    return lambda state, step, event: event.conn != state.conn or original(state, step, event)


@mutant(recovering, "started")
def containers_are_not_recovered(original: Any) -> Any:
    def started(state: Any, step: Any, event: Any) -> None:
        original(state, step, event)
        step.effects = [each for each in step.effects if not isinstance(each, RecoverContainers)]

    return started


@mutant(recovering, "started")
def a_restarted_agent_starts_anew(original: Any) -> Any:
    def started(state: Any, step: Any, event: Any) -> None:
        original(state, step, event)
        for each in state.checkpoint.live_tasks():
            task_kills.kill(state, step, each, KillCause.NOT_CHECKPOINTED)

    return started


@mutant(resending, "disconnect")
def what_was_under_way_when_a_stream_broke_counts_as_told(original: Any) -> Any:
    def disconnect(told: Any, step: Any) -> None:
        told.conn = None

    return disconnect


@mutant(leaving, "drain")
def a_draining_agent_kills_nothing(original: Any) -> Any:
    def drain(state: Any, step: Any, message: Any) -> None:
        state.drain = message.config

    return drain
