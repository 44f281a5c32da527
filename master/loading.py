"""What the terms before have stored, as far as it makes sense; the rest is set aside.

One record hurts only what it is about: one that can't be read, is out of bounds or contradicts what
it is stored as is left as it is in the store, named in the log and by GET_SET_ASIDE, and deleted by
an operator or replaced by what its agent or framework says when it is back. The rest leads.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping
from typing import Final, Literal

from mezzo.errors import BadRequest
from mezzo.ids import AgentId, FrameworkId, check_user_id
from mezzo.messages import operator as om
from mezzo.messages.operator import QuotaConfig, WeightInfo
from mezzo.record import Corrupt, Record, decode, encode
from mezzo.units import json_depth_problem, shown

from . import registry
from .agents import maintenance
from .frameworks import subscribing
from .roles import quota_calls, weight_calls
from .state.agent_entry import UnreachableAgent
from .state.framework_entry import FrameworkEntry
from .state.machines import Machines, MaintenanceRecord
from .state.master_state import MasterState
from .state.records import AgentRecord, FrameworkRecord
from .state.step import Step

_REASON_MAX: Final = 1000  # characters


def load(state: MasterState, stored: Mapping[str, bytes]) -> None:
    """Fill the fresh state of a new leader. Agents and frameworks are known but not back yet."""
    for key in sorted(stored):
        kind, _, id_ = key.partition("/")
        load_one = _LOADERS.get(kind)
        if load_one is None:
            continue  # of a newer version, or not ours
        try:
            if (problem := json_depth_problem(stored[key])) is not None:
                raise Corrupt(f"its JSON {problem}")
            load_one(state, id_, stored[key])
        except (Corrupt, BadRequest) as error:
            state.set_aside[key] = str(error)[:_REASON_MAX]
    # The oldest are forgotten first.
    by_end = sorted(state.completed.values(), key=lambda entry: entry.unregistered_s or 0.0)
    state.completed = {entry.id: entry for entry in by_end}


def _load_agent(state: MasterState, id_: str, data: bytes) -> None:
    agent_id = AgentId(id_)
    check_user_id("the agent id", agent_id)
    try:
        record = decode(AgentRecord, data)
        _check_id(record.info.id, agent_id)
        state.types.check(record.info.resources)
        if record.drain is not None and not record.deactivated:
            raise Corrupt("it drains and yet is active")
    except (Corrupt, BadRequest):
        _remember_if_gone(state, agent_id, data)
        raise
    if record.condition == "GONE":
        state.gone[agent_id] = record.since_s or 0.0
    elif record.condition == "UNREACHABLE":
        state.unreachable[agent_id] = UnreachableAgent(agent_id, record)
    else:
        state.admit(registry.entry_of(agent_id, record))


class _Gone(Record):
    """All that must be known of an agent that may never come back."""

    condition: Literal["GONE"]


def _remember_if_gone(state: MasterState, agent_id: AgentId, data: bytes) -> None:
    with contextlib.suppress(Corrupt):
        decode(_Gone, data)
        state.gone[agent_id] = math.inf  # the record is kept until an operator deletes it


def _load_framework(state: MasterState, id_: str, data: bytes) -> None:
    framework_id = FrameworkId(id_)
    record = decode(FrameworkRecord, data)
    _check_id(record.info.id, framework_id)
    subscribing.check_info(None, record.info)
    entry = FrameworkEntry(
        framework_id,
        record.info,
        recovered=record.unregistered_s is None,
        of_before=True,
        deadline_s=record.deadline_s,
        registered_s=record.registered_s,
        unregistered_s=record.unregistered_s,
        stored=encode(record),
    )
    live = record.unregistered_s is None
    (state.frameworks if live else state.completed)[framework_id] = entry


def _load_weight(state: MasterState, role: str, data: bytes) -> None:
    info = decode(WeightInfo, data)
    _check_id(info.role, role)
    weight_calls.check_weight(None, info)
    state.weights[role] = info.weight


def _load_quota(state: MasterState, role: str, data: bytes) -> None:
    config = decode(QuotaConfig, data)
    _check_id(config.role, role)
    quota_calls.check_config(None, config)
    state.quotas[role] = config


def _load_maintenance(state: MasterState, _: str, data: bytes) -> None:
    record = decode(MaintenanceRecord, data)
    maintenance.check_schedule(record.schedule)
    machines = Machines(record)
    if len({*record.down}) != sum(each.down for each in machines.planned):
        raise Corrupt("a machine is down that is not in the schedule")
    state.machines = machines


def _check_id(named: str | None, id_: str) -> None:
    if named != id_:
        raise Corrupt(f"it is that of {named!r}")


# ---------------------------------------------------------------------------------- for operators


def set_aside(state: MasterState) -> om.SetAside:
    return om.SetAside(
        tuple(om.SetAsideRecord(key, why) for key, why in sorted(state.set_aside.items()))
    )


def delete(state: MasterState, step: Step, call: om.DeleteSetAside) -> om.OperatorResponse:
    """For ever. What the record was about is new to the cluster if it comes back."""
    if call.key not in state.set_aside:
        raise BadRequest(
            f"no record {shown(call.key)} is set aside: `mezzo quarantine list` names them"
        )
    step.delete(call.key)
    kind, _, id_ = call.key.partition("/")
    if kind == "agent":
        state.gone.pop(AgentId(id_), None)
    return om.Done()


_LOADERS: Final[Mapping[str, Callable[[MasterState, str, bytes], None]]] = {
    "agent": _load_agent,
    "framework": _load_framework,
    "weight": _load_weight,
    "quota": _load_quota,
    "maintenance": _load_maintenance,
}
