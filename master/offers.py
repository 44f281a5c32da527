"""Offers: made, accepted, declined, rescinded."""

from __future__ import annotations

from mezzo.core import CancelTimer, SetTimer
from mezzo.errors import BadRequest
from mezzo.ids import AgentId, FrameworkId, OfferId, check_user_id
from mezzo.messages.agent import RunTask
from mezzo.messages.operator import TaskAdded
from mezzo.messages.scheduler import (
    Accept,
    Decline,
    Offers,
    Rescind,
    Update,
    UpdateOperationStatus,
)
from mezzo.model import ContainerType, Filters, Offer, TaskInfo
from mezzo.operations import (
    Launch,
    LaunchGroup,
    Operation,
    OperationState,
    OperationStatus,
)
from mezzo.resources import Resources
from mezzo.states import Reason, TaskState

from .allocator import Grant, Withdraw
from .state import AgentEntry, FrameworkEntry, MasterState, Step, TaskEntry, task_of

TIMER_ALLOCATE = "allocate"
TIMER_CYCLE = "cycle"  # a refusal runs out, or the allocator's patience
TIMER_OFFER = "offer"  # ("offer", offer id)


# ---------------------------------------------------------------------------------- making


def schedule_cycle(state: MasterState, step: Step) -> None:
    """Ask for a cycle right after the events that are already waiting: one cycle for all of them.

    Called at the end of every step: the one place that decides when resources are offered.
    """
    if state.allocator.wants_cycle and not state.cycle_due:
        state.cycle_due = True
        step.timer(TIMER_ALLOCATE, 0.0)
    due_s = state.allocator.next_due_s
    if due_s != state.cycle_timer_s:
        state.cycle_timer_s = due_s
        step.do(CancelTimer(TIMER_CYCLE) if due_s is None else SetTimer(TIMER_CYCLE, due_s))


def cycle_due(state: MasterState, step: Step) -> None:
    state.cycle_due = False
    _run_cycle(state, step)


def time_for_a_cycle(state: MasterState, step: Step) -> None:
    state.cycle_timer_s = None
    _run_cycle(state, step)


def _run_cycle(state: MasterState, step: Step) -> None:
    """Offer what is free; all offers of one framework in one event."""
    made: dict[FrameworkId, list[Offer]] = {}
    for decision in state.allocator.cycle(step.now.mono_s):
        if isinstance(decision, Withdraw):
            _withdraw(state, step, decision)
        else:
            made.setdefault(decision.framework_id, []).append(_make(state, step, decision))
    for framework_id, offers in made.items():
        step.to_framework(state.frameworks[framework_id], Offers(tuple(offers)))


def _make(state: MasterState, step: Step, grant: Grant) -> Offer:
    agent = state.agents[grant.agent_id]
    framework = state.frameworks[grant.framework_id]
    offer = Offer(
        OfferId(f"{state.master_id}-O{state.next_offer}"),
        framework.id,
        agent.id,
        agent.info.hostname,
        grant.resources,
        agent.info.attributes,
        (),
        grant.role,
        agent.info.domain,
    )
    state.next_offer += 1
    state.offers[offer.id] = offer
    agent.offers[offer.id] = None
    framework.offers[offer.id] = None
    step.changed(agent.id, framework.id)
    if state.config.offer_timeout_s is not None:
        step.timer((TIMER_OFFER, offer.id), state.config.offer_timeout_s)
    return offer


# ---------------------------------------------------------------------------------- ending


def _remove(state: MasterState, step: Step, offer: Offer) -> None:
    del state.offers[offer.id]
    del state.frameworks[offer.framework_id].offers[offer.id]
    del state.agents[offer.agent_id].offers[offer.id]
    step.changed(offer.agent_id, offer.framework_id)
    if state.config.offer_timeout_s is not None:
        step.cancel((TIMER_OFFER, offer.id))


def _take_back(state: MasterState, step: Step, offer: Offer) -> None:
    """Without a filter: it may be offered again at once."""
    _remove(state, step, offer)
    state.allocator.decline((offer.framework_id, offer.role), offer.agent_id, offer.resources)


def rescind(state: MasterState, step: Step, offer: Offer) -> None:
    framework = state.frameworks[offer.framework_id]
    _take_back(state, step, offer)
    step.to_framework(framework, Rescind(offer.id))


def _withdraw(state: MasterState, step: Step, decision: Withdraw) -> None:
    for offer_id in list(state.agents[decision.agent_id].offers):
        offer = state.offers[offer_id]
        if (offer.framework_id, offer.role) == (decision.framework_id, decision.role):
            rescind(state, step, offer)


def rescind_all_of_agent(state: MasterState, step: Step, agent: AgentEntry) -> None:
    for offer_id in list(agent.offers):
        rescind(state, step, state.offers[offer_id])


def take_back_all(state: MasterState, step: Step, framework: FrameworkEntry) -> None:
    """The framework is gone or starts anew: it is not told."""
    for offer_id in list(framework.offers):
        _take_back(state, step, state.offers[offer_id])


def timed_out(state: MasterState, step: Step, offer_id: OfferId) -> None:
    """A framework that hoards: the offer goes to others."""
    offer = state.offers.get(offer_id)
    if offer is not None:
        rescind(state, step, offer)


def decline(state: MasterState, step: Step, framework: FrameworkEntry, call: Decline) -> None:
    """Unknown offers are ignored: they may just have been rescinded."""
    for offer_id in call.offer_ids:
        offer = state.offers.get(offer_id)
        if offer is not None and offer.framework_id == framework.id:
            _remove(state, step, offer)
            floor_s = state.config.refuse_min_s
            _give_back(state, step, offer, offer.resources, call.filters, at_least_s=floor_s)


def _give_back(
    state: MasterState,
    step: Step,
    offer: Offer,
    left: Resources,
    filters: Filters,
    *,
    at_least_s: float,
) -> None:
    """`at_least_s`: how long the refusal lasts even if the framework wants it shorter."""
    refuse_s = max(filters.effective_s, at_least_s)
    until_s = step.now.mono_s + refuse_s if refuse_s else None
    state.allocator.decline((offer.framework_id, offer.role), offer.agent_id, left, until_s)


# ---------------------------------------------------------------------------------- accepting


def accept(state: MasterState, step: Step, framework: FrameworkEntry, call: Accept) -> None:
    """Carry out the operations in order on the joined offers; what is left goes back."""
    try:
        used = _check_offers(state, framework, call)
    except BadRequest as error:
        _refuse(state, step, framework, call, str(error))
        return
    for offer in used:
        _remove(state, step, offer)
    offered = left = Resources.total(offer.resources for offer in used)
    agent = state.agents[used[0].agent_id]
    for operation in call.operations:
        left = _operate(state, step, framework, agent, used[0].role, operation, left)
    # Who used something may have the rest again at once: it makes progress. Who used nothing would
    # be asked over and over.
    floor_s = state.config.refuse_min_s if left == offered else 0.0
    _give_back(state, step, used[0], left, call.filters, at_least_s=floor_s)


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
            _take_back(state, step, offer)
    for operation in call.operations:
        if not isinstance(operation, (Launch, LaunchGroup)):
            _answer_operation(step, framework, operation, why)
            continue
        tasks = operation.task_infos if isinstance(operation, Launch) else operation.tasks
        for task in tasks:
            status = step.status(
                task.task_id,
                framework.lost_form(TaskState.DROPPED),
                Reason.INVALID_OFFERS,
                f"Task launched with invalid offers: {why}",
                agent_id=task.agent_id,
            )
            step.to_framework(framework, Update(status))


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
    if isinstance(operation, Launch) and operation.id is None:
        for task in operation.task_infos:
            left = _launch(state, step, framework, agent, role, task, left)
    elif isinstance(operation, Launch):
        why = "a LAUNCH operation can't have an id: leave it out"
        for task in operation.task_infos:
            _task_error(step, framework, agent.id, task, Reason.TASK_INVALID, why)
    elif isinstance(operation, LaunchGroup):
        why = "the agents of this version run command tasks only: launch the tasks one by one"
        for task in operation.tasks:
            _task_error(step, framework, agent.id, task, Reason.TASK_GROUP_INVALID, why)
    else:
        why = "this operation is not supported by this version"
        _answer_operation(step, framework, operation, why)
    return left


def _task_error(
    step: Step,
    framework: FrameworkEntry,
    agent_id: AgentId,
    task: TaskInfo,
    reason: Reason,
    why: str,
) -> None:
    status = step.status(task.task_id, TaskState.ERROR, reason, why, agent_id=agent_id)
    step.to_framework(framework, Update(status))


def _answer_operation(
    step: Step,
    framework: FrameworkEntry,
    operation: Operation,
    why: str,
) -> None:
    """Only who gave the operation an id wants to know; the resources come back in any case."""
    if operation.id is not None:
        status = OperationStatus(OperationState.ERROR, operation.id, why)
        step.to_framework(framework, UpdateOperationStatus(status))


def _launch(
    state: MasterState,
    step: Step,
    framework: FrameworkEntry,
    agent: AgentEntry,
    role: str,
    task: TaskInfo,
    left: Resources,
) -> Resources:
    """Launch one task; returns what is left of the offers. An invalid task takes nothing."""
    try:
        check_task(framework, agent.id, task, left)
    except BadRequest as error:
        _task_error(step, framework, agent.id, task, Reason.TASK_INVALID, str(error))
        return left
    entry = TaskEntry(task_of(task, framework.id, role, framework.info.user), TaskState.STAGING)
    agent.tasks[(framework.id, task.task_id)] = entry
    framework.tasks[task.task_id] = entry
    step.to_agent(agent, RunTask(framework.info, task, role))
    step.publish(TaskAdded(entry.info))
    state.allocator.use((framework.id, role), agent.id, entry.info.resources)
    return left - entry.info.resources


def check_task(
    framework: FrameworkEntry, agent_id: AgentId, task: TaskInfo, left: Resources
) -> None:
    """Each task alone (Mesos `validation::task`). Raises BadRequest with what to mend."""
    check_user_id("task_id", task.task_id)
    if any(task.task_id in seen for seen in (framework.tasks, framework.unreachable)):
        raise BadRequest(f"Task has duplicate ID: {task.task_id}")
    if task.task_id in framework.completed:
        raise BadRequest(f"Task has the ID of one that has ended: {task.task_id}: give a new one")
    if task.agent_id != agent_id:
        raise BadRequest(f"Task uses invalid agent {task.agent_id} while agent {agent_id} offers")
    if (task.command is None) == (task.executor is None):
        raise BadRequest("Task should have exactly one of command and executor: give one of them")
    if task.executor is not None:
        raise BadRequest(
            "the agents of this version run command tasks only: describe the task by its command"
        )
    container = task.container
    if (
        container is not None
        and container.type is ContainerType.DOCKER
        and (container.docker is None or not container.docker.image)
    ):
        raise BadRequest("container.docker.image is missing: name the image")
    if not task.resources:
        raise BadRequest("Task uses no resources: ask for some cpus and mem")
    if not task.resources <= left:
        raise BadRequest(f"Task uses more resources {task.resources} than available {left}")
    check = task.health_check
    if check is not None and (check.interval_seconds < 0 or check.timeout_seconds < 0):
        raise BadRequest("health_check: interval_seconds and timeout_seconds can't be negative")
