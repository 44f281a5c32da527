"""Bugs in what is offered, accepted, declined and taken back."""

from __future__ import annotations

from typing import Any

from mezzo.core import SetTimer
from mezzo.master import rescinding
from mezzo.master.offers import accepting, declining, inverse_offers, offering
from mezzo.master.timers import CycleDue
from mezzo.record import replace

from ..mutant import mutant, never


@mutant(offering, "_make")
def the_end_of_an_offer_goes_by_the_wall(original: Any) -> Any:
    def make(state: Any, step: Any, grant: Any) -> Any:
        offer = original(state, step, grant)
        last = step.effects[-1]
        if isinstance(last, SetTimer):
            step.effects[-1] = SetTimer(last.key, last.at_s - step.now.mono_s + step.now.wall_s)
        return offer

    return make


@mutant(offering, "schedule_cycle")
def nothing_is_offered_as_time_goes_by(original: Any) -> Any:
    def schedule(state: Any, step: Any) -> None:
        original(state, step)
        step.effects = [each for each in step.effects if getattr(each, "key", None) != CycleDue()]

    return schedule


@mutant(accepting, "_answer")
def nobody_is_told_that_an_operation_is_refused(original: Any) -> Any:
    return never


@mutant(accepting, "_refuse")
def tasks_of_an_invalid_offer_are_not_answered(original: Any) -> Any:
    return never


@mutant(accepting, "_check_offers")
def an_offer_may_be_named_twice(original: Any) -> Any:
    def check(state: Any, framework: Any, call: Any) -> Any:
        found = original(
            state, framework, replace(call, offer_ids=tuple(dict.fromkeys(call.offer_ids)))
        )
        by_id = {offer.id: offer for offer in found}
        return [by_id[offer_id] for offer_id in call.offer_ids]

    return check


@mutant(accepting, "_check_offers")
def offers_of_two_agents_are_one(original: Any) -> Any:
    def check(state: Any, framework: Any, call: Any) -> Any:
        found: list[Any] = []
        for offer_id in call.offer_ids:
            found += original(state, framework, replace(call, offer_ids=(offer_id,)))
        return found if found else original(state, framework, call)

    return check


@mutant(accepting, "_refuse")
def an_invalid_acceptance_takes_the_offers_of_others_back(original: Any) -> Any:
    def refuse(state: Any, step: Any, framework: Any, call: Any, why: str) -> None:
        for offer_id in dict.fromkeys(call.offer_ids):
            offer = state.offers.get(offer_id)
            if offer is not None:
                rescinding.take_back(state, step, offer)
        original(state, step, framework, call, why)

    return refuse


@mutant(declining, "timed_out")
def an_offer_never_times_out(original: Any) -> Any:
    return never


@mutant(declining, "timed_out")
def who_kept_an_offer_too_long_is_not_told(original: Any) -> Any:
    def timed_out(state: Any, step: Any, due: Any) -> None:
        if due.offer_id in state.offers:
            rescinding.take_back(state, step, state.offers[due.offer_id])

    return timed_out


@mutant(declining, "take_back_all")
def offers_of_a_framework_that_left_stay(original: Any) -> Any:
    return never


@mutant(declining, "give_back")
def what_was_declined_is_lost(original: Any) -> Any:
    return never


@mutant(declining, "decline")
def the_offers_of_others_may_be_declined(original: Any) -> Any:
    def decline(state: Any, step: Any, framework: Any, call: Any) -> None:
        for offer_id in call.offer_ids:
            offer = state.offers.get(offer_id)
            owner = framework if offer is None else state.frameworks[offer.framework_id]
            original(state, step, owner, replace(call, offer_ids=(offer_id,)))

    return decline


@mutant(inverse_offers, "filter_over")
def who_has_answered_is_never_asked_to_leave_again(original: Any) -> Any:
    return never


@mutant(inverse_offers, "ask_anew")
def who_was_asked_to_leave_is_not_told_of_another_time(original: Any) -> Any:
    return never


@mutant(inverse_offers, "revive")
def revive_leaves_the_filters_of_inverse_offers(original: Any) -> Any:
    return never


@mutant(rescinding, "rescind")
def who_has_an_offer_is_not_told_that_it_is_over(original: Any) -> Any:
    return lambda state, step, offer: rescinding.take_back(state, step, offer)


@mutant(rescinding, "rescind_all_of_agent")
def offers_of_an_agent_that_left_stay(original: Any) -> Any:
    return never
