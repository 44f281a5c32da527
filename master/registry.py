"""What the master keeps in the store, and how it comes back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mezzo.errors import BadRequest
from mezzo.ids import AgentId, FrameworkId
from mezzo.messages.operator import QuotaConfig, WeightInfo
from mezzo.model import AgentInfo, FrameworkInfo
from mezzo.record import decode, encode

from .machines import Machines, MaintenanceRecord
from .records import AgentRecord, FrameworkRecord
from .state import (
    AgentEntry,
    FrameworkEntry,
    MasterState,
    Standing,
    Step,
    UnreachableAgent,
)

INFO_MAX_BYTES: Final = 65_536


def check_info(what: str, info: FrameworkInfo | AgentInfo) -> None:
    """Raise BadRequest for what would take too much of the store, which limits its records."""
    size = len(encode(info))
    if size > INFO_MAX_BYTES:
        raise BadRequest(
            f"{what} takes {size} bytes, more than {INFO_MAX_BYTES}: give it fewer or shorter "
            "labels, attributes or roles"
        )


def agent_key(agent_id: AgentId) -> str:
    return f"agent/{agent_id}"


def framework_key(framework_id: FrameworkId) -> str:
    return f"framework/{framework_id}"


def weight_key(role: str) -> str:
    return f"weight/{role}"


def quota_key(role: str) -> str:
    return f"quota/{role}"


def keep_weight(step: Step, info: WeightInfo) -> None:
    step.put(weight_key(info.role), info)


def keep_quota(step: Step, config: QuotaConfig) -> None:
    step.put(quota_key(config.role), config)


def keep_maintenance(step: Step, record: MaintenanceRecord) -> None:
    step.put("maintenance/machines", record)


def keep_agent(step: Step, agent: AgentEntry) -> None:
    step.put(agent_key(agent.id), record_of(agent))


def record_of(agent: AgentEntry) -> AgentRecord:
    return AgentRecord(
        agent.info,
        agent.version,
        agent.boot_id,
        agent.registered_s or 0.0,
        capabilities=agent.capabilities,
        deactivated=agent.deactivated,
        drain=agent.drain,
        drain_start_s=agent.drain_start_s,
    )


def entry_of(agent_id: AgentId, record: AgentRecord) -> AgentEntry:
    """An admitted agent that is not back yet."""
    return AgentEntry(
        agent_id,
        record.info,
        record.version,
        record.boot_id,
        Standing.RECOVERED,
        capabilities=record.capabilities,
        registered_s=record.registered_s,
        deactivated=record.deactivated,
        drain=record.drain,
        drain_start_s=record.drain_start_s,
    )


def keep_framework(step: Step, framework: FrameworkEntry) -> None:
    """No write if it is stored like this already: some come and go all the time."""
    record = FrameworkRecord(
        framework.info,
        framework.registered_s or 0.0,
        framework.deadline_s,
        framework.unregistered_s,
    )
    if (stored := encode(record)) != framework.stored:
        framework.stored = stored
        step.put(framework_key(framework.id), record)


def load(state: MasterState, stored: Mapping[str, bytes]) -> None:
    """Fill the fresh state of a new leader. Agents and frameworks are known but not back yet."""
    for key in sorted(stored):
        kind, _, id_ = key.partition("/")
        if kind == "agent":
            _load_agent(state, AgentId(id_), decode(AgentRecord, stored[key]))
        elif kind == "framework":
            _load_framework(state, FrameworkId(id_), decode(FrameworkRecord, stored[key]))
        elif kind == "weight":
            state.weights[id_] = decode(WeightInfo, stored[key]).weight
        elif kind == "quota":
            state.quotas[id_] = decode(QuotaConfig, stored[key])
        elif kind == "maintenance":
            state.machines = Machines(decode(MaintenanceRecord, stored[key]))
    # The oldest are forgotten first.
    by_end = sorted(state.completed.values(), key=lambda entry: entry.unregistered_s or 0.0)
    state.completed = {entry.id: entry for entry in by_end}


def _load_agent(state: MasterState, agent_id: AgentId, record: AgentRecord) -> None:
    if record.condition == "GONE":
        state.gone[agent_id] = record.since_s or 0.0
    elif record.condition == "UNREACHABLE":
        state.unreachable[agent_id] = UnreachableAgent(agent_id, record)
    else:
        state.admit(entry_of(agent_id, record))


def _load_framework(state: MasterState, framework_id: FrameworkId, record: FrameworkRecord) -> None:
    entry = FrameworkEntry(
        framework_id,
        record.info,
        recovered=record.unregistered_s is None,
        deadline_s=record.deadline_s,
        registered_s=record.registered_s,
        unregistered_s=record.unregistered_s,
        stored=encode(record),
    )
    (state.completed if record.unregistered_s is not None else state.frameworks)[framework_id] = (
        entry
    )
