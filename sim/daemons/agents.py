"""Virtual agents: the real core, on a machine whose containers outlive it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, assert_never

from mezzo.agent.config import AgentConfig
from mezzo.agent.container import (
    ContainerAbsent,
    ContainerExited,
    ContainerLost,
    ContainerSpec,
    Kind,
    LaunchFailed,
    RuntimeEvent,
)
from mezzo.agent.core import AgentCore
from mezzo.agent.effects import (
    AgentEffect,
    CloseMaster,
    Exit,
    KillContainer,
    LaunchContainer,
    MakeVolume,
    MeasureDisk,
    ProbeHealth,
    RecoverContainers,
    RemoveContainer,
    RemoveSandbox,
    RemoveVolume,
    RenewLease,
    Send,
)
from mezzo.agent.events import (
    DiskMeasured,
    HealthObserved,
    MasterDown,
    MasterSaid,
    MasterUp,
    SandboxFound,
    SandboxRemoved,
    Started,
    VolumeMade,
    VolumeRemoved,
)
from mezzo.agent.state.tables import IDENTITY
from mezzo.cluster.model import AgentInfo, Attribute, FaultDomain
from mezzo.cluster.resources import Resources
from mezzo.core import CancelTimer, Output, SetTimer
from mezzo.ids import AgentId, ConnId, ContainerId, IdSource
from mezzo.messages.agent import (
    ApplyOperation,
    KillTask,
    OperationAcknowledged,
    Ping,
    RunTask,
    StatusUpdate,
    UpdateAcknowledged,
)
from mezzo.record import replace

from ..world.disk import Disk
from ..world.network import AT_ONCE_S, Network
from ..world.virtual_process import Process
from ..world.watched import unwatched
from ..world.world import START_WALL_S
from .containers import Machine
from .health_answers import Examine, nobody_is_ill
from .master_link import Client, Server
from .masters import FromAgent, ToClient

_EXITS_S: Final = 20.0  # an agent that exits is started again, within so long
_STUTTERS: Final = 0.03  # so many ends are reported once more, or that nobody knows of them
_REMOVAL_S: Final = (0.0, 0.0, 0.5, 70.0)  # of a sandbox
_ENDS: Final = (ContainerExited, ContainerLost, LaunchFailed)
_COMMANDS: Final = (
    RunTask,
    KillTask,
    UpdateAcknowledged,
    ApplyOperation,
    OperationAcknowledged,
    Ping,
)


def _repeatable(message: Any) -> float:
    """How long a message may be repeated: commands, and an update before the next one."""
    if not isinstance(message, (FromAgent, ToClient)):
        return 0.0
    if isinstance(message.message, StatusUpdate):
        return AT_ONCE_S
    return 30.0 if isinstance(message.message, _COMMANDS) else 0.0


class Tidiness(NamedTuple):
    """How soon an agent removes what ended tasks leave behind, and so how much of that is seen."""

    container_remove_delay_s: float
    gc_delay_s: float


class VirtualAgent:
    def __init__(
        self,
        network: Network,
        name: str,
        resources: Resources,
        machine: Machine,
        find: Callable[[str], Server | None],
        observe: Callable[[VirtualAgent, Any, Output[Any]], None],
        attributes: tuple[Attribute, ...] = (),
        examine: Examine = nobody_is_ill,
        ip: str | None = None,
        tidiness: Tidiness | None = None,
        domain: FaultDomain | None = None,
    ) -> None:
        self.name = name
        self.machine = machine
        self.resources = resources
        self._world = network.world
        self._attributes = attributes
        self._examine = examine
        self._ip = ip
        self.tidiness = tidiness
        self._domain = domain
        # On its disk, and when it was made, by the wall.
        self.sandboxes: dict[ContainerId, tuple[ContainerSpec, float]] = {}
        self._disk_is = random.Random(f"disk of {name} of {network.world.seed}")
        self._odd = random.Random(f"oddities of {name} of {network.world.seed}")
        self._heard: MasterSaid | None = None  # last
        self.gone = False  # for good
        self.installations = 1
        self.on_effect: Callable[[VirtualAgent, AgentEffect], None] = unwatched
        self._boot = 1
        self._booted_at_s = self._world.now_s
        self._down_for_s = 0.0
        self._sleeps = 0  # counts them
        self.process = Process(
            self._world,
            name,
            Disk(),
            build=self._build,
            perform=self._perform,
            on_start=self._started,
            on_end=self._ended,
            observe=lambda event, output: observe(self, event, output),
            counts_sleep=True,
        )
        self.client = Client(
            network,
            name,
            find,
            on_up=lambda conn: self.process.post(MasterUp(conn)),
            on_message=self._received,
            on_down=lambda conn: self.process.post(MasterDown(conn)),
            repeatable=_repeatable,
        )

    @property
    def core(self) -> AgentCore | None:
        core: AgentCore | None = self.process.core
        return core

    @property
    def id(self) -> AgentId | None:
        """The agent's id as it is stored; None: it was never admitted."""
        value = self.process.disk.data.get("identity/agent")
        return None if value is None else IDENTITY.decode(value).agent_id

    def start(self) -> None:
        self.process.start(Started(f"boot-{self._boot}", up_s=self._up_s()))

    def _up_s(self) -> float:
        """The uptime of the agent's machine, by that one's clock."""
        return (self._world.now_s - self._booted_at_s) * self.process.mono_rate

    def _started(self) -> None:
        self.machine.attach(self._report)
        self.client.start()
        self._find_sandboxes()

    def _find_sandboxes(self) -> None:
        """As the shell does at each start; the core does not hear of sandboxes that it knows."""
        assert self.core is not None
        for cid, (spec, made_s) in self.sandboxes.items():
            if self.tidiness is not None and not self.core.state.checkpoint.knows_sandbox(cid):
                found = SandboxFound(cid, spec.framework_id, spec.task_id, spec.sandbox, made_s)
                self.process.post(found)

    def crash(self, down_for_s: float, *, reboot: bool = False) -> None:
        """kill -9 of the agent; with `reboot` of its machine, containers and all."""
        self.wake()
        self._down_for_s = down_for_s
        if reboot:
            self._boot += 1
            self._booted_at_s = self._world.now_s
            self.machine.reboot()
        self.process.crash("rebooted" if reboot else "killed")

    def suspend(self, for_s: float) -> None:
        """The machine sleeps, with agent, containers and keepers; its uptime goes on."""
        if self.process.up and self.process.sleep_for(for_s):
            self.machine.sleep()
            self._sleeps += 1
            self._world.after(for_s, self.wake, self._sleeps)

    def wake(self, sleep: int | None = None) -> None:
        """Wake from the sleep of that number; None: from any."""
        if self.machine.asleep and sleep in (None, self._sleeps):
            self.process.wake()  # it goes on once this moment is over
            self.machine.wake()

    def renew(self) -> None:
        """Its machine is installed anew: the agent that it had is forgotten, and all it ran. Its
        sandboxes lie there still."""
        self.crash(self._world.between(0.0, 20.0), reboot=True)
        self.process.disk = Disk()
        self.installations += 1

    def grow(self, more: Resources) -> None:
        """The machine gets more resources, for which the agent is started again."""
        self.resources = self.resources + more
        self.crash(self._world.between(0.0, 20.0))

    def destroy(self) -> None:
        """The machine burns: nothing of it ever comes back."""
        self.gone = True
        self.crash(0.0, reboot=True)

    def _build(self, epoch: int, stored: Mapping[str, bytes], rng: random.Random) -> AgentCore:
        del epoch  # the store's; what counts for an agent is the master's
        info = AgentInfo(
            hostname=self.name,
            resources=self.resources,
            attributes=self._attributes,
            ip=self._ip,
            domain=self._domain,
        )
        config = AgentConfig(info, "1.0", "127.0.0.1", "/sandbox", (Kind.PROCESS, Kind.DOCKER))
        if self.tidiness is not None:
            config = replace(config, **self.tidiness._asdict())
        return AgentCore(config, stored, IdSource(rng))

    def _ended(self, why: str) -> None:
        del why
        self.machine.detach()
        self.client.stop()
        if not self.gone:
            self._world.after(self._down_for_s + self._world.between(0.1, 1.0), self._restart)
        self._down_for_s = 0.0

    def _restart(self) -> None:
        if not self.gone:
            self.start()

    def _received(self, conn: ConnId, message: ToClient) -> None:
        self._heard = MasterSaid(conn, message.epoch, message.message)
        self.process.post(self._heard)

    def _report(self, event: RuntimeEvent) -> None:
        self._world.after(self._world.between(0.0, 0.01), self.process.post, event)
        if isinstance(event, _ENDS) and self._odd.random() < _STUTTERS:
            absent = ContainerAbsent(event.container_id)
            again = self._odd.choice((event, event, absent))
            self._world.after(self._odd.uniform(0.02, 3.0), self._report_again, again, self.core)

    def _report_again(self, event: RuntimeEvent, core: AgentCore) -> None:
        if self.core is core:
            self.process.post(event)

    def _perform(self, effect: AgentEffect) -> None:
        self.on_effect(self, effect)
        match effect:
            case Send(conn=conn, message=message):
                self.client.send(conn, FromAgent(message))
            case CloseMaster(conn=conn):
                self.client.close()
                heard = self._heard
                if heard is not None and heard.conn == conn:
                    self.process.post(heard)  # the rest of a batch
            case LaunchContainer(spec=spec):
                self.sandboxes[spec.container_id] = spec, START_WALL_S + self._world.now_s
                self.machine.launch(spec)
            case RecoverContainers(specs=specs):
                self.machine.recover(specs)
            case KillContainer(container_id=container_id, grace_s=grace_s):
                self.machine.kill(container_id, grace_s)
            case RemoveContainer(container_id=container_id):
                self.machine.remove(container_id)
            case RemoveSandbox(container_id=container_id):
                takes_s = self._odd.choice(_REMOVAL_S)
                self._world.after(takes_s, self._cleared, container_id, self.core)
            case MeasureDisk() if self.tidiness is not None:
                self.process.post(DiskMeasured(self._disk_is.uniform(0.3, 1.0)))
            case MeasureDisk():
                pass  # its disk is never full
            case ProbeHealth():
                self._probe(effect)
            case MakeVolume(path=path):
                self.process.post(VolumeMade(path))
            case RemoveVolume(path=path):
                takes_s = self._disk_is.choice((0.0, 0.0, 0.5, 20.0))
                self._world.after(takes_s, self._removed, path, self.core)
            case RenewLease(up_s=up_s):
                self.machine.renew_lease((self._up_s() - up_s) / self.process.mono_rate)
            case Exit(message=message):
                self._down_for_s = self._world.between(0.0, _EXITS_S)
                self.process.crash(f"exits: {message}")
            case SetTimer() | CancelTimer():
                raise AssertionError("the process sets timers itself")
            case _:
                assert_never(effect)

    def _cleared(self, container_id: ContainerId, core: AgentCore) -> None:
        if self.core is core:
            self.sandboxes.pop(container_id, None)
            self.process.post(SandboxRemoved(container_id))

    def _removed(self, path: str, core: AgentCore) -> None:
        """A removal is over; a life that has ended meanwhile has left it half done."""
        if self.core is core:
            self.process.post(VolumeRemoved(path))

    def _probe(self, order: ProbeHealth) -> None:
        """Post one answer to a health check; a promise of one is none."""
        answer = self._examine(order.task_id, order.check.timeout_seconds)
        observed = HealthObserved(order.container_id, answer.alive is True, answer.cause or "")
        self._world.after(answer.after_s, self._observed, observed, self.core)

    def _observed(self, observed: HealthObserved, core: AgentCore) -> None:
        """The answer; an agent that asked in an earlier life does not hear it."""
        if self.core is core:
            self.process.post(observed)
