"""Bugs in what somebody wants, has refused or can't use, and in the reasons that are given."""

from __future__ import annotations

from typing import Any

from mezzo.master.allocator import demand, offer_constraints, reasons
from mezzo.master.allocator.demand import Wish, Wishes
from mezzo.master.allocator.filters import Filters
from mezzo.master.allocator.offer_constraints import Constraints

from ..mutant import mutant, never


@mutant(Wish, "note")
def pending_units_are_not_taken_off(original: Any) -> Any:
    def note(self: Any, agent: Any, more: int) -> None:
        original(self, agent, more)
        self.pending -= min(0, more)

    return note


@mutant(Wishes, "offered")
def what_is_offered_already_is_offered_once_more(original: Any) -> Any:
    return never


@mutant(Wishes, "used")
def a_task_counts_as_one_of_each_that_is_wanted(original: Any) -> Any:
    def used(self: Any, agent: Any, resources: Any) -> None:
        original(self, agent, resources)
        for wish in self.wishes:
            wish.left = max(0, wish.left - 1)

    return used


@mutant(demand, "_part")
def of_what_is_wanted_all_that_is_there_is_offered(original: Any) -> Any:
    def part(value: Any, need: int) -> Any:
        return (value, need) if type(value) is int and value > need else original(value, need)

    return part


@mutant(Filters, "expire")
def refusals_never_run_out(original: Any) -> Any:
    def expire(self: Any, now_s: float) -> Any:
        self._ticks.clear()
        return iter(())

    return expire


@mutant(Filters, "clear_agent")
def refusals_of_an_agent_that_is_gone_stay(original: Any) -> Any:
    return never


@mutant(Filters, "hiding")
def what_was_refused_is_offered_again(original: Any) -> Any:
    return staticmethod(lambda client, agent, offered: None)


@mutant(Constraints, "admits")
def offer_constraints_are_not_looked_at(original: Any) -> Any:
    return lambda self, place: True


@mutant(offer_constraints, "_pseudo")
def offer_constraints_take_every_host_for_another(original: Any) -> Any:
    return lambda place, which: None


@mutant(offer_constraints, "compile_pattern")
def patterns_may_be_as_complex_as_they_like(original: Any) -> Any:
    return lambda text, **bounds: original(text, **{**bounds, "max_steps": 10**9})


@mutant(reasons, "_before")
def who_comes_later_is_called_before(original: Any) -> Any:
    return lambda books, node, client: books.tree.clients_below(books.tree.root)
