"""ACCEPT: the operations, in order, on the joined resources of the offers."""

from __future__ import annotations

from mezzo.cluster.model import Offer
from mezzo.cluster.operations import (
    Launch,
    LaunchGroup,
    Operation,
    OperationState,
    OperationStatus,
    OtherOperation,
)
from mezzo.cluster.resources import Resources
from mezzo.cluster.states import Reason, TaskState
from mezzo.errors import BadRequest
from mezzo.ids import OfferId
from mezzo.messages.scheduler import (
    Accept,
    Answered,
    Unreadable,
    UpdateOperationStatus,
)

from .. import claims, rescinding
from ..operations import operation_rules
from ..state.agent_entry import AgentEntry
from ..state.framework_entry import FrameworkEntry
from ..state.master_state import MasterState
from ..state.step import Step
from . import declining, launching


def accept(state: MasterState, step: Step, framework: FrameworkEntry, call: Accept) -> None:
    """An operation that fails is skipped, and told if it has an id; what is left goes back."""
    for part in call.unreadable:
        _answer_unreadable(step, framework, part)
    try:
        used = _check_offers(state, framework, call)
    except BadRequest as error:
        if any(_is_anothers(state, framework, offer_id) for offer_id in call.offer_ids):
            claims.deny(step, framework, "ACCEPT", error)
        _refuse(state, step, framework, call, str(error))
        return
    wants = call.operations or call.unreadable
    step.count("offers/accepted" if wants else "offers/declined", framework, len(used))
    for offer in used:
        rescinding.remove(state, step, offer)
    offered = left = Resources.total(offer.resources for offer in used)
    agent = state.agents[used[0].agent_id]
    for operation in call.operations:
        left = _operate(state, step, framework, agent, used[0].role, operation, left)
    # A framework that used something may have the rest again at once: it makes progress. One
    # that used nothing would be asked over and over.
    floor_s = state.config.refuse_min_s if left == offered else 0.0
    declining.give_back(state, step, used[0], left, call.filters, at_least_s=floor_s)


def _is_anothers(state: MasterState, framework: FrameworkEntry, offer_id: OfferId) -> bool:
    offer = state.offers.get(offer_id)
    return offer is not None and offer.framework_id != framework.id


def _check_offers(state: MasterState, framework: FrameworkEntry, call: Accept) -> list[Offer]:
    if len(set(call.offer_ids)) != len(call.offer_ids):
        raise BadRequest("an offer is named twice")
    found = []
    for offer_id in call.offer_ids:
        offer = state.offers.get(offer_id)
        if offer is None or offer.framework_id != framework.id:
            raise BadRequest(f"offer {offer_id} is no longer valid")
        found.append(offer)
    if not found:
        raise BadRequest("no offer is named")
    if any(offer.agent_id != found[0].agent_id for offer in found):
        raise BadRequest("the offers are of more than one agent")
    if any(offer.role != found[0].role for offer in found):
        raise BadRequest("the offers are for more than one role")
    return found


def _refuse(
    state: MasterState, step: Step, framework: FrameworkEntry, call: Accept, why: str
) -> None:
    """Invalid offers: those that exist are taken back, every task is answered."""
    for offer_id in dict.fromkeys(call.offer_ids):
        offer = state.offers.get(offer_id)
        if offer is not None and offer.framework_id == framework.id:
            rescinding.take_back(state, step, offer)
    for operation in call.operations:
        if not isinstance(operation, (Launch, LaunchGroup)):
            _answer(step, framework, operation, why)
            continue
        for task in launching.tasks_of(operation):
            status = step.status(
                task.task_id,
                framework.lost_form(TaskState.DROPPED),
                Reason.INVALID_OFFERS,
                f"Task launched with invalid offers: {why}",
                agent_id=task.agent_id,
            )
            launching.refused(step, framework, status)


def _operate(
    state: MasterState,
    step: Step,
    framework: FrameworkEntry,
    agent: AgentEntry,
    role: str,
    operation: Operation,
    left: Resources,
) -> Resources:
    """Carry out one operation; returns what is left of the offers."""
    if isinstance(operation, (Launch, LaunchGroup)):
        return launching.launch(state, step, framework, agent, role, operation, left)
    try:
        if isinstance(operation, OtherOperation):
            raise BadRequest(f"{operation.type} is for resource providers, of which none is here")
        return operation_rules.for_framework(state, step, framework, agent, role, operation, left)
    except BadRequest as error:
        _answer(step, framework, operation, str(error), agent)
        return left


def _answer_unreadable(step: Step, framework: FrameworkEntry, part: Unreadable) -> None:
    """The framework hears of an operation that could not be read, however little was of it."""
    if part.task_id is not None:
        reason = Reason.TASK_GROUP_INVALID if part.group else Reason.TASK_INVALID
        status = step.status(part.task_id, TaskState.ERROR, reason, part.why)
        launching.refused(step, framework, status)
    elif part.operation_id is not None:
        told = OperationStatus(OperationState.ERROR, part.operation_id, part.why)
        step.to_framework(framework, UpdateOperationStatus(told))
    else:
        step.to_framework(framework, Answered("ACCEPT", part.why))


def _answer(
    step: Step,
    framework: FrameworkEntry,
    operation: Operation,
    why: str,
    agent: AgentEntry | None = None,
) -> None:
    """Only of an operation with an id the framework wants to know."""
    if operation.id is not None:
        agent_id = None if agent is None else agent.id
        status = OperationStatus(OperationState.ERROR, operation.id, why, agent_id)
        step.to_framework(framework, UpdateOperationStatus(status))
