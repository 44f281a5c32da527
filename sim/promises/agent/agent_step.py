"""A step of an agent, and what the agent has heard and done before it in this life."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mezzo.agent import container as c
from mezzo.agent.core import AgentCore
from mezzo.agent.effects import (
    KillContainer,
    Send,
)
from mezzo.agent.state.agent_task import AgentTask
from mezzo.agent.views import AgentView
from mezzo.cluster.model import NetworkInfo
from mezzo.core import Output
from mezzo.ids import ConnId, ContainerId, FrameworkId, TaskId

from ...daemons.agents import VirtualAgent
from ...daemons.containers import Ending

Key = tuple[FrameworkId, TaskId]


class Life:
    """What an agent has heard, done and said since it was started."""

    def __init__(self, core: AgentCore, known: dict[Key, None]) -> None:
        self.core = core
        self.steps = 0
        self.tasks = known  # by its store: launched and not forgotten
        self.conn: ConnId | None = None
        self.draining = self.leaving = False
        # What is on its way: of which task, which update, since when, how often.
        self.sent: dict[Key, tuple[bytes, float, int]] = {}
        self.asked_s = 0.0  # when it last asked to be registered
        self.asks = 0  # so often in a row
        self.pinged_s = 0.0
        self.removing: dict[ContainerId, None] = {}  # sandboxes


class AgentStep:
    """One step. ran, ends: of all containers of all machines, how they were started and ended."""

    def __init__(
        self,
        ran: Mapping[ContainerId, tuple[c.Kind, tuple[NetworkInfo, ...]]],
        ends: Mapping[ContainerId, tuple[Ending, int | None, float]],
        agent: VirtualAgent,
        life: Life,
        event: Any,
        output: Output[Any],
        now_s: float,
    ) -> None:
        self.ran = ran
        self.ends = ends
        self.agent = agent
        self.life = life
        self.event = event
        self.output = output
        self.now_s = now_s
        self._seen: AgentView | None = None

    @property
    def view(self) -> AgentView:
        if self._seen is None:
            self._seen = self.life.core.view()
        return self._seen

    def task(self, key: Key) -> AgentTask | None:
        return next((task for task in self.view.tasks if task.key == key), None)

    def sent(self, kind: type) -> list[Any]:
        return [
            each.message
            for each in self.output.effects
            if type(each) is Send and type(each.message) is kind
        ]

    def check_killed(self, task: AgentTask, grace_s: float) -> str:
        """Is its container told to end, and no later than that?"""
        orders = [
            effect
            for effect in self.output.effects
            if type(effect) is KillContainer and effect.container_id == task.container_id
        ]
        if len(orders) != 1:
            return f"{task.info.task_id} is to be killed, its container is told {orders}"
        if orders[0].grace_s > grace_s + 1e-6:
            return f"{task.info.task_id} has {grace_s} s, its container {orders[0].grace_s} s"
        return "" if task.kill is not None else f"{task.info.task_id} is killed, and not noted"
