"""Bugs in operations, which reserve resources, make volumes, and let go of them."""

from __future__ import annotations

from typing import Any

from mezzo.master.operations import operation_rules, pending_operations

from ..mutant import mutant, never


@mutant(operation_rules, "_check_rights")
def a_framework_may_reserve_for_any_role(original: Any) -> Any:
    return never


@mutant(operation_rules, "_check_unused")
def a_shared_volume_is_destroyed_under_its_users(original: Any) -> Any:
    return never


@mutant(operation_rules, "_take_back_destroyed")
def offers_of_a_destroyed_shared_volume_stay(original: Any) -> Any:
    return never


@mutant(operation_rules, "check_ids_are_new")
def a_volume_in_use_gets_a_double(original: Any) -> Any:
    return never


@mutant(operation_rules, "_make_room")
def an_operator_converts_what_is_in_use(original: Any) -> Any:
    return never


@mutant(pending_operations, "merge")
def operations_that_a_returning_agent_reports_are_not_looked_at(original: Any) -> Any:
    return never


@mutant(pending_operations, "acknowledge")
def acknowledged_outcomes_stay_at_the_master(original: Any) -> Any:
    return never


@mutant(pending_operations, "_as_expected")
def whatever_an_agent_has_is_what_was_counted_with(original: Any) -> Any:
    return lambda known, status: True


@mutant(pending_operations, "_forget")
def an_operation_that_nobody_waits_for_is_kept(original: Any) -> Any:
    return never
