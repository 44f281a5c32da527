"""Bugs in operations, which reserve resources and let go of them."""

from __future__ import annotations

from typing import Any

from mezzo.agent.resources import applying
from mezzo.agent.state.checkpoint import Checkpoint
from mezzo.master import claims
from mezzo.master.allocator import quantities, role_views
from mezzo.master.offers import accepting
from mezzo.master.operations import operation_rules, pending_operations

from .mutant import mutant, never


@mutant("conversions", applying, "_tell")
def an_outcome_is_told_once_and_forgotten(original: Any) -> Any:
    def tell(state: Any, step: Any, operation: Any) -> None:
        original(state, step, operation)
        applying._forget(state, step, operation)

    return tell


@mutant("conversions", applying, "overdue")
def an_outcome_is_not_repeated(original: Any) -> Any:
    return never


@mutant("conversions", Checkpoint, "has_applied")
def an_operation_that_comes_twice_is_done_twice(original: Any) -> Any:
    return lambda self, uuid: False


@mutant("conversions", Checkpoint, "set_converted")
def what_an_operation_made_is_not_stored(original: Any) -> Any:
    def set_converted(self: Any, step: Any, converted: Any) -> None:
        known = len(step.writes)
        original(self, step, converted)
        del step.writes[known:]

    return set_converted


@mutant("conversions", pending_operations, "merge")
def operations_that_a_returning_agent_reports_are_not_looked_at(original: Any) -> Any:
    return never


@mutant("conversions", pending_operations, "acknowledge")
def acknowledged_outcomes_stay_at_the_master(original: Any) -> Any:
    return never


@mutant("conversions", claims, "check_pong")
def a_pong_that_nobody_asked_for_counts(original: Any) -> Any:
    return never


@mutant("conversions", pending_operations, "_as_expected")
def whatever_an_agent_has_is_what_was_counted_with(original: Any) -> Any:
    return lambda known, status: True


@mutant("conversions", pending_operations, "_forget")
def an_operation_that_nobody_waits_for_is_kept(original: Any) -> Any:
    return never


@mutant("conversions", operation_rules, "_check_rights")
def a_framework_may_reserve_for_any_role(original: Any) -> Any:
    return never


@mutant("conversions", accepting, "_answer")
def nobody_is_told_that_an_operation_is_refused(original: Any) -> Any:
    return never


@mutant("conversions", role_views, "_reserved")
def what_is_reserved_below_a_role_is_not_its_own(original: Any) -> Any:
    def reserved(books: Any, role: str) -> Any:
        out: dict[str, Any] = {}
        quantities.add(out, books.quotas.reserved.get(role, {}))
        return quantities.nonzero(out)

    return reserved
