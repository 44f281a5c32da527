"""What frameworks say of themselves: SUBSCRIBE, UPDATE_FRAMEWORK, REVIVE, SUPPRESS, REQUEST.

A framework that comes and goes, many times in a second, must cost the others nothing that can be
felt: it is admitted to the allocator a few times in a few seconds at most, and nothing is stored
that has not changed.
"""

from __future__ import annotations

import itertools
from typing import Final

from mezzo.cluster.model import Capability, FrameworkInfo, OfferConstraints
from mezzo.errors import BadRequest
from mezzo.ids import ConnId, FrameworkId, check_user_id
from mezzo.messages.operator import FrameworkAdded
from mezzo.messages.scheduler import (
    Answered,
    Error,
    Heartbeat,
    Request,
    Revive,
    Subscribe,
    Subscribed,
    Suppress,
    UpdateFramework,
)
from mezzo.record import replace
from mezzo.units import Seconds, check

from .. import registry, rescinding, views
from ..allocator.offer_constraints import compile_constraints
from ..allocator.terms import Demand, FrameworkTerms
from ..effects import CloseStream, ToFramework
from ..offers import inverse_offers
from ..state.framework_entry import FrameworkEntry
from ..state.master_state import MasterState
from ..state.role_names import check_usable
from ..state.step import Step
from ..timers import AdmissionDue, FailoverTimeout
from . import ending, failover

# So often frameworks of one name are admitted in so many seconds; Mesos allocates once a second.
ADMISSIONS: Final = 3
ADMISSIONS_S: Final = 3.0
DEMANDS_MAX: Final = 1000
COUNT_MAX: Final = 1_000_000_000

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
        terms = _check(state, named_id, call)
        framework_id = _check_stream(state, conn, call.framework_info.id)
    except BadRequest as error:
        step.do(ToFramework(conn, Error(str(error))))
        step.do(CloseStream(conn))
        return
    known = state.frameworks.get(framework_id) if framework_id is not None else None
    if known is None:
        framework = failover.add(state, step, call.framework_info)
        registered = True
    else:
        framework = known
        registered = False
        _take_over(state, step, framework, conn, call.framework_info)
    framework.conn = conn
    framework.asked_for_all = False
    state.away.remove(framework.id)
    framework.recovered = False
    framework.deadline_s = None
    state.framework_of[conn] = framework.id
    framework.constraints = call.offer_constraints
    framework.demand = ()
    registry.keep_framework(step, framework)
    step.cancel(FailoverTimeout(framework.id))
    step.to_framework(
        framework, Subscribed(framework.id, state.config.heartbeat_s, state.config.info)
    )
    step.to_framework(framework, Heartbeat())
    framework.admission = terms
    _admit(state, step, framework)
    if registered:
        step.publish(FrameworkAdded(views.framework(state, framework)))
    else:
        failover.show(state, step, framework)


def _check_stream(
    state: MasterState, conn: ConnId, framework_id: FrameworkId | None
) -> FrameworkId | None:
    """The framework that subscribes. A stream is of one alone, so without an id it is that one,
    which repeats its first call. Raises BadRequest."""
    bound = state.framework_of.get(conn)
    if bound is not None and framework_id not in (None, bound):
        raise BadRequest(f"this stream is that of framework {bound}: open one for each framework")
    return framework_id if bound is None else bound


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
    ending.withdraw(state, step, framework)
    # user and checkpoint can't be changed: the old values stay.
    framework.info = replace(
        info, id=framework.id, user=framework.info.user, checkpoint=framework.info.checkpoint
    )
    framework.reregistered_s = step.now.wall_s


# ---------------------------------------------------------------------------------- admission


def _admit(state: MasterState, step: Step, framework: FrameworkEntry) -> None:
    """The framework gets offers from now on; in a moment, if it was admitted often just now."""
    now_s, name = step.now.mono_s, framework.info.name
    times = state.admitted_s.get(name, ())
    if len(times) == ADMISSIONS and now_s < times[0] + ADMISSIONS_S:
        step.timer(AdmissionDue(framework.id), times[0] + ADMISSIONS_S - now_s)
        return
    state.admitted_s.pop(name, None)  # the latest come last
    state.admitted_s[name] = (*times, now_s)[-ADMISSIONS:]
    _forget_admissions(state, now_s - ADMISSIONS_S)
    assert framework.admission is not None
    _set(state, framework, framework.admission)
    framework.admission = None


def _forget_admissions(state: MasterState, before_s: float) -> None:
    for name, times in list(itertools.islice(state.admitted_s.items(), 2)):
        if times[-1] < before_s:
            del state.admitted_s[name]


def time_to_admit(state: MasterState, step: Step, due: AdmissionDue) -> None:
    framework = state.frameworks.get(due.framework_id)
    if framework is not None and framework.admission is not None:
        _admit(state, step, framework)


def _set(state: MasterState, framework: FrameworkEntry, terms: FrameworkTerms) -> None:
    state.allocator.set_framework(framework.id, terms)
    state.allocator.set_demand(framework.id, framework.demand)


# ---------------------------------------------------------------------------------- changing


def update(
    state: MasterState, step: Step, framework: FrameworkEntry, call: UpdateFramework
) -> None:
    """UPDATE_FRAMEWORK: all or nothing. Unlike on SUBSCRIBE, what can't change is an error."""
    try:
        terms = _check(state, framework.id, call)
        for name in ("user", "principal", "checkpoint"):
            if getattr(framework.info, name) != getattr(call.framework_info, name):
                raise BadRequest(f"framework_info.{name} can't change: leave it as it was")
    except BadRequest as error:
        step.to_framework(framework, Answered("UPDATE_FRAMEWORK", str(error)))
        return
    framework.info = call.framework_info
    framework.constraints = call.offer_constraints
    framework.demand = tuple(each for each in framework.demand if each.role in terms.roles)
    registry.keep_framework(step, framework)
    if framework.admission is not None:
        framework.admission = terms
    else:
        state.allocator.set_framework(framework.id, terms)
        state.allocator.keep_demand(framework.id, framework.demand)
    for offer in [state.offers[each] for each in framework.offers]:
        if offer.role not in terms.roles:
            rescinding.rescind(state, step, offer)
    step.to_framework(framework, Answered("UPDATE_FRAMEWORK"))
    failover.show(state, step, framework)


def _are_its_own(step: Step, framework: FrameworkEntry, call: str, roles: tuple[str, ...]) -> bool:
    """Has the framework all these roles? If not, it is told."""
    for role in roles:
        if role not in framework.info.all_roles:
            why = f"role {role!r} is none of the framework's: name its own, or none for all"
            step.to_framework(framework, Answered(call, why))
            return False
    return True


def revive(state: MasterState, step: Step, framework: FrameworkEntry, call: Revive) -> None:
    roles = call.roles
    if not _are_its_own(step, framework, "REVIVE", roles):
        return
    inverse_offers.revive(state, step, framework)
    waiting = framework.admission
    if waiting is None:
        state.allocator.revive(framework.id, roles)
    else:
        left = waiting.suppressed.difference(roles or waiting.roles)
        framework.admission = waiting._replace(suppressed=left)


def suppress(state: MasterState, step: Step, framework: FrameworkEntry, call: Suppress) -> None:
    roles = call.roles
    if not _are_its_own(step, framework, "SUPPRESS", roles):
        return
    waiting = framework.admission
    if waiting is None:
        state.allocator.suppress(framework.id, roles)
    else:
        both = waiting.suppressed.union(roles or waiting.roles)
        framework.admission = waiting._replace(suppressed=both)


def request(state: MasterState, step: Step, framework: FrameworkEntry, call: Request) -> None:
    """The framework declares its demand, until it subscribes anew. See `Request`."""
    try:
        demand = _demand(framework.info, call)
    except BadRequest as error:
        step.to_framework(framework, Answered("REQUEST", str(error)))
        return
    framework.demand = demand
    if framework.admission is None:
        state.allocator.set_demand(framework.id, demand)


def _demand(info: FrameworkInfo, call: Request) -> tuple[Demand, ...]:
    out = []
    for each in call.requests:
        if each.count is None:
            continue  # Mesos' hint
        if not 0 <= each.count <= COUNT_MAX:
            raise BadRequest(f"a request's count is {each.count}: give 0 to {COUNT_MAX}")
        if not each.resources:
            raise BadRequest("a request with a count names no resources: say what is wanted")
        if each.role is not None and each.role not in info.all_roles:
            raise BadRequest(f"a request names role {each.role!r}: not one of the framework's")
        roles = info.all_roles if each.role is None else (each.role,)
        out += [Demand(role, each.resources.quantities(), each.count) for role in roles]
    if len(out) > DEMANDS_MAX:
        raise BadRequest(f"more than {DEMANDS_MAX} shapes are requested: sum up what is equal")
    return tuple(out)


# ---------------------------------------------------------------------------------- rules


def _check(
    state: MasterState, named_id: FrameworkId | None, call: Subscribe | UpdateFramework
) -> FrameworkTerms:
    """What the allocator must know. Raises BadRequest with what the framework is told."""
    check_subscription(state, named_id, call)
    return _terms(call.framework_info, call.suppressed_roles, call.offer_constraints)


def _terms(
    info: FrameworkInfo, suppressed: tuple[str, ...], constraints: OfferConstraints | None
) -> FrameworkTerms:
    """Raises BadRequest on constraints that make no sense."""
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


def check_subscription(
    state: MasterState, named_id: FrameworkId | None, call: Subscribe | UpdateFramework
) -> None:
    """Raise BadRequest with the reason that the framework is told."""
    info = call.framework_info
    if info.id != named_id:
        raise BadRequest("framework_id of the call and framework_info.id differ: make them equal")
    if info.id is not None:
        if info.id in state.completed:
            raise BadRequest("Framework has been removed: subscribe without an id for a new one")
        known = state.frameworks.get(info.id)
        if known is not None and known.info.principal != info.principal:
            raise BadRequest("the principal of a framework can't change: subscribe with the old")
    check_info(state.config.roles, info)
    for role in call.suppressed_roles:
        if role not in info.all_roles:
            raise BadRequest(f"suppressed role {role!r} is none of the framework's roles")


def check_info(allowed: tuple[str, ...] | None, info: FrameworkInfo) -> None:
    """What a framework may be, whoever reports it. `allowed`: the only roles (see `check_usable`).
    Raises BadRequest."""
    if info.id is not None:
        check_user_id("framework_info.id", info.id)
    if not info.name:
        raise BadRequest("framework_info.name is empty: give one")
    check("framework_info.failover_timeout", Seconds, info.failover_timeout)
    _check_roles(allowed, info)
    registry.check_info("framework_info", info)


def _check_roles(allowed: tuple[str, ...] | None, info: FrameworkInfo) -> None:
    multi = info.can(Capability.MULTI_ROLE)
    if multi and info.role != "*":
        raise BadRequest("with MULTI_ROLE framework_info.role must be unset: use roles")
    if not multi and info.roles:
        raise BadRequest("framework_info.roles needs the capability MULTI_ROLE")
    roles = info.all_roles
    if len(set(roles)) != len(roles):
        raise BadRequest("framework_info.roles holds a role twice: name each once")
    for role in roles:
        check_usable(allowed, role)
    for each in info.offer_filters:
        if each.role not in roles:
            raise BadRequest(f"offer_filters of role {each.role!r}: not one of the framework's")
        if not all(any(amounts.values()) for amounts in each.min_allocatable):
            raise BadRequest(
                f"offer_filters of role {each.role!r} hold quantities of nothing: leave them out"
            )
