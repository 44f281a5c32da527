"""Offers that are over: removed, taken back, rescinded."""

from __future__ import annotations

from mezzo.cluster.model import Offer
from mezzo.ids import AgentId, FrameworkId
from mezzo.messages.scheduler import Rescind

from .state.agent_entry import AgentEntry
from .state.master_state import MasterState
from .state.step import Step
from .timers import OfferTimeout


def remove(state: MasterState, step: Step, offer: Offer) -> None:
    """The offer is over; the allocator still counts its resources as offered."""
    del state.offers[offer.id]
    del state.frameworks[offer.framework_id].offers[offer.id]
    del state.agents[offer.agent_id].offers[offer.id]
    step.changed(offer.agent_id, offer.framework_id)
    if state.config.offer_timeout_s is not None:
        step.cancel(OfferTimeout(offer.id))


def take_back(state: MasterState, step: Step, offer: Offer) -> None:
    """Rescind the offer, without a filter: its resources may be offered again at once."""
    remove(state, step, offer)
    state.allocator.decline((offer.framework_id, offer.role), offer.agent_id, offer.resources)


def rescind(state: MasterState, step: Step, offer: Offer) -> None:
    framework = state.frameworks[offer.framework_id]
    take_back(state, step, offer)
    step.to_framework(framework, Rescind(offer.id))


def pieces_of(
    state: MasterState, agent_id: AgentId, framework_id: FrameworkId, role: str
) -> list[Offer]:
    """All that a framework is offered of one agent in one role."""
    offers = [state.offers[offer_id] for offer_id in state.agents[agent_id].offers]
    return [each for each in offers if (each.framework_id, each.role) == (framework_id, role)]


def rescind_all_of_agent(state: MasterState, step: Step, agent: AgentEntry) -> None:
    for offer_id in list(agent.offers):
        rescind(state, step, state.offers[offer_id])
