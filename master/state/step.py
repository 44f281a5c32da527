"""One step of the master's core: its output under construction, and the words of its handlers."""

from __future__ import annotations

from mezzo import core
from mezzo.cluster.model import (
    TaskStatus,
)
from mezzo.cluster.states import Reason, Source, TaskState
from mezzo.core import Instant, Write
from mezzo.ids import AgentId, FrameworkId, TaskId
from mezzo.messages.agent import MasterMessage
from mezzo.messages.operator import OperatorEvent
from mezzo.messages.scheduler import Event

from ..effects import MasterEffect, Publish, ToAgent, ToFramework
from ..timers import ViewsDue
from .agent_entry import AgentEntry
from .framework_entry import VIEWS_EVERY_S, FrameworkEntry
from .master_state import MasterState


class Step(core.Step[MasterEffect]):
    __slots__ = ("state",)

    def __init__(self, state: MasterState, now: Instant) -> None:
        super().__init__(now)
        self.state = state

    @property
    def full(self) -> bool:
        """Is there so much to store that the rest of a long job has to wait for another step?"""
        config = self.state.config
        return len(self.writes) >= config.step_writes or self.bytes >= config.step_bytes

    def write(self, write: Write) -> None:
        self.state.set_aside.pop(write.key, None)  # it is replaced, or deleted
        super().write(write)

    def to_agent(self, agent: AgentEntry, message: MasterMessage) -> None:
        """Dropped if the agent has no stream: what matters is repeated when it re-registers."""
        if agent.conn is not None:
            self.effects.append(ToAgent(agent.conn, message))

    def to_framework(self, framework: FrameworkEntry, event: Event) -> None:
        """Dropped if the framework is disconnected: it reconciles when it is back."""
        if framework.conn is not None:
            self.effects.append(ToFramework(framework.conn, event))

    def count(self, name: str, framework: FrameworkEntry | None = None, by: int = 1) -> None:
        """Let a counter of the framework or of the master grow. metrics.py has the names."""
        counters = self.state.counters if framework is None else framework.counters
        counters[name] = counters.get(name, 0) + by

    def publish(self, event: OperatorEvent) -> None:
        state = self.state
        state.sequence += 1
        if state.journal.open:
            state.journal.note(event)
            if state.operators:
                self.effects.append(Publish(state.sequence, event))

    def changed(self, agent_id: AgentId | None, framework_id: FrameworkId | None) -> None:
        """What the framework has of the agent changed, or one of them alone: operators see it in a
        moment. Not at once, for while tasks come and go each view would be made many times."""
        state = self.state
        if state.machines.planned and agent_id is not None and framework_id is not None:
            state.inverse_looks[(agent_id, framework_id)] = None
        if not state.journal.open:
            return
        if agent_id is not None:
            state.changed_agents[agent_id] = None
        if framework_id is not None:
            state.changed_frameworks[framework_id] = None
        if not state.views_due:
            state.views_due = True
            self.timer(ViewsDue(), VIEWS_EVERY_S)

    def status(
        self,
        task_id: TaskId,
        state: TaskState,
        reason: Reason,
        message: str,
        *,
        agent_id: AgentId | None = None,
        unreachable_s: float | None = None,
    ) -> TaskStatus:
        """A status made by the master: no uuid, sent once, never acknowledged."""
        return TaskStatus(
            task_id,
            state,
            message=message,
            source=Source.MASTER,
            reason=reason,
            agent_id=agent_id,
            timestamp=self.now.wall_s,
            unreachable_time=unreachable_s,
        )
