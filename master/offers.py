"""Offers: made, declined, rescinded. What is done with them is in accepting.py."""

from __future__ import annotations

from typing import Final

from mezzo.core import CancelTimer, SetTimer
from mezzo.errors import BadRequest
from mezzo.ids import AgentId, FrameworkId, OfferId
from mezzo.messages.scheduler import Decline, Offers, Rescind
from mezzo.model import Filters, Offer
from mezzo.resources import Resources

from . import claims, executors, inverse_offers
from .allocator import Grant, Withdraw
from .state import AgentEntry, FrameworkEntry, MasterState, Step

TIMER_ALLOCATE = "allocate"
TIMER_CYCLE = "cycle"  # a refusal runs out, or the allocator's patience
TIMER_OFFER = "offer"  # ("offer", offer id)
# In one event: to encode that takes a few milliseconds, in which nobody else is served.
OFFERS_MAX: Final = 500


# ---------------------------------------------------------------------------------- making


def schedule_cycle(state: MasterState, step: Step) -> None:
    """Ask for a cycle right after the events that are already waiting: one cycle for all of them;
    later if the last one was long and in vain, and more is told meanwhile.

    Called at the end of every step: the one place that decides when resources are offered.
    """
    if state.allocator.wants_cycle and not state.cycle_due:
        state.cycle_due = True
        step.do(SetTimer(TIMER_ALLOCATE, max(step.now.mono_s, state.allocator.rests_until_s)))
    due_s = state.allocator.next_due_s
    if due_s != state.cycle_timer_s:
        state.cycle_timer_s = due_s
        step.do(CancelTimer(TIMER_CYCLE) if due_s is None else SetTimer(TIMER_CYCLE, due_s))


def cycle_due(state: MasterState, step: Step) -> None:
    state.cycle_due = False
    _run_cycle(state, step)


def time_for_a_cycle(state: MasterState, step: Step) -> None:
    state.cycle_timer_s = None
    _run_cycle(state, step)


def _run_cycle(state: MasterState, step: Step) -> None:
    """Offer what is free; the offers of one framework in few events."""
    made: dict[FrameworkId, list[Offer]] = {}
    decisions = state.allocator.cycle(step.now.mono_s)
    for decision in decisions:
        if isinstance(decision, Grant):
            made.setdefault(decision.framework_id, []).append(_make(state, step, decision))
    for framework_id, offers in made.items():
        for first in range(0, len(offers), OFFERS_MAX):
            some = tuple(offers[first : first + OFFERS_MAX])
            step.to_framework(state.frameworks[framework_id], Offers(some))
    # Last: a client may have to give an agent back of which it was just granted some more.
    for decision in decisions:
        if isinstance(decision, Withdraw):
            _withdraw(state, step, decision)


def _make(state: MasterState, step: Step, grant: Grant) -> Offer:
    agent = state.agents[grant.agent_id]
    framework = state.frameworks[grant.framework_id]
    planned = state.machines.of(agent.info.hostname)
    offer = Offer(
        state.new_offer_id(),
        framework.id,
        agent.id,
        agent.info.hostname,
        grant.resources,
        agent.info.attributes,
        executors.ids_on(framework, agent) if agent.executors else (),
        grant.role,
        agent.info.domain,
        agent.url,
        planned.unavailability if planned is not None else None,
    )
    state.offers[offer.id] = offer
    agent.offers[offer.id] = None
    framework.offers[offer.id] = None
    step.changed(agent.id, framework.id)
    if state.config.offer_timeout_s is not None:
        step.timer((TIMER_OFFER, offer.id), state.config.offer_timeout_s)
    return offer


# ---------------------------------------------------------------------------------- ending


def remove(state: MasterState, step: Step, offer: Offer) -> None:
    """The offer is over; the allocator still counts its resources as offered."""
    del state.offers[offer.id]
    del state.frameworks[offer.framework_id].offers[offer.id]
    del state.agents[offer.agent_id].offers[offer.id]
    step.changed(offer.agent_id, offer.framework_id)
    if state.config.offer_timeout_s is not None:
        step.cancel((TIMER_OFFER, offer.id))


def take_back(state: MasterState, step: Step, offer: Offer) -> None:
    """Without a filter: it may be offered again at once."""
    remove(state, step, offer)
    state.allocator.decline((offer.framework_id, offer.role), offer.agent_id, offer.resources)


def rescind(state: MasterState, step: Step, offer: Offer) -> None:
    framework = state.frameworks[offer.framework_id]
    take_back(state, step, offer)
    step.to_framework(framework, Rescind(offer.id))


def _withdraw(state: MasterState, step: Step, decision: Withdraw) -> None:
    for offer in _like(state, decision.agent_id, decision.framework_id, decision.role):
        rescind(state, step, offer)


def _like(
    state: MasterState, agent_id: AgentId, framework_id: FrameworkId, role: str
) -> list[Offer]:
    """All that a framework is offered of one agent in one role."""
    offers = [state.offers[offer_id] for offer_id in state.agents[agent_id].offers]
    return [each for each in offers if (each.framework_id, each.role) == (framework_id, role)]


def rescind_all_of_agent(state: MasterState, step: Step, agent: AgentEntry) -> None:
    for offer_id in list(agent.offers):
        rescind(state, step, state.offers[offer_id])


def take_back_all(state: MasterState, step: Step, framework: FrameworkEntry) -> None:
    """The framework is gone or starts anew: it is not told."""
    for offer_id in list(framework.offers):
        take_back(state, step, state.offers[offer_id])
    inverse_offers.forget(state, step, framework)


def timed_out(state: MasterState, step: Step, offer_id: OfferId) -> None:
    """A framework that hoards: the offer goes to others, and with it whatever else it is offered of
    that agent, for pieces that come back at different times may be of use to nobody. Silence is a
    refusal: without one who has nothing but offers would be the first to get it again."""
    oldest = state.offers.get(offer_id)
    if oldest is None:
        return
    pieces = _like(state, oldest.agent_id, oldest.framework_id, oldest.role)
    for offer in pieces:
        remove(state, step, offer)
        step.to_framework(state.frameworks[offer.framework_id], Rescind(offer.id))
    whole = Resources.total(offer.resources for offer in pieces)
    give_back(state, step, oldest, whole, Filters(), at_least_s=0.0)


def decline(state: MasterState, step: Step, framework: FrameworkEntry, call: Decline) -> None:
    """Unknown offers are ignored: they may just have been rescinded."""
    for offer_id in call.offer_ids:
        offer = state.offers.get(offer_id)
        if offer is not None and offer.framework_id != framework.id:
            why = BadRequest("it was made to another framework")
            claims.deny(step, framework, f"DECLINE of offer {offer_id}", why)
        elif offer is not None:
            remove(state, step, offer)
            step.count("offers/declined", framework)
            floor_s = state.config.refuse_min_s
            give_back(state, step, offer, offer.resources, call.filters, at_least_s=floor_s)


def give_back(
    state: MasterState,
    step: Step,
    offer: Offer,
    left: Resources,
    filters: Filters,
    *,
    at_least_s: float,
) -> None:
    """What is `left` of the offer, which was removed. `at_least_s`: how long the refusal lasts even
    if the framework wants it shorter."""
    refuse_s = max(filters.effective_s, at_least_s)
    until_s = step.now.mono_s + refuse_s if refuse_s else None
    state.allocator.decline((offer.framework_id, offer.role), offer.agent_id, left, until_s)
