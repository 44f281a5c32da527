"""Doors that let anything in, and one object's data that hurts all."""

from __future__ import annotations

from typing import Any

from mezzo.cluster.amounts import Ranges
from mezzo.errors import BadRequest, Corrupt
from mezzo.marathon.api import event_json
from mezzo.marathon.api import render as render_of_marathon
from mezzo.marathon.commands import Locked, Stale
from mezzo.marathon.deployments import command_rules
from mezzo.marathon.state import app_changes
from mezzo.marathon.state import loading as loading_of_marathon
from mezzo.marathon.state.loading import _Reader
from mezzo.master import loading
from mezzo.master.agents import admission
from mezzo.master.allocator import offer_constraints
from mezzo.master.frameworks import subscribing
from mezzo.master.operators import calls
from mezzo.master.roles import quota_calls
from mezzo.tables import Stored
from mezzo.units import INT64_MAX
from mezzo.wire import scheduler as wire_of_schedulers

from .mutant import mutant, never

# ---------------------------------------------------------------------------------- refusals


@mutant("doors", command_rules, "_change")
def a_change_that_is_refused_is_stored(original: Any) -> Any:
    def change(state: Any, step: Any, command: Any) -> Any:
        result = original(state, step, command)
        if isinstance(result, Stale | Locked):
            for target in command.targets:
                app_changes.put_app(state, step, target.app)
        return result

    return change


@mutant("doors", calls, "BadRequest")
def a_call_that_makes_no_sense_ends_the_master(original: Any) -> Any:
    return ZeroDivisionError


# ---------------------------------------------------------------------------------- one hurts all


@mutant("doors", render_of_marathon, "number")
def a_number_that_json_does_not_know_is_shown(original: Any) -> Any:
    return lambda value: value if value < 1e6 else {value}


@mutant("doors", event_json, "app_json")
def an_app_in_an_event_is_no_json(original: Any) -> Any:
    return lambda app: {"id": {app.id}}


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


@mutant("doors", quota_calls, "check_config")
def a_quota_may_be_of_anything(original: Any) -> Any:
    return never


@mutant("doors", subscribing, "check_info")
def a_framework_may_be_anything(original: Any) -> Any:
    return never


@mutant("doors", Stored, "read")
def a_record_under_the_name_of_another_is_loaded(original: Any) -> Any:
    def read(self: Any, table: Any, take: Any) -> None:
        for key in self._of_kind.get(table.kind, ()):
            try:
                take(table.decode(self.values[key]))
            except (Corrupt, BadRequest) as error:
                self.set_aside(key, str(error))

    return read


@mutant("doors", loading_of_marathon, "_load_instances")
def an_instance_of_no_app_is_passed_over(original: Any) -> Any:
    def load_instances(reader: Any, loaded: Any) -> None:
        before = dict(loaded.aside)
        original(reader, loaded)
        for key in [key for key in loaded.aside if key not in before]:
            del loaded.aside[key]

    return load_instances


# ---------------------------------------------------------------------------------- bounds


@mutant("doors", Ranges, "check")
def the_last_number_is_beyond_the_bound(original: Any) -> Any:
    def check(self: Any) -> None:
        original(self)
        if self.pairs and self.pairs[-1][1] == INT64_MAX:
            raise BadRequest("it is too large")

    return check


@mutant("doors", admission, "check")
def the_sum_of_what_an_agent_has_knows_no_bounds(original: Any) -> Any:
    return never


@mutant("doors", offer_constraints, "compile_pattern")
def patterns_may_be_as_complex_as_they_like(original: Any) -> Any:
    return lambda text, **bounds: original(text, **{**bounds, "max_steps": 10**9})
