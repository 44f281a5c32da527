"""Pings of agents, and agents that do not answer them."""

from __future__ import annotations

from mezzo.errors import BadRequest
from mezzo.messages.agent import Ping, Pong

from .. import claims
from ..state.agent_entry import AgentEntry
from ..state.master_state import MasterState
from ..state.step import Step
from ..timers import PingsDue
from . import unreachable


def expect_answers(state: MasterState, step: Step, agent: AgentEntry) -> None:
    """The agent is registered (again): the first ping comes a period from now."""
    before_s = state.pings.next_s
    state.pings.add(agent.id, step.now.mono_s, state.config.agent_ping_timeout_s)
    if state.pings.next_s != before_s:
        _set_timer(state, step)


def _set_timer(state: MasterState, step: Step) -> None:
    next_s = state.pings.next_s
    if next_s is None:
        step.cancel(PingsDue())
    else:
        step.timer(PingsDue(), max(0.0, next_s - step.now.mono_s))


def pings_due(state: MasterState, step: Step) -> None:
    """Ping the agents whose turn it is. One that has not answered for long enough is to be removed;
    until then it is pinged on, for it may live."""
    due = state.pings.take(step.now.mono_s)
    silent = [
        agent
        for agent in (state.agents[agent_id] for agent_id in due)
        if agent.missed_pings >= state.config.max_agent_ping_timeouts
        and agent.id not in state.removals
    ]
    for agent in silent:
        unreachable.schedule(state, step, agent, f"{agent.missed_pings} pings were not answered")
    if silent:
        unreachable.remove_due(state, step)
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


def pong(state: MasterState, step: Step, agent: AgentEntry, message: Pong) -> None:
    try:
        claims.check_pong(state, message)
    except BadRequest as error:
        claims.deny(step, agent, "a pong", error)
    else:
        answered(state, step, agent, message)


def answered(state: MasterState, step: Step, agent: AgentEntry, pong: Pong) -> None:
    agent.heard = max(agent.heard, pong.number)
    heard(state, step, agent)


def heard(state: MasterState, step: Step, agent: AgentEntry) -> None:
    """The agent lives."""
    agent.missed_pings = 0
    agent.heard_s = step.now.mono_s
    if unreachable.unschedule(state, step, agent):
        step.count("slave_unreachable_canceled")
