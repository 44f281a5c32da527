"""Operations that change resources, once they are on their way: done by the agent, told to the
framework if it gave an id, acknowledged, reconciled.

The master counts with the outcome at once and the agent makes it last, so the agent's report is the
truth: an operation that it does not know never arrived, and a refusal makes it report anew.
"""

from __future__ import annotations

import contextlib
from typing import Final

from mezzo.cluster.conversions import Exchange, convert
from mezzo.cluster.operations import Conversion, OperationRecord, OperationState, OperationStatus
from mezzo.cluster.states import TaskState
from mezzo.errors import BadRequest
from mezzo.ids import AgentId, FrameworkId
from mezzo.messages import operator as om
from mezzo.messages.agent import (
    ApplyOperation,
    OperationAcknowledged,
    OperationUpdate,
    Ping,
    ReregisterAgent,
    ShutdownFramework,
)
from mezzo.messages.scheduler import (
    AcknowledgeOperationStatus,
    Answered,
    ReconcileOperation,
    ReconcileOperations,
    UpdateOperationStatus,
)
from mezzo.record import replace

from .. import claims, rescinding
from ..state.agent_entry import AgentEntry, Standing
from ..state.framework_entry import FrameworkEntry
from ..state.master_state import MasterState
from ..state.step import Step

SETTLED_MAX: Final = 1000  # many more than can be on their way

# ---------------------------------------------------------------------------------- beginning


def start(
    state: MasterState,
    step: Step,
    agent: AgentEntry,
    conversion: Conversion,
    change: Exchange,
    client: tuple[FrameworkEntry, str] | None,
) -> None:
    """Have an operation done whose `change` was checked: in what the client (a framework in a role)
    is offered there, or for an operator in what is free."""
    framework, role = client if client is not None else (None, "")
    key = None if framework is None else (framework.id, role)
    state.allocator.convert(key, agent.id, change.before, change.after)
    total = agent.info.resources - change.before + change.after
    agent.record = replace(agent.record, info=replace(agent.info, resources=total))
    record = OperationRecord(
        state.ids.uuid_bytes(),
        conversion,
        OperationStatus(OperationState.PENDING, conversion.id, agent_id=agent.id),
        None if framework is None else framework.id,
        agent.id,
    )
    _keep(agent, framework, record)
    step.to_agent(agent, ApplyOperation(record.uuid, conversion, record.framework_id))
    step.changed(agent.id, record.framework_id)


def _keep(agent: AgentEntry, framework: FrameworkEntry | None, record: OperationRecord) -> None:
    agent.operations[record.uuid] = record
    if framework is not None and record.info.id is not None:
        framework.operations[record.info.id] = (agent.id, record.uuid)


def _forget(state: MasterState, agent: AgentEntry, record: OperationRecord) -> None:
    agent.operations.pop(record.uuid, None)
    state.maybe_drained(agent)
    framework = state.frameworks.get(record.framework_id or FrameworkId(""))
    id_, place = record.info.id, (agent.id, record.uuid)
    if framework is not None and id_ is not None and framework.operations.get(id_) == place:
        del framework.operations[id_]


# ---------------------------------------------------------------------------------- feedback


def updated(state: MasterState, step: Step, agent: AgentEntry, message: OperationUpdate) -> None:
    """The agent says how an operation went; one with a uuid is repeated until acknowledged."""
    record, status = message.operation, message.status
    if record.uuid in agent.settled:
        return
    framework = state.frameworks.get(record.framework_id or FrameworkId(""))
    try:
        claims.check_operation(framework, agent, record, status)
    except BadRequest as error:
        claims.deny(step, agent, f"an update of operation {record.info.id}", error)
        if status.uuid is not None:  # else it would be repeated for ever
            step.to_agent(agent, OperationAcknowledged(record.uuid, status.uuid))
        return
    if status.agent_id is None:
        status = replace(status, agent_id=agent.id)  # it is acknowledged by that
    if not _as_expected(agent.operations.get(record.uuid), status):
        _ask_what_it_has(state, step, agent)
    if status.uuid is None or record.framework_id is None:
        _forget(state, agent, record)
        return
    if framework is None:
        # The framework is completed or unknown: nobody will ever acknowledge the update.
        step.to_agent(agent, ShutdownFramework(record.framework_id))
        return
    _keep(agent, framework, replace(record, latest_status=status, agent_id=agent.id))
    step.to_framework(framework, UpdateOperationStatus(status))


def _as_expected(known: OperationRecord | None, status: OperationStatus) -> bool:
    """Has the agent what we count with? We expected success, and nothing of unknown operations."""
    if known is None:
        return status.state is not OperationState.FINISHED
    return known.latest_status.state.terminal or status.state is OperationState.FINISHED


def _ask_what_it_has(state: MasterState, step: Step, agent: AgentEntry) -> None:
    """We counted with the outcome, and others may have done so since. Until the agent has said what
    it has, none of it is offered."""
    rescinding.rescind_all_of_agent(state, step, agent)
    state.allocator.set_agent_active(agent.id, False)
    step.to_agent(agent, Ping(connected=False))


def acknowledge(
    state: MasterState, step: Step, framework: FrameworkEntry, call: AcknowledgeOperationStatus
) -> None:
    """Pass an acknowledgement on. One that is late or wrong is dropped silently."""
    agent_id, uuid = framework.operations.get(call.operation_id, (None, b""))
    if agent_id is None or agent_id != call.agent_id:
        return
    agent = state.agents[agent_id]
    record = agent.operations[uuid]
    if not agent.connected or record.latest_status.uuid != call.uuid:
        return
    step.to_agent(agent, OperationAcknowledged(uuid, call.uuid))
    if record.latest_status.state.terminal:
        _forget(state, agent, record)
        agent.settled[uuid] = None
        if len(agent.settled) > SETTLED_MAX:
            del agent.settled[next(iter(agent.settled))]


# ---------------------------------------------------------------------------------- return


def with_those_on_their_way(agent: AgentEntry, message: ReregisterAgent) -> ReregisterAgent:
    """A report that repeats itself on a stream that goes on: what is pending, and so was not
    answered before it, arrives after it. The total will be what that makes of it."""
    total = message.info.resources
    reported = {record.uuid for record in message.operations}
    for record in agent.operations.values():
        if not record.latest_status.state.terminal and record.uuid not in reported:
            with contextlib.suppress(BadRequest):  # then it will be refused
                total = convert(total, record.info)
    return replace(message, info=replace(message.info, resources=total))


def merge(
    state: MasterState, step: Step, agent: AgentEntry, message: ReregisterAgent, *, fresh: bool
) -> None:
    """The agent reports what has an id until that is acknowledged; the outcome of what has none is
    in its total. On a `fresh` stream, what it does not report and has not answered never arrived.
    """
    reported: dict[bytes, OperationRecord] = {}
    named: dict[tuple[FrameworkId | None, str], bytes] = {}
    for record in message.operations:
        framework = state.frameworks.get(record.framework_id or FrameworkId(""))
        name = (record.framework_id, record.info.id or "")
        try:
            claims.check_operation(framework, agent, record, record.latest_status)
            if record.info.id is not None and named.setdefault(name, record.uuid) != record.uuid:
                raise BadRequest("it is reported twice")
        except BadRequest as error:
            claims.deny(step, agent, f"operation {record.info.id} in its report", error)
        else:
            reported[record.uuid] = record
    for record in list(agent.operations.values()):
        pending = not record.latest_status.state.terminal
        if record.uuid in reported or (pending and not fresh):
            continue
        _forget(state, agent, record)
        if pending:
            _tell(state, step, record, OperationState.DROPPED, "it never reached the agent")
    for record in reported.values():
        if record.uuid in agent.settled:
            continue
        framework = state.frameworks.get(record.framework_id or FrameworkId(""))
        if framework is not None:
            _keep(agent, framework, replace(record, agent_id=agent.id))


def send_again(step: Step, agent: AgentEntry) -> None:
    """After the agent's report: it obeyed no operation since it was asked for one, and does none
    twice."""
    for record in agent.operations.values():
        if not record.latest_status.state.terminal:
            step.to_agent(agent, ApplyOperation(record.uuid, record.info, record.framework_id))


# ---------------------------------------------------------------------------------- loss


def lose_on_agent(
    state: MasterState, step: Step, agent: AgentEntry, tasks: TaskState, message: str
) -> None:
    """Speak for an agent that can't, whose tasks become `tasks`. If it comes back, it tells how its
    operations went."""
    forever = tasks in (TaskState.GONE, TaskState.GONE_BY_OPERATOR)
    new = OperationState.GONE_BY_OPERATOR if forever else OperationState.UNREACHABLE
    for record in list(agent.operations.values()):
        _forget(state, agent, record)
        if not record.latest_status.state.terminal:
            _tell(state, step, record, new, message)


def forget_all_of(state: MasterState, framework: FrameworkEntry) -> list[AgentId]:
    """The framework is over: returns the agents that still tell of its operations."""
    agent_ids = []
    for agent_id, uuid in list(framework.operations.values()):
        agent = state.agents[agent_id]
        _forget(state, agent, agent.operations[uuid])
        agent_ids.append(agent_id)
    return agent_ids


def _tell(
    state: MasterState, step: Step, record: OperationRecord, new: OperationState, message: str
) -> None:
    framework = state.frameworks.get(record.framework_id or FrameworkId(""))
    if framework is not None and record.info.id is not None:
        status = OperationStatus(new, record.info.id, message, record.agent_id)
        step.to_framework(framework, UpdateOperationStatus(status))


# ---------------------------------------------------------------------------------- asking


def reconcile(
    state: MasterState, step: Step, framework: FrameworkEntry, call: ReconcileOperations
) -> None:
    """Tell of the operations that are named; if none is, of all that are known."""
    if not framework.answers.take(
        len(call.operations) or len(framework.operations), step.now.mono_s
    ):
        why = f"too much was asked for: ask again in {framework.answers.wait_s:.1f} s"
        step.to_framework(framework, Answered("RECONCILE_OPERATIONS", why))
        return
    named = call.operations or tuple(ReconcileOperation(id_) for id_ in framework.operations)
    for asked in named:
        step.to_framework(framework, UpdateOperationStatus(_status(state, framework, asked)))


def _status(
    state: MasterState, framework: FrameworkEntry, asked: ReconcileOperation
) -> OperationStatus:
    """The status that was told last, with its uuid: it may not have been acknowledged yet."""
    agent_id, uuid = framework.operations.get(asked.operation_id, (None, b""))
    if agent_id is not None and asked.agent_id in (None, agent_id):
        return state.agents[agent_id].operations[uuid].latest_status
    new, why = _of_unknown(state, asked.agent_id)
    return OperationStatus(new, asked.operation_id, f"Reconciliation: {why}", asked.agent_id)


def _of_unknown(state: MasterState, agent_id: AgentId | None) -> tuple[OperationState, str]:
    agent = state.agents.get(agent_id) if agent_id is not None else None
    if agent is not None and agent.standing is Standing.RECOVERED:
        return OperationState.RECOVERING, "the agent is not back since the master's failover"
    if agent_id in state.unreachable:
        return OperationState.UNREACHABLE, "the agent is unreachable"
    if agent_id in state.gone_since_s:
        return OperationState.GONE_BY_OPERATOR, "the agent was marked gone"
    return OperationState.UNKNOWN, "the operation is not known"


def view(state: MasterState) -> om.Operations:
    return om.Operations(
        tuple(record for agent in state.agents.values() for record in agent.operations.values())
    )
