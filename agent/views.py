"""Frozen pictures of what an agent knows."""

from __future__ import annotations

from mezzo.cluster.model import DrainConfig
from mezzo.cluster.resources import Resources
from mezzo.ids import AgentId
from mezzo.record import Record

from .config import AgentConfig
from .state.agent_state import AgentState
from .state.agent_task import AgentTask
from .state.facts import Remains


class AgentView(Record):
    """What people may see of an agent at one moment. resources: with reservations and volumes."""

    config: AgentConfig
    resources: Resources
    drain: DrainConfig | None
    registered: bool
    epoch: int
    agent_id: AgentId | None
    tasks: tuple[AgentTask, ...]
    remains: tuple[Remains, ...]
    aside: tuple[tuple[str, str], ...] = ()  # keys of stored records that can't be read, and why


def view_of(state: AgentState) -> AgentView:
    checkpoint = state.checkpoint
    identity = checkpoint.identity
    return AgentView(
        config=state.config,
        resources=state.total,
        drain=state.drain,
        registered=state.registered,
        epoch=checkpoint.epoch,
        agent_id=None if identity is None else identity.agent_id,
        tasks=tuple(checkpoint.tasks.values()),
        remains=tuple(checkpoint.remains.values()),
        aside=tuple(checkpoint.aside.items()),
    )
