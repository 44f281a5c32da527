"""What the master keeps in the store. How it comes back is in loading.py."""

from __future__ import annotations

from typing import Final

from mezzo.cluster.model import AgentInfo, FrameworkInfo
from mezzo.errors import BadRequest
from mezzo.ids import AgentId
from mezzo.record import encode
from mezzo.units import SECONDS_MAX

from .state.agent_entry import AgentEntry, Standing
from .state.framework_entry import FrameworkEntry
from .state.records import AgentRecord, FrameworkRecord
from .state.step import Step
from .tables import AGENTS, FRAMEWORKS

INFO_MAX_BYTES: Final = 65_536


def check_info(what: str, info: FrameworkInfo | AgentInfo) -> None:
    """Raise BadRequest for what would take too much of the store, which limits its records."""
    size = len(encode(info))
    if size > INFO_MAX_BYTES:
        raise BadRequest(
            f"{what} takes {size} bytes, more than {INFO_MAX_BYTES}: give it fewer or shorter "
            "labels, attributes or roles"
        )


def keep_agent(step: Step, agent: AgentEntry) -> None:
    step.put(AGENTS, record_of(agent))


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
    deadline_s = framework.deadline_s
    record = FrameworkRecord(
        framework.info,
        framework.registered_s or 0.0,
        None if deadline_s is None else min(deadline_s, SECONDS_MAX),
        framework.unregistered_s,
    )
    if (stored := encode(record)) != framework.stored:
        framework.stored = stored
        step.put(FRAMEWORKS, record)
