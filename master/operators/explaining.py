"""EXPLAIN: why a framework is, or is not, offered an agent.

The reasons are the allocator's; here it is found out who is meant.
"""

from __future__ import annotations

from typing import Final

from mezzo.errors import BadRequest
from mezzo.guess import near
from mezzo.messages import operator as m

from ..allocator.reasons import Objection, Veto
from ..state.agent_entry import AgentEntry, Standing
from ..state.framework_entry import FrameworkEntry
from ..state.master_state import MasterState
from ..state.step import Step

# Each may take some milliseconds of the master's time when there are a thousand frameworks.
PAIRS_MAX: Final = 100


def explain(state: MasterState, step: Step, call: m.Explain) -> m.OperatorResponse:
    """One answer for each framework, role and agent that the call means.

    Raises BadRequest for names that nothing has, and if that is too much at once.
    """
    clients = _clients(state, call.framework, call.role)
    agents = _agents(state, call.agent)
    pairs = len(clients) * len(agents)
    if pairs > PAIRS_MAX:
        raise BadRequest(
            f"{len(clients)} times a framework in a role and {len(agents)} agents are {pairs} "
            f"questions, more than {PAIRS_MAX}: name a framework, a role or an agent"
        )
    return m.Explanations(
        tuple(_pair(state, step, *client, agent) for client in clients for agent in agents)
    )


def _pair(
    state: MasterState, step: Step, framework: FrameworkEntry, role: str, agent: AgentEntry
) -> m.Explanation:
    known = (framework.id, framework.info.name, role, agent.id, agent.info.hostname)
    # The allocator does not know agents that are not back, nor the roles of a framework
    # that has not had its turn.
    away = [
        *([_FRAMEWORK_NOT_BACK] if framework.recovered else []),
        *([_FRAMEWORK_WAITS] if framework.admission is not None else []),
        *([_AGENT_NOT_BACK] if agent.standing is Standing.RECOVERED else []),
    ]
    if away:
        return m.Explanation(*known, objections=tuple(away))
    verdict = state.allocator.explain(framework.id, role, agent.id, step.now.mono_s)
    return m.Explanation(
        *known,
        verdict.offered,
        tuple(_objection(step, each) for each in verdict.objections),
        dict(verdict.counters),
    )


_FRAMEWORK_NOT_BACK: Final = m.Objection(
    Veto.NOT_CONNECTED,
    "a connected framework",
    "it has not come back since this master leads",
    "it has to subscribe in the role",
)
_FRAMEWORK_WAITS: Final = m.Objection(
    Veto.NOT_CONNECTED,
    "a connected framework",
    "it has subscribed so often that it has to wait for its turn",
    "its turn comes in a moment, if it stays",
)
_AGENT_NOT_BACK: Final = m.Objection(
    Veto.AGENT_INACTIVE,
    "an active agent",
    "it has not come back since this master leads",
    "it has to come back",
)


def _objection(step: Step, objection: Objection) -> m.Objection:
    until_s = objection.until_s
    return m.Objection(
        objection.veto,
        objection.wanted,
        objection.have,
        objection.change,
        None if until_s is None else step.now.wall_s + (until_s - step.now.mono_s),
    )


# ---------------------------------------------------------------------------------- who is meant


def _clients(
    state: MasterState, framework: str | None, role: str | None
) -> list[tuple[FrameworkEntry, str]]:
    """Frameworks in their roles."""
    entries = list(state.frameworks.values())
    if framework is not None:
        entries = [e for e in entries if framework in (e.id, e.info.name)]
        if not entries:
            known = [name for e in state.frameworks.values() for name in (e.info.name, e.id)]
            raise BadRequest(f"no framework is called {framework!r}{near(framework, known)}")
    clients = [(entry, each) for entry in entries for each in entry.info.all_roles]
    if role is None:
        return clients
    found = [client for client in clients if client[1] == role]
    if not found:
        who = "no framework is" if framework is None else f"framework {framework!r} is not"
        raise BadRequest(f"{who} in role {role!r}{near(role, [each for _, each in clients])}")
    return found


def _agents(state: MasterState, agent: str | None) -> list[AgentEntry]:
    entries = list(state.agents.values())
    if agent is None:
        return entries
    found = [entry for entry in entries if agent in (entry.id, entry.info.hostname)]
    if found:
        return found
    away = [each for each in state.unreachable.values() if agent in (each.id, each.info.hostname)]
    if away:
        raise BadRequest(
            f"agent {agent!r} is unreachable: nothing of it is offered until it is back"
        )
    known = [name for entry in entries for name in (entry.info.hostname, entry.id)]
    raise BadRequest(f"no agent is called {agent!r}{near(agent, known)}")
