"""A task and an executor, as the master knows them."""

from __future__ import annotations

from dataclasses import dataclass, field

from mezzo.cluster.description import status_history
from mezzo.cluster.model import (
    ExecutorInfo,
    Task,
    TaskStatus,
)
from mezzo.cluster.states import TaskState
from mezzo.ids import AgentId, TaskId
from mezzo.messages.agent import KillTask
from mezzo.record import replace


@dataclass(slots=True)
class TaskEntry:
    """One task. `state` is the latest and decides about resources; `forwarded` is what the
    framework was told last."""

    info: Task  # the unchanging part; its state and statuses are those at the beginning
    state: TaskState
    forwarded: TaskStatus | None = None
    statuses: tuple[TaskStatus, ...] = ()  # see status_history
    pending_kill: KillTask | None = None  # to be sent (again) when the agent is back

    @property
    def holds_resources(self) -> bool:
        return not self.state.terminal

    def note(self, status: TaskStatus) -> None:
        """Remember a status for the endpoints."""
        self.statuses = status_history(self.statuses, status)

    def view(self) -> Task:
        return replace(
            self.info,
            state=self.state,
            statuses=self.statuses,
            status_update_state=self.forwarded.state if self.forwarded else None,
            status_update_uuid=self.forwarded.uuid if self.forwarded else None,
        )


@dataclass(slots=True)
class ExecutorEntry:
    """One executor on one agent. Its resources are charged once, to the role of the offers on which
    its first task was launched."""

    info: ExecutorInfo  # with framework_id
    agent_id: AgentId
    role: str
    seen: bool = False  # its agent or one of its tasks has told of it
    launched: set[TaskId] = field(default_factory=set)  # until then: those that have not ended
