"""The containers of one virtual machine. They outlive the agent's process, and the engine's."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from mezzo.agent.container import (
    ContainerAbsent,
    ContainerExited,
    ContainerLost,
    ContainerRemoved,
    ContainerSpec,
    ContainerStarted,
    Kind,
    LaunchFailed,
    RuntimeEvent,
)
from mezzo.cluster.model import IpAddress, NetworkInfo
from mezzo.ids import ContainerId

from ..world.watched import unwatched
from ..world.world import World

SIGTERM: Final = 15
SIGKILL: Final = 9
# Of a container with that number: none, one address or several, and what has none.
_NETWORKS: Final[tuple[Callable[[int], tuple[NetworkInfo, ...]], ...]] = (
    lambda _: (),
    lambda n: (NetworkInfo((IpAddress(f"172.17.0.{n}"),), "bridge"),),
    lambda n: (
        NetworkInfo((IpAddress(f"172.17.0.{n}"), IpAddress(f"fd00::{n:x}", "IPv6")), "bridge"),
        NetworkInfo((IpAddress(f"10.9.0.{n}"),), "overlay"),
    ),
    lambda n: (NetworkInfo((), "none"), NetworkInfo((IpAddress(f"10.8.0.{n}"),), "overlay")),
    lambda _: (NetworkInfo((IpAddress(),), "none"),),
)
# Bad ends: exit code, signal, and whether memory was the reason.
_CRASHES: Final[tuple[tuple[int | None, int | None, bool], ...]] = (
    (1, None, False),
    (1, None, False),
    (255, None, False),
    (None, 11, False),
    (137, None, True),
    (None, 9, True),
)
_CHILD_OOM: Final = 0.1  # so many that end well have lost a child for its memory
_STUBBORN: Final = 0.1  # so many of the containers wait for their SIGKILL


class Ending(StrEnum):
    """Why a container that ran runs no more."""

    EXIT = "it ended by itself"
    KILL = "its agent had it killed"
    REMOVAL = "its agent had it removed"
    LEASE = "its lease was over"
    REBOOT = "its machine was rebooted"
    HAND = "somebody removed it by hand"


@dataclass(slots=True)
class Container:
    spec: ContainerSpec
    state: str = "starting"  # starting, running, exited, failed
    exit_code: int | None = None
    signal: int | None = None
    dies_at_s: float | None = None  # the earliest SIGKILL
    oom_killed: bool = False
    networks: tuple[NetworkInfo, ...] = ()  # as the engine tells


@dataclass(slots=True)
class ContainerFaults:
    """Quiet by default. Probabilities per container; crash is per started service."""

    launch_fails: float = 0.0
    crashes: float = 0.0


class Machine:
    """What happens while no agent is attached is found by `recover`."""

    def __init__(
        self,
        world: World,
        name: str,
        started: Callable[[Machine, Container], None],
        ended: Callable[[Machine, Container, Ending], None] = unwatched,
        woke: Callable[[Machine], None] = unwatched,
    ) -> None:
        self._world = world
        self.name = name
        self.containers: dict[ContainerId, Container] = {}
        self.faults = ContainerFaults()
        self._rng = random.Random(f"addresses of {world.seed} on {name}")
        self._ends = random.Random(f"ends of {world.seed} on {name}")
        self._started = started
        self._ended = ended
        self._woke = woke
        self.asleep = False
        self._when_awake: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self._report: Callable[[RuntimeEvent], None] | None = None
        self._agents = 0  # counts attached ones
        self._asked: dict[ContainerId, None] = {}  # what the attached one has asked about
        self._engine_back_s = 0.0
        self._renewed_s = 0.0  # when, in the world, the leases here were renewed last

    @property
    def engine_up_for_s(self) -> float:
        """How long the engine has been up; 0 or less: it is not."""
        return self._world.now_s - self._engine_back_s

    def sleep(self) -> None:
        """The machine is suspended: nothing happens here until `wake`, but its uptime grows."""
        self.asleep = True

    def wake(self) -> None:
        """Things that were due meanwhile happen now, at once: keepers look at their leases."""
        if self.asleep:
            self.asleep = False
            due, self._when_awake = self._when_awake, []
            for action, args in due:
                action(*args)
            self._woke(self)

    def _after(self, delay_s: float, action: Callable[..., None], *args: Any) -> None:
        self._world.after(delay_s, self._due, action, args)

    def _due(self, action: Callable[..., None], args: tuple[Any, ...]) -> None:
        if self.asleep:
            self._when_awake.append((action, args))
        else:
            action(*args)

    def running(self) -> list[Container]:
        return [c for c in self.containers.values() if c.state == "running"]

    def keeps_leases(self) -> bool:
        """Does a container run that ends by itself if nobody renews its lease?"""
        return any(container.spec.lease_s is not None for container in self.running())

    def attach(self, report: Callable[[RuntimeEvent], None]) -> None:
        """An agent starts here."""
        self._report = report
        self._agents += 1
        self._asked.clear()

    def detach(self) -> None:
        self._report = None

    # ---- what its agent asks for

    def launch(self, spec: ContainerSpec) -> None:
        self._ask(self._launch, spec)

    def recover(self, specs: tuple[ContainerSpec, ...]) -> None:
        self._ask(self._recover, specs)

    def kill(self, container_id: ContainerId, grace_s: float) -> None:
        self._ask(self._kill, container_id, grace_s)

    def renew_lease(self, ago_s: float) -> None:
        """Containers with a lease may run on for its length, counted from so long ago. Their
        keepers see to that, whatever becomes of the agent."""
        self._renewed_s = max(self._renewed_s, self._world.now_s - ago_s)

    def lease_left_s(self, lease_s: float) -> float:
        return self._renewed_s + lease_s - self._world.now_s

    def remove(self, container_id: ContainerId) -> None:
        self._ask(self._remove, container_id)

    def _ask(self, action: Callable[..., None], *args: Any) -> None:
        """Act at once, or when the engine is back: agents ask it again until it answers."""
        wait_s = self._engine_back_s - self._world.now_s
        if wait_s <= 0:
            action(*args)
        else:
            self._after(wait_s, self._ask_again, self._agents, action, args)

    def _ask_again(self, agent: int, action: Callable[..., None], args: tuple[Any, ...]) -> None:
        if self._report is not None and agent == self._agents:
            self._ask(action, *args)  # one that died meanwhile asks no more: its next life recovers

    def _launch(self, spec: ContainerSpec) -> None:
        self._asked[spec.container_id] = None
        container = self.containers.get(spec.container_id)
        if container is not None:
            self._tell(container)
            return
        container = self.containers[spec.container_id] = Container(spec)
        if spec.kind is Kind.DOCKER:
            container.networks = self._rng.choice(_NETWORKS)(self._rng.randint(1, 254))
        self._after(self._world.between(0.01, 0.5), self._start, container)

    def _start(self, container: Container) -> None:
        if container.state != "starting":
            return
        if self._world.chance(self.faults.launch_fails):
            container.state = "failed"
        else:
            container.state = "running"
            self._world.tell(f"{self.name} runs {container.spec.task_id}")
            self._started(self, container)
            self._keep_lease(container)
            life_s = _lifetime_s(container.spec)
            if life_s is not None:
                self._after(life_s, self._exit, container, Ending.EXIT, 0)
            elif self._world.chance(self.faults.crashes):
                after_s = self._world.between(1, 60)
                self._after(after_s, self._crash, container)
        self._tell(container)

    def _keep_lease(self, container: Container) -> None:
        lease_s = container.spec.lease_s
        if lease_s is None or container.state != "running":
            return
        left_s = self.lease_left_s(lease_s)
        if left_s <= 0:
            self._exit(container, Ending.LEASE, None, SIGKILL)
        else:
            self._after(left_s + 1e-6, self._keep_lease, container)

    def _crash(self, container: Container) -> None:
        if self.faults.crashes:  # else it was going to, but faults are over
            code, signal, container.oom_killed = self._ends.choice(_CRASHES)
            self._exit(container, Ending.EXIT, code, signal)

    def _recover(self, specs: tuple[ContainerSpec, ...]) -> None:
        for spec in specs:
            self._asked[spec.container_id] = None
            container = self.containers.get(spec.container_id)
            if container is not None and container.state != "starting":
                self._tell(container)
            elif container is None and self._report is not None:
                self._report(ContainerAbsent(spec.container_id))
            # One that is starting reports itself.

    def _kill(self, container_id: ContainerId, grace_s: float) -> None:
        container = self.containers.get(container_id)
        if container is None:
            return
        if container.state == "starting":
            container.state = "failed"
            self._tell(container)
        elif container.state == "running":
            dies_at_s = self._world.now_s + grace_s
            if container.dies_at_s is None and not self._world.chance(_STUBBORN):
                ends_s = min(grace_s, self._world.between(0.01, 3.0))
                self._after(ends_s, self._exit, container, Ending.KILL, None, SIGTERM)
            if container.dies_at_s is None or dies_at_s < container.dies_at_s:
                container.dies_at_s = dies_at_s
                self._after(grace_s, self._exit, container, Ending.KILL, None, SIGKILL)

    def _remove(self, container_id: ContainerId) -> None:
        container = self.containers.pop(container_id, None)
        if container is not None:
            self._end(container, Ending.REMOVAL)
        if self._report is not None:
            self._report(ContainerRemoved(container_id))

    # ---- what happens to it

    def reboot(self) -> None:
        """Power loss: nothing runs any more, and nobody knows how it ended."""
        for container in self.containers.values():
            self._end(container, Ending.REBOOT)

    def lost(self, container_id: ContainerId) -> None:
        """Somebody removed the container behind the agent's back."""
        container = self.containers.pop(container_id, None)
        if container is not None:
            self._end(container, Ending.HAND)
            if self._report is not None:
                self._report(ContainerLost(container_id, "removed by hand"))

    def engine_stops(self, for_s: float) -> None:
        """Containers run on (live-restore); nothing is started, ended or told meanwhile."""
        self._engine_back_s = max(self._engine_back_s, self._world.now_s + for_s)

    # ---- ends

    def _exit(
        self, container: Container, ending: Ending, code: int | None, signal: int | None = None
    ) -> None:
        if container.state == "running":
            container.exit_code, container.signal = code, signal
            if code == 0:
                container.oom_killed = self._ends.random() < _CHILD_OOM
            self._end(container, ending)
            container.state = "exited"
            self._tell(container)

    def _end(self, container: Container, ending: Ending) -> None:
        was, container.state = container.state, "failed"
        if was == "exited":
            container.state = was
        elif was == "running":
            self._world.tell(f"{self.name} ends {container.spec.task_id}: {ending}")
            self._ended(self, container, ending)

    def _tell(self, container: Container) -> None:
        wait_s = self._engine_back_s - self._world.now_s
        if wait_s > 0:
            self._after(wait_s, self._tell, container)
            return
        id_ = container.spec.container_id
        if self._report is None or id_ not in self._asked:
            return
        if container.state == "running":
            self._report(ContainerStarted(id_, container.networks, pid=1))
        elif container.state == "exited":
            ended = (container.exit_code, container.signal, container.oom_killed)
            self._report(ContainerExited(id_, *ended))
        elif container.state == "failed":
            self._report(LaunchFailed(id_, "the simulated engine refused"))


def _lifetime_s(spec: ContainerSpec) -> float | None:
    """`sleep N` ends after N seconds; everything else serves until it is killed or crashes."""
    line = spec.command.value if spec.command else None
    if line is not None and line.startswith("sleep "):
        return float(line.removeprefix("sleep "))
    return None
