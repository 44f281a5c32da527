"""Three ZooKeeper servers, three masters, two Marathons, two agents, a real engine: each leader and
one ZooKeeper server are killed, and the app's containers do not notice."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.parts.docker_engine import BUSYBOX, DockerEngine
from tests.parts.ports import free_ports
from tests.parts.zookeeper import ZkEnsemble

WITHIN_S = 60.0
EXAMPLE = Path(__file__).parents[3] / "examples" / "run_commands.py"


def eventually(look: Callable[[], Any], what: str, within_s: float = WITHIN_S) -> Any:
    """The first truthy answer of `look`; errors of a cluster without a leader count as no."""
    deadline = time.monotonic() + within_s
    last: object = None
    while time.monotonic() < deadline:
        try:
            last = look()
            if last:
                return last
        except (OSError, KeyError, ValueError) as error:
            last = error
        time.sleep(0.05)
    pytest.fail(f"{what}: not within {within_s} s, last seen {last!r}", pytrace=False)


@dataclass
class Cluster:
    """The daemons, each as an operator would start it."""

    folder: Path
    zk: ZkEnsemble
    engine: DockerEngine
    session: str
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    marathons: dict[str, int] = field(default_factory=dict)  # by name: the HTTP port
    masters: dict[str, int] = field(default_factory=dict)  # by name: the gRPC port
    commands: dict[str, list[str]] = field(default_factory=dict)

    @property
    def master_url(self) -> str:
        return self.zk.url(f"/ha-{self.session}")

    def run(self, name: str, *args: str) -> None:
        self.commands[name] = [sys.executable, "-m", "mezzo.cli", *args]
        self.start(name)

    def start(self, name: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                self.commands[name], stdout=log, stderr=subprocess.STDOUT
            )

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(30)

    def up(self) -> None:
        ports = iter(free_ports(8))
        for number in range(3):
            name = f"master{number}"
            self.masters[name] = next(ports)
            self.run(
                name,
                *("master", "--zk", self.master_url, "--port", str(self.masters[name])),
                *("--gateway-port", "0", "--work-dir", str(self.folder / name)),
                *("--zk-session-timeout", "4secs"),
            )
        for number in range(2):
            name = f"marathon{number}"
            self.marathons[name] = next(ports)
            self.run(
                name,
                *("marathon", "--master", self.master_url),
                *("--zk", self.zk.url(f"/ha-marathon-{self.session}")),
                *("--http-port", str(self.marathons[name])),
                *("--work-dir", str(self.folder / name), "--zk-session-timeout", "4secs"),
            )
        for number in range(2):
            name = f"agent{number}"
            self.run(
                name,
                *("agent", "--master", self.master_url, "--port", str(next(ports))),
                *("--work-dir", str(self.folder / name), "--containerizers", "docker,process"),
                *("--docker-host", self.engine.url, "--hostname", f"127.0.0.{number + 1}"),
                *("--resources", f"cpus:4;mem:1024;ports:[3{number}000-3{number}100]"),
            )

    # ---- talking to it

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Ask whichever Marathon is alive; a standby passes it on to the leader."""
        alive = [port for name, port in self.marathons.items() if name in self.processes]
        request = urllib.request.Request(
            f"http://127.0.0.1:{alive[0]}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def scale(self, instances: int) -> float:
        """Ask until it is taken, wait until it is reached; the seconds that took."""
        began = time.monotonic()
        path = f"/v2/apps/ha-{self.session}"
        eventually(
            lambda: self.call("PUT", f"{path}?force=true", {"instances": instances}),
            f"scale to {instances}",
        )
        eventually(
            lambda: self.call("GET", path)["app"]["tasksRunning"] == instances,
            f"{instances} tasks",
        )
        return time.monotonic() - began

    def containers(self) -> dict[str, str]:
        """Container id -> start time, of all that run for this test."""
        with contextlib.closing(self.engine.client()) as client:
            mine = client.containers.list(filters={"label": f"mezzo-ha={self.session}"})
            return {c.id: c.attrs["State"]["StartedAt"] for c in mine}

    def leading_master(self) -> str:
        """By its log: the one of the newest epoch that is alive."""
        newest = {}
        for name in self.masters:
            if name in self.processes:
                text = (self.folder / f"{name}.log").read_text()
                epochs = [part.split()[0] for part in text.split("epoch=")[1:]]
                newest[name] = max((int(e) for e in epochs if e.isdigit()), default=0)
        return max(newest, key=lambda name: newest[name])

    def leading_marathon(self) -> str:
        port = int(self.call("GET", "/v2/leader")["leader"].rsplit(":", 1)[1])
        return next(name for name, its_port in self.marathons.items() if its_port == port)


@pytest.fixture
def cluster(
    tmp_path: Path, zk_ensemble: ZkEnsemble, docker_engine: DockerEngine
) -> Iterator[Cluster]:
    made = Cluster(tmp_path, zk_ensemble, docker_engine, str(time.time_ns())[-9:])
    made.up()
    try:
        yield made
    finally:
        made.stop()
        with contextlib.closing(docker_engine.client()) as client:
            for container in client.containers.list(
                all=True, filters={"label": f"mezzo-ha={made.session}"}
            ):
                container.remove(force=True)


def docker_app(cluster: Cluster, instances: int) -> dict[str, Any]:
    """Containers that do nothing, labelled so that the test finds them."""
    label = {"key": "label", "value": f"mezzo-ha={cluster.session}"}
    return {
        "id": f"/ha-{cluster.session}",
        "args": ["sleep", "100000"],
        "cpus": 0.1,
        "mem": 16,
        "instances": instances,
        "portDefinitions": [],
        "container": {"type": "DOCKER", "docker": {"image": BUSYBOX, "parameters": [label]}},
    }


def test_the_app_survives_the_loss_of_every_leader(
    cluster: Cluster, record_property: Callable[[str, object], None]
) -> None:
    app = docker_app(cluster, 3)
    eventually(lambda: cluster.call("POST", "/v2/apps", app), "the app is taken")
    eventually(lambda: len(cluster.containers()) == 3, "three containers")
    cluster.scale(3)
    before = cluster.containers()

    seconds: dict[str, float] = {}
    cluster.kill(cluster.leading_master())
    seconds["leading master"] = cluster.scale(4)
    assert before.items() <= cluster.containers().items()

    cluster.kill(cluster.leading_marathon())
    seconds["leading Marathon"] = cluster.scale(5)
    assert before.items() <= cluster.containers().items()

    cluster.zk.leader().kill()
    seconds["leading ZooKeeper server"] = cluster.scale(6)
    assert before.items() <= cluster.containers().items()
    assert len(cluster.containers()) == 6

    # An agent is killed, one of its containers ends meanwhile: the others are found again, the end
    # is told, and its replacement is the only new container.
    on_agent = _tasks_on(cluster, "127.0.0.1")
    cluster.kill("agent0")
    victim = _container_of(cluster, on_agent[0])
    with contextlib.closing(cluster.engine.client()) as client:
        client.containers.get(victim).kill()
    kept = {k: v for k, v in cluster.containers().items() if k != victim}
    cluster.start("agent0")
    eventually(
        lambda: on_agent[0] not in _tasks(cluster) and len(_tasks(cluster)) == 6,
        "the ended task is replaced",
    )
    eventually(lambda: len(cluster.containers()) == 6, "six containers again")
    assert kept.items() <= cluster.containers().items()

    for what, took in seconds.items():
        record_property(f"seconds until scaled after the loss of the {what}", round(took, 2))


def test_another_framework_gets_offers_beside_marathon(cluster: Cluster) -> None:
    app = {"id": f"/ha-{cluster.session}", "cmd": "sleep 1000", "cpus": 0.1, "mem": 16}
    eventually(lambda: cluster.call("POST", "/v2/apps", app), "the app is taken")
    ran = subprocess.run(
        [sys.executable, str(EXAMPLE), cluster.master_url, "echo hello", "exit 3"],
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert "command-0 TASK_FINISHED" in ran.stdout
    assert "command-1 TASK_FAILED Command exited with status 3" in ran.stdout
    assert ran.returncode == 1
    cluster.scale(2)
    eventually(lambda: cluster.call("DELETE", f"/v2/apps/ha-{cluster.session}"), "removed")
    eventually(lambda: not cluster.call("GET", "/v2/tasks")["tasks"], "its tasks are gone")


def test_without_zookeeper_tasks_run_on_and_writes_are_refused_until_it_is_back(
    cluster: Cluster,
) -> None:
    app = docker_app(cluster, 2)
    eventually(lambda: cluster.call("POST", "/v2/apps", app), "the app is taken")
    cluster.scale(2)
    before = cluster.containers()
    assert len(before) == 2

    cluster.zk.kill()
    eventually(lambda: _refused(cluster) == 503, "a write is refused")
    eventually(
        lambda: all(
            "zookeeper.session_given_up" in (cluster.folder / f"{name}.log").read_text()
            for name in (*cluster.masters, *cluster.marathons)
        ),
        "nobody is sure to lead any more",
    )
    # They start afresh, as standbys, and are not there for a moment.
    eventually(lambda: _refused(cluster) == 503, "a write is still refused")
    assert cluster.containers() == before

    cluster.zk.start()
    cluster.scale(3)
    assert before.items() <= cluster.containers().items()


def _refused(cluster: Cluster) -> int:
    try:
        cluster.call("PUT", f"/v2/apps/ha-{cluster.session}?force=true", {"instances": 3})
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:  # nobody is there
        return 0
    return 200


def _tasks(cluster: Cluster) -> list[str]:
    app = cluster.call("GET", f"/v2/apps/ha-{cluster.session}")["app"]
    return [task["id"] for task in app["tasks"] if task["state"] == "TASK_RUNNING"]


def _tasks_on(cluster: Cluster, host: str) -> list[str]:
    app = cluster.call("GET", f"/v2/apps/ha-{cluster.session}")["app"]
    return [task["id"] for task in app["tasks"] if task["host"] == host]


def _container_of(cluster: Cluster, task_id: str) -> str:
    with contextlib.closing(cluster.engine.client()) as client:
        (container,) = client.containers.list(filters={"label": f"mezzo.task={task_id}"})
        return str(container.id)
