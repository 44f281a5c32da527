# ruff: noqa: ANN401
"""Bugs in what is counted as it changes, and in what is too much for one step."""

from __future__ import annotations

from typing import Any

from mezzo.marathon.core import MarathonCore
from mezzo.marathon.killer import Killer
from mezzo.marathon.messages import Ready
from mezzo.master.allocator.books import Books
from mezzo.master.allocator.filters import Filters
from mezzo.master.allocator.quota import Quotas
from mezzo.master.state import Step

from .mutant import mutant, never


@mutant("ledgers", Step, "cancel")
def timers_outlive_what_they_are_for(original: Any) -> Any:
    return never


@mutant("ledgers", Quotas, "charge")
def what_is_granted_counts_for_a_little_more(original: Any) -> Any:
    def charge(self: Any, client: Any, amounts: Any, sign: int) -> None:
        original(self, client, {n: a + (sign > 0) for n, a in amounts.items()}, sign)

    return charge


@mutant("ledgers", Quotas, "count_total")
def reservations_are_not_charged(original: Any) -> Any:
    def count(self: Any, total: Any, amounts: Any, sign: int) -> None:
        original(self, total.filter(role="*"), amounts, sign)

    return count


@mutant("ledgers", Books, "_count_total")
def who_leaves_is_still_counted(original: Any) -> Any:
    def count(self: Any, total: Any, sign: int) -> None:
        if sign > 0:
            original(self, total, sign)

    return count


@mutant("ledgers", Filters, "clear_agent")
def refusals_of_an_agent_that_is_gone_stay(original: Any) -> Any:
    return never


@mutant("ledgers", Killer, "_store_new")
def of_many_that_end_some_are_forgotten(original: Any) -> Any:
    def store(self: Any) -> None:
        original(self)
        self._new.clear()

    return store


@mutant("ledgers", MarathonCore, "step")
def a_leader_never_says_that_it_is_ready(original: Any) -> Any:
    def step(self: Any, event: Any, now: Any) -> Any:
        output = original(self, event, now)
        output.effects[:] = [each for each in output.effects if not isinstance(each, Ready)]
        return output

    return step
