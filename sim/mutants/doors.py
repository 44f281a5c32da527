# ruff: noqa: ANN401
"""Doors that let anything in, and one object's data that hurts all."""

from __future__ import annotations

from typing import Any

from mezzo.marathon import render as render_of_marathon
from mezzo.marathon.commands import Commands
from mezzo.marathon.loading import _Reader
from mezzo.marathon.messages import Locked, Stale
from mezzo.master import loading, operators, roles, subscribing
from mezzo.record import Corrupt
from mezzo.wire import scheduler as wire_of_schedulers

from .mutant import mutant, never

# ---------------------------------------------------------------------------------- refusals


@mutant("doors", Commands, "_change")
def a_change_that_is_refused_is_stored(original: Any) -> Any:
    def change(self: Any, command: Any) -> Any:
        result = original(self, command)
        if isinstance(result, Stale | Locked):
            for target in command.targets:
                self._state.put_app(target.app)
        return result

    return change


@mutant("doors", operators, "BadRequest")
def a_call_that_makes_no_sense_ends_the_master(original: Any) -> Any:
    return ZeroDivisionError


# ---------------------------------------------------------------------------------- one hurts all


@mutant("doors", render_of_marathon, "number")
def a_number_that_json_does_not_know_is_shown(original: Any) -> Any:
    return lambda value: value if value < 1e6 else {value}


@mutant("doors", render_of_marathon, "event_value")
def an_app_in_an_event_is_no_json(original: Any) -> Any:
    def event_value(value: Any) -> Any:
        raise TypeError("can't")

    return event_value


# ---------------------------------------------------------------------------------- loading


@mutant("doors", _Reader, "set_aside")
def what_marathon_can_not_read_is_dropped(original: Any) -> Any:
    return never


@mutant("doors", _Reader, "set_aside")
def what_marathon_can_not_read_ends_it(original: Any) -> Any:
    def set_aside(self: Any, key: str, reason: str) -> None:
        raise Corrupt(f"{key}: {reason}")

    return set_aside


@mutant("doors", loading, "load")
def what_the_master_can_not_read_is_dropped(original: Any) -> Any:
    def load(state: Any, stored: Any) -> None:
        original(state, stored)
        state.set_aside.clear()

    return load


@mutant("doors", loading, "load")
def what_the_master_can_not_read_ends_it(original: Any) -> Any:
    def load(state: Any, stored: Any) -> None:
        original(state, stored)
        if state.set_aside:
            raise Corrupt(str(state.set_aside))

    return load


# ---------------------------------------------------------------------------------- the wire


@mutant("doors", wire_of_schedulers, "event_to_wire")
def an_event_is_lost_when_it_is_large(original: Any) -> Any:
    def to_wire(event: Any, epoch: int) -> Any:
        out = original(event, epoch)
        return type(out)(epoch=epoch) if out.ByteSize() > 2000 else out

    return to_wire


@mutant("doors", roles, "check_config")
def a_quota_may_be_of_anything(original: Any) -> Any:
    return never


@mutant("doors", subscribing, "check_info")
def a_framework_may_be_anything(original: Any) -> Any:
    return never
