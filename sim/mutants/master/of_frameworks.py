"""Bugs in who is subscribed, is away, and is removed."""

from __future__ import annotations

from typing import Any

from mezzo.master.effects import CloseStream
from mezzo.master.frameworks import ending, failover, subscribing
from mezzo.master.state.away_frameworks import Away
from mezzo.messages.agent import ShutdownFramework

from ..mutant import mutant, never


def _without(kind: type[Any], original: Any) -> Any:
    """The same, but no message of that kind leaves."""

    def same(state: Any, step: Any, *args: Any) -> Any:
        answer = original(state, step, *args)
        step.effects = [
            each for each in step.effects if not isinstance(getattr(each, "message", None), kind)
        ]
        return answer

    return same


@mutant(ending, "complete")
def tasks_of_a_removed_framework_run_on(original: Any) -> Any:
    return _without(ShutdownFramework, original)


@mutant(ending, "complete")
def that_a_framework_was_removed_is_not_stored(original: Any) -> Any:
    def complete(state: Any, step: Any, *args: Any) -> None:
        known = len(step.writes)
        original(state, step, *args)
        del step.writes[known:]

    return complete


@mutant(failover, "disconnected")
def what_a_framework_had_been_offered_is_kept_for_it(original: Any) -> Any:
    def disconnected(state: Any, step: Any, framework: Any) -> None:
        framework.conn = None
        state.away.add(framework.id, framework.info.name)

    return disconnected


@mutant(subscribing, "check_info")
def a_framework_may_be_anything(original: Any) -> Any:
    return never


@mutant(subscribing, "_take_over")
def the_stream_of_who_failed_over_stays_open(original: Any) -> Any:
    def take_over(state: Any, step: Any, *args: Any) -> None:
        original(state, step, *args)
        step.effects[:] = [each for each in step.effects if not isinstance(each, CloseStream)]

    return take_over


@mutant(subscribing, "_take_over")
def two_processes_of_a_framework_are_connected(original: Any) -> Any:
    def take_over(state: Any, step: Any, framework: Any, conn: Any, info: Any) -> None:
        framework.info = info

    return take_over


@mutant(subscribing, "_check_stream")
def a_stream_may_be_that_of_many_frameworks(original: Any) -> Any:
    return lambda state, conn, framework_id: framework_id


@mutant(subscribing, "check_subscription")
def a_removed_framework_may_come_back(original: Any) -> Any:
    def check(state: Any, named_id: Any, call: Any) -> None:
        completed, state.completed = state.completed, {}
        try:
            original(state, named_id, call)
        finally:
            state.completed = completed

    return check


@mutant(subscribing, "_check_roles")
def a_role_may_be_named_twice_or_be_no_role(original: Any) -> Any:
    return never


@mutant(subscribing, "suppress")
def who_waits_for_its_turn_can_not_suppress(original: Any) -> Any:
    def suppress(state: Any, step: Any, framework: Any, roles: Any) -> None:
        if framework.admission is None:
            original(state, step, framework, roles)

    return suppress


@mutant(Away, "remove")
def who_is_back_is_away(original: Any) -> Any:
    return never
