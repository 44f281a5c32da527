"""Promise 8 for operators: why somebody is offered something, and why not."""

from __future__ import annotations

from typing import Final

from mezzo.cluster.resources import Resources
from mezzo.master.state.agent_entry import AgentEntry, Standing
from mezzo.master.state.framework_entry import FrameworkEntry
from mezzo.messages import operator as om

from .look import Look

_ASKED: Final = 2  # frameworks and agents, of which it is asked why and why not


def check_reasons(look: Look) -> None:
    state = look.state
    for framework in list(state.frameworks.values())[:_ASKED]:
        for agent in list(state.agents.values())[-_ASKED:]:
            call = om.Explain(framework.id, None, agent.id)
            told = look.read(call).explanations
            roles = [each.role for each in told]
            look.same(f"what {call} is about", roles, list(framework.info.all_roles))
            for each in told:
                _explanation(look, each, framework, agent)


def _explanation(
    look: Look, told: om.Explanation, framework: FrameworkEntry, agent: AgentEntry
) -> None:
    state, where = look.state, f"{framework.info.name} at {agent.info.hostname}"
    offers = [o for o in state.offers.values() if o.agent_id == agent.id]
    mine = [o for o in offers if (o.framework_id, o.role) == (framework.id, told.role)]
    vetoes = {each.veto for each in told.objections}
    expected = {"AGENT_INACTIVE": not agent.active}
    if framework.recovered or framework.admission is not None:
        expected = {"NOT_CONNECTED": True}
    elif agent.standing is not Standing.RECOVERED:
        expected["NOT_CONNECTED"] = framework.conn is None
        expected["OFFERED"] = len(offers) > len(mine)
        expected["PAUSED"] = state.agents_awaited > 0
        offered = Resources.total(offer.resources for offer in mine)
        look.same(f"what is offered to {where}", told.offered, offered)
        if framework.conn is not None:
            agents = {
                o.agent_id: None
                for o in state.offers.values()
                if (o.framework_id, o.role) == (framework.id, told.role)
            }
            outstanding = told.counters.get("outstanding")
            look.same(f"how many offers {where} has", outstanding, len(agents))
    for veto, holds in expected.items():
        # What an agent has may have to be asked for first: then it is not offered meanwhile.
        if (veto in vetoes) != holds and not (veto == "AGENT_INACTIVE" and veto in vetoes):
            look.same(f"the reasons for {where}", sorted(vetoes), f"{veto} is {holds}")
    now_s = look.now.wall_s
    for each in told.objections:
        if each.until is not None and each.until < now_s - 600:
            look.same(f"the end of {each.veto} for {where}", each.until, f"after {now_s}")
