"""Promise 4 for who does not checkpoint: no task of such a framework outlives its agent."""

from __future__ import annotations

from collections.abc import Container
from typing import Any, Final

from mezzo.agent.events import Started
from mezzo.core import Output
from mezzo.ids import ContainerId, FrameworkId

from ..agents import VirtualAgent
from ..watch import Broken, Watch
from ..world import World

_KILLED_WITHIN_S: Final = 8.0  # with the grace that it has


class TasksGoWithTheirAgents(Watch):
    def __init__(self, world: World, forgetful: Container[FrameworkId]) -> None:
        """forgetful: frameworks that do not checkpoint."""
        self._world = world
        self._forgetful = forgetful
        self._outlived: dict[str, tuple[float, list[ContainerId]]] = {}  # by agent: since when

    def agent_stepped(self, agent: VirtualAgent, event: Any, output: Output[Any]) -> None:  # noqa: ANN401
        if isinstance(event, Started):
            theirs = [
                each.spec.container_id
                for each in agent.machine.running()
                if each.spec.framework_id in self._forgetful
            ]
            self._outlived[agent.name] = self._world.now_s, theirs
        since_s, waiting = self._outlived.get(agent.name, (0.0, []))
        if waiting and min(self._world.now_s - since_s, agent.process.awake_for_s) > (
            _KILLED_WITHIN_S
        ):
            left = [
                each.spec.task_id
                for each in agent.machine.running()
                if each.spec.container_id in waiting and each.dies_at_s is None
            ]
            self._outlived.pop(agent.name)
            if left:
                raise Broken(f"promise 4: {agent.name} was restarted, and lets {left} run")
