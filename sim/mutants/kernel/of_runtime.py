"""Bugs in the runtime and its timers, which all daemons share."""

from __future__ import annotations

from typing import Any

from mezzo import runtime
from mezzo.core import Instant
from mezzo.errors import Fenced
from mezzo.runtime import Runtime

from ...world.virtual_process import Process
from ..mutant import mutant, never


@mutant(Runtime, "_step")
def effects_leave_before_their_writes_are_durable(original: Any) -> Any:
    def step(self: Any, event: Any) -> None:
        known = len(self._effects)
        original(self, event)
        for at in range(known, len(self._effects)):
            self._effects[at] = (0, self._effects[at][1])

    return step


@mutant(Runtime, "_commit")
def a_commit_makes_later_steps_durable_too(original: Any) -> Any:
    def commit(self: Any) -> None:
        original(self)
        self._durable = self._steps

    return commit


@mutant(Runtime, "_committed")
def an_unreachable_store_counts_as_a_commit(original: Any) -> Any:
    def committed(self: Any, done: Any, group: Any, upto: int) -> None:
        if not done.cancelled():
            done.exception()
        self._committing = False
        self._durable = upto
        self._move()

    return committed


@mutant(Runtime, "_finish")
def who_is_fenced_goes_on(original: Any) -> Any:
    def finish(self: Any, error: BaseException | None) -> None:
        if isinstance(error, Fenced):
            self._durable = self._steps
            self._loop.call_soon(self._move)
        else:
            original(self, error)

    return finish


@mutant(Runtime, "_send")
def writes_that_wait_for_a_commit_are_dropped(original: Any) -> Any:
    def send(self: Any, group: Any, upto: int) -> None:
        self._writes.clear()
        original(self, group, upto)

    return send


@mutant(Runtime, "hold")
def leadership_in_doubt_holds_nothing_back(original: Any) -> Any:
    return never


@mutant(Runtime, "release")
def what_was_held_is_never_released(original: Any) -> Any:
    return never


@mutant(runtime._Timers, "set")
def a_timer_that_is_set_again_keeps_its_old_time(original: Any) -> Any:
    def set_(self: Any, key: Any, at_s: float) -> None:
        if key not in self._live:
            original(self, key, at_s)

    return set_


@mutant(runtime._Timers, "_fire")
def timers_fire_one_at_a_time_and_forget_the_next(original: Any) -> Any:
    def fire(self: Any) -> None:
        armed, self._arm = self._arm, never
        original(self)
        self._arm = armed

    return fire


@mutant(Runtime, "_move")
def hold_waits_for_what_is_leaving(original: Any) -> Any:
    class Unheld:
        """The runtime as it was when it began to let out."""

        def __init__(self, runtime: Any) -> None:
            object.__setattr__(self, "_runtime", runtime)

        def __getattr__(self, name: str) -> Any:
            return False if name == "_held" else getattr(self._runtime, name)

        def __setattr__(self, name: str, value: Any) -> None:
            setattr(self._runtime, name, value)

    def move(self: Any) -> None:
        if not self._held:
            original(Unheld(self))

    return move


@mutant(Process, "now")
def agents_count_by_a_clock_that_stands_still_in_a_sleep(original: Any) -> Any:
    def now(self: Any) -> Instant:
        at: Instant = original(self)
        slept_s = self._loop.slept_s if self._loop is not None and self._counts_sleep else 0.0
        return Instant(at.wall_s, at.mono_s - slept_s * self.mono_rate)

    return now
