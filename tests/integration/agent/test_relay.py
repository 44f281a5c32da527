"""The relay, between real agents and real masters: what passes, and what its end costs."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mezzo.frameworks.sdk import CommandInfo, Driver, Offer, TaskInfo, TaskState
from mezzo.ids import TaskId
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.process.daemon import cli_command
from tests.parts.masters import SMALL, Cluster, MasterProcess, Recorder, cluster, until
from tests.parts.ports import free_ports
from tests.parts.zookeeper import ZkEnsemble

__all__ = ["cluster"]


RELAY = [sys.executable, "-c", "from mezzo.cli.daemons.relay import command; command()"]


class Daemon:
    """A process that can be killed and started again."""

    def __init__(self, folder: Path, command: list[str]) -> None:
        self._command = command
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Daemon:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, start_new_session=True
            )
        return self

    def end(self, number: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(60)

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")


class Rack:
    """A relay and the real agents behind it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.daemons: list[Daemon] = []

    def relay(self, master: str) -> tuple[Daemon, str]:
        (port,) = free_ports(1)
        target = f"127.0.0.1:{port}"
        folder = self._folder / "relay"
        folder.mkdir()
        options = ["--master", master, "--listen", target, "--zk-session-timeout", "2secs"]
        daemon = Daemon(folder, RELAY + options)
        self.daemons.append(daemon.start())
        return daemon, target

    def agent(self, name: str, master: str) -> Daemon:
        (port,) = free_ports(1)
        folder = self._folder / name
        folder.mkdir()
        command = cli_command(
            *("agent", "--master", master, "--work-dir", str(folder), "--port", str(port)),
            *("--containerizers", "process", "--resources", "cpus:2;mem:512", "--no-switch-user"),
        )
        daemon = Daemon(folder, command)
        self.daemons.append(daemon.start())
        return daemon


@pytest.fixture
def rack(tmp_path: Path) -> Iterator[Rack]:
    made = Rack(tmp_path)
    try:
        yield made
    finally:
        for daemon in made.daemons:
            daemon.end(signal.SIGKILL)


class Sleeper(Recorder):
    """Launches tasks that run long enough."""

    def resource_offers(self, driver: Driver, offers: list[Offer]) -> None:
        for offer in offers:
            tasks = []
            if self.wanted:
                name = self.wanted.pop(0)
                command = CommandInfo("exec sleep 100")
                tasks = [TaskInfo(name, TaskId(name), offer.agent_id, SMALL, command=command)]
            driver.launch_tasks([offer.id], tasks)


def reached(scheduler: Recorder, state: TaskState) -> set[str]:
    """The first two tasks that are in the state."""
    return {scheduler.until("status", lambda s: s.state is state).task_id for _ in range(2)}


def connected(master: MasterProcess) -> list[str]:
    answer = master.ask(om.GetAgents())
    assert isinstance(answer, om.Agents)
    return [agent.agent_info.id or "" for agent in answer.agents if agent.active]


def test_agents_behind_a_relay_run_tasks_and_outlive_it(cluster: Cluster, rack: Rack) -> None:
    master = cluster.master().until_it_leads()
    relay, target = rack.relay(master.target)
    for name in ("a1", "a2"):
        rack.agent(name, target)
    until("both agents are registered", lambda: len(connected(master)) == 2)
    ids = sorted(connected(master))
    scheduler = Sleeper("t1", "t2")
    driver = cluster.driver(scheduler, master.target)
    assert reached(scheduler, TaskState.RUNNING) == {"t1", "t2"}

    relay.end(signal.SIGKILL)
    until("the master sees that they are gone", lambda: connected(master) == [])
    relay.start()
    until("they are back", lambda: sorted(connected(master)) == ids)
    running = {task.task_id for task in master.state().get_tasks.tasks}
    assert running == {"t1", "t2"}
    for name in ("t1", "t2"):
        driver.kill_task(TaskId(name))
    assert reached(scheduler, TaskState.KILLED) == {"t1", "t2"}
    assert relay.end(signal.SIGTERM) == 0
    relay.start()  # for the fixture


def test_one_agent_that_ends_is_missed_alone(cluster: Cluster, rack: Rack) -> None:
    master = cluster.master().until_it_leads()
    _, target = rack.relay(master.target)
    stays = cluster.agent(target)
    goes = rack.agent("goes", target)
    until("both agents are registered", lambda: len(connected(master)) == 2)
    goes.end(signal.SIGKILL)
    until("one is left", lambda: connected(master) == [stays.info.id])
    goes.start()
    until("it is back", lambda: len(connected(master)) == 2)


@pytest.mark.zookeeper
def test_a_relay_follows_the_leader_and_passes_its_epoch_on(
    cluster: Cluster, rack: Rack, zk: ZkEnsemble
) -> None:
    url = zk.url()
    first = cluster.master(name="m1", zk=url).until_it_leads()
    _, target = rack.relay(url)
    agent = cluster.agent(target)
    agent.until(am.AgentRegistered)
    second = cluster.master(name="m2", zk=url)
    first.kill()
    agent.until(am.AgentReregistered)
    assert second.leads()
    assert connected(second) == [agent.info.id]
    assert len(set(agent.epochs)) == 2
    assert agent.epochs == sorted(agent.epochs)


def test_agents_come_back_with_the_master(cluster: Cluster, rack: Rack) -> None:
    master = cluster.master().until_it_leads()
    relay, target = rack.relay(master.target)
    agent = cluster.agent(target)
    agent.until(am.AgentRegistered)
    master.kill()
    until("the relay has noticed", lambda: "relay.disconnected" in relay.log)
    master.start()
    agent.until(am.AgentReregistered)
    assert connected(master) == [agent.info.id]


def test_a_port_that_is_taken_is_refused_with_advice(cluster: Cluster, rack: Rack) -> None:
    master = cluster.master().until_it_leads()
    with pytest.raises(subprocess.CalledProcessError) as refused:
        subprocess.run(
            [*RELAY, "--master", master.target, "--listen", master.target],
            check=True,
            capture_output=True,
            timeout=60,
        )
    assert f"cannot listen on {master.target}".encode() in refused.value.stderr


@pytest.mark.parametrize("listen", ["5056", "h:1,h:2", "h:no"])
def test_an_address_to_listen_on_that_is_none_is_refused(listen: str) -> None:
    done = subprocess.run(
        [*RELAY, "--listen", listen], check=False, capture_output=True, timeout=60
    )
    assert done.returncode != 0
    assert b"--listen" in done.stderr
