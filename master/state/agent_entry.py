"""An agent, as the master knows it: admitted, unreachable, or about to be called so."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from mezzo.cluster.model import (
    Address,
    AgentInfo,
    DrainInfo,
    Url,
)
from mezzo.cluster.operations import OperationRecord
from mezzo.cluster.resources import Resources
from mezzo.ids import AgentId, ConnId, ExecutorId, FrameworkId, OfferId, TaskId
from mezzo.messages.operator import InverseOfferStatus
from mezzo.record import Record

from .records import AgentRecord
from .task_entry import ExecutorEntry, TaskEntry

_NO_STREAM: Final = ConnId(0)  # all others are larger


class Standing(StrEnum):
    """How the master stands with an admitted agent."""

    RECOVERED = "recovered"  # read from the store, not back yet
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"  # its stream ended; it may answer again


class InverseAnswer(Record):
    """What a framework answered last to an inverse offer of one agent. It gets none again before
    `hides_until_s` (mono)."""

    status: InverseOfferStatus
    hides_until_s: float = 0.0


AGENT_PATH: Final = "/slave(1)"  # how Mesos calls an agent's process in URLs


@dataclass(slots=True)
class AgentEntry:
    """record: all that is stored of it. A durable fact is a field of that, and nowhere else."""

    id: AgentId
    record: AgentRecord
    standing: Standing
    conn: ConnId | None = None
    missed_pings: int = 0
    reregistered_s: float | None = None  # wall
    tasks: dict[tuple[FrameworkId, TaskId], TaskEntry] = field(default_factory=dict)
    executors: dict[tuple[FrameworkId, ExecutorId], ExecutorEntry] = field(default_factory=dict)
    # By uuid: those that are pending, and those whose outcome is not acknowledged.
    operations: dict[bytes, OperationRecord] = field(default_factory=dict)
    offers: dict[OfferId, None] = field(default_factory=dict)
    stream: ConnId = _NO_STREAM  # the newest that it has registered on, open or not
    # Operations whose end was acknowledged on that stream: what it says of them was on its way.
    settled: dict[bytes, None] = field(default_factory=dict)
    # The agent may still run what is over for us: tasks of a removed framework in their grace, or
    # of one that does not checkpoint. Only its report can tell.
    dismissed: bool = False
    heard: int = 0  # the newest ping whose pong arrived
    heard_s: float = 0.0  # mono; when the last pong or registration arrived
    inverse_answers: dict[FrameworkId, InverseAnswer] = field(default_factory=dict)

    @property
    def info(self) -> AgentInfo:
        """The agent's info, with what operations have made of its resources."""
        return self.record.info

    @property
    def drain(self) -> DrainInfo | None:
        return self.record.drain

    @property
    def connected(self) -> bool:
        return self.standing is Standing.CONNECTED

    @property
    def active(self) -> bool:
        """May the agent be offered?"""
        return self.connected and not self.record.deactivated

    @property
    def place(self) -> tuple[str, int]:
        """Where the agent answers: hostname and port."""
        return self.info.hostname, self.info.port

    @property
    def url(self) -> Url:
        address = Address(self.info.port, self.info.hostname, self.info.ip)
        return Url("http", address, AGENT_PATH)


class UnreachableAgent(Record):
    """`tasks` are those that wait in `FrameworkEntry.unreachable`, while these remember them."""

    id: AgentId
    record: AgentRecord
    tasks: tuple[tuple[FrameworkId, TaskId], ...] = ()
    stream: ConnId = _NO_STREAM  # as of AgentEntry

    @property
    def info(self) -> AgentInfo:
        return self.record.info

    @property
    def since_s(self) -> float:
        """Wall."""
        return self.record.since_s or 0.0


class Removal(Record):
    """An agent is to be called unreachable, but not before `due_s` (mono)."""

    why: str
    due_s: float


def used_on(agent: AgentEntry) -> dict[tuple[FrameworkId, str], Resources]:
    """What each client's live tasks and executors take on the agent."""
    used: dict[tuple[FrameworkId, str], Resources] = {}
    for (framework_id, _), entry in agent.tasks.items():
        if entry.holds_resources:
            client = (framework_id, entry.info.role)
            used[client] = used.get(client, Resources()) + entry.info.resources
    for (framework_id, _), executor in agent.executors.items():
        client = (framework_id, executor.role)
        used[client] = used.get(client, Resources()) + executor.info.resources
    return used
