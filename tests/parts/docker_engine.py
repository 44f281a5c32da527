"""A real Docker engine for tests: the fixture `docker_engine`.

One engine serves the whole machine: every pytest worker of every run of this user shares it,
because two engines in one network namespace fight over `docker0`. The first user starts it, the
last one stops it and leaves nothing behind. Locks of the kernel count the users, so a run that was
killed counts no longer; what it left is taken over and cleaned up by the next.

So a test names its containers uniquely (or labels them), and looks only at its own. A test that
restarts the engine asks for `docker_engine_alone`: no other test uses the engine meanwhile.

MEZZO_TEST_DOCKER_HOST=unix:///var/run/docker.sock makes the tests use an engine that runs already.
It is then neither stopped nor restarted, and only images that it lacks are made.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import docker
import pytest

ROOT = Path(__file__).parents[2]
BUSYBOX = "busybox:latest"
PYTHON = "python:3.11-slim"
ZOOKEEPER = "zookeeper:3.9"

IN_USE = pytest.StashKey[bool]()  # whether this process has had `docker_engine`
SYSTEM_SOCKET = Path("/var/run/docker.sock")
START_WITHIN_S = 60.0
STOP_WITHIN_S = 30.0


@dataclass(frozen=True)
class DockerEngine:
    """An engine that answers. `url`: for DOCKER_HOST and `--docker-host`, e.g. ``unix:///tmp/s``."""

    url: str
    _daemon: Daemon | None = None

    @property
    def socket(self) -> Path:
        """The path of the engine's socket, to be mounted into containers."""
        return Path(self.url.removeprefix("unix://"))

    def client(self) -> docker.DockerClient:
        """Close it. Every test finds the engine running, whatever the one before did to it."""
        if self._daemon is not None:
            self._daemon.start()
        return docker.DockerClient(base_url=self.url)

    def need_images(self, *names: str) -> None:
        """Make the base images that are not there yet: BUSYBOX (always is), PYTHON, ZOOKEEPER."""
        command = [sys.executable, ROOT / "scripts/make-base-images", "--docker-host", self.url]
        made = subprocess.run([*command, *names], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            pytest.fail(f"the base images cannot be made: {made.stderr}", pytrace=False)

    def restart(self, *, crash: bool = False) -> None:
        """Stop (with `crash`: kill) the daemon and start it again. Containers live through it.

        Only for tests with the fixture `docker_engine_alone`: for others the engine would be gone.
        """
        if self._daemon is None:
            pytest.skip("the engine of MEZZO_TEST_DOCKER_HOST is not the tests' own to restart")
        self._daemon.stop(crash=crash)
        self._daemon.start()


@dataclass(frozen=True)
class Daemon:
    """A dockerd of our own, all of whose files are in `scratch`."""

    scratch: Path

    @property
    def url(self) -> str:
        return f"unix://{self.scratch}/docker.sock"

    def start(self) -> None:
        """Start it, unless it runs, and wait until its API answers."""
        if self._pid() is None:
            self._forget_the_dead()
            command = ["setsid", "--fork", "dockerd", "-H", self.url]
            command += ["--data-root", str(self.scratch / "data")]
            command += ["--exec-root", str(self.scratch / "exec"), "--pidfile", str(self._pidfile)]
            # Published ports outlive the daemon only if no proxy process of it carries them.
            command += ["--live-restore", "--userland-proxy=false"]
            # Swarm would ask a registry for the digest of an image that was made here.
            env = os.environ | {"DOCKER_SERVICE_PREFER_OFFLINE_IMAGE": "1"}
            with self._log.open("ab") as log:
                subprocess.run(command, env=env, stdout=log, stderr=log, check=True)
        deadline = time.monotonic() + START_WITHIN_S
        while not answers(self.url):
            if time.monotonic() > deadline:
                self.stop()
                tail = "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])
                pytest.fail(f"dockerd did not answer within {START_WITHIN_S:.0f} s:\n{tail}", False)
            time.sleep(0.05)

    def stop(self, *, crash: bool = False) -> None:
        pid = self._pid()
        if pid is None:
            return
        os.kill(pid, signal.SIGKILL if crash else signal.SIGTERM)
        deadline = time.monotonic() + STOP_WITHIN_S
        while self._pid() is not None or (crash and alive(self._containerd_pidfile)):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                deadline = time.monotonic() + STOP_WITHIN_S
            time.sleep(0.05)

    def clear(self) -> None:
        """Remove all containers, networks and volumes; images stay."""
        with contextlib.closing(docker.DockerClient(base_url=self.url)) as client:
            for container in client.containers.list(all=True, ignore_removed=True):
                with contextlib.suppress(docker.errors.NotFound):
                    container.remove(force=True, v=True)
            client.networks.prune()
            client.volumes.prune()

    def wipe(self) -> None:
        """Remove all that a daemon that has stopped left: processes, mounts, files."""
        # A daemon that is stopped while it starts a container forgets that container's shim.
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if f"{self.scratch}/".encode() in (process / "cmdline").read_bytes():
                    os.kill(int(process.name), signal.SIGKILL)
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in reversed(mounts):
            if Path(mount).is_relative_to(self.scratch):
                subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
        shutil.rmtree(self.scratch)

    @property
    def _pidfile(self) -> Path:
        return self.scratch / "pid"

    @property
    def _log(self) -> Path:
        return self.scratch / "log"

    @property
    def _containerd_pidfile(self) -> Path:
        return self.scratch / "exec/containerd/containerd.pid"

    def _pid(self) -> int | None:
        return alive(self._pidfile)

    def _forget_the_dead(self) -> None:
        # dockerd asks by signal whether the processes of these files live, and a dead one that init
        # has not reaped yet seems to: it would then refuse to start, or wait for that containerd.
        for pidfile in (self._pidfile, self._containerd_pidfile):
            if alive(pidfile) is None:
                pidfile.unlink(missing_ok=True)


def alive(pidfile: Path) -> int | None:
    """The process that the file names; None if there is none, or a zombie, or another's."""
    try:
        pid = int(pidfile.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()  # empty for a zombie
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return None
    return pid if b"containerd" in command or b"dockerd" in command else None


def shared_folder() -> Path:
    """What all runs of this user share. (pytest's own basetemp is new in each run.)"""
    folder = Path(tempfile.gettempdir(), f"mezzo-test-docker-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


@contextlib.contextmanager
def shared_daemon() -> Iterator[Daemon]:
    """The machine's one test engine: started by the first user, removed by the last."""
    home = shared_folder()
    daemon = Daemon(home / "engine")
    with (home / "guard").open("w") as guard, (home / "users").open("w") as users:
        fcntl.flock(guard, fcntl.LOCK_EX)  # only its holder starts, stops or joins
        alone = try_lock_exclusively(users)
        fcntl.flock(users, fcntl.LOCK_SH)
        daemon.scratch.mkdir(exist_ok=True)
        daemon.start()
        if alone:
            daemon.clear()  # what a killed run has left
        fcntl.flock(guard, fcntl.LOCK_UN)
        try:
            yield daemon
        finally:
            fcntl.flock(guard, fcntl.LOCK_EX)
            if try_lock_exclusively(users):
                daemon.start()  # a test may have failed between stop and start
                daemon.clear()
                daemon.stop()
                daemon.wipe()


def try_lock_exclusively(file: IO[str]) -> bool:
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def answers(url: str) -> bool:
    with contextlib.suppress(docker.errors.DockerException, OSError):
        client = docker.DockerClient(base_url=url, timeout=10)
        with contextlib.closing(client):
            return bool(client.ping())
    return False


def why_no_engine() -> str | None:
    """None if an engine can be started here, else the reason, and what to do."""
    if os.getuid() != 0:
        return "only root can start a Docker engine: set MEZZO_TEST_DOCKER_HOST to one that runs"
    if answers(f"unix://{SYSTEM_SOCKET}"):
        return (
            f"a second engine would fight with the one at {SYSTEM_SOCKET}: stop that one or set "
            f"MEZZO_TEST_DOCKER_HOST=unix://{SYSTEM_SOCKET} to use it"
        )
    if shutil.which("dockerd") is None:
        return "dockerd is not installed: scripts/setup-test-host installs it (Debian, as root)"
    return None


@pytest.fixture(scope="session")
def docker_engine(request: pytest.FixtureRequest) -> Iterator[DockerEngine]:
    """A running engine that has the image BUSYBOX; `need_images` gets the others."""
    request.config.stash[IN_USE] = True
    with contextlib.ExitStack() as stack:
        if given := os.environ.get("MEZZO_TEST_DOCKER_HOST"):
            engine = DockerEngine(given)
        elif reason := why_no_engine():
            pytest.skip(f"NO DOCKER ENGINE: {reason}")
        else:
            daemon = stack.enter_context(shared_daemon())
            engine = DockerEngine(daemon.url, daemon)
        engine.need_images(BUSYBOX)
        yield engine


@pytest.fixture
def docker_engine_alone(docker_engine: DockerEngine) -> DockerEngine:
    """The engine, for a test that restarts it: no other test runs containers meanwhile."""
    return docker_engine


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let tests use the engine together, or one test alone: see `docker_engine_alone`.

    From the first user on that is so for all tests of the process: what ends a fixture of many
    tests, and asks the engine for it, may come after a test that does not use it.
    """
    if "docker_engine" not in fixtures_of(item) and not item.config.stash.get(IN_USE, False):
        return (yield)
    alone = "docker_engine_alone" in fixtures_of(item)
    with (shared_folder() / "tests").open("w") as tests:
        fcntl.flock(tests, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the users of the engine, and let one worker run them all: the engine is the bottleneck,
    and a test alone with it would make the other workers wait.
    """
    for item in items:
        if "docker_engine" in fixtures_of(item):
            item.add_marker("docker")
            if config.pluginmanager.has_plugin("xdist"):
                item.add_marker(pytest.mark.xdist_group("docker"))


def fixtures_of(item: pytest.Item) -> Sequence[str]:
    return item.fixturenames if isinstance(item, pytest.Function) else ()
