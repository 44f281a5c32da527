"""Offers that are not used: declined, or held for too long."""

from __future__ import annotations

from mezzo.cluster.model import Filters, Offer
from mezzo.cluster.resources import Resources
from mezzo.errors import BadRequest
from mezzo.messages.scheduler import Decline, Rescind

from .. import claims, rescinding
from ..state.framework_entry import FrameworkEntry
from ..state.master_state import MasterState
from ..state.step import Step
from ..timers import OfferTimeout
from . import inverse_offers
from .refuse_seconds import refusal_s


def take_back_all(state: MasterState, step: Step, framework: FrameworkEntry) -> None:
    """The framework is gone or starts anew: its offers go, and it is not told."""
    for offer_id in list(framework.offers):
        rescinding.take_back(state, step, state.offers[offer_id])
    inverse_offers.forget(state, step, framework)


def timed_out(state: MasterState, step: Step, due: OfferTimeout) -> None:
    """A framework hoards: the offer goes to others, and with it whatever else it is offered of that
    agent, for pieces that come back at different times may be of use to nobody. Silence counts as
    a refusal: else a framework that has nothing but offers would be the first to get it again."""
    oldest = state.offers.get(due.offer_id)
    if oldest is None:
        return
    pieces = rescinding.pieces_of(state, oldest.agent_id, oldest.framework_id, oldest.role)
    for offer in pieces:
        rescinding.remove(state, step, offer)
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
            rescinding.remove(state, step, offer)
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
    """Give back what is `left` of a removed offer. `at_least_s`: how long the refusal lasts even
    if the framework wants it shorter."""
    refuse_s = refusal_s(filters, at_least_s)
    until_s = step.now.mono_s + refuse_s if refuse_s else None
    state.allocator.decline((offer.framework_id, offer.role), offer.agent_id, left, until_s)
