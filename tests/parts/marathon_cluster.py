"""Real daemons for tests of Marathon: a master, an agent that runs processes, Marathons as asked.

Each is a process of its own with scratch data, on free ports of 127.0.0.1.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.parts.ports import free_ports

T = TypeVar("T")
WITHIN_S = 30.0


def wait_for(read: Callable[[], T | None], what: str, within_s: float = WITHIN_S) -> T:
    """The first value that is true. Whatever the network says meanwhile is not yet an answer."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        try:
            if value := read():
                return value
        except OSError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"within {within_s} s there was no {what}")


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def ids_of(app: Any) -> list[str]:
    return sorted(task["id"] for task in app["tasks"])


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))


@dataclass
class Marathon:
    """One Marathon process, and a client of its API."""

    master: str
    directory: Path
    zk: str | None = None
    port: int = field(default_factory=lambda: free_ports(1)[0])
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self, *, until_it_answers: bool = True) -> Marathon:
        arguments = ["--master", self.master, "--work-dir", str(self.directory)]
        arguments += ["--http-port", str(self.port)]
        if self.zk is not None:
            arguments += ["--zk", self.zk]
        self.process = _spawn("marathon", *arguments, log=self.directory / f"{self.port}.log")
        if until_it_answers:
            wait_for(lambda: self.get("/ping").status == 200, "answer to /ping")
        return self

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait()
            self.process = None

    # ---- HTTP

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://{self.address}{path}", data, headers or {}, method=method
        )
        try:
            with _opener.open(request, timeout=20) as reply:
                return Answer(reply.status, dict(reply.headers), reply.read().decode())
        except urllib.error.HTTPError as error:
            return Answer(error.code, dict(error.headers), error.read().decode())

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers=headers)

    def post(self, path: str, body: Any = None) -> Answer:
        return self.ask("POST", path, body)

    def put(self, path: str, body: Any) -> Answer:
        return self.ask("PUT", path, body)

    def delete(self, path: str) -> Answer:
        return self.ask("DELETE", path)

    # ---- apps

    def create(self, app_id: str, **fields: Any) -> Any:
        """A small app; returns its document."""
        answer = self.post("/v2/apps", small(app_id, **fields))
        assert answer.status == 201, answer.text
        return answer.json

    def app(self, app_id: str) -> Any:
        return self.get(f"/v2/apps{app_id}").json["app"]

    def task_ids(self, app_id: str) -> list[str]:
        return ids_of(self.app(app_id))

    def settled(self, app_id: str, instances: int) -> list[str]:
        """Wait until so many run and no deployment does; returns the ids of the tasks."""

        def read() -> Any:
            app = self.app(app_id)
            done = app["tasksRunning"] == len(app["tasks"]) == instances
            return done and not app["deployments"] and app

        app = wait_for(read, f"{app_id} with {instances} running tasks")
        return ids_of(app)

    def gone(self, app_id: str) -> None:
        wait_for(
            lambda: (
                all(
                    app_id not in deployment["affectedApps"]
                    for deployment in self.get("/v2/deployments").json
                )
                and self.get(f"/v2/apps{app_id}").status == 404
            ),
            f"end of {app_id}",
        )


def small(app_id: str, **fields: Any) -> dict[str, Any]:
    return {"id": app_id, "cmd": "exec sleep 1000", "cpus": 0.01, "mem": 8, **fields}


@dataclass
class Cluster:
    """A master and one agent; `marathon()` starts Marathons."""

    directory: Path
    master: str
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _marathons: list[Marathon] = field(default_factory=list)

    def marathon(
        self, name: str, *, zk: str | None = None, until_it_answers: bool = True
    ) -> Marathon:
        """A Marathon; those of one name share a work directory, and so one lock."""
        directory = self.directory / name
        directory.mkdir(exist_ok=True)
        marathon = Marathon(self.master, directory, zk)
        self._marathons.append(marathon)
        return marathon.start(until_it_answers=until_it_answers)

    def stop(self) -> None:
        for marathon in self._marathons:
            marathon.kill()
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
            process.wait()


def _spawn(*arguments: str, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "mezzo.cli", *arguments],
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            # Whatever happens to the tests, nothing of theirs is left behind.
            env={**os.environ, "MEZZO_PARENT_PID": str(os.getpid())},
        )


def run_cluster(directory: Path) -> Iterator[Cluster]:
    """For fixtures: a cluster, stopped at the end together with the agent's tasks."""
    port, agent_port = free_ports(2)
    cluster = Cluster(directory, f"127.0.0.1:{port}")
    for arguments in (
        ("master", "--port", str(port), "--gateway-port", "0"),
        (
            *("agent", "--master", cluster.master, "--port", str(agent_port)),
            *("--containerizers", "process", "--resources", "cpus:16;mem:16000;disk:10000"),
            *("--attributes", "rack:r1"),
        ),
    ):
        work_dir = directory / arguments[0]
        process = _spawn(
            *arguments, "--work-dir", str(work_dir), log=directory / f"{arguments[0]}.log"
        )
        cluster._processes.append(process)
    try:
        yield cluster
    finally:
        cluster.stop()
        _kill_tasks(directory / "agent")


def _kill_tasks(work_dir: Path) -> None:
    """Tasks outlive their agent: end those whose working directory is below its own."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cwd").resolve().is_relative_to(work_dir):
                    os.kill(int(entry.name), signal.SIGKILL)
            except OSError:
                continue  # it ended meanwhile, or is not ours
