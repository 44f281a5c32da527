"""How agents go: pings that nobody answers, removal, its limits, what is kept of it."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mezzo.core import SetTimer
from mezzo.ids import AgentId, FrameworkId, TaskId
from mezzo.messages.agent import Ping, Pong, ShutdownAgent
from mezzo.messages.operator import AgentRemoved
from mezzo.messages.scheduler import Failure
from mezzo.record import replace
from mezzo.states import Reason, TaskState

from . import leases, offers, registry, tasks
from .events import CloseStream, GiveUp
from .state import AgentEntry, MasterState, Removal, Standing, Step, UnreachableAgent

TIMER_PINGS = "pings"
TIMER_REMOVALS = "removals"  # the next of the agents that are to be called unreachable
TIMER_RECOVERY = "recovery"  # the recovered agents have had their time
TIMER_GC = "gc"


def recover(state: MasterState, step: Step) -> None:
    """A new leader gives all agents that it knows the time to come back. Of what they were heard
    before it knows nothing, so that counts from now."""
    state.agents_recovered = len(state.agents)
    for agent in state.agents.values():
        agent.heard_s = step.now.mono_s
    state.recovery_over_s = step.now.mono_s + state.config.agent_reregister_timeout_s
    step.timer(TIMER_RECOVERY, state.config.agent_reregister_timeout_s)
    step.timer(TIMER_GC, state.config.registry_gc_interval_s)


# ---------------------------------------------------------------------------------- pings


def expect_answers(state: MasterState, step: Step, agent: AgentEntry) -> None:
    """The agent is registered (again): the first ping comes a period from now."""
    before_s = state.pings.next_s
    state.pings.add(agent.id, step.now.mono_s, state.config.agent_ping_timeout_s)
    if state.pings.next_s != before_s:
        _set_timer(state, step)


def _set_timer(state: MasterState, step: Step) -> None:
    next_s = state.pings.next_s
    if next_s is None:
        step.cancel(TIMER_PINGS)
    else:
        step.timer(TIMER_PINGS, max(0.0, next_s - step.now.mono_s))


def pings_due(state: MasterState, step: Step) -> None:
    """Ping those whose turn it is. Who has not answered for long enough is to be removed; while it
    waits for that it is asked on, for it may live."""
    due = state.pings.take(step.now.mono_s)
    silent = [
        agent
        for agent in (state.agents[agent_id] for agent_id in due)
        if agent.missed_pings >= state.config.max_agent_ping_timeouts
        and agent.id not in state.removals
    ]
    for agent in silent:
        _schedule(state, step, agent, f"{agent.missed_pings} pings were not answered")
    if silent:
        remove_due(state, step)
    state.pings.number += 1
    made: dict[int, Ping] = {}
    for agent_id in due:
        if agent_id in state.agents:
            _ping(state, step, state.agents[agent_id], made)
    _set_timer(state, step)


def _ping(state: MasterState, step: Step, agent: AgentEntry, made: dict[int, Ping]) -> None:
    agent.missed_pings += 1  # until the pong
    ping = made.get(agent.heard)
    if ping is None:
        ping = made[agent.heard] = Ping(True, state.pings.number, agent.heard)
    step.to_agent(agent, ping)
    state.pings.add(agent.id, step.now.mono_s, state.config.agent_ping_timeout_s)


def answered(state: MasterState, step: Step, agent: AgentEntry, pong: Pong) -> None:
    agent.heard = max(agent.heard, pong.number)
    heard(state, step, agent)


def heard(state: MasterState, step: Step, agent: AgentEntry) -> None:
    """It lives."""
    agent.missed_pings = 0
    agent.heard_s = step.now.mono_s
    if _unschedule(state, step, agent):
        step.count("slave_unreachable_canceled")


# ---------------------------------------------------------------------------------- unreachable


def _schedule(state: MasterState, step: Step, agent: AgentEntry, why: str) -> None:
    """It is to be called unreachable, if it is not heard of before: see `remove_due`."""
    if agent.id not in state.removals:
        state.removals[agent.id] = Removal(why, leases.over_s(state, agent))
        step.count("slave_unreachable_scheduled")


def _unschedule(state: MasterState, step: Step, agent: AgentEntry) -> bool:
    """True if it was scheduled."""
    if state.removals.pop(agent.id, None) is None:
        return False
    if not state.removals:
        step.cancel(TIMER_REMOVALS)
    return True


def remove_due(state: MasterState, step: Step) -> None:
    """Call unreachable who was scheduled first, and the next: as soon as no unique task can run
    there, and as fast as the rate limit allows. Who answered meanwhile has left the queue, so that
    it takes nobody's turn."""
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
        # Looked up again: a unique task may have been launched there while it waited.
        due_s = removal.due_s if removal.due_s > now_s else leases.over_s(state, agent)
        if due_s > now_s:
            state.removals[agent_id] = replace(removal, due_s=due_s)
            next_s = min(next_s, due_s)
            continue
        if state.config.agent_removal_interval_s is not None:
            state.removal_permit_s = now_s + state.config.agent_removal_interval_s
        step.count("slave_unreachable_completed")
        _lose(state, step, agent, removal.why)
    if state.removals:
        step.do(SetTimer(TIMER_REMOVALS, next_s))


def replaced(state: MasterState, step: Step, agent: AgentEntry) -> None:
    """Another agent registered at its address: it lost its memory, and with it whatever it knew of
    its tasks. No limit is on that, but unique ones may still run for a while."""
    why = "a new agent registered at the same address"
    if leases.over_s(state, agent) > step.now.mono_s:
        _schedule(state, step, agent, why)
        remove_due(state, step)
    else:
        _lose(state, step, agent, why)


def recovery_over(state: MasterState, step: Step) -> None:
    """Agents known from before that have not come back within agent_reregister_timeout."""
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
        _schedule(state, step, agent, "it did not come back after the master's failover")
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
    record = replace(registry.record_of(agent), condition="UNREACHABLE", since_s=step.now.wall_s)
    step.put(registry.agent_key(agent.id), record)
    state.unreachable[agent.id] = UnreachableAgent(agent.id, record, waiting, agent.stream)


# ---------------------------------------------------------------------------------- for good


def leave(state: MasterState, step: Step, agent: AgentEntry) -> None:
    """The agent is gone for good, of its own will: nothing of it runs any more."""
    step.delete(registry.agent_key(agent.id))
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
    """The agent is told to end everything and to exit; its tasks are `new` at once. What the store
    holds of it is the caller's to say."""
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
    """Its offers and tasks are taken off the books, and everybody is told."""
    offers.rescind_all_of_agent(state, step, agent)
    if agent.standing is not Standing.RECOVERED:
        state.allocator.remove_agent(agent.id)
    waiting = tasks.lose_on_agent(state, step, agent, new, reason, message)
    if agent.conn is not None:
        state.agent_of.pop(agent.conn, None)
        step.do(CloseStream(agent.conn))
    state.dismiss(agent)
    state.pings.remove(agent.id)
    _unschedule(state, step, agent)
    for framework in state.frameworks.values():
        step.to_framework(framework, Failure(agent.id))
    step.publish(AgentRemoved(agent.id))
    step.count("slave_removals")
    return waiting


def collect_garbage(state: MasterState, step: Step) -> None:
    """Forget agents that are unreachable or gone for too long, the oldest first, and those beyond
    the bound of each kind. Tasks of theirs then reconcile to UNKNOWN.

    As in Mesos: a gone agent that is forgotten would be admitted if it came back after all.
    """
    lost = {entry.id: entry.since_s for entry in state.unreachable.values()}
    for agent_id in [*_too_many(state, step, lost), *_too_many(state, step, state.gone)]:
        if step.full:
            step.timer(TIMER_GC, 0.0)
            return
        step.delete(registry.agent_key(agent_id))
        state.gone.pop(agent_id, None)
        entry = state.unreachable.pop(agent_id, None)
        for framework_id, task_id in entry.tasks if entry is not None else ():
            if framework_id in state.frameworks:
                state.frameworks[framework_id].unreachable.pop(task_id, None)
    step.timer(TIMER_GC, state.config.registry_gc_interval_s)


def _too_many(state: MasterState, step: Step, since_s: Mapping[AgentId, float]) -> list[AgentId]:
    """`since_s`: wall. The oldest first."""
    surplus = len(since_s) - state.config.registry_max_agent_count
    too_old_s = step.now.wall_s - state.config.registry_max_agent_age_s
    by_age = sorted(since_s, key=lambda agent_id: (since_s[agent_id], agent_id))
    return [id_ for at, id_ in enumerate(by_age) if at < surplus or since_s[id_] < too_old_s]
