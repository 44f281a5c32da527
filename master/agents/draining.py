"""What operators do to an agent: deactivate it, drain it, call it gone, take it back.

    active --DEACTIVATE--> deactivated --REACTIVATE--> active
    any    --DRAIN--> DRAINING --all has ended and is acknowledged--> DRAINED, or gone
    any    --MARK_GONE--> gone, for ever

Each change is durable before the agent hears of it, and is told to the agent again whenever it
registers. Agents that are unreachable or not back yet can be meant, too: a change holds when they
return.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mezzo.cluster.model import AgentCapability, DrainConfig, DrainInfo, DrainState
from mezzo.cluster.states import Reason, TaskState
from mezzo.errors import BadRequest
from mezzo.ids import AgentId
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages.scheduler import Update
from mezzo.record import replace

from .. import metrics, rescinding, views
from ..state.agent_entry import AgentEntry, Standing
from ..state.master_state import MasterState
from ..state.records import AgentRecord
from ..state.step import Step
from ..tables import AGENTS
from ..tasks import status_updates
from ..timers import DrainAskDue, DrainCheckDue
from . import unreachable

ASK_EVERY_S: Final = 5.0

# ---------------------------------------------------------------------------------- calls


def deactivate(state: MasterState, step: Step, call: om.DeactivateAgent) -> om.OperatorResponse:
    """The agent gets no more offers; its tasks go on."""
    return _settle(state, step, call.agent_id, lambda record: replace(record, deactivated=True))


def reactivate(state: MasterState, step: Step, call: om.ReactivateAgent) -> om.OperatorResponse:
    record = _record(state, call.agent_id)
    if record.drain is not None and record.drain.state is DrainState.DRAINING:
        raise BadRequest(
            f"agent {call.agent_id} is draining: wait until it is DRAINED, then reactivate it"
        )
    answer = _settle(
        state,
        step,
        call.agent_id,
        lambda record: replace(record, deactivated=False, drain=None, drain_start_s=None),
    )
    agent = state.agents.get(call.agent_id)
    if agent is not None and record.drain is not None:
        step.to_agent(agent, am.ReactivateAgent())
    return answer


def drain(state: MasterState, step: Step, call: om.DrainAgent) -> om.OperatorResponse:
    """Kill the agent's tasks, and take no new ones. Draining it once more changes how."""
    grace_s = call.max_grace_period
    if grace_s is not None and grace_s < 0:
        raise BadRequest(f"max_grace_period is {grace_s:g} s: give seconds from 0 up")
    record = _record(state, call.agent_id)
    if AgentCapability.AGENT_DRAINING not in record.capabilities:
        raise BadRequest(
            f"agent {call.agent_id} can't drain (it lacks AGENT_DRAINING): deactivate it, and kill "
            "its tasks through their frameworks"
        )
    config = DrainConfig(grace_s, call.mark_gone)
    info = DrainInfo(DrainState.DRAINING, config)
    answer = _settle(
        state,
        step,
        call.agent_id,
        lambda record: replace(record, deactivated=True, drain=info, drain_start_s=step.now.wall_s),
    )
    agent = state.agents.get(call.agent_id)
    if agent is not None:
        step.to_agent(agent, am.DrainAgent(config))
        state.maybe_drained(agent)
    return answer


def mark_gone(state: MasterState, step: Step, call: om.MarkAgentGone) -> om.OperatorResponse:
    """MARK_GONE can't be undone: the operator vouches that nothing of the agent runs any more."""
    if call.agent_id not in state.gone_since_s:
        _gone(state, step, call.agent_id, _record(state, call.agent_id))
    return om.Done()


# ---------------------------------------------------------------------------------- rules


def _record(state: MasterState, agent_id: AgentId) -> AgentRecord:
    """The record of an agent that could come back. Raises BadRequest for another one."""
    agent, lost = state.agents.get(agent_id), state.unreachable.get(agent_id)
    if agent is not None:
        return agent.record
    if lost is not None:
        return lost.record
    if agent_id in state.gone_since_s:
        raise BadRequest(f"agent {agent_id} was marked gone: it never comes back")
    raise BadRequest(f"agent {agent_id} is not known: `mezzo agent list` names them")


def _settle(
    state: MasterState, step: Step, agent_id: AgentId, change: Callable[[AgentRecord], AgentRecord]
) -> om.OperatorResponse:
    """Make a change of an agent's record true: in the store, in the books, for the operators."""
    record = change(_record(state, agent_id))
    step.put(AGENTS, record)
    agent = state.agents.get(agent_id)
    if agent is None:
        state.unreachable[agent_id] = replace(state.unreachable[agent_id], record=record)
        return om.Done()
    agent.record = record
    if record.deactivated:
        rescinding.rescind_all_of_agent(state, step, agent)
    if agent.standing is not Standing.RECOVERED:
        state.allocator.set_agent_active(agent_id, agent.active)
        step.publish(om.AgentUpdated(views.agent(state, agent)))
    return om.Done()


def check(state: MasterState, step: Step) -> None:
    """As a step ends: which of the agents where something has ended are drained now?"""
    for agent_id in list(state.drain_checks):
        if step.full:
            step.timer(DrainCheckDue(), 0.0)
            return
        del state.drain_checks[agent_id]
        agent = state.agents.get(agent_id)
        if agent is None or not _is_empty(agent):
            continue
        if agent.dismissed:
            step.timer(DrainAskDue(agent.id), ASK_EVERY_S)
        else:
            _drained(state, step, agent)


def ask(state: MasterState, step: Step, due: DrainAskDue) -> None:
    """A task that is over for us may have its grace there: have the agent report once more."""
    agent = state.agents.get(due.agent_id)
    if agent is not None and agent.dismissed and _is_empty(agent):
        step.to_agent(agent, am.Ping(connected=False))


def _is_empty(agent: AgentEntry) -> bool:
    """All its tasks and executors have ended, and the frameworks have acknowledged each end."""
    draining = agent.drain is not None and agent.drain.state is DrainState.DRAINING
    known = agent.standing is not Standing.RECOVERED
    return draining and known and not agent.tasks and not agent.operations


def _drained(state: MasterState, step: Step, agent: AgentEntry) -> None:
    assert agent.drain is not None
    if agent.drain.config.mark_gone:
        _gone(state, step, agent.id, agent.record)
        return
    info = DrainInfo(DrainState.DRAINED, agent.drain.config)
    _settle(state, step, agent.id, lambda record: replace(record, drain=info))


def _gone(state: MasterState, step: Step, agent_id: AgentId, record: AgentRecord) -> None:
    gone = replace(record, condition="GONE", since_s=step.now.wall_s)
    step.put(AGENTS, gone)
    state.gone_since_s[agent_id] = step.now.wall_s
    why = f"agent {record.info.hostname} was marked gone by an operator"
    new, reason = TaskState.GONE_BY_OPERATOR, Reason.AGENT_REMOVED_BY_OPERATOR
    agent = state.agents.get(agent_id)
    if agent is not None:
        unreachable.shut_down(state, step, agent, new, reason, why)
        return
    for framework_id, task_id in state.unreachable.pop(agent_id).tasks:
        framework = state.frameworks.get(framework_id)
        entry = framework.unreachable.pop(task_id, None) if framework is not None else None
        if framework is None or entry is None:
            continue
        status = step.status(task_id, framework.lost_form(new), reason, why, agent_id=agent_id)
        entry.state = new
        entry.forwarded = status
        entry.note(status)
        metrics.task_over(step, framework, new)
        metrics.end_told(step, status)
        status_updates.remember(state, framework, entry)
        step.to_framework(framework, Update(status))
        step.publish(om.TaskUpdated(framework_id, status, new))
