"""What the terms before have stored, as far as it makes sense; the rest is set aside.

One record hurts only what it is about: one that can't be read, is out of bounds or contradicts what
it is stored as is left as it is in the store, named in the log and by GET_SET_ASIDE, and deleted by
an operator or replaced by what its agent or framework says when it is back. The rest leads.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from functools import partial
from typing import Final, Literal

from mezzo.core import Delete
from mezzo.errors import BadRequest, Corrupt
from mezzo.ids import AgentId, FrameworkId, check_user_id
from mezzo.messages import operator as om
from mezzo.messages.operator import QuotaConfig, WeightInfo
from mezzo.record import Record, encode
from mezzo.tables import Stored, Table
from mezzo.units import shown

from .agents import maintenance
from .frameworks import subscribing
from .roles import quota_calls, weight_calls
from .state.agent_entry import AgentEntry, Standing, UnreachableAgent
from .state.framework_entry import FrameworkEntry
from .state.machines import Machines, MaintenanceRecord
from .state.master_state import MasterState
from .state.records import AgentRecord, FrameworkRecord
from .state.step import Step
from .tables import AGENTS, FRAMEWORKS, MAINTENANCE, QUOTAS, WEIGHTS


def load(state: MasterState, values: Mapping[str, bytes]) -> None:
    """Fill the fresh state of a new leader. Agents and frameworks are known but not back yet."""
    stored = Stored(values)
    stored.read(AGENTS, partial(_take_agent, state))
    stored.read(FRAMEWORKS, partial(_take_framework, state))
    stored.read(MAINTENANCE, partial(_take_maintenance, state))
    stored.read(QUOTAS, partial(_take_quota, state))
    stored.read(WEIGHTS, partial(_take_weight, state))
    state.set_aside |= stored.aside
    for key in stored.aside:
        kind, _, id_ = key.partition("/")
        if kind == AGENTS.kind:
            _remember_if_gone(state, AgentId(id_), values[key])
    # The oldest are forgotten first.
    by_end = sorted(state.completed.values(), key=lambda entry: entry.unregistered_s or 0.0)
    state.completed = {entry.id: entry for entry in by_end}


def _take_agent(state: MasterState, record: AgentRecord) -> None:
    agent_id = AgentId(AGENTS.id_of(record))
    check_user_id("the agent id", agent_id)
    state.types.check(record.info.resources)
    if record.drain is not None and not record.deactivated:
        raise Corrupt("it drains and yet is active")
    if record.condition == "GONE":
        state.gone_since_s[agent_id] = record.since_s or 0.0
    elif record.condition == "UNREACHABLE":
        state.unreachable[agent_id] = UnreachableAgent(agent_id, record)
    else:
        state.admit(AgentEntry(agent_id, record, Standing.RECOVERED))


class _Gone(Record):
    """What must be known of an agent that may never come back."""

    condition: Literal["GONE"]


_GONE: Final = Table(AGENTS.kind, _Gone, lambda _: "", AGENTS.upgrades)


def _remember_if_gone(state: MasterState, agent_id: AgentId, value: bytes) -> None:
    with contextlib.suppress(Corrupt, BadRequest):
        check_user_id("the agent id", agent_id)
        _GONE.decode(value)
        state.gone_since_s[agent_id] = math.inf  # the record is kept until an operator deletes it


def _take_framework(state: MasterState, record: FrameworkRecord) -> None:
    framework_id = FrameworkId(FRAMEWORKS.id_of(record))
    subscribing.check_info(None, record.info)
    live = record.unregistered_s is None
    entry = FrameworkEntry(
        framework_id,
        record.info,
        recovered=live,
        of_before=True,
        deadline_s=record.deadline_s,
        registered_s=record.registered_s,
        unregistered_s=record.unregistered_s,
        stored=encode(record),
    )
    (state.frameworks if live else state.completed)[framework_id] = entry


def _take_weight(state: MasterState, info: WeightInfo) -> None:
    weight_calls.check_weight(None, info)
    state.weights[info.role] = info.weight


def _take_quota(state: MasterState, config: QuotaConfig) -> None:
    quota_calls.check_config(None, config)
    state.quotas[config.role] = config


def _take_maintenance(state: MasterState, record: MaintenanceRecord) -> None:
    maintenance.check_schedule(record.schedule)
    machines = Machines(record)
    if len({*record.down}) != sum(each.down for each in machines.planned):
        raise Corrupt("a machine is down that is not in the schedule")
    state.machines = machines


# ---------------------------------------------------------------------------------- for operators


def set_aside(state: MasterState) -> om.SetAside:
    return om.SetAside(
        tuple(om.SetAsideRecord(key, why) for key, why in sorted(state.set_aside.items()))
    )


def delete(state: MasterState, step: Step, call: om.DeleteSetAside) -> om.OperatorResponse:
    """For ever. The agent or framework of the record is new to the cluster if it comes back."""
    if call.key not in state.set_aside:
        raise BadRequest(
            f"no record {shown(call.key)} is set aside: `mezzo quarantine list` names them"
        )
    step.write(Delete(call.key))
    kind, _, id_ = call.key.partition("/")
    if kind == "agent":
        state.gone_since_s.pop(AgentId(id_), None)
    return om.Done()
