# ruff: noqa: ANN401
"""Bugs in operations, which reserve resources and let go of them."""

from __future__ import annotations

from typing import Any

from mezzo.agent.operations import Operations
from mezzo.agent.state import AgentState
from mezzo.master import operations

from .mutant import mutant, never


@mutant("conversions", Operations, "_tell")
def an_outcome_is_told_once_and_forgotten(original: Any) -> Any:
    def tell(self: Any, operation: Any, now: Any, out: Any) -> None:
        original(self, operation, now, out)
        self._forget(operation, out)

    return tell


@mutant("conversions", Operations, "repeat")
def an_outcome_is_not_repeated(original: Any) -> Any:
    return never


@mutant("conversions", AgentState, "has_applied")
def an_operation_that_comes_twice_is_done_twice(original: Any) -> Any:
    return lambda self, uuid: False


@mutant("conversions", AgentState, "set_converted")
def what_an_operation_made_is_not_stored(original: Any) -> Any:
    def set_converted(self: Any, converted: Any, out: Any) -> None:
        known = len(out.writes)
        original(self, converted, out)
        del out.writes[known:]

    return set_converted


@mutant("conversions", operations, "merge")
def operations_that_a_returning_agent_reports_are_not_looked_at(original: Any) -> Any:
    return never


@mutant("conversions", operations, "acknowledge")
def acknowledged_outcomes_stay_at_the_master(original: Any) -> Any:
    return never
