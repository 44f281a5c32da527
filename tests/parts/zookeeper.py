"""Real ZooKeeper servers for tests: the fixtures `zk` (one server) and `zk_ensemble` (three).

Servers listen on free ports of 127.0.0.1, keep their data in the test run's scratch directory, and
tick fast: a session may be as short as 1 s. They are started once per pytest worker; a test names
its own path (`ZkEnsemble.url`) and may stop, kill and restart servers: the next test finds all of
them running.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import uuid4

import pytest

from tests.parts.ports import free_ports

JAR = Path("/usr/share/java/zookeeper.jar")
TICK_MS = 500
READY_WITHIN_S = 60.0


class ZkServer:
    """One server process. `host_port`: where clients find it."""

    def __init__(
        self, directory: Path, port: int, members: Sequence[str] = (), number: int = 1
    ) -> None:
        """`members`: ``server.N=host:quorum_port:election_port`` lines; none: standalone."""
        self.host_port = f"127.0.0.1:{port}"
        self._port = port
        self._dir = directory
        self._process: subprocess.Popen[bytes] | None = None
        (directory / "data").mkdir(parents=True)
        (directory / "data" / "myid").write_text(str(number))
        settings = {
            "tickTime": TICK_MS,
            "initLimit": 20,
            "syncLimit": 10,
            "dataDir": directory / "data",
            "clientPort": port,
            "clientPortAddress": "127.0.0.1",
            "admin.enableServer": "false",
            "4lw.commands.whitelist": "*",
            "maxClientCnxns": 0,
        }
        lines = [f"{name}={value}" for name, value in settings.items()]
        (directory / "zoo.cfg").write_text("\n".join([*lines, *members]) + "\n")

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process, if it does not run. `wait_until_serving` tells when it is ready."""
        if self.running:
            return
        command = [
            *("java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
            *("-cp", f"{self._dir}:{JAR}", "-Dzookeeper.jmx.log4j.disable=true"),
            *("org.apache.zookeeper.server.quorum.QuorumPeerMain", str(self._dir / "zoo.cfg")),
        ]
        with (self._dir / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )

    def mode(self) -> str | None:
        """``standalone``, ``leader`` or ``follower``; None: it does not serve."""
        try:
            lines = self._ask(b"srvr")
        except OSError:
            return None
        modes = [line for line in lines if line.startswith("Mode: ")]
        return modes[0].removeprefix("Mode: ") if modes else None

    def watchers(self, path: str) -> list[str]:
        """The sessions that this server will tell when the node at `path` changes."""
        lines = iter(self._ask(b"wchp"))
        for line in lines:
            if line == path:
                return list(itertools.takewhile(lambda each: each.startswith("\t"), lines))
        return []

    def _ask(self, command: bytes) -> list[str]:
        with socket.create_connection(("127.0.0.1", self._port), timeout=2.0) as connection:
            connection.sendall(command)
            return connection.makefile("rb").read().decode().splitlines()

    def wait_until_serving(self) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while self.mode() is None:
            if not self.running or time.monotonic() > deadline:
                log = (self._dir / "log").read_text(errors="replace")[-3000:]
                raise RuntimeError(f"the ZooKeeper server at {self.host_port} fails:\n{log}")
            time.sleep(0.05)

    def freeze(self) -> None:
        """It accepts connections, and answers nothing."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._send(signal.SIGCONT)

    def _send(self, which: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, which)

    def back_up(self, copy: Path) -> None:
        """Copy its data, as it is on the disk while it runs."""
        shutil.copytree(self._dir / "data" / "version-2", copy)

    def lose_data(self, backup: Path | None = None) -> None:
        """Of one that does not run: what it stored is gone, or is what it was at the backup."""
        assert not self.running
        shutil.rmtree(self._dir / "data" / "version-2")
        if backup is not None:
            shutil.copytree(backup, self._dir / "data" / "version-2")

    def kill(self) -> None:
        """As a crash of its machine's kernel would: no warning."""
        self._signal(signal.SIGKILL)

    def stop(self) -> None:
        self._signal(signal.SIGTERM)

    def _signal(self, which: signal.Signals) -> None:
        if self._process is not None and self.running:
            os.kill(self._process.pid, which)
            self._process.wait()


class ZkEnsemble:
    """Servers that form one ZooKeeper. One server alone is an ensemble as well."""

    def __init__(self, directory: Path, size: int) -> None:
        ports = free_ports(3 * size)
        clients, quorum, election = ports[:size], ports[size : 2 * size], ports[2 * size :]
        members = [
            f"server.{i + 1}=127.0.0.1:{quorum[i]}:{election[i]}" for i in range(size) if size > 1
        ]
        self.servers = [
            ZkServer(directory / str(i + 1), port, members, i + 1) for i, port in enumerate(clients)
        ]

    @property
    def hosts(self) -> str:
        return ",".join(server.host_port for server in self.servers)

    def url(self, path: str | None = None) -> str:
        """``zk://...``; without `path` below a node that no other test uses."""
        return f"zk://{self.hosts}{path or f'/test-{uuid4().hex[:12]}'}"

    def start(self) -> None:
        """Start what does not run, and return when all serve."""
        for server in self.servers:
            server.start()
        for server in self.servers:
            server.wait_until_serving()

    def stop(self) -> None:
        for server in self.servers:
            server.stop()

    def kill(self) -> None:
        for server in self.servers:
            server.kill()

    def leader(self) -> ZkServer:
        return next(server for server in self.servers if server.mode() == "leader")


def _serve(directory: Path, size: int) -> Iterator[ZkEnsemble]:
    if not JAR.exists() or not shutil.which("java"):
        pytest.skip(f"no ZooKeeper here ({JAR} and java): run scripts/setup-test-host as root")
    ensemble = ZkEnsemble(directory, size)
    try:
        ensemble.start()
        yield ensemble
    finally:
        ensemble.kill()


@pytest.fixture(scope="session")
def _one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZkEnsemble]:
    yield from _serve(tmp_path_factory.mktemp("zk1"), 1)


@pytest.fixture(scope="session")
def _three_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZkEnsemble]:
    yield from _serve(tmp_path_factory.mktemp("zk3"), 3)


@pytest.fixture
def zk(_one_server: ZkEnsemble) -> ZkEnsemble:
    """One real ZooKeeper server that runs."""
    _one_server.start()
    return _one_server


@pytest.fixture
def zk_alone(tmp_path: Path) -> Iterator[ZkEnsemble]:
    """One server of this test alone, whose data may be lost."""
    yield from _serve(tmp_path / "zk", 1)


@pytest.fixture
def zk_ensemble(_three_servers: ZkEnsemble) -> ZkEnsemble:
    """Three real ZooKeeper servers, all of which run."""
    _three_servers.start()
    return _three_servers
