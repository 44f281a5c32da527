"""Bugs in whose turn it is, and how much everybody may have."""

from __future__ import annotations

from typing import Any

from mezzo.master.allocator import quantities, role_views
from mezzo.master.allocator.contention import Contention
from mezzo.master.allocator.cycle import Cycle
from mezzo.master.allocator.drf_sorter import Tree
from mezzo.master.allocator.quota import Quotas

from ..mutant import mutant, never


@mutant(Tree, "remove_client")
def who_is_gone_keeps_its_turn(original: Any) -> Any:
    def remove(self: Any, client: Any) -> None:
        parent = client.parent
        original(self, client)
        parent.moved[client] = None
        self.root.moved[parent] = None

    return remove


@mutant(Tree, "_mark")
def a_new_weight_moves_nobody(original: Any) -> Any:
    return never


@mutant(Tree, "_mark")
def a_weight_counts_from_the_next_change_on(original: Any) -> Any:
    return never


@mutant(Cycle, "_is_unmet")
def guarantees_come_last(original: Any) -> Any:
    return lambda self, role: not original(self, role)


@mutant(Quotas, "caps")
def guarantees_keep_nothing_free(original: Any) -> Any:
    return lambda self, top: None


@mutant(Quotas, "charge")
def what_is_granted_counts_for_a_little_more(original: Any) -> Any:
    def charge(self: Any, client: Any, amounts: Any, sign: int) -> None:
        original(self, client, {n: a + (sign > 0) for n, a in amounts.items()}, sign)

    return charge


@mutant(Quotas, "count_total")
def reservations_are_not_charged(original: Any) -> Any:
    def count(self: Any, total: Any, amounts: Any, sign: int) -> None:
        original(self, total.filter(role="*"), amounts, sign)

    return count


@mutant(Quotas, "_wake")
def who_is_woken_waits_on(original: Any) -> Any:
    def wake(self: Any, role: Any) -> None:
        kept = dict(role.kept_from)
        original(self, role)
        role.kept_from.update(kept)

    return wake


@mutant(Quotas, "limit_left")
def limits_limit_nothing(original: Any) -> Any:
    return lambda self, top: {}


@mutant(role_views, "_reserved")
def what_is_reserved_below_a_role_is_not_its_own(original: Any) -> Any:
    def reserved(books: Any, role: str) -> Any:
        out: dict[str, Any] = {}
        quantities.add(out, books.quotas.reserved.get(role, {}))
        return quantities.nonzero(out)

    return reserved


@mutant(role_views, "consumed")
def what_is_reserved_is_not_shown_as_consumed(original: Any) -> Any:
    return lambda books, role: {}


@mutant(Contention, "settle")
def nothing_is_withdrawn_from_who_thinks(original: Any) -> Any:
    return lambda self, now_s: []


@mutant(Contention, "forget")
def what_a_client_was_given_is_known_when_it_is_gone(original: Any) -> Any:
    return never
