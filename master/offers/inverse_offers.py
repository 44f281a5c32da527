"""Inverse offers: frameworks are asked to give back what they use on machines that will be away.

There is one for each framework and agent, as long as the agent's machine is in the schedule and the
connected framework has tasks, executors or offers there. An answer, whatever it is, takes it away
for as long as its filter says. What frameworks answer is advice for the operator: it ends nothing,
and a new leader asks again.

Whatever may change the picture notes a pair of agent and framework in `state.inverse_looks` (most
of it through `Step.changed`); `settle` looks at these as the step ends.
"""

from __future__ import annotations

from mezzo.cluster.model import InverseOffer
from mezzo.errors import BadRequest
from mezzo.ids import AgentId, ConnId, FrameworkId
from mezzo.messages.operator import InverseOfferStatus
from mezzo.messages.scheduler import (
    AcceptInverseOffers,
    DeclineInverseOffers,
    InverseOffers,
    RescindInverseOffer,
)

from .. import claims
from ..state.agent_entry import AgentEntry, InverseAnswer
from ..state.framework_entry import FrameworkEntry
from ..state.master_state import MasterState
from ..state.step import Step
from ..timers import InverseFilterOver
from .refuse_seconds import refusal_s


def settle(state: MasterState, step: Step) -> None:
    """Make and rescind what the noted pairs call for; all new ones of a framework in one event."""
    looks, state.inverse_looks = state.inverse_looks, {}
    made: dict[FrameworkId, list[InverseOffer]] = {}
    for agent_id, framework_id in looks:
        framework = state.frameworks.get(framework_id)
        if framework is not None and framework.conn is not None:
            offer = _look(state, step, agent_id, framework)
            if offer is not None:
                made.setdefault(framework_id, []).append(offer)
    for framework_id, offers in made.items():
        step.to_framework(state.frameworks[framework_id], InverseOffers(tuple(offers)))


def _look(
    state: MasterState, step: Step, agent_id: AgentId, framework: FrameworkEntry
) -> InverseOffer | None:
    """Make, keep or rescind the pair's inverse offer; returns a new one."""
    agent = state.agents.get(agent_id)
    planned = None
    if agent is not None and framework.id in _users(state, agent):
        planned = state.machines.of(agent.info.hostname)
    outstanding = framework.inverse_offers.get(agent_id)
    if outstanding is not None:
        if planned is not None and planned.unavailability == outstanding.unavailability:
            return None
        _remove(state, framework, outstanding)
        step.to_framework(framework, RescindInverseOffer(outstanding.id))
    if agent is None or planned is None:
        return None
    answer = agent.inverse_answers.get(framework.id)
    if answer is not None and answer.hides_until_s > step.now.mono_s:
        return None
    offer = InverseOffer(
        state.new_offer_id(),
        framework.id,
        planned.unavailability,
        agent_id,
        url=agent.url,
    )
    state.inverse_offers[offer.id] = framework.inverse_offers[agent_id] = offer
    return offer


def _users(state: MasterState, agent: AgentEntry) -> dict[FrameworkId, None]:
    """The frameworks that have something on the agent that they could lose."""
    users = dict.fromkeys(key[0] for key, task in agent.tasks.items() if task.holds_resources)
    users |= dict.fromkeys(framework_id for framework_id, _ in agent.executors)
    return users | dict.fromkeys(state.offers[offer_id].framework_id for offer_id in agent.offers)


def _remove(state: MasterState, framework: FrameworkEntry, offer: InverseOffer) -> None:
    assert offer.agent_id is not None
    del state.inverse_offers[offer.id]
    del framework.inverse_offers[offer.agent_id]


# ---------------------------------------------------------------------------------- answers


def answer(
    state: MasterState,
    step: Step,
    framework: FrameworkEntry,
    call: AcceptInverseOffers | DeclineInverseOffers,
) -> None:
    """Remember an answer, and ask no more until its filter ends. Unknown offers may just
    have been rescinded."""
    status = "ACCEPT" if isinstance(call, AcceptInverseOffers) else "DECLINE"
    for offer_id in call.inverse_offer_ids:
        offer = state.inverse_offers.get(offer_id)
        if offer is not None and offer.framework_id != framework.id:
            why = BadRequest("it was made to another framework")
            claims.deny(step, framework, f"{status} of inverse offer {offer_id}", why)
            continue
        if offer is None or offer.agent_id is None:
            continue
        _remove(state, framework, offer)
        # The same bound as for offers: a framework that answers at once is not asked at once.
        hide_s = refusal_s(call.filters, state.config.refuse_min_s)
        state.agents[offer.agent_id].inverse_answers[framework.id] = InverseAnswer(
            InverseOfferStatus(status, framework.id, step.now.wall_s),
            step.now.mono_s + hide_s,
        )
        framework.inverse_answered[offer.agent_id] = None
        step.timer(InverseFilterOver(offer.agent_id, framework.id), hide_s)


def filter_over(state: MasterState, _step: Step, due: InverseFilterOver) -> None:
    state.inverse_looks[(due.agent_id, due.framework_id)] = None


def revive(state: MasterState, step: Step, framework: FrameworkEntry) -> None:
    """REVIVE ends filters of inverse offers as well. The answers stay."""
    for agent_id in framework.inverse_answered:
        agent = state.agents.get(agent_id)
        if agent is not None and framework.id in agent.inverse_answers:
            last = agent.inverse_answers[framework.id]
            agent.inverse_answers[framework.id] = InverseAnswer(last.status)
            step.cancel(InverseFilterOver(agent_id, framework.id))
            state.inverse_looks[(agent_id, framework.id)] = None
    framework.inverse_answered.clear()


# ---------------------------------------------------------------------------------- who comes, goes


def ask_anew(state: MasterState, step: Step, agent: AgentEntry) -> None:
    """The plan for the agent's machine changed: answers to the old one count no more.

    To be called before its offers are rescinded, with the new plan in `state.machines`.
    """
    users = _users(state, agent)
    for framework_id in agent.inverse_answers:
        step.cancel(InverseFilterOver(agent.id, framework_id))
    agent.inverse_answers.clear()
    for framework_id in users:
        state.inverse_looks[(agent.id, framework_id)] = None


def agent_came(state: MasterState, agent: AgentEntry) -> None:
    """The agent has told what runs there."""
    for framework_id in _users(state, agent):
        state.inverse_looks[(agent.id, framework_id)] = None


def framework_came(state: MasterState, conn: ConnId) -> None:
    """The framework of that stream can be asked (again)."""
    framework_id = state.framework_of.get(conn)
    if framework_id is not None:
        framework = state.frameworks[framework_id]
        agents = dict.fromkeys(task.info.agent_id for task in framework.tasks.values())
        agents |= dict.fromkeys(agent_id for agent_id, _ in framework.executors)
        for agent_id in agents:
            state.inverse_looks[(agent_id, framework_id)] = None


def forget(state: MasterState, step: Step, framework: FrameworkEntry) -> None:
    """The framework is gone or starts anew: it is not told, and has refused nothing."""
    for offer in list(framework.inverse_offers.values()):
        _remove(state, framework, offer)
    revive(state, step, framework)
