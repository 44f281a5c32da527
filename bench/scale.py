"""A real master under many agents and tasks, and what it costs. One JSON line per measurement.

    python bench/scale.py [--agents N] [--tasks N] [--full] [--zk] [--only CASE,...]

Three processes share the machine: `mezzo master` itself (leader solo on SQLite, or with --zk two of
them on a ZooKeeper that is started for the run), all the agents (`bench/_fleet.py` says what they
do and don't), and this one, which is the framework on the SDK and the stopwatch. --full is 10,000
agents and 100,000 tasks.

connect   all agents connect at the same moment: failed attempts, seconds until all are registered
memory    resident MB of the master then
idle      its CPU time while nothing happens, in % of one core
launch    seconds from the first accept until every TASK_RUNNING is acknowledged at its agent
poison    what other frameworks notice of one that subscribes and resets 100 times a second
kill      (--zk) the leader is killed: seconds from the end of its session to the next launch and
          until all agents are back; tasks that the new leader does not know
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar, cast
from uuid import uuid4

import _daemons
import _fleet
import psutil

from mezzo.cluster.model import MasterInfo
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
from mezzo.ids import FrameworkId, TaskId
from mezzo.messages import operator as om
from mezzo.messages.scheduler import ReconcileTask
from mezzo.process import log
from mezzo.process.daemon import cli_command
from mezzo.wire.clients.operator_client import OperatorClient

T = TypeVar("T")

CASES = ("connect", "memory", "idle", "launch", "poison", "kill")
TASK = Resources.of(cpus=0.01, mem=1)
PATIENCE_S = 300.0
LEADER_SESSION_S = 4.0


def report(case: str, value: float, unit: str, **more: object) -> None:
    line = {"bench": "scale", "case": case, "value": round(value, 2), "unit": unit, **more}
    line["load"] = round(os.getloadavg()[0], 1)  # above 3: others had a share of the two cores
    print(json.dumps(line), flush=True)


def until(what: str, done: Callable[[], T | None]) -> T:
    return _daemons.until(what, done, within_s=PATIENCE_S)


class Master:
    """`mezzo master` without a gateway, as a process of its own."""

    def __init__(self, folder: Path, zk: str | None, profile: Path | None = None) -> None:
        self.target = f"127.0.0.1:{_daemons.free_port()}"
        command = cli_command("master", "--work-dir", str(folder), "--gateway-port", "0")
        command += ["--port", self.target.rpartition(":")[2]]
        if zk is not None:
            command += ["--zk", zk, "--zk-session-timeout", f"{LEADER_SESSION_S:g}secs"]
        if profile is not None:
            command[2:2] = ["-m", "cProfile", "-o", str(profile)]
        folder.mkdir(parents=True)
        with (folder / "log").open("wb") as out:
            self._process = _daemons.start(f"the master (see {folder / 'log'})", command, out)
        self.seen = psutil.Process(self._process.pid)

    def leads(self) -> bool:
        try:
            self.ask(om.GetMaster())
        except MezzoError:
            return False
        return True

    def ask(self, call: om.OperatorCall) -> om.OperatorResponse:
        client = OperatorClient(self.target)
        try:
            return client.call(call, timeout_s=60.0)[1]
        finally:
            client.close()

    @property
    def rss_mb(self) -> float:
        return self.seen.memory_info().rss / 1e6

    @property
    def cpu_s(self) -> float:
        times = self.seen.cpu_times()
        return float(times.user + times.system)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        _daemons.end(self._process, number)


class Agents:
    """The process of all agents, asked through a pipe."""

    def __init__(self, master: str, count: int, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.count = count
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(
            target=_fleet.run, args=(master, count, str(folder), theirs), daemon=True
        )
        self._process.start()

    def counts(self) -> dict[str, float]:
        self._pipe.send("counts")
        return cast("dict[str, float]", self._pipe.recv())

    def attempts(self) -> int:
        self._pipe.send("attempts")
        return cast("int", self._pipe.recv())

    def reset(self) -> None:
        self._pipe.send("reset")
        self._pipe.recv()

    def all_joined(self) -> bool:
        return self.counts()["joined"] == self.count

    @property
    def cpu_s(self) -> float:
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def end(self) -> None:
        self._process.terminate()
        self._process.join()


class Framework(Scheduler):
    """Launches what is wanted, spread evenly over the offers, and knows what runs."""

    def __init__(self, name: str, master: str) -> None:
        self._lock = threading.Lock()
        self._wanted = 0  # tasks still to be launched
        self._per_offer = 1
        self._number = 0
        self.first_accept_s = 0.0
        self.running: set[TaskId] = set()
        self.answers: dict[TaskId, threading.Event] = {}
        self.ready = threading.Event()
        self.driver = SchedulerDriver(self, framework_info(name), master)
        self.driver.start()

    def launch(self, tasks: int, per_offer: int) -> None:
        self.first_accept_s = 0.0
        with self._lock:
            self._wanted, self._per_offer = tasks, per_offer
        self.driver.revive_offers()

    def registered(
        self, driver: Driver, framework_id: FrameworkId, master: MasterInfo | None
    ) -> None:
        self.ready.set()

    def resource_offers(self, driver: Driver, offers: list[Offer]) -> None:
        for offer in offers:
            with self._lock:
                count = min(self._wanted, self._per_offer)
                self._wanted -= count
            if count == 0:
                driver.decline_offer(offer.id, Filters(3600))
                continue
            self.first_accept_s = self.first_accept_s or time.monotonic()
            driver.launch_tasks([offer.id], self._tasks(offer, count), Filters(3600))

    def _tasks(self, offer: Offer, count: int) -> Iterator[TaskInfo]:
        for _ in range(count):
            self._number += 1
            name = f"noop-{self._number}"
            yield TaskInfo(name, TaskId(name), offer.agent_id, TASK, command=CommandInfo("true"))

    def status_update(self, driver: Driver, status: TaskStatus) -> None:
        if status.state is TaskState.RUNNING:
            self.running.add(status.task_id)
        if (answered := self.answers.pop(status.task_id, None)) is not None:
            answered.set()

    def round_trip_s(self) -> float:
        """Ask the master about a task that nobody knows, and wait for what it says."""
        name = TaskId(f"unknown-{uuid4()}")
        answered = self.answers[name] = threading.Event()
        began = time.monotonic()
        self.driver.reconcile_tasks([ReconcileTask(name)])
        if not answered.wait(PATIENCE_S):
            raise SystemExit("the master does not answer a reconciliation")
        return time.monotonic() - began


@contextlib.contextmanager
def poison(master: str, rate: float) -> Iterator[None]:
    """A framework that subscribes and resets, `rate` times a second."""
    script = Path(__file__).with_name("_poison.py")
    process = subprocess.Popen([sys.executable, str(script), master, str(rate)])
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def measure_connect(master: Master, agents: Agents, began_s: float) -> None:
    until("all agents are registered", agents.all_joined)
    counts = agents.counts()
    case = f"{agents.count} agents connect all at once"
    report(f"{case}: failed", agents.attempts() - agents.count, "connects")
    report(case, counts["all_joined_s"] - began_s, "s", master_cpu_s=round(master.cpu_s, 1))


def measure_idle(master: Master, agents: Agents, window_s: float) -> None:
    time.sleep(3)
    began_s, cpu_s, theirs_s = time.monotonic(), master.cpu_s, agents.cpu_s
    time.sleep(window_s)
    took_s = time.monotonic() - began_s
    report(
        f"{agents.count} agents idle",
        100 * (master.cpu_s - cpu_s) / took_s,
        "% of a core",
        agents_cpu=round(100 * (agents.cpu_s - theirs_s) / took_s, 1),
    )


def measure_launch(master: Master, agents: Agents, framework: Framework, tasks: int) -> None:
    cpu_s, theirs_s, ours_s = master.cpu_s, agents.cpu_s, time.process_time()
    framework.launch(tasks, -(-tasks // agents.count))
    until("all tasks are acknowledged", lambda: agents.counts()["acks"] >= tasks)
    seconds = agents.counts()["last_ack_s"] - framework.first_accept_s
    report(
        f"{tasks} tasks RUNNING on {agents.count} agents",
        seconds,
        "s",
        tasks_per_s=round(tasks / seconds),
        master_cpu_s=round(master.cpu_s - cpu_s, 1),
        agents_cpu_s=round(agents.cpu_s - theirs_s, 1),
        framework_cpu_s=round(time.process_time() - ours_s, 1),
        rss_mb=round(master.rss_mb),
    )


def measure_poison(master: Master, framework: Framework) -> None:
    def trips(seconds: float = 10.0) -> tuple[float, float, float]:
        cpu_s, began_s = master.cpu_s, time.monotonic()
        times = []
        while time.monotonic() < began_s + seconds:
            times.append(framework.round_trip_s())
            time.sleep(0.02)
        cpu = 100 * (master.cpu_s - cpu_s) / (time.monotonic() - began_s)
        times.sort()
        return 1000 * statistics.median(times), 1000 * times[int(len(times) * 0.99)], cpu

    calm = trips()
    with poison(master.target, 100):
        first = trips(5.0)  # it takes the short streams that are free
        poisoned = trips()
    for name, at in (("median", 0), ("99 %", 1)):
        report(
            f"round trip of a framework beside a poison one, {name}",
            poisoned[at],
            "ms",
            without=round(calm[at], 2),
        )
    report("... 99 % of the first 5 s beside it", first[1], "ms")
    report("master beside a poison framework", poisoned[2], "% of a core", without=round(calm[2]))


def measure_kill(
    leader: Master, standby: Master, zk: str, agents: Agents, framework: Framework
) -> None:
    from kazoo.client import KazooClient

    hosts, _, path = zk.removeprefix("zk://").partition("/")
    client = KazooClient(hosts)
    client.start()
    try:
        before = min(client.get_children(f"/{path}"))
        known = set(framework.running)
        began_cpu_s = (standby.cpu_s, agents.cpu_s, time.process_time())
        agents.reset()
        leader.end(signal.SIGKILL)
        framework.launch(agents.count, 1)  # one more on each agent: as soon as one is offered
        until("the leader's session is over", lambda: not client.exists(f"/{path}/{before}"))
        over_s = time.monotonic()
    finally:
        client.stop()
    first_s = until("the next launch", lambda: _after(agents.counts()["first_launch_s"], over_s))
    report("leader kill: session's end to the next launch", first_s - over_s, "s")
    back_s = until("all agents are back", lambda: _after(agents.counts()["all_joined_s"], over_s))
    report(
        f"leader kill: all {agents.count} agents back",
        back_s - over_s,
        "s",
        standby_cpu_s=round(standby.cpu_s - began_cpu_s[0], 1),
        agents_cpu_s=round(agents.cpu_s - began_cpu_s[1], 1),
        framework_cpu_s=round(time.process_time() - began_cpu_s[2], 1),
    )
    until("the new tasks run", lambda: len(framework.running) == len(known) + agents.count)
    state = standby.ask(om.GetTasks())
    assert isinstance(state, om.Tasks)
    live = {task.task_id for task in state.tasks}
    report(
        f"leader kill: lost of {len(known)} tasks",
        len(known - live),
        "tasks",
        standby_cpu_s=round(standby.cpu_s, 1),
        rss_mb=round(standby.rss_mb),
    )


def _after(at_s: float, since_s: float) -> float | None:
    return at_s if at_s > since_s else None


@contextlib.contextmanager
def zookeeper(folder: Path) -> Iterator[str]:
    sys.path.insert(0, str(Path(__file__).parent.parent))
    from tests.parts.zookeeper import ZkEnsemble

    ensemble = ZkEnsemble(folder, 1)
    try:
        ensemble.start()
        yield ensemble.url("/bench")
    finally:
        ensemble.kill()


def measure(options: argparse.Namespace, folder: Path, zk: str | None) -> None:
    only: tuple[str, ...] = options.only
    with contextlib.ExitStack() as stack:
        leader = Master(folder / "leader", zk, options.profile)
        stack.callback(leader.end)
        until("the master leads", leader.leads)
        standby = None
        if zk is not None:
            standby = Master(folder / "standby", zk)
            stack.callback(standby.end)
        where = zk or leader.target
        began_s = time.monotonic()
        agents = Agents(where, options.agents, folder / "agents")
        stack.callback(agents.end)
        if "connect" in only:
            measure_connect(leader, agents, began_s)
        else:
            until("all agents are registered", agents.all_joined)
        if "memory" in only:
            report(f"{options.agents} agents", leader.rss_mb, "MB resident")
        if "idle" in only:
            measure_idle(leader, agents, options.idle)
        framework = Framework("bench", where)
        stack.callback(lambda: framework.driver.stop(failover=True))
        framework.ready.wait(PATIENCE_S)
        tasks = options.tasks if "launch" in only else 0
        if tasks:
            measure_launch(leader, agents, framework, tasks)
        if "poison" in only:
            measure_poison(leader, framework)
        if "kill" in only and standby is not None and zk is not None:
            measure_kill(leader, standby, zk, agents, framework)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--agents", type=int, default=500)
    parser.add_argument("--tasks", type=int, default=5_000)
    parser.add_argument("--full", action="store_true", help="10,000 agents, 100,000 tasks")
    parser.add_argument("--zk", action="store_true", help="on ZooKeeper, with a standby")
    parser.add_argument("--idle", type=float, default=30.0, help="seconds to be idle")
    parser.add_argument("--only", type=lambda text: tuple(text.split(",")), default=CASES)
    parser.add_argument("--profile", type=Path, help="cProfile the master into this file")
    options = parser.parse_args()
    if options.full:
        options.agents, options.tasks = 10_000, 100_000
    if unknown := set(options.only) - set(CASES):
        parser.error(f"--only: there is no {', '.join(sorted(unknown))}: {', '.join(CASES)}")
    log.configure(level="error", stream=sys.stderr)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        zk = stack.enter_context(zookeeper(Path(folder) / "zk")) if options.zk else None
        measure(options, Path(folder), zk)


if __name__ == "__main__":
    main()
