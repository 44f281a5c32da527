"""RESERVE, UNRESERVE, CREATE, DESTROY, GROW_VOLUME, SHRINK_VOLUME: who may do what with which
resources. What becomes of these is in `mezzo.cluster.conversions`.

Rules: Mesos `validation::operation`; a framework's are made out of its offers, an operator's out of
what is free, for which offers are taken back.
"""

from __future__ import annotations

from mezzo.cluster.conversions import Exchange, check_ids_are_new, convert, exchange
from mezzo.cluster.model import AgentCapability, Capability
from mezzo.cluster.operations import (
    Conversion,
    Create,
    Destroy,
    GrowVolume,
    Reserve,
    ShrinkVolume,
    Unreserve,
)
from mezzo.cluster.resources import Resources
from mezzo.errors import BadRequest, NotNow
from mezzo.ids import AgentId, check_user_id
from mezzo.messages import operator as om

from .. import rescinding
from ..state.agent_entry import AgentEntry
from ..state.framework_entry import FrameworkEntry
from ..state.master_state import MasterState
from ..state.role_names import check_usable
from ..state.step import Step
from . import pending_operations

# ---------------------------------------------------------------------------------- frameworks


def for_framework(
    state: MasterState,
    step: Step,
    framework: FrameworkEntry,
    agent: AgentEntry,
    role: str,
    conversion: Conversion,
    left: Resources,
) -> Resources:
    """Do the operation with what is `left` of offers for the role; returns what that is then.

    Raises BadRequest, with nothing changed, if it is not valid.
    """
    if conversion.id is not None:
        check_user_id("the operation's id", conversion.id)
        if conversion.id in framework.operations:
            raise BadRequest(f"an operation {conversion.id} is under way: give a new id")
    change = _check(agent, conversion)
    _check_rights(framework, role, conversion)
    after = convert(left, conversion)
    pending_operations.start(state, step, agent, conversion, change, (framework, role))
    _take_back_destroyed(state, step, agent, conversion)
    return after


def _check_rights(framework: FrameworkEntry, role: str, conversion: Conversion) -> None:
    """May this framework do it?"""
    principal = framework.info.principal
    if isinstance(conversion, Reserve):
        before = {r for kind, _ in conversion.source.items() for r in kind.reservations}
        for kind, _ in conversion.resources.items():
            if kind.role != role and not kind.role.startswith(role + "/"):
                raise BadRequest(
                    f"can't reserve {kind.name} for role {kind.role!r}: the offer is for {role!r}"
                )
            if len(kind.reservations) > 1 and not framework.can(Capability.RESERVATION_REFINEMENT):
                raise BadRequest(
                    f"refining the reservation of {kind.name} needs the capability "
                    "RESERVATION_REFINEMENT"
                )
            new = kind.reservations if conversion.source else kind.reservations[-1:]
            for reservation in new:
                if reservation not in before:
                    _check_principal(principal, reservation.principal, f"reserve {kind.name}")
    elif isinstance(conversion, Create):
        for kind, _ in conversion.volumes.items():
            assert kind.disk is not None
            _check_principal(principal, kind.disk.principal, "create a volume")
            if kind.shared and not framework.can(Capability.SHARED_RESOURCES):
                raise BadRequest("a shared volume needs the capability SHARED_RESOURCES")


def _check_principal(mine: str | None, given: str | None, verb: str) -> None:
    """A framework without a principal is not authenticated: then anything goes, as in Mesos."""
    if mine is not None and given != mine:
        raise BadRequest(f"can't {verb} as principal {given!r}: the framework's is {mine!r}")


# ---------------------------------------------------------------------------------- operators


def reserve(state: MasterState, step: Step, call: om.ReserveResources) -> om.OperatorResponse:
    return _for_operator(state, step, call.agent_id, Reserve(call.resources, call.source))


def unreserve(state: MasterState, step: Step, call: om.UnreserveResources) -> om.OperatorResponse:
    return _for_operator(state, step, call.agent_id, Unreserve(call.resources))


def create(state: MasterState, step: Step, call: om.CreateVolumes) -> om.OperatorResponse:
    return _for_operator(state, step, call.agent_id, Create(call.volumes))


def destroy(state: MasterState, step: Step, call: om.DestroyVolumes) -> om.OperatorResponse:
    return _for_operator(state, step, call.agent_id, Destroy(call.volumes))


def grow(state: MasterState, step: Step, call: om.GrowVolume) -> om.OperatorResponse:
    return _for_operator(state, step, call.agent_id, GrowVolume(call.volume, call.addition))


def shrink(state: MasterState, step: Step, call: om.ShrinkVolume) -> om.OperatorResponse:
    return _for_operator(state, step, call.agent_id, ShrinkVolume(call.volume, call.subtract))


def _for_operator(
    state: MasterState, step: Step, agent_id: AgentId | None, conversion: Conversion
) -> om.OperatorResponse:
    """Raises BadRequest if it is not valid, NotNow if too little is free; nothing was changed."""
    agent = state.agents.get(agent_id) if agent_id is not None else None
    if agent is None:
        raise BadRequest(f"agent {agent_id} is not known: name one that is registered")
    if not agent.connected:
        raise NotNow(f"agent {agent_id} is away: try again when it is back")
    if isinstance(conversion, Reserve):
        for kind, _ in conversion.resources.items():
            check_usable(state.config.roles, kind.role)
    change = _check(agent, conversion)
    _make_room(state, step, agent, change.before)
    pending_operations.start(state, step, agent, conversion, change, None)
    _take_back_destroyed(state, step, agent, conversion)
    return om.Done()


def _make_room(state: MasterState, step: Step, agent: AgentEntry, wanted: Resources) -> None:
    """Take back as many offers as must be. Raises NotNow if all of them are not enough."""
    free = state.allocator.available(agent.id)
    most = Resources.total([free, *(state.offers[each].resources for each in agent.offers)])
    if not wanted <= most:
        raise NotNow(
            f"{wanted} is needed, but of agent {agent.id} only {most} is free or offered: end the "
            "tasks that use it, or ask for less"
        )
    for offer_id in list(agent.offers):
        lacking = wanted - wanted.common(state.allocator.available(agent.id))
        offer = state.offers[offer_id]
        if lacking.common(offer.resources):
            rescinding.rescind(state, step, offer)


# ---------------------------------------------------------------------------------- both


def _check(agent: AgentEntry, conversion: Conversion) -> Exchange:
    """Does the operation make sense on this agent, and can that do it? Raises BadRequest."""
    change = exchange(conversion)
    needed = [AgentCapability.AGENT_OPERATION_FEEDBACK]
    if isinstance(conversion, (GrowVolume, ShrinkVolume)):
        needed.append(AgentCapability.RESIZE_VOLUME)
    if any(len(kind.reservations) > 1 for kind, _ in change.after.items()):
        needed.append(AgentCapability.RESERVATION_REFINEMENT)
    for capability in needed:
        if capability not in agent.record.capabilities:
            raise BadRequest(f"agent {agent.id} lacks the capability {capability}: upgrade it")
    if isinstance(conversion, Create):
        # Also ids of volumes that are in use, and so in no offer.
        check_ids_are_new(agent.info.resources, conversion.volumes)
    if isinstance(conversion, Destroy):
        _check_unused(agent, conversion.volumes)
    return change


def _check_unused(agent: AgentEntry, volumes: Resources) -> None:
    """A shared volume is free for the next also while it is used."""
    used = [task.info.resources for task in agent.tasks.values() if task.holds_resources]
    used += [executor.info.resources for executor in agent.executors.values()]
    for kind, _ in volumes.items():
        if kind.shared and any(each.get(kind) is not None for each in used):
            raise BadRequest(
                f"volume {kind.disk.persistence_id if kind.disk else ''} is used by a task: end "
                "the task first"
            )


def _take_back_destroyed(
    state: MasterState, step: Step, agent: AgentEntry, conversion: Conversion
) -> None:
    """Take back offers of a shared volume that is no more."""
    if not isinstance(conversion, Destroy):
        return
    for offer_id in list(agent.offers):
        offer = state.offers[offer_id]
        if any(offer.resources.get(kind) is not None for kind, _ in conversion.volumes.items()):
            rescinding.rescind(state, step, offer)
