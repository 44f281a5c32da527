"""Promise 4 without checkpoints: no task of a framework that makes none outlives its agent."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from mezzo.agent.container import ContainerStarted
from mezzo.agent.effects import KillContainer
from mezzo.agent.events import Started
from mezzo.core import Output
from mezzo.ids import ContainerId, FrameworkId

from ...daemons.agents import VirtualAgent
from ...watch import Watch
from ...world.watched import Broken


class TasksGoWithTheirAgents(Watch):
    def __init__(self, forgetful: Container[FrameworkId]) -> None:
        """forgetful: frameworks that do not checkpoint."""
        self._forgetful = forgetful
        self._outlived: dict[str, list[ContainerId]] = {}  # by agent: what ran as it started

    def agent_stepped(self, agent: VirtualAgent, event: Any, output: Output[Any]) -> None:
        if isinstance(event, Started):
            self._outlived[agent.name] = [
                each.spec.container_id
                for each in agent.machine.running()
                if each.spec.framework_id in self._forgetful
            ]
        elif isinstance(event, ContainerStarted):
            cid = event.container_id
            killed = [e.container_id for e in output.effects if isinstance(e, KillContainer)]
            if cid in self._outlived.get(agent.name, ()) and cid not in killed:
                raise Broken(f"promise 4: {agent.name} was restarted, finds {cid} and lets it run")
