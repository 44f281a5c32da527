"""An agent that lies, and what it may lie about."""

from __future__ import annotations

from typing import Any

from mezzo.cluster.model import (
    TaskStatus,
)
from mezzo.cluster.operations import OperationRecord, Reserve
from mezzo.cluster.resources import Kind, Reservation, Resources
from mezzo.cluster.states import TaskState
from mezzo.messages import agent as am
from mezzo.record import replace

from .world import Agent, Framework, World


class Liar:
    """An agent that has offers like others, beside an honest one with a task that runs."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.framework = world.framework()
        self.honest = world.agent()
        self.task = self.framework.launch("t", agent=self.honest)
        self.honest.update(self.task, self.framework.id, TaskState.RUNNING)
        self.agent = world.agent()
        self.framework.inbox.clear()
        self.agent.inbox.clear()
        self.honest.inbox.clear()

    def update(self, **change: Any) -> am.StatusUpdate:
        """Of the honest agent's task, in the liar's name unless changed."""
        status = TaskStatus(
            self.task.task_id, TaskState.FINISHED, agent_id=self.agent.id, uuid=self.world.uuid()
        )
        return am.StatusUpdate(self.framework.id, replace(status, **change), TaskState.FINISHED)

    @property
    def state_of_task(self) -> TaskState:
        return self.world.core.state.frameworks[self.framework.id].tasks[self.task.task_id].state

    @property
    def dropped(self) -> int:
        return self.world.core.state.counters.get("dropped_messages", 0)


def reservation_under_way(world: World) -> tuple[Framework, Agent, OperationRecord]:
    """An operation `o` that the honest agent is slow to do."""
    framework = world.framework(role="ads")
    honest = world.agent()
    honest.ignores.add(am.ApplyOperation)
    cpus = Resources({Kind("cpus", (Reservation("DYNAMIC", "ads"),)): 1000})
    framework.operate(Reserve(cpus, id="o"))
    (record,) = world.core.state.agents[honest.id].operations.values()
    return framework, honest, record
