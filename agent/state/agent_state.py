"""What the agent knows. Mutable, owned by the core; everything else asks for views."""

from __future__ import annotations

from dataclasses import dataclass, field

from mezzo.cluster.model import DrainConfig
from mezzo.cluster.resources import Resources
from mezzo.ids import ConnId, ContainerId, IdSource

from ..config import AgentConfig
from ..effects import Exit
from ..timers import OperationOverdue, UpdateOverdue
from .agent_task import TaskKey
from .checkpoint import Checkpoint
from .heard import Heard
from .in_flight import InFlight


@dataclass(slots=True)
class AgentState:
    """All but the checkpoint is of this life of the agent alone."""

    config: AgentConfig
    ids: IdSource
    checkpoint: Checkpoint
    boot_id: str = ""  # of the machine
    conn: ConnId | None = None  # the stream to the master
    registered: bool = False  # the master has agreed on it
    ask_again_s: float = 0.0  # from the next registration on, until it is repeated
    ping_due_s: float = 0.0  # mono
    # What the master was told of tasks and of operations, until it is acknowledged.
    updates: InFlight[TaskKey] = field(default_factory=lambda: InFlight(_update_overdue))
    outcomes: InFlight[bytes] = field(default_factory=lambda: InFlight(OperationOverdue))
    heard: Heard = field(default_factory=Heard)
    # Not stored: the master remembers, and says it again after each registration.
    drain: DrainConfig | None = None
    leaving: Exit | None = None  # wanted as soon as no container runs any more
    failed_checks: dict[ContainerId, int] = field(default_factory=dict)  # consecutive ones
    # Sandboxes whose removal this life has asked for.
    removals_asked: set[ContainerId] = field(default_factory=set)
    disk_watched: bool = False  # only while there is something to remove

    @property
    def total(self) -> Resources:
        """All that the agent has, with its reservations and volumes."""
        return self.checkpoint.total(self.config.info.resources)


def _update_overdue(key: TaskKey) -> UpdateOverdue:
    return UpdateOverdue(*key)
