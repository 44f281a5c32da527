"""What the master keeps in the store, and how it comes back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from mezzo.errors import BadRequest
from mezzo.ids import AgentId, FrameworkId
from mezzo.messages.operator import QuotaConfig, WeightInfo
from mezzo.model import AgentInfo, FrameworkInfo
from mezzo.record import Record, decode, encode

from .state import (
    AgentEntry,
    FrameworkEntry,
    MasterState,
    Standing,
    Step,
    UnreachableAgent,
)


class AgentRecord(Record):
    """`agent/<id>`: an agent that was admitted once. Times are wall seconds."""

    info: AgentInfo
    version: str
    boot_id: str
    registered_s: float
    condition: Literal["ADMITTED", "UNREACHABLE", "GONE"] = "ADMITTED"
    since_s: float | None = None  # of UNREACHABLE and GONE


class FrameworkRecord(Record):
    """`framework/<id>`: a framework that subscribed. Unlike in Mesos the deadline of one that is
    away survives the master's failover."""

    info: FrameworkInfo
    registered_s: float
    deadline_s: float | None = None  # wall: it is away, and is given up then
    unregistered_s: float | None = None  # wall: completed, its id can't be used any more


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


def keep_agent(step: Step, agent: AgentEntry) -> None:
    step.put(
        agent_key(agent.id),
        AgentRecord(agent.info, agent.version, agent.boot_id, agent.registered_s or 0.0),
    )


def keep_unreachable(step: Step, agent: AgentEntry) -> None:
    step.put(
        agent_key(agent.id),
        AgentRecord(
            agent.info,
            agent.version,
            agent.boot_id,
            agent.registered_s or 0.0,
            "UNREACHABLE",
            step.now.wall_s,
        ),
    )


def keep_framework(step: Step, framework: FrameworkEntry) -> None:
    step.put(
        framework_key(framework.id),
        FrameworkRecord(
            framework.info,
            framework.registered_s or 0.0,
            framework.deadline_s,
            framework.unregistered_s,
        ),
    )


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
    # The oldest are forgotten first.
    by_end = sorted(state.completed.values(), key=lambda entry: entry.unregistered_s or 0.0)
    state.completed = {entry.id: entry for entry in by_end}


def _load_agent(state: MasterState, agent_id: AgentId, record: AgentRecord) -> None:
    if record.condition == "GONE":
        state.gone[agent_id] = None
    elif record.condition == "UNREACHABLE":
        state.unreachable[agent_id] = UnreachableAgent(agent_id, record.info, record.since_s or 0.0)
    else:
        state.admit(
            AgentEntry(
                agent_id,
                record.info,
                record.version,
                record.boot_id,
                Standing.RECOVERED,
                registered_s=record.registered_s,
            )
        )


def _load_framework(state: MasterState, framework_id: FrameworkId, record: FrameworkRecord) -> None:
    entry = FrameworkEntry(
        framework_id,
        record.info,
        recovered=record.unregistered_s is None,
        deadline_s=record.deadline_s,
        registered_s=record.registered_s,
        unregistered_s=record.unregistered_s,
    )
    (state.completed if record.unregistered_s is not None else state.frameworks)[framework_id] = (
        entry
    )
