"""What people may see of an agent at one moment."""

from __future__ import annotations

from mezzo.cluster.model import DrainConfig
from mezzo.cluster.resources import Resources
from mezzo.ids import AgentId
from mezzo.record import Record

from .config import AgentConfig
from .state.agent_state import Remains
from .state.agent_task import AgentTask


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
