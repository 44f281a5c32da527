"""A master for one agent, and the agent as a process that can be killed: for the tests of agents.

The master speaks the real protocol on a loop of its own, records what it hears, acknowledges
(unless told not to) and says what a test wants it to say.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mezzo.agent.containerizer.native.cgroups import usable_cgroups
from mezzo.cluster.model import (
    Capability,
    CommandInfo,
    EnvironmentVariable,
    FrameworkInfo,
    TaskInfo,
    TaskStatus,
)
from mezzo.cluster.resources import Resources
from mezzo.cluster.states import TaskState
from mezzo.ids import AgentId, ConnId, FrameworkId, TaskId
from mezzo.messages import agent as am
from mezzo.process.daemon import PARENT_VARIABLE
from mezzo.process.users import current_user
from mezzo.wire.grpc_server import MasterServer

WITHIN_S = 60.0
FRAMEWORK = FrameworkInfo(
    user=current_user(),
    name="test",
    id=FrameworkId("F1"),
    checkpoint=True,
    capabilities=(Capability.PARTITION_AWARE, Capability.TASK_KILLING_STATE),
)
AGENT_ID = AgentId("S1")

_RUN_AGENT = """
import dataclasses, json, sys
from pathlib import Path
from mezzo.process import daemon, log
from mezzo.agent.config import AgentConfig
from mezzo.agent.options import AgentOptions
from mezzo.agent.process.shell import run_agent
from mezzo.flags import FlagsOf
options = json.loads(sys.argv[1])
of_core = options.keys() - {field.name for field in dataclasses.fields(AgentOptions)}
options["core"] = FlagsOf(AgentConfig, {name: options.pop(name) for name in of_core})
log.configure(level="info", json=True)
options["work_dir"] = Path(options["work_dir"])
sys.exit(daemon.run(lambda: run_agent(AgentOptions(**options)), name="agent"))
"""


@dataclass
class Heard:
    """All that the agent has said, in order."""

    messages: list[am.AgentMessage] = field(default_factory=list)

    def updates(self, task_id: str) -> list[TaskStatus]:
        """Of one task, each uuid once, in the order in which they came first."""
        seen: dict[bytes | None, TaskStatus] = {}
        for message in self.messages:
            if isinstance(message, am.StatusUpdate) and message.status.task_id == task_id:
                seen.setdefault(message.status.uuid, message.status)
        return list(seen.values())

    def states(self, task_id: str) -> list[TaskState]:
        return [status.state for status in self.updates(task_id)]


class Master:
    """Handler of `MasterServer` on a thread of its own; the public methods are for the test's."""

    def __init__(self) -> None:
        self.heard = Heard()
        self.acknowledges = True
        self.port = 0
        self._conn: ConnId | None = None
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._on_loop(self._start())

    async def _start(self) -> None:
        self._server = MasterServer(leader=lambda: None)
        self._server.lead(self, 1)
        self.port = await self._server.start("127.0.0.1", 0)

    def _on_loop(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(WITHIN_S)

    def stop(self) -> None:
        self._on_loop(self._server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # ---- for the test

    def say(self, message: am.MasterMessage) -> None:
        async def send() -> None:
            assert self._conn is not None
            self._server.send(self._conn, message)

        self._on_loop(send())

    def run(self, task: TaskInfo, framework: FrameworkInfo = FRAMEWORK) -> None:
        self.say(am.RunTask(framework, task))

    def kill(self, task_id: str) -> None:
        self.say(am.KillTask(FrameworkId("F1"), TaskId(task_id)))

    def wait(self, what: str, condition: Callable[[Heard], bool]) -> None:
        with self._changed:
            met = self._changed.wait_for(lambda: condition(self.heard), WITHIN_S)
        assert met, f"{what} within {WITHIN_S} s; heard: {self.heard.messages[-8:]}"

    def wait_state(self, task_id: str, state: TaskState) -> TaskStatus:
        """Until the task has been in `state`; its first update of it."""
        self.wait(f"{task_id} {state}", lambda heard: state in heard.states(task_id))
        return next(s for s in self.heard.updates(task_id) if s.state is state)

    def wait_pid(self, task_id: str) -> int:
        """Until the task runs; its process."""
        running = self.wait_state(task_id, TaskState.RUNNING).container_status
        assert running is not None
        assert running.executor_pid is not None
        return running.executor_pid

    def wait_registration(self, *, times: int = 1) -> am.RegisterAgent | am.ReregisterAgent:
        """Until the agent has come `times` times; what it said then."""
        kinds = (am.RegisterAgent, am.ReregisterAgent)

        def found(heard: Heard) -> list[am.RegisterAgent | am.ReregisterAgent]:
            return [message for message in heard.messages if isinstance(message, kinds)]

        self.wait(f"registration {times}", lambda heard: len(found(heard)) >= times)
        return found(self.heard)[times - 1]

    # ---- Handler, on the loop

    def agent_said(self, conn: ConnId, messages: list[am.AgentMessage]) -> None:
        self._conn = conn
        for message in messages:
            self._answer(conn, message)
        with self._changed:
            self.heard.messages += messages
            self._changed.notify_all()

    def _answer(self, conn: ConnId, message: am.AgentMessage) -> None:
        match message:
            case am.RegisterAgent():
                self._server.send(conn, am.AgentRegistered(AGENT_ID))
            case am.ReregisterAgent(info=info):
                assert info.id is not None
                self._server.send(conn, am.AgentReregistered(info.id))
            case am.StatusUpdate(framework_id=framework_id, status=status) if self.acknowledges:
                if status.uuid is not None:  # else it is told once
                    self._server.send(
                        conn, am.UpdateAcknowledged(framework_id, status.task_id, status.uuid)
                    )
            case _:
                pass

    def closed(self, conn: ConnId) -> None:
        if conn == self._conn:
            self._conn = None

    def framework_said(self, *_: object) -> None:
        raise AssertionError("no framework is here")

    def operator_joined(self, *_: object) -> None:
        raise AssertionError("no operator is here")

    def operator_asked(self, *_: object) -> None:
        raise AssertionError("no operator is here")


class Agent:
    """`mezzo agent` as a process, with a work directory that outlives it.

    options: fields of AgentOptions, and those of AgentConfig that have a flag.
    """

    def __init__(self, master: Master, work_dir: Path, **options: object) -> None:
        self.work_dir = work_dir
        self._options: dict[str, object] = {
            "master": f"127.0.0.1:{master.port}",
            "work_dir": str(work_dir),
            "port": 0,
            "resources": "cpus:4;mem:4096;disk:1024;ports:[31000-32000]",
            "containerizers": "process",
        } | options
        self._log = work_dir.with_name(f"{work_dir.name}.log")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, **options: object) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _RUN_AGENT, json.dumps(self._options | options)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # It ends with us, whatever ends us: else its master's port, once it is another's,
                # has an agent that nobody expects there.
                env=os.environ | {"MEZZO_SECRET": "swordfish", PARENT_VARIABLE: str(os.getpid())},
                start_new_session=True,
            )

    def crash(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(WITHIN_S)

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WITHIN_S)

    def processes(self) -> list[int]:
        """All that live and have a sandbox of this agent in their environment."""
        marker = f"MESOS_DIRECTORY={self.work_dir.resolve()}/".encode()
        return [pid for pid in pids() if alive(pid) and marker in proc_file(pid, "environ")]

    def end_tasks(self) -> None:
        """Of a stopped agent, keepers first. A test leaves nothing running."""
        folder = f"{self.work_dir.resolve()}/run/".encode()
        for _ in range(5):
            keepers = [pid for pid in pids() if folder in proc_file(pid, "cmdline")]
            for pid in keepers + self.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        owner = self.work_dir / "owner"
        groups = usable_cgroups(owner.read_text().strip()) if owner.exists() else None
        for container_id in groups.found() if groups is not None else ():
            assert groups is not None
            groups.end(container_id)

    def logged(self) -> list[dict[str, Any]]:
        return [
            json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")
        ]

    def log_text(self) -> str:
        return self._log.read_text()

    def get(self, path: str) -> bytes:
        """Of the agent's HTTP server. Raises urllib.error.HTTPError."""
        started = [line for line in self.logged() if line["event"] == "agent.started"]
        with urllib.request.urlopen(
            f"http://{started[-1]['http']}{path}", timeout=WITHIN_S
        ) as answer:
            return bytes(answer.read())


def agent_world(work_dir: Path, **options: object) -> Iterator[tuple[Master, Agent]]:
    """A registered agent and its master, both ended at the end. For fixtures."""
    master = Master()
    agent = Agent(master, work_dir, **options)
    agent.start()
    try:
        master.wait_registration()
        yield master, agent
    finally:
        if agent.process is not None and agent.process.poll() is None:
            agent.stop()
        agent.end_tasks()
        master.stop()


def task(task_id: str, line: str, **fields: object) -> TaskInfo:
    """A shell line as a process, with a secret in its environment."""
    command = CommandInfo(
        line, environment=(EnvironmentVariable("PASSWORD", "hunter2"),), user=current_user()
    )
    return TaskInfo(
        name=task_id,
        task_id=TaskId(task_id),
        agent_id=AGENT_ID,
        resources=Resources.of(cpus=0.1, mem=32),
        command=command,
        **fields,  # type: ignore[arg-type]
    )


def sandbox(agent: Agent, task_id: str) -> Path:
    work_dir = agent.work_dir
    return work_dir / f"slaves/S1/frameworks/F1/executors/{task_id}/runs/latest"


def pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def proc_file(pid: int, name: str) -> bytes:
    """Empty for a process that is gone."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def any_with(mark: str) -> bool:
    return any(mark.encode() in proc_file(pid, "cmdline") for pid in pids())


def groups_of(agent: Agent) -> list[Path]:
    """Its control groups, where it has some."""
    contained = [line["by"] for line in agent.logged() if line["event"] == "process.containment"]
    base = Path(contained[-1].rpartition(" ")[2])
    return [entry for entry in base.glob("*") if entry.is_dir()]


def alive(pid: int) -> bool:
    """Also an orphan that nobody has reaped yet is dead."""
    state = proc_file(pid, "stat").rpartition(b")")[2].split()
    return bool(state) and state[0] not in (b"Z", b"X")


def wait_until(what: str, condition: Callable[[], bool]) -> None:
    """For what the master does not hear of."""
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


_numbers = itertools.count(1)


def unique(name: str) -> str:
    """A task id that no other test of any run has."""
    return f"{name}-{os.getpid()}-{next(_numbers)}"
