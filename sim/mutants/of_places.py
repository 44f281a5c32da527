"""Where an agent is, or who may be offered it, is not looked at; and `explain` is asked in vain."""

from __future__ import annotations

from typing import Any

from mezzo.master.agents import registration
from mezzo.master.allocator import agent_books as allocator_agent
from mezzo.master.allocator import reasons
from mezzo.master.allocator.agent_books import Agent
from mezzo.master.allocator.allocator import Allocator
from mezzo.master.allocator.drf_sorter import Tree
from mezzo.master.operators import explaining

from .mutant import mutant, never


@mutant("places", Agent, "describe")
def agents_of_other_regions_are_for_everybody(original: Any) -> Any:
    def describe(self: Any, terms: Any, region: Any) -> None:
        original(self, terms, None)

    return describe


@mutant("places", Allocator, "set_whitelist")
def the_list_of_hosts_is_not_read(original: Any) -> Any:
    return never


@mutant("places", Allocator, "add_agent")
def who_comes_later_is_on_the_list_of_hosts(original: Any) -> Any:
    def add_agent(self: Any, agent_id: Any, *args: Any) -> None:
        original(self, agent_id, *args)
        self._books.agents[agent_id].listed = True

    return add_agent


@mutant("places", registration, "_ignored")
def strays_are_admitted(original: Any) -> Any:
    return lambda state, step, message: False


# ---------------------------------------------------------------------------------- why and why not


@mutant("places", explaining, "_agents")
def who_asks_of_a_host_is_told_of_all(original: Any) -> Any:
    return lambda state, agent: original(state, agent) and list(state.agents.values())


@mutant("places", reasons, "_before")
def who_comes_later_is_called_before(original: Any) -> Any:
    return lambda books, node, client: books.tree.clients_below(books.tree.root)


@mutant("places", Tree, "_mark")
def a_weight_counts_from_the_next_change_on(original: Any) -> Any:
    return never


@mutant("places", allocator_agent, "is_for")
def what_is_reserved_is_for_everybody(original: Any) -> Any:
    return lambda kind, role: True
