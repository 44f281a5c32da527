"""Agents: admission, return, loss. Rules: spec of the Mesos agent life cycle."""

from __future__ import annotations

from typing import Final

from mezzo.cluster.model import AgentInfo
from mezzo.cluster.states import Reason, TaskState
from mezzo.errors import BadRequest
from mezzo.handlers import Handlers, on, when
from mezzo.ids import AgentId, ConnId, FrameworkId
from mezzo.messages.agent import (
    MEMBER_MESSAGES,
    AgentRegistered,
    AgentReregistered,
    DrainAgent,
    ExecutorExited,
    ExecutorMessage,
    OperationUpdate,
    Pong,
    RegisterAgent,
    ReregisterAgent,
    ShutdownAgent,
    StatusUpdate,
    UnregisterAgent,
)
from mezzo.messages.operator import AgentAdded, AgentUpdated
from mezzo.record import replace

from .. import claims, rescinding, views
from ..allocator.terms import AgentTerms
from ..effects import CloseStream, NoteIgnored, ToAgent
from ..events import AgentSaid
from ..offers import inverse_offers
from ..operations import pending_operations
from ..state.agent_entry import AgentEntry, Standing, used_on
from ..state.master_state import MasterState
from ..state.records import AgentRecord
from ..state.step import Step
from ..tables import AGENTS
from ..tasks import executors, losing, reconciliation, status_updates
from . import admission, merging_reports, pings, unreachable


def said(state: MasterState, step: Step, event: AgentSaid) -> None:
    conn, message = event.conn, event.message
    if isinstance(message, RegisterAgent):
        register(state, step, conn, message)
        return
    if isinstance(message, ReregisterAgent):
        reregister(state, step, conn, message)
        return
    agent = state.agents.get(state.agent_of.get(conn, AgentId("")))
    if agent is not None and agent.conn == conn:
        _MESSAGES.handle(state, step, agent, message)
    # Else a removed agent speaks, or an old stream. Neither is listened to.


_MESSAGES: Final = Handlers(
    MEMBER_MESSAGES,
    on(Pong, pings.pong),
    on(StatusUpdate, status_updates.update),
    on(OperationUpdate, pending_operations.updated),
    on(ExecutorMessage, executors.said),
    on(ExecutorExited, executors.exited),
    when(UnregisterAgent, unreachable.leave),
)


def _place(info: AgentInfo) -> str:
    return f"{info.hostname}:{info.port}, where another registers: is an address given twice?"


def _ignored(state: MasterState, step: Step, message: RegisterAgent | ReregisterAgent) -> bool:
    why = admission.why_ignored(state, message)
    if why is not None:
        step.do(NoteIgnored(why))
    return why is not None


def _refuse(conn: ConnId, message: str) -> ToAgent:
    return ToAgent(conn, ShutdownAgent(message))


# ---------------------------------------------------------------------------------- coming


def register(state: MasterState, step: Step, conn: ConnId, message: RegisterAgent) -> None:
    """A first registration. The id is durable before the agent hears it."""
    known = state.agents.get(state.agent_of.get(conn, AgentId("")))
    if known is not None and known.conn == conn:  # repeated on one stream
        step.to_agent(known, AgentRegistered(known.id))
        return
    if _ignored(state, step, message):
        return
    try:
        admission.check_agent(state, message.info)
    except BadRequest as error:
        step.do(_refuse(conn, str(error)))
        return
    others = state.agents_at.get((message.info.hostname, message.info.port), {})
    neighbours = [state.agents[other_id] for other_id in others]
    for other in neighbours:
        if other.connected and other.heard:
            # One of the two lies, and the known one answers. If it is gone, its stream ends, or its
            # pings are missed, while this one asks again.
            step.do(NoteIgnored(f"agent {other.id} is connected at {_place(message.info)}"))
            return
    for other in neighbours:
        if other.tasks or other.standing is Standing.RECOVERED:
            # The agent lost its memory: it can't tell of what it ran under its old id any more.
            unreachable.replaced(state, step, other)
        else:
            unreachable.leave(state, step, other)  # most likely the agent never heard its id
    agent_id = state.new_agent_id()
    record = AgentRecord(
        replace(message.info, id=agent_id),
        message.version,
        message.boot_id,
        step.now.wall_s,
        capabilities=message.capabilities,
    )
    agent = AgentEntry(
        agent_id, record, Standing.CONNECTED, conn, stream=conn, heard_s=step.now.mono_s
    )
    state.admit(agent)
    state.agent_of[conn] = agent_id
    step.put(AGENTS, record)
    state.allocator.add_agent(agent_id, _terms(agent), {})
    step.to_agent(agent, AgentRegistered(agent_id))
    pings.expect_answers(state, step, agent)
    step.publish(AgentAdded(views.agent(state, agent)))


def reregister(state: MasterState, step: Step, conn: ConnId, message: ReregisterAgent) -> None:
    """An agent is back after a broken stream, a restart, a partition or a change of leader."""
    try:
        agent_id = admission.check_return(state, conn, message)
    except BadRequest as error:
        step.do(_refuse(conn, str(error)))
        return
    if _ignored(state, step, message):
        return
    if _came_late(state, agent_id, conn):
        step.do(CloseStream(conn))
        return
    agent = state.agents.get(agent_id)
    was_unreachable = agent_id in state.unreachable
    fresh = agent is None or agent.conn != conn  # else what is on its way still arrives
    if agent is not None and not fresh:
        message = pending_operations.with_those_on_their_way(agent, message)
    if agent is None:
        agent = _readmit(state, step, message, agent_id)
    else:
        _accept_change(state, step, agent, message)
    _attach(state, step, agent, conn)
    pings.heard(state, step, agent)
    agent.reregistered_s = step.now.wall_s
    holders = claims.Holders(agent)
    missing = merging_reports.merge_tasks(
        state, step, agent, message, holders, resend=was_unreachable, fresh=fresh
    )
    executors.merge(state, step, agent, message, holders, fresh=fresh)
    pending_operations.merge(state, step, agent, message, fresh=fresh)
    new = agent.standing is Standing.RECOVERED
    agent.standing = Standing.CONNECTED
    if new:
        state.allocator.add_agent(agent_id, _terms(agent), used_on(agent))
        reconciliation.answer_late(state, step, agent)
    state.allocator.set_agent_active(agent_id, agent.active)
    step.to_agent(agent, AgentReregistered(agent_id, missing))
    if agent.drain is not None:
        step.to_agent(agent, DrainAgent(agent.drain.config))
        state.maybe_drained(agent)
    for entry in agent.tasks.values():
        if entry.pending_kill is not None:
            step.to_agent(agent, entry.pending_kill)
    pending_operations.send_again(step, agent)
    pings.expect_answers(state, step, agent)
    if state.machines.planned:
        inverse_offers.agent_came(state, agent)
    step.publish(
        AgentAdded(views.agent(state, agent)) if new else AgentUpdated(views.agent(state, agent))
    )


def _readmit(
    state: MasterState, step: Step, message: ReregisterAgent, agent_id: AgentId
) -> AgentEntry:
    """An agent that was unreachable, or that left, or that an earlier store had, is admitted again
    under its id, with the tasks that waited for it."""
    lost = state.unreachable.pop(agent_id, None)
    record = AgentRecord(message.info, message.version, message.boot_id, step.now.wall_s)
    if lost is not None:
        record = replace(lost.record, registered_s=step.now.wall_s)
        record = replace(record, condition="ADMITTED", since_s=None)
    agent = AgentEntry(agent_id, _as_it_says(record, message), Standing.RECOVERED)
    state.admit(agent)
    step.put(AGENTS, agent.record)
    for framework_id, task_id in lost.tasks if lost is not None else ():
        framework = state.frameworks.get(framework_id)
        if framework is not None and task_id in framework.unreachable:
            entry = framework.unreachable.pop(task_id)
            framework.tasks[task_id] = agent.tasks[(framework_id, task_id)] = entry
    return agent


def _accept_change(
    state: MasterState, step: Step, agent: AgentEntry, message: ReregisterAgent
) -> None:
    """An agent may be back with other resources or attributes, after a reboot, or as a newer
    program: what it says now is true."""
    said = _as_it_says(agent.record, message)
    if said == agent.record:
        return
    rescinding.rescind_all_of_agent(state, step, agent)
    before = _terms(agent)
    state.dismiss(agent)
    agent.record = said
    state.admit(agent)
    if agent.standing is not Standing.RECOVERED and _terms(agent) != before:
        state.allocator.update_agent(agent.id, _terms(agent))
    step.put(AGENTS, said)


def _as_it_says(record: AgentRecord, message: ReregisterAgent) -> AgentRecord:
    """The record of an agent, with what it says of itself."""
    return replace(
        record,
        info=message.info,
        version=message.version,
        boot_id=message.boot_id,
        capabilities=message.capabilities,
    )


def _came_late(state: MasterState, agent_id: AgentId, conn: ConnId) -> bool:
    """Has the agent registered on a later stream already? Then this message was under way for long,
    and tells of a past in which tasks that have ended still ran."""
    known = state.agents.get(agent_id) or state.unreachable.get(agent_id)
    return known is not None and conn < known.stream


def _attach(state: MasterState, step: Step, agent: AgentEntry, conn: ConnId) -> None:
    if agent.conn is not None and agent.conn != conn:
        state.agent_of.pop(agent.conn, None)
        step.do(CloseStream(agent.conn))
    # An earlier offer may count on resources that the report changes.
    rescinding.rescind_all_of_agent(state, step, agent)
    if conn != agent.stream:
        agent.settled.clear()  # an acknowledgement may have been lost with the stream before
    agent.conn = agent.stream = conn
    state.agent_of[conn] = agent.id


# ---------------------------------------------------------------------------------- loss


def disconnected(state: MasterState, step: Step, agent: AgentEntry) -> None:
    """The agent's stream ended. It keeps its tasks, and misses pings until it is back or lost."""
    agent.conn = None
    agent.standing = Standing.DISCONNECTED
    rescinding.rescind_all_of_agent(state, step, agent)
    state.allocator.set_agent_active(agent.id, False)
    for framework_id in _without_checkpoint(state, agent):
        losing.lose_on_agent(
            state,
            step,
            agent,
            TaskState.LOST,
            Reason.AGENT_DISCONNECTED,
            "the agent disconnected and the framework does not checkpoint",
            only=framework_id,
        )
    step.publish(AgentUpdated(views.agent(state, agent)))


def _without_checkpoint(state: MasterState, agent: AgentEntry) -> list[FrameworkId]:
    ids = dict.fromkeys(framework_id for framework_id, _ in [*agent.tasks, *agent.executors])
    return [i for i in ids if i in state.frameworks and not state.frameworks[i].info.checkpoint]


def _terms(agent: AgentEntry) -> AgentTerms:
    info = agent.info
    return AgentTerms(info.resources, info.hostname, info.attributes, info.domain)
