"""Promise 4 for sandboxes: no running task loses its own, and in their time they go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from mezzo.agent.effects import RemoveContainer, RemoveSandbox
from mezzo.ids import ContainerId

from ...daemons.agents import VirtualAgent
from ...daemons.containers import Container, Ending, Machine
from ...watch import Watch
from ...world.watched import Broken
from ...world.world import World

_LATE_S: Final = 150.0  # a disk is looked at once a minute, and clocks differ


class SandboxesGo(Watch):
    def __init__(self, world: World, agents: Sequence[VirtualAgent]) -> None:
        self._world = world
        self._agents = agents
        self._ended_s: dict[ContainerId, float] = {}

    def container_ended(self, machine: Machine, container: Container, ending: Ending) -> None:
        self._ended_s[container.spec.container_id] = self._world.now_s

    def agent_did(self, agent: VirtualAgent, effect: Any) -> None:
        if isinstance(effect, (RemoveSandbox, RemoveContainer)):
            running = [each.spec.container_id for each in agent.machine.running()]
            if effect.container_id in running:
                raise Broken(f"promise 4: {agent.name} does {effect}, and it runs")

    def wrong(self) -> str:
        """Also what is left of a life that the agent has forgotten."""
        for agent in self._agents:
            tidiness = agent.tidiness
            if tidiness is None or not agent.process.up:
                continue
            by_s = self._world.now_s - tidiness.gc_delay_s - tidiness.container_remove_delay_s
            late = [
                cid
                for cid in agent.sandboxes
                if self._ended_s.get(cid, self._world.now_s) < by_s - _LATE_S
            ]
            if late:
                return f"{agent.name} keeps the sandboxes of {late}"
        return ""
