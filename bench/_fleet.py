"""Many thin agents in one process, for `bench/scale.py`: real streams, scripted behaviour.

Each agent is a real `AgentLink` (its own connection, jitter and backoff), says what a `FakeAgent`
says, and runs a task by storing it, storing that it runs, and only then saying so; it forgets the
status once it is acknowledged. So it says nothing before it is durable, as a real agent does. All
agents of the process share one SQLite file (synchronous=FULL), and what they store within one
commit is one transaction: ten thousand files would measure the disk of this machine, not the
master.
"""

import asyncio
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

import uvloop

from mezzo.cluster.model import AgentInfo, TaskInfo
from mezzo.cluster.resources import Resources
from mezzo.cluster.states import TaskState
from mezzo.core import Delete, Put, Write
from mezzo.election.base import LeaderChanged, LeaderDetector
from mezzo.election.detector import detector_for
from mezzo.ids import ConnId
from mezzo.messages import agent as m
from mezzo.process import log
from mezzo.record import encode
from mezzo.sim.fakes.fake_agent import FakeAgent, Said, TaskKey
from mezzo.store.base import StateStore
from mezzo.store.open import open_store
from mezzo.wire.clients.agent_link import AgentLink
from mezzo.wire.grpc_server import allow_many_connections

Pipe = Connection[Any, Any] if TYPE_CHECKING else Connection
EACH = Resources.of(cpus=16, mem=64_000)


class Shared(LeaderDetector):
    """One detector for all agents of the process: one ZooKeeper session instead of ten thousand."""

    def __init__(self, address: str) -> None:
        self._detector = detector_for(address, session_timeout_s=4.0)
        self._listeners: list[Callable[[LeaderChanged], None]] = []
        self._known: LeaderChanged | None = None

    def start(self, listener: Callable[[LeaderChanged], None]) -> None:
        self._listeners.append(listener)
        if len(self._listeners) == 1:
            self._detector.start(self._tell)
        elif self._known is not None:
            listener(self._known)

    def _tell(self, change: LeaderChanged) -> None:
        self._known = change
        for listener in self._listeners:
            listener(change)

    def stop(self) -> None:
        """The process ends soon."""


class Disk:
    """Group commit: `after` is called on the loop once the write is durable."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._waiting: list[tuple[Write, Callable[[], None] | None]] = []
        self._busy = False

    def keep(self, write: Write, after: Callable[[], None] | None = None) -> None:
        self._waiting.append((write, after))
        if not self._busy:
            self._busy = True
            asyncio.get_running_loop().call_soon(self._commit)

    def _commit(self) -> None:
        group, self._waiting = self._waiting, []
        loop = asyncio.get_running_loop()
        done = loop.run_in_executor(None, self._store.commit, [write for write, _ in group])
        done.add_done_callback(lambda done: self._committed(done, group))

    def _committed(
        self, done: asyncio.Future[None], group: list[tuple[Write, Callable[[], None] | None]]
    ) -> None:
        done.result()
        for _, after in group:
            if after is not None:
                after()
        if self._waiting:
            self._commit()
        else:
            self._busy = False


class ThinAgent:
    def __init__(self, fleet: "Fleet", number: int) -> None:
        self._fleet = fleet
        info = AgentInfo(f"agent{number}", port=5051, resources=EACH)
        self._agent = FakeAgent(info, launched=self._launched)
        self._conn: ConnId | None = None
        self.link = AgentLink(
            fleet.detector, on_up=self._up, on_messages=self._heard, on_down=self._down
        )

    def _up(self, conn: ConnId) -> None:
        self._conn = conn
        self._say(self._agent.introduction())

    def _down(self, conn: ConnId) -> None:
        self._conn = None
        self._fleet.members.pop(self, None)

    def _say(self, *messages: m.AgentMessage) -> None:
        if self._conn is not None:
            for message in messages:
                self.link.send(self._conn, message)

    def _heard(self, conn: ConnId, epoch: int, messages: list[m.MasterMessage]) -> None:
        for message in messages:
            if isinstance(message, m.UpdateAcknowledged):
                self._acknowledged((message.framework_id, message.task_id))
            self._say(*self._agent.hear(message, time.time()))
            if isinstance(message, m.AgentRegistered | m.AgentReregistered):
                self._fleet.joined(self)

    def _launched(self, key: TaskKey, info: TaskInfo) -> Said:
        self._fleet.launched()
        self._fleet.disk.keep(Put(f"task/{_name(key)}", encode(info)), lambda: self._started(key))
        return ()

    def _started(self, key: TaskKey) -> None:
        status = self._agent.status(key[1], TaskState.RUNNING, time.time())
        self._fleet.disk.keep(
            Put(f"status/{_name(key)}", encode(status)),
            lambda: self._say(*self._agent.tell(key[0], status)),
        )

    def _acknowledged(self, key: TaskKey) -> None:
        if key in self._agent.pending:
            self._fleet.acknowledged()
            self._fleet.disk.keep(Delete(f"status/{_name(key)}"))


def _name(key: TaskKey) -> str:
    return f"{key[0]}:{key[1]}"


class Fleet:
    """All agents, and what they count. Times are seconds of the machine's monotonic clock."""

    def __init__(self, master: str, count: int, store: StateStore) -> None:
        self.detector = Shared(master)
        self.disk = Disk(store)
        self.members: dict[ThinAgent, None] = {}  # registered now
        self.all_joined_s = 0.0
        self.launches = 0
        self.first_launch_s = 0.0  # since the counters were reset
        self.last_launch_s = 0.0
        self.acks = 0
        self.last_ack_s = 0.0
        self.agents = [ThinAgent(self, number) for number in range(count)]

    def joined(self, agent: ThinAgent) -> None:
        self.members[agent] = None
        if len(self.members) == len(self.agents):
            self.all_joined_s = time.monotonic()

    def launched(self) -> None:
        self.launches += 1
        self.last_launch_s = time.monotonic()
        self.first_launch_s = self.first_launch_s or self.last_launch_s

    def acknowledged(self) -> None:
        self.acks += 1
        self.last_ack_s = time.monotonic()

    def counts(self) -> dict[str, float]:
        return {
            "joined": len(self.members),
            "all_joined_s": self.all_joined_s,
            "launches": self.launches,
            "first_launch_s": self.first_launch_s,
            "last_launch_s": self.last_launch_s,
            "acks": self.acks,
            "last_ack_s": self.last_ack_s,
        }

    def attempts(self) -> int:
        """To connect, of all agents. Not among the counts, which are asked for all the time."""
        return sum(agent.link.attempts for agent in self.agents)

    def reset(self) -> None:
        self.first_launch_s = 0.0

    async def run(self, pipe: Pipe) -> None:
        jobs = [asyncio.create_task(agent.link.run()) for agent in self.agents]
        stopped = asyncio.Event()

        def asked() -> None:
            match pipe.recv():
                case "stop":
                    stopped.set()
                case "reset":
                    self.reset()
                    pipe.send(None)
                case "attempts":
                    pipe.send(self.attempts())
                case "counts":
                    pipe.send(self.counts())

        asyncio.get_running_loop().add_reader(pipe.fileno(), asked)
        await stopped.wait()
        for job in jobs:
            job.cancel()
        await asyncio.wait(jobs)


def run(master: str, count: int, folder: str, pipe: Pipe) -> None:
    """The process: each question in `pipe` gets one answer."""
    allow_many_connections()
    log.configure(level="error")
    store = open_store(f"sqlite:{folder}/fleet.db")
    store.open_term()

    async def main() -> None:
        await Fleet(master, count, store).run(pipe)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
