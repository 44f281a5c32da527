"""Real masters as processes, an agent that only talks, and a scheduler that writes down what it is
told. For tests of the master's process and of the SDK."""

from __future__ import annotations

import asyncio
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from mezzo.cluster.model import AgentInfo, MasterInfo
from mezzo.election.detector import detector_for
from mezzo.errors import MezzoError
from mezzo.frameworks.sdk import (
    CommandInfo,
    Driver,
    FrameworkInfo,
    Offer,
    Resources,
    Scheduler,
    SchedulerDriver,
    TaskInfo,
    TaskState,
    TaskStatus,
    framework_info,
)
from mezzo.ids import AgentId, ConnId, FrameworkId, OfferId, TaskId
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.process.daemon import cli_command
from mezzo.sim.fakes.fake_agent import FakeAgent, Said, TaskKey
from mezzo.wire.clients.agent_link import AgentLink
from mezzo.wire.clients.operator_client import OperatorClient
from tests.parts.ports import free_ports

WITHIN_S = 60.0
SMALL = Resources.of(cpus=0.1, mem=32)


def until(what: str, done: Callable[[], Any]) -> Any:
    """Ask again and again; the first answer that is true. Fails after a long while."""
    deadline = time.monotonic() + WITHIN_S
    while not (answer := done()):
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.05)
    return answer


class MasterProcess:
    """`mezzo master` without a gateway. `target`: where its gRPC server is."""

    def __init__(self, directory: Path, *options: str, zk: str | None = None) -> None:
        (self.port,) = free_ports(1)
        self.target = f"127.0.0.1:{self.port}"
        self.work_dir = directory
        self._log = directory / f"log-{self.port}"
        self._options = [
            *("--work-dir", str(directory), "--port", str(self.port), "--gateway-port", "0"),
            *(("--zk", zk, "--zk-session-timeout", "2secs") if zk else ()),
            *options,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> MasterProcess:
        self.work_dir.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                cli_command("master", *self._options),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        return self

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def ask(self, call: om.OperatorCall) -> om.OperatorResponse:
        """Raises MezzoError when it does not lead."""
        client = OperatorClient(self.target)
        try:
            return client.call(call, timeout_s=2.0)[1]
        finally:
            client.close()

    def state(self) -> om.State:
        state = self.ask(om.GetState())
        assert isinstance(state, om.State)
        return state

    def leads(self) -> bool:
        try:
            self.ask(om.GetMaster())
        except MezzoError:
            return False
        return True

    def until_it_leads(self) -> MasterProcess:
        until(f"{self.target} leads", self.leads)
        return self

    def refusal(self) -> str:
        """Why it does not answer a call."""
        try:
            self.ask(om.GetMaster())
        except MezzoError as error:
            return str(error)
        return ""

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    def wait(self) -> int:
        assert self._process is not None
        return self._process.wait(WITHIN_S)

    def _end(self, number: signal.Signals) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(number)
        return self.wait()


class TalkingAgent(FakeAgent):
    """Every task runs at once, and finishes when it is told to; `finishes_at_once`: then already.

    It speaks on a thread of its own; everything that it heard is in `heard`.
    """

    def __init__(self, master: str, resources: Resources | None = None) -> None:
        info = AgentInfo(
            f"host-{uuid4().hex[:8]}", resources=resources or Resources.of(cpus=2, mem=1024)
        )
        super().__init__(info, launched=self._begin)
        self.heard: queue.Queue[am.MasterMessage] = queue.Queue()
        self.epochs: list[int] = []
        self.finishes_at_once = False
        self._master = master
        self._conn: ConnId | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def start(self) -> TalkingAgent:
        self._thread.start()
        self._ready.wait()
        return self

    def stop(self) -> None:
        assert self._loop is not None
        assert self._main is not None
        self._loop.call_soon_threadsafe(self._main.cancel)
        self._thread.join()

    def until(self, kind: type[Any]) -> Any:
        """The next message of the kind; those before it are dropped."""
        while not isinstance(message := self.heard.get(timeout=WITHIN_S), kind):
            pass
        return message

    def say(self, message: am.AgentMessage) -> None:
        """On the stream that it has."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._send, message)

    def finish(self, framework_id: FrameworkId, task_id: str) -> None:
        assert self._loop is not None
        key = (framework_id, TaskId(task_id))
        self._loop.call_soon_threadsafe(
            lambda: self._send(*self.move(key, TaskState.FINISHED, time.time()))
        )

    def _begin(self, key: TaskKey, info: TaskInfo) -> Said:
        states = [TaskState.RUNNING, *([TaskState.FINISHED] if self.finishes_at_once else ())]
        return [said for state in states for said in self.move(key, state, time.time())]

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._link = AgentLink(
            detector_for(self._master),
            on_up=self._on_up,
            on_messages=self._on_messages,
            on_down=self._on_down,
        )
        self._main = asyncio.create_task(self._link.run())
        self._ready.set()
        await asyncio.wait([self._main])

    def _send(self, *messages: am.AgentMessage) -> None:
        if self._conn is not None:
            for message in messages:
                self._link.send(self._conn, message)

    def _on_up(self, conn: ConnId) -> None:
        self._conn = conn
        self._send(self.introduction())

    def _on_down(self, conn: ConnId) -> None:
        self._conn = None

    def _on_messages(self, conn: ConnId, epoch: int, messages: list[am.MasterMessage]) -> None:
        self.epochs.append(epoch)
        for message in messages:
            self._send(*self.hear(message, time.time()))
            self.heard.put(message)


class Recorder(Scheduler):
    """Puts every callback into a queue as (name, argument), and launches what waits in `wanted`."""

    def __init__(self, *wanted: str) -> None:
        self.wanted = list(wanted)
        self.calls: queue.Queue[tuple[str, Any]] = queue.Queue()

    def until(self, name: str, fits: Callable[[Any], bool] = lambda _: True) -> Any:
        """The argument of the next callback of that name; those before it are dropped."""
        while True:
            called, argument = self.calls.get(timeout=WITHIN_S)
            if called == name and fits(argument):
                return argument

    def until_state(self, task_id: str, state: TaskState) -> TaskStatus:
        status = self.until("status", lambda s: (s.task_id, s.state) == (task_id, state))
        assert isinstance(status, TaskStatus)
        return status

    def registered(
        self, driver: Driver, framework_id: FrameworkId, master: MasterInfo | None
    ) -> None:
        self.calls.put(("registered", framework_id))

    def reregistered(self, driver: Driver, master: MasterInfo | None) -> None:
        self.calls.put(("reregistered", master))

    def disconnected(self, driver: Driver) -> None:
        self.calls.put(("disconnected", None))

    def resource_offers(self, driver: Driver, offers: list[Offer]) -> None:
        self.calls.put(("offers", offers))
        for offer in offers:
            tasks = []
            while self.wanted and offer.resources >= SMALL:
                task_id = self.wanted.pop(0)
                tasks.append(
                    TaskInfo(
                        *(task_id, TaskId(task_id), offer.agent_id, SMALL),
                        command=CommandInfo("true"),
                    )
                )
            driver.launch_tasks([offer.id], tasks)

    def offer_rescinded(self, driver: Driver, offer_id: OfferId) -> None:
        self.calls.put(("rescinded", offer_id))

    def status_update(self, driver: Driver, status: TaskStatus) -> None:
        self.calls.put(("status", status))

    def agent_lost(self, driver: Driver, agent_id: AgentId) -> None:
        self.calls.put(("agent_lost", agent_id))

    def error(self, driver: Driver, message: str) -> None:
        self.calls.put(("error", message))


class Cluster:
    """Starts masters, agents and drivers, and ends what it started."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.masters: list[MasterProcess] = []
        self.agents: list[TalkingAgent] = []
        self.drivers: list[SchedulerDriver] = []

    def master(self, *options: str, name: str = "m", zk: str | None = None) -> MasterProcess:
        master = MasterProcess(self.directory / name, *options, zk=zk)
        self.masters.append(master)
        return master.start()

    def agent(self, master: str, resources: Resources | None = None) -> TalkingAgent:
        agent = TalkingAgent(master, resources)
        self.agents.append(agent)
        return agent.start()

    def driver(
        self,
        scheduler: Scheduler,
        master: str,
        info: FrameworkInfo | None = None,
        *,
        implicit_acknowledgements: bool = True,
    ) -> SchedulerDriver:
        driver = SchedulerDriver(
            scheduler,
            info or framework_info("test", user="nobody"),
            master,
            implicit_acknowledgements=implicit_acknowledgements,
        )
        self.drivers.append(driver)
        driver.start()
        return driver

    def end(self) -> None:
        for driver in self.drivers:
            driver.stop(failover=True)
        for agent in self.agents:
            agent.stop()
        for master in self.masters:
            master.kill()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    try:
        yield made
    finally:
        made.end()
