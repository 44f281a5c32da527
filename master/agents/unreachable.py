"""How agents go: unanswered pings, removal, its limits, and what is kept of a removed agent."""

from __future__ import annotations

import math

from mezzo.cluster.states import Reason, TaskState
from mezzo.ids import FrameworkId, TaskId
from mezzo.messages.agent import ShutdownAgent
from mezzo.messages.operator import AgentRemoved
from mezzo.messages.scheduler import Failure
from mezzo.record import replace

from .. import rescinding
from ..effects import CloseStream, GiveUp
from ..state.agent_entry import AgentEntry, Removal, Standing, UnreachableAgent
from ..state.master_state import MasterState
from ..state.step import Step
from ..tables import AGENTS
from ..tasks import losing, unique_leases
from ..timers import RecoveryOver, RegistryGcDue, RemovalsDue


def recover(state: MasterState, step: Step) -> None:
    """A new leader gives all agents that it knows the time to come back. When they were heard last
    it does not know, so it counts from now."""
    state.agents_recovered = len(state.agents)
    for agent in state.agents.values():
        agent.heard_s = step.now.mono_s
    state.recovery_over_s = step.now.mono_s + state.config.agent_reregister_timeout_s
    step.timer(RecoveryOver(), state.config.agent_reregister_timeout_s)
    step.timer(RegistryGcDue(), state.config.registry_gc_interval_s)


# ---------------------------------------------------------------------------------- unreachable


def schedule(state: MasterState, step: Step, agent: AgentEntry, why: str) -> None:
    """The agent is to be called unreachable, if it is not heard of before: see `remove_due`."""
    if agent.id not in state.removals:
        state.removals[agent.id] = Removal(why, unique_leases.over_s(state, agent))
        step.count("slave_unreachable_scheduled")


def unschedule(state: MasterState, step: Step, agent: AgentEntry) -> bool:
    """True if the agent was scheduled."""
    if state.removals.pop(agent.id, None) is None:
        return False
    if not state.removals:
        step.cancel(RemovalsDue())
    return True


def remove_due(state: MasterState, step: Step) -> None:
    """Call agents unreachable, in the order of their schedule: as soon as no unique task can run
    there, and as fast as the rate limit allows. One that answered meanwhile has left the queue, and
    takes nobody's turn."""
    now_s = step.now.mono_s
    next_s = math.inf
    for agent_id, removal in list(state.removals.items()):
        if state.removal_permit_s > now_s:
            next_s = state.removal_permit_s
            break
        if step.full:
            next_s = now_s
            break
        agent = state.agents[agent_id]
        # Looked up again: a unique task may have been launched there while the agent waited.
        due_s = removal.due_s if removal.due_s > now_s else unique_leases.over_s(state, agent)
        if due_s > now_s:
            state.removals[agent_id] = replace(removal, due_s=due_s)
            next_s = min(next_s, due_s)
            continue
        if state.config.agent_removal_interval_s is not None:
            state.removal_permit_s = now_s + state.config.agent_removal_interval_s
        step.count("slave_unreachable_completed")
        _lose(state, step, agent, removal.why)
    if state.removals:
        step.timer_at(RemovalsDue(), next_s)


def replaced(state: MasterState, step: Step, agent: AgentEntry) -> None:
    """Another agent registered at its address: so this one has lost its memory and its tasks with
    it. No limit holds for that, but unique tasks may still run for a while."""
    why = "a new agent registered at the same address"
    if unique_leases.over_s(state, agent) > step.now.mono_s:
        schedule(state, step, agent, why)
        remove_due(state, step)
    else:
        _lose(state, step, agent, why)


def recovery_over(state: MasterState, step: Step) -> None:
    """Agents that an earlier leader knew have not come back within agent_reregister_timeout."""
    missing = [agent for agent in state.agents.values() if agent.standing is Standing.RECOVERED]
    limit = state.config.recovery_agent_removal_limit
    if len(missing) > limit * state.agents_recovered:
        step.do(
            GiveUp(
                f"{len(missing)} of {state.agents_recovered} agents did not come back after the "
                f"failover, more than recovery_agent_removal_limit ({limit:.0%}) allows to remove: "
                "see whether they can reach this master, or raise the limit"
            )
        )
        return
    for agent in missing:
        schedule(state, step, agent, "it did not come back after the master's failover")
    remove_due(state, step)


def _lose(state: MasterState, step: Step, agent: AgentEntry, why: str) -> None:
    """The agent is unreachable: its tasks wait for its return."""
    message = f"agent {agent.info.hostname} is unreachable: {why}"
    waiting = _remove(state, step, agent, TaskState.UNREACHABLE, Reason.AGENT_REMOVED, message)
    await_return(state, step, agent, waiting)


def await_return(
    state: MasterState,
    step: Step,
    agent: AgentEntry,
    waiting: tuple[tuple[FrameworkId, TaskId], ...],
) -> None:
    """Keep what is known of an agent that was removed and may come back; `waiting`: its tasks."""
    record = replace(agent.record, condition="UNREACHABLE", since_s=step.now.wall_s)
    step.put(AGENTS, record)
    state.unreachable[agent.id] = UnreachableAgent(agent.id, record, waiting, agent.stream)


# ---------------------------------------------------------------------------------- for good


def leave(state: MasterState, step: Step, agent: AgentEntry) -> None:
    """The agent is gone for good, of its own will: nothing of it runs any more."""
    step.delete(AGENTS, agent.id)
    message = f"agent {agent.info.hostname} has left the cluster"
    _remove(state, step, agent, TaskState.GONE, Reason.AGENT_REMOVED, message)


def shut_down(
    state: MasterState,
    step: Step,
    agent: AgentEntry,
    new: TaskState,
    reason: Reason,
    message: str,
) -> None:
    """The agent is told to end everything and to exit; its tasks are `new` at once. The caller
    says what the store holds of it."""
    step.to_agent(agent, ShutdownAgent(message))
    _remove(state, step, agent, new, reason, message)


def _remove(
    state: MasterState,
    step: Step,
    agent: AgentEntry,
    new: TaskState,
    reason: Reason,
    message: str,
) -> tuple[tuple[FrameworkId, TaskId], ...]:
    """The agent's offers and tasks are taken off the books, and everybody is told."""
    rescinding.rescind_all_of_agent(state, step, agent)
    if agent.standing is not Standing.RECOVERED:
        state.allocator.remove_agent(agent.id)
    waiting = losing.lose_on_agent(state, step, agent, new, reason, message)
    if agent.conn is not None:
        state.agent_of.pop(agent.conn, None)
        step.do(CloseStream(agent.conn))
    state.dismiss(agent)
    state.pings.remove(agent.id)
    unschedule(state, step, agent)
    for framework in state.frameworks.values():
        step.to_framework(framework, Failure(agent.id))
    step.publish(AgentRemoved(agent.id))
    step.count("slave_removals")
    return waiting
