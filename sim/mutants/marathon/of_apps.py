"""Bugs in which apps there are, and how they are stored, loaded and shown."""

from __future__ import annotations

from typing import Any

from mezzo.errors import Corrupt
from mezzo.marathon import core, subscription
from mezzo.marathon.api import event_json
from mezzo.marathon.api.record_keys import Shown
from mezzo.marathon.core import MarathonCore
from mezzo.marathon.effects import Ready
from mezzo.marathon.state import app_changes, loading
from mezzo.marathon.state.loading import _Reader
from mezzo.marathon.state.service_ports import HeldPorts
from mezzo.record import replace

from ..mutant import mutant, never


@mutant(app_changes, "remove_app")
def a_deleted_app_comes_back_with_the_next_leader(original: Any) -> Any:
    def remove(state: Any, step: Any, app_id: str) -> None:
        known = len(step.writes)
        original(state, step, app_id)
        del step.writes[known:]

    return remove


@mutant(app_changes, "_forget_versions")
def versions_of_an_app_that_is_gone_stay(original: Any) -> Any:
    return never


@mutant(app_changes, "_prune_versions")
def versions_that_run_are_dropped(original: Any) -> Any:
    def prune(state: Any, step: Any, app_id: str) -> None:
        fleets, state.fleets = state.fleets, {}
        original(state, step, app_id)
        state.fleets = fleets

    return prune


@mutant(app_changes, "_prune_versions")
def versions_that_a_deployment_may_go_back_to_are_dropped(original: Any) -> Any:
    def prune(state: Any, step: Any, app_id: str) -> None:
        locks, state.locks = state.locks, {}
        original(state, step, app_id)
        state.locks = locks

    return prune


@mutant(_Reader, "set_aside")
def what_marathon_can_not_read_is_dropped(original: Any) -> Any:
    return never


@mutant(_Reader, "set_aside")
def what_marathon_can_not_read_ends_it(original: Any) -> Any:
    def set_aside(self: Any, key: str, reason: str) -> None:
        raise Corrupt(f"{key}: {reason}")

    return set_aside


@mutant(loading, "_load_instances")
def an_instance_of_no_app_is_passed_over(original: Any) -> Any:
    def load_instances(reader: Any, loaded: Any) -> None:
        before = dict(loaded.aside)
        original(reader, loaded)
        for key in [key for key in loaded.aside if key not in before]:
            del loaded.aside[key]

    return load_instances


@mutant(HeldPorts, "drop")
def service_ports_are_held_for_ever(original: Any) -> Any:
    return never


@mutant(MarathonCore, "step")
def a_leader_never_says_that_it_is_ready(original: Any) -> Any:
    def step(self: Any, event: Any, now: Any) -> Any:
        output = original(self, event, now)
        output.effects[:] = [each for each in output.effects if not isinstance(each, Ready)]
        return output

    return step


@mutant(core, "_master_said")
def marathon_obeys_the_deposed(original: Any) -> Any:
    def said(state: Any, step: Any, event: Any) -> None:
        original(state, step, replace(event, epoch=max(event.epoch, state.epoch)))

    return said


@mutant(subscription, "_set_framework_id")
def a_framework_id_is_not_stored(original: Any) -> Any:
    def set_id(state: Any, step: Any, framework_id: Any) -> None:
        known = len(step.writes)
        original(state, step, framework_id)
        del step.writes[known:]

    return set_id


@mutant(event_json, "app_json")
def an_app_in_an_event_is_no_json(original: Any) -> Any:
    return lambda app: {"id": {app.id}}


@mutant(Shown, "__call__")
def a_number_that_json_does_not_know_is_shown(original: Any) -> Any:
    def shown(self: Any, record: Any) -> Any:
        plain = original(self, record)
        large = {key for key, value in plain.items() if type(value) is int and value >= 1e6}
        return {key: {value} if key in large else value for key, value in plain.items()}

    return shown
