"""Offers are made: when the allocator is asked, and what becomes of its answer."""

from __future__ import annotations

from typing import Final

from mezzo.cluster.model import Offer
from mezzo.ids import FrameworkId
from mezzo.messages.scheduler import Offers

from .. import rescinding
from ..allocator.terms import Grant, Withdraw
from ..state.master_state import MasterState
from ..state.step import Step
from ..tasks import executors
from ..timers import AllocationDue, CycleDue, OfferTimeout

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
        step.timer_at(AllocationDue(), max(step.now.mono_s, state.allocator.rests_until_s))
    due_s = state.allocator.next_due_s
    if due_s != state.cycle_timer_s:
        state.cycle_timer_s = due_s
        if due_s is None:
            step.cancel(CycleDue())
        else:
            step.timer_at(CycleDue(), due_s)


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
        step.timer(OfferTimeout(offer.id), state.config.offer_timeout_s)
    return offer


# ---------------------------------------------------------------------------------- ending


def _withdraw(state: MasterState, step: Step, decision: Withdraw) -> None:
    for offer in rescinding.pieces_of(
        state, decision.agent_id, decision.framework_id, decision.role
    ):
        rescinding.rescind(state, step, offer)
