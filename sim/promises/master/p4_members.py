"""Promise 4 from the masters' side: members are known, asked whether they live, and let go.

- Who answers is no member that is lost. Who has left `max_agent_ping_timeouts` pings in a row
  without an answer is one: neither sooner nor later.
- An agent speaks on one stream: when it comes on another, the one of before is closed.
- If an agent comes as a new one at the address of another, that other is no more.
"""

from __future__ import annotations

from typing import Any, Final

from mezzo.core import Output, TimerFired
from mezzo.ids import AgentId, ConnId
from mezzo.master.core import MasterCore
from mezzo.master.effects import CloseStream, Publish, ToAgent
from mezzo.master.events import AgentSaid, StreamClosed
from mezzo.master.timers import PingsDue
from mezzo.messages import agent as m
from mezzo.messages import operator as om

from ...daemons.masters import VirtualMaster
from ...watch import Watch
from ...world.watched import Broken
from ..terms import Terms

_WELCOMES: Final = (m.AgentRegistered, m.AgentReregistered)


class _Term:
    """unanswered: how many pings each agent was sent since it was heard; None: it was away."""

    def __init__(self, core: MasterCore) -> None:
        self.core = core
        self.agent_at: dict[ConnId, AgentId] = {}
        self.conns: dict[AgentId, ConnId] = {}
        self.unanswered: dict[AgentId, int | None] = {}
        self.leaving: tuple[AgentId, ...] = ()  # they wait to be called unreachable

    def came(self, agent_id: AgentId, conn: ConnId) -> ConnId | None:
        """The agent's stream until now, if that is another and still open."""
        before = self.conns.get(agent_id)
        if before == conn:
            return None
        if before is not None:
            del self.agent_at[before]
        other = self.agent_at.get(conn)
        if other is not None:  # it calls itself another now
            del self.conns[other]
            self.unanswered[other] = None
        self.conns[agent_id] = conn
        self.agent_at[conn] = agent_id
        return before

    def went(self, agent_id: AgentId) -> None:
        conn = self.conns.pop(agent_id, None)
        if conn is not None:
            del self.agent_at[conn]
        self.unanswered.pop(agent_id, None)


class MembersAreKnown(Watch):
    def __init__(self) -> None:
        self._terms = Terms(_Term)

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:
        term = self._terms.of(master)
        kind, wrong = type(event), ""
        if kind is AgentSaid:
            message = type(event.message)
            if message is m.Pong and event.message.number <= term.core.state.pings.number:
                agent_id = term.agent_at.get(event.conn)
                if agent_id is not None:
                    term.unanswered[agent_id] = 0
            elif message in (m.RegisterAgent, m.ReregisterAgent):
                wrong = _comes(term, event, output)
        elif kind is StreamClosed:
            agent_id = term.agent_at.pop(event.conn, None)
            if agent_id is not None:
                del term.conns[agent_id]
                term.unanswered[agent_id] = None
        elif kind is TimerFired and type(event.key) is PingsDue:
            wrong = _asks(term, output)
        for effect in output.effects:
            if type(effect) is Publish and type(effect.event) is om.AgentRemoved:
                term.went(effect.event.agent_id)
        term.leaving = tuple(term.core.state.removals)
        if wrong:
            raise Broken(f"promise 4: {master.name}: {wrong}")


def _comes(term: _Term, event: AgentSaid, output: Output[Any]) -> str:
    state, effects = term.core.state, output.effects
    welcomes = [
        effect.message
        for effect in effects
        if type(effect) is ToAgent and isinstance(effect.message, _WELCOMES)
    ]
    agent_id = welcomes[0].agent_id if welcomes else None
    if agent_id is None or agent_id not in state.agents:
        return ""
    before = term.came(agent_id, event.conn)
    if before is not None and CloseStream(before) not in effects:
        return f"{agent_id} comes on another stream, and the one of before is left open"
    repeated = type(event.message) is m.RegisterAgent and agent_id in term.unanswered
    if not repeated:
        term.unanswered[agent_id] = 0
    place = state.agents[agent_id].place
    if type(event.message) is m.RegisterAgent and not repeated:
        for other in state.agents.values():
            if other.place == place and other.id not in (agent_id, *state.removals):
                return f"{agent_id} is new at {place}, and {other.id} is still there"
    return ""


def _asks(term: _Term, output: Output[Any]) -> str:
    state = term.core.state
    most = state.config.max_agent_ping_timeouts
    removed = [
        effect.event.agent_id
        for effect in output.effects
        if type(effect) is Publish and type(effect.event) is om.AgentRemoved
    ]
    for agent_id in (*removed, *state.removals):
        count = term.unanswered.get(agent_id)
        if agent_id not in term.leaving and count is not None and count < most:
            return f"{agent_id} is let go, and has left {count} pings without an answer"
    for effect in output.effects:
        if type(effect) is ToAgent and type(effect.message) is m.Ping:
            pinged = term.agent_at.get(effect.conn)
            count = None if pinged is None else term.unanswered.get(pinged)
            if pinged is None or count is None:
                continue
            if count >= most and pinged not in state.removals:
                return f"{pinged} is asked on, and has left {count} pings without an answer"
            term.unanswered[pinged] = count + 1
    return ""
