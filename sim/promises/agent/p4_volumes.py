"""Promise 4 for volumes: their folders are there while a task may see them, and no longer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mezzo.agent.effects import LaunchContainer, MakeVolume, RemoveVolume
from mezzo.agent.state.tables import VOLUMES

from ...daemons.agents import VirtualAgent
from ...watch import Watch
from ...world.watched import Broken


class VolumesAreThere(Watch):
    def __init__(self, agents: Sequence[VirtualAgent]) -> None:
        self._agents = agents
        self._made: dict[str, tuple[int, dict[str, None]]] = {}  # by agent: of which installation

    def agent_did(self, agent: VirtualAgent, effect: Any) -> None:
        match effect:
            case MakeVolume(path=path):
                self._of(agent)[path] = None
            case RemoveVolume(path=path, whole=whole):
                users = [
                    container.spec.task_id
                    for container in agent.machine.running()
                    if any(mount.path == path for mount in container.spec.volumes)
                ]
                if users:
                    raise Broken(f"promise 4: {agent.name} removes {path}, which {users} use")
                if whole:
                    self._of(agent).pop(path, None)
            case LaunchContainer(spec=spec):
                there = self._of(agent)
                missing = [mount.path for mount in spec.volumes if mount.path not in there]
                if missing:
                    raise Broken(
                        f"promise 4: {agent.name} launches {spec.task_id}, and {missing} were "
                        "never made or are removed"
                    )

    def wrong(self) -> str:
        for agent in self._agents:
            for key, value in agent.process.disk.data.items() if agent.process.up else ():
                if key.startswith("volume/"):
                    folder = VOLUMES.decode(value)
                    if folder.doomed or not folder.made:
                        return f"{agent.name} is not done with the volume {folder}"
        return ""

    def _of(self, agent: VirtualAgent) -> dict[str, None]:
        installation, made = self._made.get(agent.name, (0, {}))
        if installation != agent.installations:
            made = {}
            self._made[agent.name] = agent.installations, made
        return made
