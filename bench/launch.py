"""No-op tasks per second through a real master, gRPC and 20 agents: durable to RUNNING.

The master is a process of its own. The agents live in this one: real cores, real stores (SQLite,
synchronous=FULL) and real streams, but containers that start at once and do nothing. A framework on
the SDK launches as many tasks as it is offered room for; a task counts when its TASK_RUNNING has
arrived at the framework, which is after the agent has stored it.

    python bench/launch.py [--tasks N] [--full]
"""

import argparse
import asyncio
import json
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from _daemons import check, end, free_port, start, until

from mezzo import MESOS_VERSION
from mezzo.agent.config import AgentConfig
from mezzo.agent.container import ContainerExited, ContainerStarted, Kind
from mezzo.agent.core import AgentCore
from mezzo.agent.effects import KillContainer, LaunchContainer, Send
from mezzo.agent.events import MasterDown, MasterSaid, MasterUp, Started
from mezzo.cluster.model import AgentInfo
from mezzo.election.detector import detector_for
from mezzo.errors import MezzoError
from mezzo.frameworks.sdk import (
    CommandInfo,
    Driver,
    Filters,
    Offer,
    Resources,
    Scheduler,
    SchedulerDriver,
    TaskInfo,
    TaskState,
    TaskStatus,
    framework_info,
)
from mezzo.ids import IdSource
from mezzo.messages.operator import Agents, GetAgents
from mezzo.process import log
from mezzo.process.daemon import cli_command
from mezzo.runtime import Runtime
from mezzo.store.open import open_store
from mezzo.wire.clients.agent_link import AgentLink
from mezzo.wire.clients.operator_client import OperatorClient

AGENTS = 20
TASK = Resources.of(cpus=0.01, mem=1)


class NoopAgent:
    """A real agent but for its containers, which start at once and run until they are killed."""

    def __init__(self, number: int, master: str, folder: Path) -> None:
        store = open_store(f"sqlite:{folder}/agent{number}.db")
        store.open_term()
        info = AgentInfo(
            hostname=f"agent{number}",
            port=10_000 + number,
            resources=Resources.of(cpus=1000, mem=1_000_000),
        )
        config = AgentConfig(info, MESOS_VERSION, "127.0.0.1", str(folder), (Kind.PROCESS,))
        core = AgentCore(config, store.load(), IdSource(random.Random(number)))
        self.runtime = Runtime(core, store, self.perform)
        post = self.runtime.post
        self.link = AgentLink(
            detector_for(master),
            on_up=lambda conn: post(MasterUp(conn)),
            on_messages=lambda conn, epoch, messages: [
                post(MasterSaid(conn, epoch, message)) for message in messages
            ],
            on_down=lambda conn: post(MasterDown(conn)),
        )
        post(Started("boot"))

    def perform(self, effect: object) -> None:
        match effect:
            case Send(conn, message):
                self.link.send(conn, message)
            case LaunchContainer(spec):
                self.runtime.post(ContainerStarted(spec.container_id, pid=1))
            case KillContainer(container_id):
                self.runtime.post(ContainerExited(container_id, signal=signal.SIGTERM))
            case _:
                pass  # sandboxes that were never made need no removal


class Launcher(Scheduler):
    def __init__(self, tasks: int) -> None:
        self.tasks = tasks
        self.launched = 0
        self.running = 0
        self.began = 0.0
        self.done = threading.Event()

    def resource_offers(self, driver: Driver, offers: list[Offer]) -> None:
        self.began = self.began or time.perf_counter()
        for offer in offers:
            count = min(self.tasks - self.launched, max(1, self.tasks // AGENTS))
            names = range(self.launched, self.launched + count)
            self.launched += count
            tasks = [
                TaskInfo(
                    f"noop {n}", f"noop-{n}", offer.agent_id, TASK, command=CommandInfo("true")
                )
                for n in names
            ]
            driver.launch_tasks(
                [offer.id], tasks, Filters(0 if self.launched < self.tasks else 600)
            )

    def status_update(self, driver: Driver, status: TaskStatus) -> None:
        if status.state is TaskState.RUNNING:
            self.running += 1
            if self.running == self.tasks:
                self.done.set()


async def agents(master: str, folder: Path, ready: threading.Event, stop: asyncio.Event) -> None:
    members = [NoopAgent(number, master, folder) for number in range(AGENTS)]
    jobs = [asyncio.create_task(m.runtime.run()) for m in members]
    jobs += [asyncio.create_task(m.link.run()) for m in members]
    ready.set()
    await stop.wait()
    for job in jobs:
        job.cancel()
    await asyncio.wait(jobs)


def all_registered(master: str) -> bool:
    client = OperatorClient(master)
    try:
        _, answer = client.call(GetAgents())
    except MezzoError:  # the master is starting
        return False
    finally:
        client.close()
    return isinstance(answer, Agents) and len(answer.agents) == AGENTS


def measure(tasks: int) -> float:
    """Tasks per second from the first offer to the last RUNNING."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        port = free_port()
        master = f"127.0.0.1:{port}"
        command = cli_command(
            *("master", "--port", str(port), "--gateway-port", "0", "--log-level", "warning"),
            *("--work-dir", str(folder / "master")),
        )
        process = start("the master", command)
        loop = asyncio.new_event_loop()
        stop = asyncio.Event()
        ready = threading.Event()
        thread = threading.Thread(
            target=loop.run_until_complete, args=(agents(master, folder, ready, stop),)
        )
        thread.start()
        try:
            ready.wait()
            # Their coming is not what is measured.
            until("the agents have registered", lambda: all_registered(master), within_s=60)
            scheduler = Launcher(tasks)
            driver = SchedulerDriver(scheduler, framework_info("bench"), master)
            driver.start()
            deadline = time.monotonic() + 120
            while not scheduler.done.wait(1.0):
                check()
                if time.monotonic() > deadline:
                    raise SystemExit(f"only {scheduler.running} of {tasks} tasks run after 120 s")
            rate = tasks / (time.perf_counter() - scheduler.began)
            driver.stop()
            return rate
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join()
            end(process)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=2_000)
    parser.add_argument("--full", action="store_true", help="10,000 tasks, 5 runs")
    options = parser.parse_args()
    log.configure(level="error", stream=sys.stderr)
    tasks, runs = (10_000, 5) if options.full else (options.tasks, 3)
    rates = [measure(tasks) for _ in range(runs)]
    print(
        json.dumps(
            {
                "bench": "launch",
                "case": f"{tasks} tasks on {AGENTS} agents",
                "value": round(statistics.median(rates)),
                "unit": "tasks/s",
            }
        )
    )


if __name__ == "__main__":
    main()
