"""Bugs in what frameworks are asked, and in the answers to what they ask."""

from __future__ import annotations

from typing import Any

from mezzo.master.allocator import demand
from mezzo.master.allocator.allocator import Allocator
from mezzo.master.allocator.demand import Wishes
from mezzo.master.frameworks import subscribing
from mezzo.master.offers import inverse_offers
from mezzo.master.tasks import unheard

from .mutant import mutant, never


@mutant("questions", inverse_offers, "filter_over")
def who_has_answered_is_never_asked_to_leave_again(original: Any) -> Any:
    return never


@mutant("questions", inverse_offers, "ask_anew")
def who_was_asked_to_leave_is_not_told_of_another_time(original: Any) -> Any:
    return never


@mutant("questions", inverse_offers, "revive")
def revive_leaves_the_filters_of_inverse_offers(original: Any) -> Any:
    return never


# ---------------------------------------------------------------------------------- what they ask


@mutant("questions", unheard, "launch_unsent")
def a_launch_that_could_not_be_sent_is_forgotten(original: Any) -> Any:
    return never


@mutant("questions", subscribing, "suppress")
def who_waits_for_its_turn_can_not_suppress(original: Any) -> Any:
    def suppress(state: Any, step: Any, framework: Any, roles: Any) -> None:
        if framework.admission is None:
            original(state, step, framework, roles)

    return suppress


# ---------------------------------------------------------------------------------- demand


@mutant("questions", Wishes, "offered")
def what_is_offered_already_is_offered_once_more(original: Any) -> Any:
    return never


@mutant("questions", Wishes, "used")
def a_task_counts_as_one_of_each_that_is_wanted(original: Any) -> Any:
    def used(self: Any, agent: Any, resources: Any) -> None:
        original(self, agent, resources)
        for wish in self.wishes:
            wish.left = max(0, wish.left - 1)

    return used


@mutant("questions", demand, "_part")
def of_what_is_wanted_all_that_is_there_is_offered(original: Any) -> Any:
    def part(value: Any, need: int) -> Any:
        return (value, need) if type(value) is int and value > need else original(value, need)

    return part


@mutant("questions", Allocator, "keep_demand")
def an_update_declares_all_anew(original: Any) -> Any:
    def keep_demand(self: Any, framework_id: Any, demands: Any) -> None:
        self.set_demand(framework_id, demands)

    return keep_demand
