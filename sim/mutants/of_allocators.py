"""Bugs in the allocator."""

from __future__ import annotations

from typing import Any

from mezzo.cluster.resources import Resources
from mezzo.master.allocator import offer_constraints
from mezzo.master.allocator.allocator import Allocator
from mezzo.master.allocator.books import Books
from mezzo.master.allocator.contention import Contention
from mezzo.master.allocator.filters import Filters
from mezzo.master.allocator.offer_constraints import Constraints
from mezzo.master.allocator.quota import Quotas

from .mutant import mutant, never


@mutant("allocator", Books, "release")
def more_is_freed_than_was_taken(original: Any) -> Any:
    def release(self: Any, client: Any, agent: Any, resources: Any) -> None:
        original(self, client, agent, resources)
        agent.give(Resources.of(cpus=0.5))

    return release


@mutant("allocator", Allocator, "release")
def what_ended_is_not_freed(original: Any) -> Any:
    return never


@mutant("allocator", Books, "grant")
def what_is_offered_is_not_taken(original: Any) -> Any:
    def grant(self: Any, client: Any, agent: Any, resources: Any, amounts: Any) -> None:
        original(self, client, agent, resources, amounts)
        agent.give(resources)

    return grant


@mutant("allocator", Allocator, "add_agent")
def an_agent_is_taken_for_empty(original: Any) -> Any:
    return lambda self, agent_id, terms, allocated: original(self, agent_id, terms, {})


@mutant("allocator", Allocator, "occupy")
def what_was_found_running_is_not_counted(original: Any) -> Any:
    return never


@mutant("allocator", Allocator, "update_agent")
def an_agent_that_has_more_is_offered_as_before(original: Any) -> Any:
    return never


@mutant("allocator", Allocator, "remove_agent")
def a_removed_agent_is_offered_on(original: Any) -> Any:
    return never


@mutant("allocator", Allocator, "set_agent_active")
def inactive_agents_are_offered(original: Any) -> Any:
    return lambda self, agent_id, active: original(self, agent_id, True)


@mutant("allocator", Allocator, "deactivate_framework")
def disconnected_frameworks_are_offered(original: Any) -> Any:
    return never


@mutant("allocator", Filters, "expire")
def refusals_never_run_out(original: Any) -> Any:
    def expire(self: Any, now_s: float) -> Any:
        self._ticks.clear()
        return iter(())

    return expire


@mutant("allocator", Allocator, "revive")
def nobody_can_be_revived(original: Any) -> Any:
    return never


@mutant("allocator", Contention, "settle")
def nothing_is_withdrawn_from_who_thinks(original: Any) -> Any:
    return lambda self, now_s: []


@mutant("allocator", Quotas, "caps")
def guarantees_keep_nothing_free(original: Any) -> Any:
    return lambda self, top: None


@mutant("allocator", Books, "_no_longer_offered")
def who_answered_still_counts_as_thinking(original: Any) -> Any:
    def no_longer(self: Any, client: Any, agent: Any, resources: Any) -> None:
        original(self, client, agent, resources)
        if client not in agent.offered:
            client.offers += 1

    return no_longer


@mutant("allocator", Allocator, "_settle")
def what_comes_back_is_not_looked_at(original: Any) -> Any:
    return never


@mutant("allocator", Allocator, "explain")
def no_reason_is_given(original: Any) -> Any:
    def explain(self: Any, *args: Any) -> Any:
        return original(self, *args)._replace(objections=())

    return explain


@mutant("allocator", Constraints, "admits")
def offer_constraints_are_not_looked_at(original: Any) -> Any:
    return lambda self, place: True


@mutant("allocator", offer_constraints, "_pseudo")
def offer_constraints_take_every_host_for_another(original: Any) -> Any:
    return lambda place, which: None
