"""Bugs in what is counted as it changes, and in what is too much for one step."""

from __future__ import annotations

from typing import Any

from mezzo import core
from mezzo.agent.state.checkpoint import Checkpoint
from mezzo.marathon.core import MarathonCore
from mezzo.marathon.effects import Ready
from mezzo.marathon.killing import killer
from mezzo.marathon.state.service_ports import HeldPorts
from mezzo.master.allocator.books import Books
from mezzo.master.allocator.contention import Contention
from mezzo.master.allocator.cycle import Cycle
from mezzo.master.allocator.demand import Wish
from mezzo.master.allocator.drf_sorter import Tree
from mezzo.master.allocator.filters import Filters
from mezzo.master.allocator.quota import Quotas
from mezzo.master.effects import CloseStream
from mezzo.master.frameworks import subscribing
from mezzo.master.state.away_frameworks import Away
from mezzo.master.state.budget import Budget
from mezzo.master.state.master_state import MasterState
from mezzo.master.state.ping_schedule import Pings
from mezzo.master.state.step import Step

from .mutant import mutant, never


@mutant("ledgers", core.Step, "cancel")
def timers_outlive_what_they_are_for(original: Any) -> Any:
    def cancel(self: Any, key: Any) -> None:
        if not isinstance(self, Step):
            original(self, key)

    return cancel


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


@mutant("ledgers", killer, "_store_new")
def of_many_that_end_some_are_forgotten(original: Any) -> Any:
    def store(state: Any, step: Any) -> None:
        original(state, step)
        state.kills.new.clear()

    return store


@mutant("ledgers", MarathonCore, "step")
def a_leader_never_says_that_it_is_ready(original: Any) -> Any:
    def step(self: Any, event: Any, now: Any) -> Any:
        output = original(self, event, now)
        output.effects[:] = [each for each in output.effects if not isinstance(each, Ready)]
        return output

    return step


# ---- who is gone stays


@mutant("ledgers", Contention, "forget")
def what_a_client_was_given_is_known_when_it_is_gone(original: Any) -> Any:
    return never


@mutant("ledgers", Tree, "remove_client")
def who_is_gone_keeps_its_turn(original: Any) -> Any:
    def remove(self: Any, client: Any) -> None:
        parent = client.parent
        original(self, client)
        parent.moved[client] = None
        self.root.moved[parent] = None

    return remove


@mutant("ledgers", Pings, "remove")
def who_is_gone_is_pinged_on(original: Any) -> Any:
    return never


# ---- indexes


@mutant("ledgers", Away, "remove")
def who_is_back_is_away(original: Any) -> Any:
    return never


@mutant("ledgers", MasterState, "dismiss")
def of_an_agent_that_is_gone_its_address_is_kept(original: Any) -> Any:
    def dismiss(self: Any, agent: Any) -> None:
        original(self, agent)
        self.agents_at.setdefault(agent.place, {})

    return dismiss


@mutant("ledgers", HeldPorts, "drop")
def service_ports_are_held_for_ever(original: Any) -> Any:
    return never


@mutant("ledgers", Wish, "note")
def pending_units_are_not_taken_off(original: Any) -> Any:
    def note(self: Any, agent: Any, more: int) -> None:
        original(self, agent, more)
        self.pending -= min(0, more)

    return note


@mutant("ledgers", Tree, "_mark")
def a_new_weight_moves_nobody(original: Any) -> Any:
    return never


@mutant("ledgers", Quotas, "_wake")
def who_is_woken_waits_on(original: Any) -> Any:
    def wake(self: Any, role: Any) -> None:
        kept = dict(role.kept_from)
        original(self, role)
        role.kept_from.update(kept)

    return wake


@mutant("ledgers", Cycle, "_is_unmet")
def guarantees_come_last(original: Any) -> Any:
    return lambda self, role: not original(self, role)


# ---- memory, streams, portions


@mutant("ledgers", Checkpoint, "forget_remains")
def an_agent_forgets_to_store_what_it_has_removed(original: Any) -> Any:
    def forget(self: Any, step: Any, container_id: Any) -> None:
        original(self, step, container_id)
        step.writes.pop()

    return forget


@mutant("ledgers", subscribing, "_take_over")
def the_stream_of_who_failed_over_stays_open(original: Any) -> Any:
    def take_over(state: Any, step: Any, *args: Any) -> None:
        original(state, step, *args)
        step.effects[:] = [each for each in step.effects if not isinstance(each, CloseStream)]

    return take_over


@mutant("ledgers", Step, "full")
def portions_are_one_too_large(original: Any) -> Any:
    def full(self: Any) -> Any:
        config = self.state.config
        return len(self.writes) > config.step_writes or self.bytes >= config.step_bytes

    return property(full)


@mutant("ledgers", Budget, "take")
def budgets_fill_too_fast(original: Any) -> Any:
    def take(self: Any, amount: float, now_s: float) -> Any:
        self.left_amount += (now_s - self.since_s) * self.per_s
        return original(self, amount, now_s)

    return take
