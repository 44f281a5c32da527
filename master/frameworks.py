"""Frameworks: subscription, failover, disconnection, completion."""

from __future__ import annotations

from mezzo.errors import BadRequest
from mezzo.ids import ConnId, FrameworkId, check_user_id
from mezzo.messages.agent import ShutdownFramework
from mezzo.messages.operator import FrameworkAdded, FrameworkRemoved, FrameworkUpdated
from mezzo.messages.scheduler import Error, Heartbeat, Subscribe, Subscribed
from mezzo.model import Capability, FrameworkInfo, OfferConstraints
from mezzo.record import replace
from mezzo.states import Reason, TaskState

from . import offers, operations, registry, tasks, views
from .allocator import FrameworkTerms, compile_constraints
from .events import CloseStream, ToFramework
from .roles import check_usable
from .state import FrameworkEntry, MasterConfig, MasterState, Step

TIMER_FAILOVER = "failover"  # ("failover", framework id)
TIMER_HEARTBEAT = "heartbeat"
TIMER_RESUME = "resume"
# A step's writes are one transaction, and that of ZooKeeper takes a megabyte.
RESUMED_PER_STEP = 100


# ---------------------------------------------------------------------------------- subscribing


def subscribe(
    state: MasterState,
    step: Step,
    conn: ConnId,
    named_id: FrameworkId | None,
    call: Subscribe,
) -> None:
    """SUBSCRIBED, or ERROR and the end of the stream; then nothing was changed."""
    try:
        check_subscription(state, named_id, call)
        terms = _terms(call.framework_info, call.suppressed_roles, call.offer_constraints)
        framework_id = _check_stream(state, conn, call.framework_info.id)
    except BadRequest as error:
        step.do(ToFramework(conn, Error(str(error))))
        step.do(CloseStream(conn))
        return
    known = state.frameworks.get(framework_id) if framework_id is not None else None
    if known is None:
        framework = _add(state, step, call.framework_info)
        registered = True
    else:
        framework = known
        registered = False
        _take_over(state, step, framework, conn, call.framework_info)
    framework.constraints = call.offer_constraints
    framework.conn = conn
    framework.recovered = False
    framework.deadline_s = None
    state.framework_of[conn] = framework.id
    registry.keep_framework(step, framework)
    step.cancel((TIMER_FAILOVER, framework.id))
    step.to_framework(
        framework, Subscribed(framework.id, state.config.heartbeat_s, state.config.info)
    )
    step.to_framework(framework, Heartbeat())
    state.allocator.set_framework(framework.id, terms)
    view = views.framework(state, framework)
    step.publish(FrameworkAdded(view) if registered else FrameworkUpdated(view))


def _check_stream(
    state: MasterState, conn: ConnId, framework_id: FrameworkId | None
) -> FrameworkId | None:
    """The framework that subscribes. A stream is of one alone, so without an id it is that one,
    which repeats its first call. Raises BadRequest."""
    bound = state.framework_of.get(conn)
    if bound is not None and framework_id not in (None, bound):
        raise BadRequest(f"this stream is that of framework {bound}: open one for each framework")
    return framework_id if bound is None else bound


def _add(state: MasterState, step: Step, info: FrameworkInfo) -> FrameworkEntry:
    """A new framework; or one that the store does not know and that brings its old id."""
    framework_id = info.id
    if framework_id is None:
        framework_id = FrameworkId(f"{state.master_id}-{state.next_framework:04d}")
        state.next_framework += 1
    framework = FrameworkEntry(
        framework_id, replace(info, id=framework_id), registered_s=step.now.wall_s
    )
    state.frameworks[framework_id] = framework
    return framework


def _take_over(
    state: MasterState,
    step: Step,
    framework: FrameworkEntry,
    conn: ConnId,
    info: FrameworkInfo,
) -> None:
    """The framework is back, perhaps as another process while the old one still lives."""
    if framework.conn is not None and framework.conn != conn:
        step.do(ToFramework(framework.conn, Error("Framework failed over")))
        step.do(CloseStream(framework.conn))
        del state.framework_of[framework.conn]
    offers.take_back_all(state, step, framework)
    # user and checkpoint can't be changed: the old values stay.
    framework.info = replace(
        info, id=framework.id, user=framework.info.user, checkpoint=framework.info.checkpoint
    )
    framework.reregistered_s = step.now.wall_s


def _terms(
    info: FrameworkInfo, suppressed: tuple[str, ...], constraints: OfferConstraints | None
) -> FrameworkTerms:
    """What the allocator must know. Raises BadRequest on constraints that make no sense."""
    compiled = {}
    for each in constraints.roles if constraints is not None else ():
        if each.role not in info.all_roles:
            raise BadRequest(f"offer_constraints of role {each.role!r}: not one of the framework's")
        compiled[each.role] = compile_constraints(each.role, each.groups)
    return FrameworkTerms(
        info.name,
        info.all_roles,
        frozenset(suppressed),
        gpus=info.can(Capability.GPU_RESOURCES),
        revocable=info.can(Capability.REVOCABLE_RESOURCES),
        shared=info.can(Capability.SHARED_RESOURCES),
        region_aware=info.can(Capability.REGION_AWARE),
        reservation_refinement=info.can(Capability.RESERVATION_REFINEMENT),
        min_allocatable={each.role: each.min_allocatable for each in info.offer_filters},
        constraints=compiled,
    )


def check_subscription(state: MasterState, named_id: FrameworkId | None, call: Subscribe) -> None:
    """Raise BadRequest with the reason that the ERROR event will carry."""
    info = call.framework_info
    if info.id != named_id:
        raise BadRequest("framework_id of the call and framework_info.id differ: make them equal")
    if info.id is not None:
        check_user_id("framework_info.id", info.id)
        if info.id in state.completed:
            raise BadRequest("Framework has been removed: subscribe without an id for a new one")
        known = state.frameworks.get(info.id)
        if known is not None and known.info.principal != info.principal:
            raise BadRequest("the principal of a framework can't change: subscribe with the old")
    if not info.name:
        raise BadRequest("framework_info.name is empty: give one")
    if not 0 <= info.failover_timeout <= 9e9:
        raise BadRequest(
            f"framework_info.failover_timeout is {info.failover_timeout}: give seconds from 0 up"
        )
    _check_roles(state.config, info, call.suppressed_roles)
    registry.check_info("framework_info", info)


def _check_roles(config: MasterConfig, info: FrameworkInfo, suppressed: tuple[str, ...]) -> None:
    multi = info.can(Capability.MULTI_ROLE)
    if multi and info.role != "*":
        raise BadRequest("with MULTI_ROLE framework_info.role must be unset: use roles")
    if not multi and info.roles:
        raise BadRequest("framework_info.roles needs the capability MULTI_ROLE")
    roles = info.all_roles
    if len(set(roles)) != len(roles):
        raise BadRequest("framework_info.roles holds a role twice: name each once")
    for role in roles:
        check_usable(config, role)
    for role in suppressed:
        if role not in roles:
            raise BadRequest(f"suppressed role {role!r} is none of the framework's roles")


def rebuild(
    state: MasterState, step: Step, framework_id: FrameworkId, info: FrameworkInfo
) -> FrameworkEntry:
    """A framework that only its agents know."""
    framework = _add(state, step, replace(info, id=framework_id))
    framework.recovered = True
    _start_deadline(state, step, framework, at_least_s=state.config.agent_reregister_timeout_s)
    step.publish(FrameworkAdded(views.framework(state, framework)))
    return framework


# ---------------------------------------------------------------------------------- going away


def disconnected(state: MasterState, step: Step, framework: FrameworkEntry) -> None:
    """Its stream ended: no offers, tasks run on, the failover timeout starts."""
    framework.conn = None
    offers.take_back_all(state, step, framework)
    state.allocator.deactivate_framework(framework.id)
    _start_deadline(state, step, framework)
    step.publish(FrameworkUpdated(views.framework(state, framework)))


def _start_deadline(
    state: MasterState, step: Step, framework: FrameworkEntry, *, at_least_s: float = 0.0
) -> None:
    left_s = max(framework.info.failover_timeout, at_least_s)
    framework.deadline_s = step.now.wall_s + left_s
    registry.keep_framework(step, framework)
    step.timer((TIMER_FAILOVER, framework.id), left_s)


def recover(state: MasterState, step: Step) -> None:
    """A new leader: who was away before keeps its deadline."""
    for framework in state.frameworks.values():
        if framework.deadline_s is not None:
            left_s = max(0.0, framework.deadline_s - step.now.wall_s)
            step.timer((TIMER_FAILOVER, framework.id), left_s)
    resume_deadlines(state, step)


def resume_deadlines(state: MasterState, step: Step) -> None:
    """Who was connected to the last leader and is not back yet has its failover timeout from now.

    At least as long as an agent has, also with a failover timeout of 0: that it is not here is the
    masters' doing, and its tasks run on.
    """
    missing = [f for f in state.frameworks.values() if f.conn is None and f.deadline_s is None]
    for framework in missing[:RESUMED_PER_STEP]:
        _start_deadline(state, step, framework, at_least_s=state.config.agent_reregister_timeout_s)
    if len(missing) > RESUMED_PER_STEP:
        step.timer(TIMER_RESUME, 0.0)


def failover_due(state: MasterState, step: Step, framework_id: FrameworkId) -> None:
    framework = state.frameworks.get(framework_id)
    if framework is not None and framework.conn is None:
        complete(state, step, framework, "it did not come back within its failover timeout")


def complete(state: MasterState, step: Step, framework: FrameworkEntry, why: str) -> None:
    """The end: executors and tasks are shut down, the id is used up."""
    offers.take_back_all(state, step, framework)
    on_agents = dict.fromkeys(entry.info.agent_id for entry in framework.tasks.values())
    on_agents |= dict.fromkeys(agent_id for agent_id, _ in framework.executors)
    on_agents |= dict.fromkeys(operations.forget_all_of(state, framework))
    for agent_id in on_agents:
        agent = state.agents.get(agent_id)
        if agent is None:
            continue
        # The agent ends the tasks; an agent that is away is told when it re-registers.
        step.to_agent(agent, ShutdownFramework(framework.id))
        tasks.lose_on_agent(
            state,
            step,
            agent,
            TaskState.KILLED,
            Reason.FRAMEWORK_REMOVED,
            f"the framework was removed: {why}",
            only=framework.id,
        )
    framework.unreachable.clear()
    if framework.conn is not None:
        del state.framework_of[framework.conn]
        step.do(CloseStream(framework.conn))
        framework.conn = None
    state.allocator.deactivate_framework(framework.id)
    state.allocator.remove_framework(framework.id)
    framework.unregistered_s = step.now.wall_s
    framework.deadline_s = None
    del state.frameworks[framework.id]
    state.completed[framework.id] = framework
    registry.keep_framework(step, framework)
    while len(state.completed) > state.config.max_completed_frameworks:
        oldest = next(iter(state.completed))
        del state.completed[oldest]
        step.delete(registry.framework_key(oldest))
    step.cancel((TIMER_FAILOVER, framework.id))
    step.publish(FrameworkUpdated(views.framework(state, framework)))  # as it is remembered
    step.publish(FrameworkRemoved(framework.info))


def heartbeat(state: MasterState, step: Step) -> None:
    for framework in state.frameworks.values():
        step.to_framework(framework, Heartbeat())
    step.timer(TIMER_HEARTBEAT, state.config.heartbeat_s)
