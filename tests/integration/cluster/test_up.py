"""`mezzo up` as a user runs it: real processes, real containers, real crashes."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from mezzo.process.users import current_user
from tests.parts.docker_engine import PYTHON, DockerEngine
from tests.parts.folders import open_the_way_to
from tests.parts.ports import free_ports

EXAMPLES = Path(__file__).parents[3] / "examples"
MEZZO = (sys.executable, "-m", "mezzo.cli")
WITHIN_S = 60.0


@dataclass
class Up:
    """One `mezzo up` in a directory; `start` it again after it was stopped or killed."""

    directory: Path
    args: tuple[str, ...]
    ports: list[int] = field(default_factory=lambda: free_ports(5))
    process: subprocess.Popen[str] | None = None
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        plain = {name: text for name, text in os.environ.items() if not name.startswith("MEZZO_")}
        state = self.directory.parent / "state"
        return plain | {"XDG_STATE_HOME": str(state), "PYTHONUNBUFFERED": "1"} | self.variables

    def start(self, *args: str) -> str:
        """Returns what it printed when it was ready for Ctrl-C."""
        gateway, marathon, master, agent = map(str, self.ports[:4])
        # Of their own: with those of another cluster's tasks on this machine they would collide.
        tasks = f"{self.ports[4]}-{self.ports[4] + 7}"
        self.process = subprocess.Popen(
            [
                *(*MEZZO, "up", "--dir", str(self.directory), *self.args, *args),
                *("--gateway-port", gateway, "--marathon-port", marathon),
                *("--master-port", master, "--agent-port", agent, "--task-ports", tasks),
            ],
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        printed = ""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            printed += line
            if line.startswith("Ctrl-C"):
                return printed
        pytest.fail(f"mezzo up ended with code {self.process.wait()}:\n{printed}", pytrace=False)

    def stop(self) -> tuple[int, str]:
        """Ctrl-C; the exit code and what it said."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        printed, _ = self.process.communicate(timeout=WITHIN_S)
        return self.process.returncode, printed

    def daemons(self) -> dict[int, str]:
        """pid and command line of every mezzo process, the gateway beside the master included."""
        assert self.process is not None
        found = psutil.Process(self.process.pid).children(recursive=True)
        lines = {}
        for each in found:
            with contextlib.suppress(psutil.Error):  # it has just ended
                lines[each.pid] = " ".join(each.cmdline())
        return {pid: line for pid, line in lines.items() if "mezzo.cli" in line}

    def kill_everything(self) -> None:
        """SIGKILL for `mezzo up` and all its daemons, as if the power had gone; tasks live on."""
        assert self.process is not None
        victims = [self.process.pid, *self.daemons()]
        for pid in victims:
            os.kill(pid, signal.SIGSTOP)  # nobody notices, and does something about it
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def mezzo(self, *args: str, cwd: Path | None = None, code: int = 0) -> str:
        """A command in another terminal; nothing tells it where the cluster is but its context."""
        done = subprocess.run(
            [*MEZZO, *args],
            cwd=cwd or self.directory.parent,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
        )
        assert done.returncode == code, done.stderr
        return done.stdout or done.stderr

    def tasks(self) -> dict[str, str]:
        """Address of each running task of the demo, by id."""
        shown: Any = json.loads(self.mezzo("app", "show", "hello", "-o", "json"))
        return {
            task["id"]: f"http://{task['host']}:{task['ports'][0]}/"
            for task in shown["app"]["tasks"]
            if task["state"] == "TASK_RUNNING"
        }


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """Not started yet, with plain processes for tasks."""
    running = Up(tmp_path / ".mezzo", ("--agents", "2", "--containerizer", "process"))
    yield running
    if running.process is not None and running.process.poll() is None:
        running.stop()


def demo(name: str) -> tuple[str, str]:
    return "--demo", str(EXAMPLES / f"{name}.json")


def owners_of(task_id: str) -> set[str]:
    """The users that its processes run as."""
    marks = (each.info for each in psutil.process_iter(["username", "environ"]))
    return {
        mark["username"]
        for mark in marks
        if (mark["environ"] or {}).get("MESOS_TASK_ID") == task_id
    }


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=WITHIN_S) as answer:
        text: str = answer.read().decode()
    return text


def answers(url: str) -> bool:
    host, port = url.removeprefix("http://").rstrip("/").split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def eventually(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {WITHIN_S:g} s: {what}"
        time.sleep(0.1)


def test_a_cluster_survives_a_crash_of_everything_and_ends_with_ctrl_c(up: Up) -> None:
    printed = up.start(*demo("hello"))
    assert "/hello is deployed: 2/2 running, 2 healthy" in printed
    curl = re.search(r"curl (\S+)", printed)
    assert curl is not None
    assert fetch(curl[1]).startswith("Hello from hello.")
    gateway = f"http://127.0.0.1:{up.ports[0]}"
    assert "<title>mezzo</title>" in fetch(f"{gateway}/")
    (shown,) = json.loads(fetch(f"{gateway}/marathon/v2/apps"))["apps"]
    assert (shown["id"], shown["tasksRunning"]) == ("/hello", 2)

    assert "3/3 running" in up.mezzo("app", "scale", "hello", "3")
    before = up.tasks()
    assert len(before) == 3
    assert up.mezzo("node", "list").count(" active ") == 2
    for task_id, url in before.items():
        assert fetch(url) == f"Hello from {task_id}\n"
        assert "Serving HTTP on" in up.mezzo("task", "logs", task_id)

    up.kill_everything()
    assert [fetch(url) for url in before.values()], "tasks run on without a cluster"

    printed = up.start()
    eventually(lambda: up.tasks() == before, "the same tasks are found again")
    assert "3/3 running" in up.mezzo("app", "show", "hello")

    code, printed = up.stop()
    assert (code, printed.splitlines()[-1]) == (0, "stopped")
    assert not any(answers(url) for url in before.values())
    assert "no apps" in (up.start() and up.mezzo("app", "list"))


def test_a_daemon_that_dies_comes_back(up: Up) -> None:
    up.start(*demo("hello"))
    before = up.tasks()
    daemons = up.daemons()
    kinds = {line.split("mezzo.cli ")[1].split()[0] for line in daemons.values()}
    assert kinds == {"master", "gateway", "agent", "marathon"}
    for pid in daemons:
        os.kill(pid, signal.SIGKILL)

    def whole() -> bool:
        back = up.daemons()
        return len(back) == len(daemons) and not back.keys() & daemons.keys()

    eventually(whole, "every daemon runs again")
    eventually(
        lambda: (
            answers(f"http://127.0.0.1:{up.ports[0]}")
            and answers(f"http://127.0.0.1:{up.ports[1]}")
        ),
        "gateway and Marathon answer",
    )
    eventually(lambda: up.tasks() == before, "the same tasks run")


def test_kept_tasks_run_on_after_ctrl_c(up: Up) -> None:
    up.start("--keep", *demo("hello"))
    before = up.tasks()
    code, printed = up.stop()
    assert code == 0
    assert "tasks run on" in printed
    assert all(answers(url) for url in before.values())
    up.start()
    eventually(lambda: up.tasks() == before, "the same tasks are found again")


def test_a_taken_port_is_named_with_its_option(up: Up) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        up.ports[1] = taken.getsockname()[1]
        with pytest.raises(pytest.fail.Exception) as failed:
            up.start()
    assert "ended with code 1" in str(failed.value)
    assert f"port {up.ports[1]} is taken" in str(failed.value)
    assert "--marathon-port" in str(failed.value)


def test_a_damaged_agent_is_named_and_the_others_run(up: Up) -> None:
    damaged = up.directory / "agent-1"
    (damaged / "meta").mkdir(parents=True)
    (damaged / "meta/agent.db").write_bytes(b"no database" * 1000)
    printed = up.start(*demo("hello"))
    assert "agent-1 does not start (it ended with code 2): " in printed
    assert "meta/agent.db as the state store: file is not a database" in printed
    assert f"move {damaged} away" in printed
    assert "The cluster runs without it." in printed
    assert "/hello is deployed: 2/2 running, 2 healthy" in printed


@pytest.mark.parametrize("daemon", ["master", "marathon"])
def test_a_damaged_database_is_told_with_its_place(up: Up, daemon: str) -> None:
    damaged = up.directory / daemon
    damaged.mkdir(parents=True)
    (damaged / f"{daemon}.db").write_bytes(b"no database" * 1000)
    with pytest.raises(pytest.fail.Exception) as failed:
        up.start()
    assert f"{daemon} does not start (it ended with code 2): " in str(failed.value)
    assert f"{daemon}.db as the state store: file is not a database" in str(failed.value)
    assert f"move {damaged} away" in str(failed.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="ONLY ROOT can choose another user")
def test_tasks_run_as_the_user_that_was_chosen(up: Up) -> None:
    open_the_way_to(up.directory)
    assert "Tasks run as root" not in up.start("--mesos-user", "nobody", *demo("hello"))
    (task, *_) = up.tasks()
    assert owners_of(task) == {"nobody"}


def test_tasks_run_as_who_runs_the_cluster(up: Up) -> None:
    printed = up.start(*demo("hello"))
    assert ("Tasks run as root" in printed) == (os.geteuid() == 0)
    (task, *_) = up.tasks()
    assert owners_of(task) == {current_user()}


def test_every_command_finds_the_cluster_of_its_folder_and_others_by_name(
    up: Up, tmp_path: Path
) -> None:
    printed = up.start("--name", "mine")
    assert f"Commands in {tmp_path} and below mean this cluster" in printed
    below, elsewhere = tmp_path / "a/b", tmp_path.parent
    below.mkdir(parents=True)
    for args in (
        ("app", "list"),
        ("node", "list"),
        ("task", "list"),
        ("framework", "list"),
        ("offer", "list"),
        ("explain",),
        ("role", "list"),
        ("agent", "list"),
        ("quota", "get"),
        ("weight", "list"),
        ("maintenance", "status"),
    ):
        up.mezzo(*args, cwd=below)
        up.mezzo("--context", "mine", *args, cwd=elsewhere)
    listed = up.mezzo("context", "list", cwd=elsewhere)
    assert "mine" in listed
    assert "running" in listed
    up.mezzo("context", "use", "mine")
    assert "marathon" in up.mezzo("framework", "list", cwd=elsewhere)
    assert up.stop()[0] == 0
    assert "there is no context 'mine'" in up.mezzo("--context", "mine", "app", "list", code=2)


def test_a_cluster_is_named_after_its_folder_whatever_the_environment_holds(
    up: Up, tmp_path: Path
) -> None:
    up.variables = {"MEZZO_PARENT_PID": str(os.getpid()), "MEZZO_TIMEOUT": "60"}
    assert f"`mezzo --context {tmp_path.name} " in up.start()


def test_a_demo_that_does_not_come_up_leaves_the_cluster_running(up: Up) -> None:
    printed = up.start(*demo("too-big"), "--timeout", "1")
    assert "not done after 1 s" in printed
    assert "/examples/too-big" in up.mezzo("app", "list")
    assert up.stop()[0] == 0


def test_a_context_that_a_crash_has_left_behind_is_told(up: Up) -> None:
    up.start()
    up.kill_everything()
    said = up.mezzo("app", "list", code=3)
    assert "does not run any more" in said
    assert f"mezzo up --dir {up.directory}" in said
    up.start()
    assert "no apps" in up.mezzo("app", "list")


def test_a_second_cluster_in_one_directory_is_refused(up: Up) -> None:
    up.start()
    second = Up(up.directory, up.args)
    with pytest.raises(pytest.fail.Exception, match="a `mezzo up` is running in"):
        second.start()


@pytest.mark.docker
def test_containers_run_the_demo_and_are_gone_after_ctrl_c(
    up: Up, docker_engine: DockerEngine
) -> None:
    docker_engine.need_images(PYTHON)
    up.args = ("--agents", "2", "--docker-host", docker_engine.url)
    demos = [arg for name in ("hello-docker", "hello") for arg in demo(name)]
    printed = up.start(*demos)
    tasks = up.tasks()
    assert len(tasks) == 2, printed
    client = docker_engine.client()

    def in_containers() -> set[str]:
        return {
            each.labels.get("mezzo.task", "")
            for each in client.containers.list(ignore_removed=True)
        }

    assert tasks.keys() <= in_containers()
    for task_id, url in tasks.items():
        assert fetch(url) == f"Hello from {task_id}\n"
        assert "Serving HTTP on" in up.mezzo("task", "logs", task_id)
    assert up.stop()[0] == 0
    assert not tasks.keys() & in_containers()
    client.close()


@pytest.mark.docker
def test_a_demo_whose_image_cannot_be_had_makes_room_for_the_next(
    up: Up, docker_engine: DockerEngine, tmp_path: Path
) -> None:
    container = {"type": "DOCKER", "docker": {"image": "127.0.0.1:1/none:1"}}
    absent = tmp_path / "absent.json"
    absent.write_text(json.dumps({"id": "/absent", "container": container}))
    up.args = ("--agents", "1", "--docker-host", docker_engine.url)
    printed = up.start("--demo", str(absent), *demo("hello"))
    assert "/absent: the engine has no image 127.0.0.1:1/none:1 and cannot pull it" in printed
    assert "/hello is deployed: 2/2 running, 2 healthy" in printed
