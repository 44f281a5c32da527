"""How agents go: pings that nobody answers, removal, its limits, what is kept of it."""

from __future__ import annotations

from mezzo.ids import AgentId, FrameworkId, TaskId
from mezzo.messages.agent import Ping, Pong, ShutdownAgent
from mezzo.messages.operator import AgentRemoved
from mezzo.messages.scheduler import Failure
from mezzo.record import replace
from mezzo.states import Reason, TaskState

from . import leases, offers, registry, tasks
from .events import CloseStream, GiveUp
from .state import AgentEntry, MasterState, Standing, Step, UnreachableAgent

TIMER_PINGS = "pings"
TIMER_REMOVAL = "removal"  # ("removal", agent id)
TIMER_RECOVERY = "recovery"  # the recovered agents have had their time
TIMER_GC = "gc"
GC_INTERVAL_S = 900.0
# A step's writes are one transaction, and that of ZooKeeper takes a megabyte.
LOST_PER_STEP = 100
FORGOTTEN_PER_STEP = 1000

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
    """Ping those whose turn it is. Who has not answered for long enough is to be removed."""
    due = state.pings.take(step.now.mono_s)
    state.pings.number += 1
    made: dict[int, Ping] = {}
    for agent_id in due:
        agent = state.agents[agent_id]
        if agent.missed_pings >= state.config.max_agent_ping_timeouts and not agent.removal_due:
            _schedule(state, step, agent, f"{agent.missed_pings} pings were not answered")
            if agent_id not in state.agents:
                continue
        agent.missed_pings += 1  # until the pong
        ping = made.get(agent.heard)
        if ping is None:
            ping = made[agent.heard] = Ping(True, state.pings.number, agent.heard)
        step.to_agent(agent, ping)
        state.pings.add(agent_id, step.now.mono_s, state.config.agent_ping_timeout_s)
    _set_timer(state, step)


def answered(step: Step, agent: AgentEntry, pong: Pong) -> None:
    agent.heard = max(agent.heard, pong.number)
    heard(step, agent)


def heard(step: Step, agent: AgentEntry) -> None:
    """It lives."""
    agent.missed_pings = 0
    agent.heard_s = step.now.mono_s
    if agent.removal_due:
        agent.removal_due = False
        step.cancel((TIMER_REMOVAL, agent.id))
        step.count("slave_unreachable_canceled")


# ---------------------------------------------------------------------------------- unreachable


def _schedule(state: MasterState, step: Step, agent: AgentEntry, why: str) -> None:
    """Call it unreachable, at once unless leases of unique tasks or the rate limit are against it:
    then as soon as they allow, if it is not heard of before."""
    now_s = step.now.mono_s
    at_s = max(now_s, leases.over_s(state, agent))
    interval_s = state.config.agent_removal_interval_s
    if interval_s is not None:
        at_s = max(at_s, state.removal_permit_s)
        state.removal_permit_s = at_s + interval_s
    step.count("slave_unreachable_scheduled")
    if at_s <= now_s:
        _complete(state, step, agent, why)
    else:
        agent.removal_due = True
        step.timer((TIMER_REMOVAL, agent.id), at_s - now_s)


def removal_due(state: MasterState, step: Step, agent_id: AgentId) -> None:
    agent = state.agents.get(agent_id)
    if agent is not None and agent.removal_due:
        _complete(state, step, agent, "it was not heard of for too long")


def _complete(state: MasterState, step: Step, agent: AgentEntry, why: str) -> None:
    step.count("slave_unreachable_completed")
    lose(state, step, agent, why)


def replaced(state: MasterState, step: Step, agent: AgentEntry) -> None:
    """Another agent registered at its address. Its unique tasks may still run for a while."""
    if leases.over_s(state, agent) > step.now.mono_s:
        _schedule(state, step, agent, "")
    else:
        lose(state, step, agent, "a new agent registered at the same address")


def recovery_over(state: MasterState, step: Step) -> None:
    """Agents known from before that have not come back within agent_reregister_timeout."""
    missing = [
        agent
        for agent in state.agents.values()
        if agent.standing is Standing.RECOVERED and not agent.removal_due
    ]
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
    for agent in missing[:LOST_PER_STEP]:
        _schedule(state, step, agent, "it did not come back after the master's failover")
    if len(missing) > LOST_PER_STEP:
        step.timer(TIMER_RECOVERY, 0.0)


def lose(state: MasterState, step: Step, agent: AgentEntry, why: str) -> None:
    """The agent is unreachable: its tasks wait for its return."""
    record = replace(registry.record_of(agent), condition="UNREACHABLE", since_s=step.now.wall_s)
    step.put(registry.agent_key(agent.id), record)
    message = f"agent {agent.info.hostname} is unreachable: {why}"
    waiting = _remove(state, step, agent, TaskState.UNREACHABLE, Reason.AGENT_REMOVED, message)
    state.unreachable[agent.id] = UnreachableAgent(agent.id, record, waiting)


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
    if agent.removal_due:
        step.cancel((TIMER_REMOVAL, agent.id))
    for framework in state.frameworks.values():
        step.to_framework(framework, Failure(agent.id))
    step.publish(AgentRemoved(agent.id))
    step.count("slave_removals")
    return waiting


def collect_garbage(state: MasterState, step: Step) -> None:
    """Forget agents that are unreachable for too long, the oldest first, and those beyond the
    bound. Their tasks then reconcile to UNKNOWN."""
    surplus = len(state.unreachable) - state.config.max_unreachable_agents
    by_age = sorted(state.unreachable.values(), key=lambda entry: (entry.since_s, entry.id))
    too_old_s = step.now.wall_s - state.config.unreachable_agent_age_s
    over = [e for at, e in enumerate(by_age) if at < surplus or e.since_s < too_old_s]
    for entry in over[:FORGOTTEN_PER_STEP]:
        del state.unreachable[entry.id]
        step.delete(registry.agent_key(entry.id))
        for framework_id, task_id in entry.tasks:
            if framework_id in state.frameworks:
                state.frameworks[framework_id].unreachable.pop(task_id, None)
    step.timer(TIMER_GC, 0.0 if len(over) > FORGOTTEN_PER_STEP else GC_INTERVAL_S)
