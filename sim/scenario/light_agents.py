"""Agents without a core: they speak the protocol and time the tasks, and are cheap by the thousand.

What a stand-in keeps of a real agent: its id over lost streams, tasks that run on meanwhile,
updates in order and repeated until acknowledged, idempotent launches, and no ear for the deposed.
What it lacks: containers, checkpoints (a crash is a loss of power), health checks, operations.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from mezzo.cluster.description import task_of
from mezzo.cluster.model import AgentInfo, FrameworkInfo, Task, TaskInfo, TaskStatus
from mezzo.cluster.states import Reason, Source, TaskState
from mezzo.ids import AgentId, ConnId, FrameworkId, TaskId
from mezzo.messages.agent import (
    AgentMessage,
    AgentRegistered,
    AgentReregistered,
    KillTask,
    Ping,
    Pong,
    RegisterAgent,
    ReregisterAgent,
    RunTask,
    ShutdownAgent,
    ShutdownFramework,
    StatusUpdate,
    UnregisterAgent,
    UpdateAcknowledged,
)
from mezzo.record import replace

from ..daemons.master_link import Client, Server
from ..daemons.masters import FromAgent, ToClient
from ..world.network import Network

_VERSION: Final = "1.0"
_START_S: Final = (0.01, 0.5)  # from the launch to running: as the virtual machines have it
_REPEAT_MIN_S: Final = 10.0  # an update without an answer; doubled each time (Mesos agent)
_REPEAT_MAX_S: Final = 600.0

_Key = tuple[FrameworkId, TaskId]


@dataclass(slots=True)
class _Task:
    info: Task
    framework: FrameworkInfo
    state: TaskState = TaskState.STAGING
    updates: deque[TaskStatus] = field(default_factory=deque)  # the first is under way


class LightAgent:
    """`info` has no id: the master gives it one."""

    def __init__(
        self, network: Network, info: AgentInfo, find: Callable[[str], Server | None]
    ) -> None:
        self.info = info
        self.name = info.hostname
        self.up = False
        self._world = network.world
        self._rng = random.Random(f"{network.world.seed} {self.name}")
        self._id: AgentId | None = None
        self._boot = 1
        self._epoch = 0
        self._conn: ConnId | None = None
        self._tasks: dict[_Key, _Task] = {}
        self.client = Client(
            network,
            self.name,
            find,
            on_up=self._connected,
            on_message=self._received,
            on_down=self._disconnected,
            repeatable=lambda _: 0.0,
        )

    def start(self) -> None:
        self.up = True
        self.client.start()

    def leave(self) -> None:
        """For good, and it says so."""
        if self.up:
            self._say(UnregisterAgent())
            self._power_off()

    def lose_power(self, for_s: float) -> None:
        """Everything that it knew or ran is gone; it comes back as a new agent."""
        if self.up:
            self._power_off()
            self._world.after(for_s, self.start)

    def _power_off(self) -> None:
        self.up = False
        self._boot += 1
        self._id = self._conn = None
        self._tasks.clear()
        self.client.stop()

    # ---- connection

    def _connected(self, conn: ConnId) -> None:
        self._conn = conn
        boot = f"boot-{self._boot}"
        if self._id is None:
            self._say(RegisterAgent(self.info, _VERSION, boot))
            return
        known = self._tasks.values()
        frameworks = {task.info.framework_id: task.framework for task in known}
        self._say(
            ReregisterAgent(
                replace(self.info, id=self._id),
                _VERSION,
                boot,
                tuple(replace(task.info, state=task.state) for task in known),
                tuple(frameworks.values()),
            )
        )

    def _disconnected(self, conn: ConnId) -> None:
        del conn
        self._conn = None

    def _say(self, message: AgentMessage) -> None:
        if self._conn is not None:
            self.client.send(self._conn, FromAgent(message))

    def _received(self, conn: ConnId, message: ToClient) -> None:
        if conn != self._conn or message.epoch < self._epoch:
            return
        self._epoch = message.epoch
        said: Any = message.message
        match said:
            case Ping():
                self._ping(said)
            case RunTask():
                self._run(said)
            case UpdateAcknowledged():
                self._acknowledged((said.framework_id, said.task_id), said.uuid)
            case AgentRegistered(agent_id=agent_id):
                self._id = agent_id
            case AgentReregistered(reconcile=lacking):
                for key in list(self._tasks):
                    self._send_update(key)
                for known in lacking:
                    self._never_came((known.framework_id, known.task_id))
            case KillTask(framework_id=framework_id, task_id=task_id):
                self._end((framework_id, task_id), TaskState.KILLED)
            case ShutdownFramework(framework_id=framework_id):
                for key in [key for key in self._tasks if key[0] == framework_id]:
                    del self._tasks[key]
            case ShutdownAgent():
                self.lose_power(for_s=1.0)

    def _ping(self, ping: Ping) -> None:
        self._say(Pong(ping.number))
        if not ping.connected:
            self.client.close()

    # ---- tasks

    def _run(self, launch: RunTask) -> None:
        framework_id = launch.framework.id
        assert framework_id is not None
        key = (framework_id, launch.task.task_id)
        if key in self._tasks:
            return
        task = self._tasks[key] = _Task(
            task_of(launch.task, framework_id, launch.role), launch.framework
        )
        self._world.after(self._rng.uniform(*_START_S), self._started, key, task, launch.task)

    def _started(self, key: _Key, task: _Task, launch: TaskInfo) -> None:
        if self._tasks.get(key) is not task or task.state.terminal:
            return
        self._become(key, task, TaskState.RUNNING)
        life_s = _lifetime_s(launch)
        if life_s is not None:
            self._world.after(life_s, self._finish, key, task)

    def _finish(self, key: _Key, task: _Task) -> None:
        if self._tasks.get(key) is task:
            self._end(key, TaskState.FINISHED)

    def _end(self, key: _Key, state: TaskState) -> None:
        task = self._tasks.get(key)
        if task is not None and not task.state.terminal:
            self._become(key, task, state)

    def _become(self, key: _Key, task: _Task, state: TaskState) -> None:
        task.state = state
        status = TaskStatus(
            key[1],
            state,
            source=Source.EXECUTOR,
            agent_id=self._id,
            timestamp=self._world.now_s,
            uuid=self._rng.getrandbits(128).to_bytes(16, "big"),
        )
        task.updates.append(status)
        if len(task.updates) == 1:
            self._send_update(key)
            self._world.after(_REPEAT_MIN_S, self._repeat, key, status, _REPEAT_MIN_S)

    def _send_update(self, key: _Key) -> None:
        task = self._tasks[key]
        if task.updates:
            self._say(StatusUpdate(key[0], task.updates[0], task.state))

    def _repeat(self, key: _Key, status: TaskStatus, waited_s: float) -> None:
        task = self._tasks.get(key)
        if task is not None and task.updates and task.updates[0] is status:
            self._send_update(key)
            wait_s = min(2 * waited_s, _REPEAT_MAX_S)
            self._world.after(wait_s, self._repeat, key, status, wait_s)

    def _acknowledged(self, key: _Key, uuid: bytes) -> None:
        task = self._tasks.get(key)
        if task is None or not task.updates or task.updates[0].uuid != uuid:
            return
        over = task.updates.popleft().state.terminal
        if over:
            del self._tasks[key]
        elif task.updates:
            self._send_update(key)
            status = task.updates[0]
            self._world.after(_REPEAT_MIN_S, self._repeat, key, status, _REPEAT_MIN_S)

    def _never_came(self, key: _Key) -> None:
        if key not in self._tasks:
            status = TaskStatus(
                key[1],
                TaskState.DROPPED,
                message="the launch never arrived",
                source=Source.AGENT,
                reason=Reason.RECONCILIATION,
                agent_id=self._id,
            )
            self._say(StatusUpdate(key[0], status, TaskState.DROPPED))


def _lifetime_s(task: TaskInfo) -> float | None:
    """`sleep N` ends after N seconds; everything else runs until it is killed."""
    line = task.command.value if task.command else None
    if line is not None and line.startswith("sleep "):
        return float(line.removeprefix("sleep "))
    return None
