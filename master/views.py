"""What operators see: frozen views of the mutable state."""

from __future__ import annotations

from mezzo.cluster.model import AgentFacts
from mezzo.cluster.resources import Resources
from mezzo.messages.operator import (
    Agents,
    AgentView,
    Executors,
    ExecutorView,
    Frameworks,
    FrameworkView,
    Master,
    OutstandingOffers,
    State,
    Tasks,
    UnreachableAgentView,
)

from .state.agent_entry import AgentEntry, Standing, used_on
from .state.framework_entry import FrameworkEntry
from .state.master_state import MasterState


def agent(state: MasterState, entry: AgentEntry) -> AgentView:
    return AgentView(
        entry.info,
        entry.active,
        entry.record.version,
        entry.info.pid,
        registered_time=entry.record.registered_s,
        reregistered_time=entry.reregistered_s,
        total_resources=entry.info.resources,
        allocated_resources=Resources.total(used_on(entry).values()),
        offered_resources=Resources.total(state.offers[i].resources for i in entry.offers),
        drain_info=entry.drain,
        estimated_drain_start_time=entry.record.drain_start_s,
        **{name: getattr(entry.record, name) for name in AgentFacts.__struct_fields__},
    )


def framework(
    state: MasterState, entry: FrameworkEntry, *, with_offers: bool = False
) -> FrameworkView:
    """Offers are only counted: in every event they would be most of what is sent."""
    connected = entry.conn is not None
    offers = [state.offers[offer_id] for offer_id in entry.offers]
    return FrameworkView(
        entry.info,
        active=connected,
        connected=connected,
        recovered=entry.recovered,
        registered_time=entry.registered_s,
        reregistered_time=entry.reregistered_s,
        unregistered_time=entry.unregistered_s,
        allocated_resources=Resources.total(
            task.info.resources for task in entry.tasks.values() if task.holds_resources
        )
        + Resources.total(each.info.resources for each in entry.executors.values()),
        offered_resources=Resources.total(offer.resources for offer in offers),
        offers=tuple(offers) if with_offers else (),
        inverse_offers=tuple(entry.inverse_offers.values()) if with_offers else (),
        offer_constraints=entry.constraints,
    )


def agents(state: MasterState, *, with_unreachable: bool = True) -> Agents:
    """Without the unreachable agents: there may be a hundred thousand, and a call asks for them."""
    lost = state.unreachable.values() if with_unreachable else ()
    back = [a for a in state.agents.values() if a.standing is not Standing.RECOVERED]
    return Agents(
        tuple(agent(state, entry) for entry in back),
        tuple(a.info for a in state.agents.values() if a.standing is Standing.RECOVERED),
        tuple(
            UnreachableAgentView(each.info, each.since_s, each.record.deactivated) for each in lost
        ),
    )


def frameworks(state: MasterState, *, with_offers: bool = True) -> Frameworks:
    return Frameworks(
        tuple(
            framework(state, entry, with_offers=with_offers) for entry in state.frameworks.values()
        ),
        tuple(framework(state, entry) for entry in state.completed.values()),
    )


def tasks(state: MasterState) -> Tasks:
    known = [*state.frameworks.values(), *state.completed.values()]
    return Tasks(
        tuple(task.view() for entry in known for task in entry.tasks.values()),
        tuple(task for entry in known for task in entry.completed.values()),
        tuple(task.view() for entry in known for task in entry.unreachable.values()),
    )


def executors(state: MasterState) -> Executors:
    return Executors(
        tuple(
            ExecutorView(executor.info, agent.id)
            for agent in state.agents.values()
            for executor in agent.executors.values()
        )
    )


def offers(state: MasterState) -> OutstandingOffers:
    return OutstandingOffers(tuple(state.offers.values()), tuple(state.inverse_offers.values()))


def everything(state: MasterState, *, with_offers: bool = True) -> State:
    return State(
        tasks(state),
        frameworks(state, with_offers=with_offers),
        agents(state, with_unreachable=False),
        executors(state),
    )


def master(state: MasterState) -> Master:
    return Master(state.config.info, state.config.started_s, state.elected_s)
