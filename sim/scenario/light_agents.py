"""Agents without a core: they speak the protocol and time the tasks, and are cheap by the thousand.

Each is a `FakeAgent` on the simulated network: what that keeps of a real agent, and what it lacks,
stands there. It has no ear for the deposed; its tasks start after a moment and end in their time;
and it repeats updates until they are acknowledged.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final

from mezzo.cluster.model import AgentInfo, Task, TaskInfo, TaskStatus
from mezzo.cluster.states import TaskState
from mezzo.ids import ConnId
from mezzo.messages.agent import AgentMessage, ShutdownAgent, StatusUpdate, UnregisterAgent

from ..daemons.master_link import Client, Server
from ..daemons.masters import FromAgent, ToClient
from ..fakes.fake_agent import FakeAgent, Said, TaskKey
from ..world.network import Network

_START_S: Final = (0.01, 0.5)  # from the launch to running: as the virtual machines have it
_REPEAT_MIN_S: Final = 10.0  # an update without an answer; doubled each time (Mesos agent)
_REPEAT_MAX_S: Final = 600.0


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
        self._agent = FakeAgent(
            info,
            launched=self._launched,
            uuids=lambda: self._rng.getrandbits(128).to_bytes(16, "big"),
        )
        self._repeated: dict[TaskKey, TaskStatus] = {}  # what is said now and again
        self._epoch = 0
        self._conn: ConnId | None = None
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
        """The agent leaves for good, and says so."""
        if self.up:
            self._say(UnregisterAgent())
            self._power_off()

    def lose_power(self, for_s: float) -> None:
        """All that the agent knew or ran is gone; it comes back as a new one."""
        if self.up:
            self._power_off()
            self._world.after(for_s, self.start)

    def _power_off(self) -> None:
        self.up = False
        self._conn = None
        self._agent.forget()
        self._repeated.clear()
        self.client.stop()

    # ---- connection

    def _connected(self, conn: ConnId) -> None:
        self._conn = conn
        self._say(self._agent.introduction())

    def _disconnected(self, conn: ConnId) -> None:
        del conn
        self._conn = None

    def _received(self, conn: ConnId, message: ToClient) -> None:
        if conn != self._conn or message.epoch < self._epoch:
            return
        self._epoch = message.epoch
        said: Any = message.message
        if isinstance(said, ShutdownAgent):
            self.lose_power(for_s=1.0)
        else:
            self._say(*self._agent.hear(said, self._world.now_s))

    def _say(self, *messages: AgentMessage) -> None:
        for message in messages:
            if self._conn is not None:
                self.client.send(self._conn, FromAgent(message))
            if isinstance(message, StatusUpdate):
                self._repeat_later(message)

    def _repeat_later(self, update: StatusUpdate) -> None:
        key, status = (update.framework_id, update.status.task_id), update.status
        if self._repeated.get(key) is not status:
            self._repeated[key] = status
            self._world.after(_REPEAT_MIN_S, self._repeat, key, status, _REPEAT_MIN_S)

    def _repeat(self, key: TaskKey, status: TaskStatus, waited_s: float) -> None:
        if self._repeated.get(key) is not status:
            return  # the next one is under way
        update = self._agent.under_way(key)
        if update is None or update.status is not status:
            del self._repeated[key]
            return
        self._say(update)
        wait_s = min(2 * waited_s, _REPEAT_MAX_S)
        self._world.after(wait_s, self._repeat, key, status, wait_s)

    # ---- tasks

    def _launched(self, key: TaskKey, info: TaskInfo) -> Said:
        task = self._agent.tasks[key]
        self._world.after(self._rng.uniform(*_START_S), self._started, key, task, info)
        return ()

    def _started(self, key: TaskKey, task: Task, info: TaskInfo) -> None:
        if self._agent.tasks.get(key) is not task:
            return  # killed meanwhile
        self._move(key, TaskState.RUNNING)
        life_s = _lifetime_s(info)
        if life_s is not None:
            self._world.after(life_s, self._finish, key, self._agent.tasks[key])

    def _finish(self, key: TaskKey, task: Task) -> None:
        if self._agent.tasks.get(key) is task:
            self._move(key, TaskState.FINISHED)

    def _move(self, key: TaskKey, state: TaskState) -> None:
        self._say(*self._agent.move(key, state, self._world.now_s))


def _lifetime_s(task: TaskInfo) -> float | None:
    """`sleep N` ends after N seconds; everything else runs until it is killed."""
    line = task.command.value if task.command else None
    if line is not None and line.startswith("sleep "):
        return float(line.removeprefix("sleep "))
    return None
