"""Bugs in what few machines have: volumes, shared ones, sets, what is revocable; and in tidying."""

from __future__ import annotations

from typing import Any

import mezzo.cluster.conversions
from mezzo.agent.resources import applying
from mezzo.agent.state.agent_task import KillCause
from mezzo.agent.tasks import sandbox_gc, task_kills
from mezzo.cluster.amounts import Items, Ranges
from mezzo.master import claims
from mezzo.master.allocator import agent_books as books
from mezzo.master.offers import launching, task_validation
from mezzo.master.operations import operation_rules
from mezzo.master.roles import quota_calls

from .mutant import mutant, never


@mutant("vaults", operation_rules, "_check_unused")
def a_shared_volume_is_destroyed_under_its_users(original: Any) -> Any:
    return never


@mutant("vaults", operation_rules, "_take_back_destroyed")
def offers_of_a_destroyed_shared_volume_stay(original: Any) -> Any:
    return never


@mutant("vaults", operation_rules, "check_ids_are_new")
def a_volume_in_use_gets_a_double(original: Any) -> Any:
    return never


@mutant("vaults", operation_rules, "_make_room")
def an_operator_converts_what_is_in_use(original: Any) -> Any:
    return never


@mutant("vaults", mezzo.cluster.conversions, "check_volume")
def a_volume_may_be_on_any_disk(original: Any) -> Any:
    return never


@mutant("vaults", mezzo.cluster.conversions, "_one_volume")
def whatever_is_shared_may_grow(original: Any) -> Any:
    def one_volume(volume: Any) -> Any:
        entries = list(volume.items())
        if len(entries) == 1 and entries[0][0].shared:
            return entries[0]
        return original(volume)

    return one_volume


@mutant("vaults", task_validation, "_check_not_mixed")
def a_task_may_mix_what_is_revocable_with_what_is_not(original: Any) -> Any:
    return never


@mutant("vaults", launching, "exclusive")
def what_is_shared_is_taken_from_the_next(original: Any) -> Any:
    return lambda resources: resources


@mutant("vaults", books, "_exclusive")
def what_is_shared_is_offered_to_one(original: Any) -> Any:
    return lambda resources: resources


@mutant("vaults", Items, "minus")
def of_a_set_the_whole_is_taken(original: Any) -> Any:
    return lambda self, other: Items()


@mutant("vaults", Ranges, "minus")
def of_a_range_all_above_is_taken(original: Any) -> Any:
    def minus(self: Any, other: Any) -> Any:
        left = original(self, other)
        return Ranges(left.pairs[:1])

    return minus


@mutant("vaults", quota_calls, "_check_consumption")
def a_limit_may_be_below_what_is_in_use(original: Any) -> Any:
    return never


@mutant("vaults", applying, "started")
def a_folder_that_was_to_be_made_is_forgotten_with_a_crash(original: Any) -> Any:
    return never


@mutant("vaults", task_kills, "want_dead")
def who_does_not_checkpoint_keeps_its_tasks(original: Any) -> Any:
    def want_dead(state: Any, step: Any, task: Any, cause: Any, **named: Any) -> Any:
        if cause is KillCause.NOT_CHECKPOINTED:
            return task
        return original(state, step, task, cause, **named)

    return want_dead


@mutant("vaults", sandbox_gc, "found")
def what_an_earlier_life_has_left_stays(original: Any) -> Any:
    return never


@mutant("vaults", claims.Holders, "take")
def an_agent_may_have_twice_what_only_one_can_have(original: Any) -> Any:
    return never
