"""The containers of one virtual machine. They outlive the agent's process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mezzo.agent.containerizer.base import (
    ContainerAbsent,
    ContainerExited,
    ContainerLost,
    ContainerRemoved,
    ContainerSpec,
    ContainerStarted,
    LaunchFailed,
    RuntimeEvent,
)
from mezzo.ids import ContainerId

from .world import World

SIGTERM: Final = 15


@dataclass(slots=True)
class Container:
    spec: ContainerSpec
    state: str = "starting"  # starting, running, exited, failed
    exit_code: int | None = None
    signal: int | None = None


@dataclass(slots=True)
class ContainerFaults:
    """Quiet by default. Probabilities per container; crash is per started service."""

    launch_fails: float = 0.0
    crashes: float = 0.0


class Machine:
    """`report` is None while the agent is down: what happens then is found by `recover`."""

    def __init__(self, world: World, name: str, started: Callable[[str, Container], None]) -> None:
        self._world = world
        self.name = name
        self.containers: dict[ContainerId, Container] = {}
        self.faults = ContainerFaults()
        self.report: Callable[[RuntimeEvent], None] | None = None
        self._started = started

    def running(self) -> list[Container]:
        return [c for c in self.containers.values() if c.state == "running"]

    def launch(self, spec: ContainerSpec) -> None:
        container = self.containers.get(spec.container_id)
        if container is not None:
            self._tell(container)
            return
        container = self.containers[spec.container_id] = Container(spec)
        self._world.after(self._world.between(0.01, 0.5), self._start, container)

    def _start(self, container: Container) -> None:
        if container.state != "starting":
            return
        if self._world.chance(self.faults.launch_fails):
            container.state = "failed"
        else:
            container.state = "running"
            self._started(self.name, container)
            life_s = _lifetime_s(container.spec)
            if life_s is not None:
                self._world.after(life_s, self._exit, container, 0)
            elif self._world.chance(self.faults.crashes):
                self._world.after(self._world.between(1, 60), self._exit, container, 1)
        self._tell(container)

    def _exit(self, container: Container, code: int | None, signal: int | None = None) -> None:
        if container.state == "running":
            container.state = "exited"
            container.exit_code, container.signal = code, signal
            self._tell(container)

    def _tell(self, container: Container) -> None:
        if self.report is None:
            return
        id_ = container.spec.container_id
        if container.state == "running":
            self.report(ContainerStarted(id_, pid=1))
        elif container.state == "exited":
            self.report(ContainerExited(id_, container.exit_code, container.signal))
        elif container.state == "failed":
            self.report(LaunchFailed(id_, "the simulated engine refused"))

    def recover(self, specs: tuple[ContainerSpec, ...]) -> None:
        for spec in specs:
            container = self.containers.get(spec.container_id)
            if container is not None and container.state != "starting":
                self._tell(container)
            elif container is None and self.report is not None:
                self.report(ContainerAbsent(spec.container_id))
            # One that is starting reports itself.

    def kill(self, container_id: ContainerId) -> None:
        container = self.containers.get(container_id)
        if container is None:
            return
        if container.state == "starting":
            container.state = "failed"
            self._tell(container)
        elif container.state == "running":
            self._world.after(self._world.between(0.01, 3.0), self._exit, container, None, SIGTERM)

    def remove(self, container_id: ContainerId) -> None:
        self.containers.pop(container_id, None)
        if self.report is not None:
            self.report(ContainerRemoved(container_id))

    def reboot(self) -> None:
        """Power loss: nothing runs any more, and nobody knows how it ended."""
        for container in self.containers.values():
            if container.state in ("starting", "running"):
                container.state = "failed"

    def lost(self, container_id: ContainerId) -> None:
        """Somebody removed it behind the agent's back."""
        if self.containers.pop(container_id, None) is not None and self.report is not None:
            self.report(ContainerLost(container_id, "removed by hand"))


def _lifetime_s(spec: ContainerSpec) -> float | None:
    """`sleep N` ends after N seconds; everything else serves until it is killed or crashes."""
    line = spec.command.value if spec.command else None
    if line is not None and line.startswith("sleep "):
        return float(line.removeprefix("sleep "))
    return None
