"""Bugs in who has what, and on which agent."""

from __future__ import annotations

from typing import Any

from mezzo.cluster.resources import Resources
from mezzo.master.allocator import agent_books
from mezzo.master.allocator.agent_books import Agent
from mezzo.master.allocator.allocator import Allocator
from mezzo.master.allocator.books import Books

from ..mutant import mutant, never


@mutant(Allocator, "release")
def what_ended_is_not_freed(original: Any) -> Any:
    return never


@mutant(Allocator, "add_agent")
def an_agent_is_taken_for_empty(original: Any) -> Any:
    return lambda self, agent_id, terms, allocated: original(self, agent_id, terms, {})


@mutant(Allocator, "occupy")
def what_was_found_running_is_not_counted(original: Any) -> Any:
    return never


@mutant(Allocator, "update_agent")
def an_agent_that_has_more_is_offered_as_before(original: Any) -> Any:
    return never


@mutant(Allocator, "remove_agent")
def a_removed_agent_is_offered_on(original: Any) -> Any:
    return never


@mutant(Allocator, "set_agent_active")
def inactive_agents_are_offered(original: Any) -> Any:
    return lambda self, agent_id, active: original(self, agent_id, True)


@mutant(Allocator, "deactivate_framework")
def disconnected_frameworks_are_offered(original: Any) -> Any:
    return never


@mutant(Allocator, "revive")
def nobody_can_be_revived(original: Any) -> Any:
    return never


@mutant(Allocator, "_settle")
def what_comes_back_is_not_looked_at(original: Any) -> Any:
    return never


@mutant(Allocator, "explain")
def no_reason_is_given(original: Any) -> Any:
    def explain(self: Any, *args: Any) -> Any:
        return original(self, *args)._replace(objections=())

    return explain


@mutant(Allocator, "set_whitelist")
def the_list_of_hosts_is_not_read(original: Any) -> Any:
    return never


@mutant(Allocator, "add_agent")
def who_comes_later_is_on_the_list_of_hosts(original: Any) -> Any:
    def add_agent(self: Any, agent_id: Any, *args: Any) -> None:
        original(self, agent_id, *args)
        self._books.agents[agent_id].listed = True

    return add_agent


@mutant(Allocator, "keep_demand")
def an_update_declares_all_anew(original: Any) -> Any:
    def keep_demand(self: Any, framework_id: Any, demands: Any) -> None:
        self.set_demand(framework_id, demands)

    return keep_demand


@mutant(Books, "release")
def more_is_freed_than_was_taken(original: Any) -> Any:
    def release(self: Any, client: Any, agent: Any, resources: Any) -> None:
        original(self, client, agent, resources)
        agent.give(Resources.of(cpus=0.5))

    return release


@mutant(Books, "grant")
def what_is_offered_is_not_taken(original: Any) -> Any:
    def grant(self: Any, client: Any, agent: Any, resources: Any, amounts: Any) -> None:
        original(self, client, agent, resources, amounts)
        agent.give(resources)

    return grant


@mutant(Books, "_no_longer_offered")
def who_answered_still_counts_as_thinking(original: Any) -> Any:
    def no_longer(self: Any, client: Any, agent: Any, resources: Any) -> None:
        original(self, client, agent, resources)
        if client not in agent.offered:
            client.offers += 1

    return no_longer


@mutant(Books, "_count_total")
def who_leaves_is_still_counted(original: Any) -> Any:
    def count(self: Any, total: Any, sign: int) -> None:
        if sign > 0:
            original(self, total, sign)

    return count


@mutant(Agent, "describe")
def agents_of_other_regions_are_for_everybody(original: Any) -> Any:
    def describe(self: Any, terms: Any, region: Any) -> None:
        original(self, terms, None)

    return describe


@mutant(agent_books, "is_for")
def what_is_reserved_is_for_everybody(original: Any) -> Any:
    return lambda kind, role: True


@mutant(agent_books, "_exclusive")
def what_is_shared_is_offered_to_one(original: Any) -> Any:
    return lambda resources: resources
