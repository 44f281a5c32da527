"""An agent's core on a virtual clock, with a disk that outlives it. Nothing else."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import TypeVar

from mezzo import MESOS_VERSION
from mezzo.agent import effects as do
from mezzo.agent import events as e
from mezzo.agent.config import AgentConfig
from mezzo.agent.container import ContainerSpec, ContainerStarted, Kind
from mezzo.agent.core import AgentCore
from mezzo.cluster.model import (
    AgentInfo,
    Capability,
    CommandInfo,
    ContainerInfo,
    ContainerType,
    DockerInfo,
    FrameworkInfo,
    TaskInfo,
    TaskStatus,
)
from mezzo.cluster.resources import Resources
from mezzo.cluster.states import TaskState
from mezzo.core import CancelTimer, Instant, Put, SetTimer, TimerFired, Write
from mezzo.ids import AgentId, ConnId, ContainerId, FrameworkId, IdSource, TaskId
from mezzo.messages import agent as am
from mezzo.store.base import check_writes
from mezzo.store.sqlite import SqliteStore

E = TypeVar("E")

F1 = FrameworkId("F1")
S1 = AgentId("S1")
FRAMEWORK = FrameworkInfo(
    user="someone",
    name="framework",
    id=F1,
    checkpoint=True,
    capabilities=(Capability.PARTITION_AWARE, Capability.TASK_KILLING_STATE),
)
CONFIG = AgentConfig(
    info=AgentInfo("host", resources=Resources.of(cpus=4, mem=4096)),
    version=MESOS_VERSION,
    ip="127.0.0.1",
    work_dir="/w",
    containerizers=(Kind.DOCKER, Kind.PROCESS),
)


DEFAULTS: dict[str, object] = {
    "resources": Resources.of(cpus=1, mem=64),
    "command": CommandInfo("sleep 1000"),
}


def process_task(task_id: str = "t1", **fields: object) -> TaskInfo:
    return TaskInfo(
        name=task_id,
        task_id=TaskId(task_id),
        agent_id=S1,
        **(DEFAULTS | fields),  # type: ignore[arg-type]
    )


def docker_task(task_id: str = "t1", **fields: object) -> TaskInfo:
    container = ContainerInfo(ContainerType.DOCKER, docker=DockerInfo("busybox"))
    return process_task(task_id, **({"container": container} | fields))


def apply(disk: dict[str, bytes], writes: list[Write]) -> None:
    for write in writes:
        if isinstance(write, Put):
            disk[write.key] = write.value
        else:
            disk.pop(write.key, None)


class World:
    """Steps a core and applies its writes. Time stands still unless a test moves it."""

    def __init__(
        self,
        *,
        config: AgentConfig = CONFIG,
        disk: Mapping[str, bytes] | None = None,
        boot_id: str = "boot1",
        now_s: float = 1_000_000.0,
        cleanup: bool = False,
        clock: bool = True,
        seed: int = 1,
    ) -> None:
        self.disk = dict(disk or {})
        self.core = AgentCore(config, self.disk, IdSource(random.Random(seed)))
        self.now_s = now_s
        self.epoch = 1
        self.conn = ConnId(0)
        self.timers: dict[object, float] = {}
        self.effects: list[do.AgentEffect] = []  # of the last step
        self.step(e.Started(boot_id, cleanup, self.now_s - 990_000.0 if clock else None))

    def step(self, event: e.AgentEvent) -> list[do.AgentEffect]:
        out = self.core.step(event, Instant(self.now_s, self.now_s - 999_000.0))
        check_writes(out.writes, SqliteStore.max_value_bytes, SqliteStore.max_commit_bytes)
        apply(self.disk, out.writes)
        for effect in out.effects:
            if isinstance(effect, SetTimer):
                self.timers[effect.key] = effect.at_s
            elif isinstance(effect, CancelTimer):
                self.timers.pop(effect.key, None)
        self.effects = out.effects
        return out.effects

    def wait(self, seconds: float) -> list[do.AgentEffect]:
        """Let time pass and all timers fire in their order; the effects of all of them."""
        until_s = self.now_s + seconds
        effects: list[do.AgentEffect] = []
        while self.timers:
            key, at_s = min(self.timers.items(), key=lambda item: item[1])
            if at_s + 999_000.0 > until_s:
                break
            del self.timers[key]
            self.now_s = max(self.now_s, at_s + 999_000.0)
            effects += self.step(TimerFired(key))
        self.now_s = until_s
        self.effects = effects
        return effects

    # ---- the master

    def connect(self) -> list[do.AgentEffect]:
        self.conn = ConnId(self.conn + 1)
        return self.step(e.MasterUp(self.conn))

    def hear(self, message: am.MasterMessage, *, epoch: int | None = None) -> list[do.AgentEffect]:
        epoch = self.epoch if epoch is None else epoch
        return self.step(e.MasterSaid(self.conn, epoch, message))

    def register(self) -> World:
        first = self.connect()
        known = any(isinstance(m, am.ReregisterAgent) for m in messages_in(first))
        self.hear(am.AgentReregistered(S1) if known else am.AgentRegistered(S1))
        return self

    def acknowledge(self, status: TaskStatus) -> list[do.AgentEffect]:
        assert status.uuid is not None
        return self.hear(am.UpdateAcknowledged(F1, status.task_id, status.uuid))

    def acknowledge_all(self) -> list[TaskStatus]:
        """Acknowledge whatever is in flight until nothing is; what the framework got, in order."""
        got = []
        while status := self.head():
            got.append(status)
            self.acknowledge(status)
            assert self.head() is not status, "the agent is not connected to a master"
        return got

    def head(self, task_id: str = "t1") -> TaskStatus | None:
        """The unacknowledged update in flight of one task."""
        for task in self.core.view().tasks:
            if task.info.task_id == task_id and task.pending:
                return task.pending[0]
        return None

    # ---- containers

    def run(
        self, info: TaskInfo | None = None, framework: FrameworkInfo = FRAMEWORK
    ) -> ContainerId:
        """Launch a task; the id of its container."""
        info = process_task() if info is None else info
        self.hear(am.RunTask(framework, info))
        return self.launched().container_id

    def start(
        self, info: TaskInfo | None = None, framework: FrameworkInfo = FRAMEWORK
    ) -> ContainerId:
        """Launch a task, whose container then runs."""
        cid = self.run(info, framework)
        self.step(ContainerStarted(cid))
        return cid

    def launched(self) -> ContainerSpec:
        (launch,) = self.of(do.LaunchContainer)
        return launch.spec

    # ---- looking

    def of(self, kind: type[E]) -> list[E]:
        """Effects of the last step, of one kind."""
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def sent(self) -> list[am.AgentMessage]:
        return messages_in(self.effects)

    def updates(self) -> list[TaskStatus]:
        """Statuses sent in the last step."""
        return [m.status for m in self.sent() if isinstance(m, am.StatusUpdate)]

    def state(self, task_id: str = "t1") -> TaskState | None:
        """None if the agent has forgotten it."""
        for task in self.core.view().tasks:
            if task.info.task_id == task_id:
                return task.state
        return None

    def crash(self, **changes: object) -> World:
        """What comes after kill -9: a new core on the same disk, at the same time."""
        return World(
            **{  # type: ignore[arg-type]
                "disk": self.disk,
                "now_s": self.now_s,
                "seed": random.Random(self.now_s).randrange(1 << 30) + len(self.disk),
                **changes,
            }
        )


def messages_in(effects: list[do.AgentEffect]) -> list[am.AgentMessage]:
    return [effect.message for effect in effects if isinstance(effect, do.Send)]
