"""What should be done later, and is forgotten."""

from __future__ import annotations

from typing import Any

from mezzo import core
from mezzo.agent import resending
from mezzo.core import SetTimer
from mezzo.marathon.state.kill_queue import KillQueue
from mezzo.master import rescinding
from mezzo.master.agents import registration, unreachable
from mezzo.master.effects import ToAgent
from mezzo.master.frameworks import failover
from mezzo.master.offers import declining, offering
from mezzo.master.state.step import Step
from mezzo.master.tasks import killing
from mezzo.messages.agent import KillTask

from .mutant import mutant, never

# ---------------------------------------------------------------------------------- Marathon


@mutant("forgetful", KillQueue, "drop")
def who_has_ended_still_counts_as_being_killed(original: Any) -> Any:
    def drop(self: Any, live: Any) -> None:
        self.new.pop(live.id, None)
        self.waiting.pop(live.id, None)

    return drop


# ---------------------------------------------------------------------------------- the master


@mutant("forgetful", rescinding, "rescind")
def who_has_an_offer_is_not_told_that_it_is_over(original: Any) -> Any:
    return lambda state, step, offer: rescinding.take_back(state, step, offer)


@mutant("forgetful", declining, "timed_out")
def an_offer_never_times_out(original: Any) -> Any:
    return never


@mutant("forgetful", offering, "_make")
def the_end_of_an_offer_goes_by_the_wall(original: Any) -> Any:
    def make(state: Any, step: Any, grant: Any) -> Any:
        offer = original(state, step, grant)
        last = step.effects[-1]
        if isinstance(last, SetTimer):
            step.effects[-1] = SetTimer(last.key, last.at_s - step.now.mono_s + step.now.wall_s)
        return offer

    return make


@mutant("forgetful", declining, "timed_out")
def who_kept_an_offer_too_long_is_not_told(original: Any) -> Any:
    def timed_out(state: Any, step: Any, due: Any) -> None:
        if due.offer_id in state.offers:
            rescinding.take_back(state, step, state.offers[due.offer_id])

    return timed_out


@mutant("forgetful", registration, "reregister")
def a_kill_is_not_repeated_to_who_is_back(original: Any) -> Any:
    def reregister(state: Any, step: Any, conn: Any, message: Any) -> None:
        original(state, step, conn, message)
        step.effects = [
            each
            for each in step.effects
            if not (isinstance(each, ToAgent) and isinstance(each.message, KillTask))
        ]

    return reregister


@mutant("forgetful", killing, "kill")
def a_kill_is_not_noted(original: Any) -> Any:
    def kill(state: Any, step: Any, framework: Any, call: Any) -> None:
        original(state, step, framework, call)
        entry = framework.tasks.get(call.task_id) or framework.unreachable.get(call.task_id)
        if entry is not None:
            entry.pending_kill = None

    return kill


@mutant("forgetful", unreachable, "remove_due")
def who_is_silent_is_never_given_up(original: Any) -> Any:
    return never


@mutant("forgetful", failover, "disconnected")
def what_a_framework_had_been_offered_is_kept_for_it(original: Any) -> Any:
    def disconnected(state: Any, step: Any, framework: Any) -> None:
        framework.conn = None
        state.away.add(framework.id, framework.info.name)

    return disconnected


@mutant("forgetful", core.Step, "timer")
def timers_of_the_master_go_by_the_wall(original: Any) -> Any:
    def timer(self: Any, key: Any, after_s: float) -> None:
        if isinstance(self, Step) and after_s:
            self.timer_at(key, self.now.wall_s + after_s)
        else:
            original(self, key, after_s)

    return timer


# ---------------------------------------------------------------------------------- all


@mutant("forgetful", resending, "disconnect")
def what_was_under_way_when_a_stream_broke_counts_as_told(original: Any) -> Any:
    def disconnect(told: Any, step: Any) -> None:
        told.conn = None

    return disconnect
