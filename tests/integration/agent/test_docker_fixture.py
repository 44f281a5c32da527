"""The test engine is a real one: what other tests build on holds."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import docker
import pytest
from kazoo.client import KazooClient

from tests.parts.docker_engine import BUSYBOX, PYTHON, ROOT, ZOOKEEPER, DockerEngine

Run = Callable[..., Any]


@pytest.fixture
def client(docker_engine: DockerEngine) -> Iterator[docker.DockerClient]:
    with contextlib.closing(docker_engine.client()) as client:
        yield client


@pytest.fixture
def run(client: docker.DockerClient) -> Iterator[Run]:
    """Start a container in the background; it is removed after the test."""
    with contextlib.ExitStack() as stack:

        def start(image: str, *command: str, **options: Any) -> Any:
            name = f"fixture-{uuid.uuid4().hex[:8]}"
            container = client.containers.run(
                image, list(command), name=name, detach=True, **options
            )
            stack.callback(container.remove, force=True, v=True)
            container.reload()
            return container

        yield start


def test_a_published_port_answers_on_loopback(run: Run) -> None:
    container = run(BUSYBOX, *serve("hello"), ports={"80/tcp": ("127.0.0.1", 0)})
    assert fetch(published(container, "80/tcp")) == "hello"


@pytest.mark.parametrize("crash", [False, True], ids=["stop", "crash"])
def test_containers_and_their_ports_live_through_an_engine_restart(
    docker_engine_alone: DockerEngine, client: docker.DockerClient, run: Run, crash: bool
) -> None:
    container = run(BUSYBOX, *serve("still here"), ports={"80/tcp": ("127.0.0.1", 0)})
    before = container.attrs["State"]
    docker_engine_alone.restart(crash=crash)
    after = client.containers.get(container.id).attrs["State"]
    assert (after["Pid"], after["StartedAt"]) == (before["Pid"], before["StartedAt"])
    assert fetch(published(container, "80/tcp")) == "still here"


def test_another_user_of_the_engine_shares_it_and_leaves_it_running(
    docker_engine: DockerEngine, client: docker.DockerClient, run: Run
) -> None:
    if docker_engine._daemon is None:
        pytest.skip("the engine of MEZZO_TEST_DOCKER_HOST is not shared by locks")
    container = run(BUSYBOX, "sleep", "600")
    code = "from tests.parts.docker_engine import shared_daemon\n"
    code += "with shared_daemon() as daemon: print(daemon.url)"
    other = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True)
    assert other.strip() == docker_engine.url
    container.reload()
    assert container.status == "running"


def test_the_python_image_has_a_complete_interpreter_and_pip(
    docker_engine: DockerEngine, client: docker.DockerClient
) -> None:
    docker_engine.need_images(PYTHON)
    script = "python -c 'import bz2, ctypes, lzma, sqlite3, ssl, sys; print(sys.version_info[:2])'"
    script += " && pip --version"
    output = client.containers.run(PYTHON, ["sh", "-c", script], remove=True).decode()
    assert output.startswith("(3, 11)\npip ")


def test_the_zookeeper_image_serves_clients_by_the_public_images_variables(
    docker_engine: DockerEngine, run: Run
) -> None:
    docker_engine.need_images(ZOOKEEPER)
    container = run(
        ZOOKEEPER,
        environment={"ZOO_4LW_COMMANDS_WHITELIST": "conf", "ZOO_TICK_TIME": "500"}
        | {"ZOO_SERVERS": "server.1=localhost:2888:3888;2181"},
        ports={"2181/tcp": ("127.0.0.1", 0)},
    )
    zookeeper = KazooClient(f"127.0.0.1:{published(container, '2181/tcp')}")
    zookeeper.start(timeout=60)
    try:
        zookeeper.create("/a", b"1")
        assert zookeeper.get("/a")[0] == b"1"
        configuration = zookeeper.command(b"conf")
    finally:
        zookeeper.stop()
        zookeeper.close()
    assert "tickTime=500" in configuration


def test_an_unknown_base_image_is_refused_with_the_known_ones(docker_engine: DockerEngine) -> None:
    with pytest.raises(pytest.fail.Exception, match=r"no recipe for nginx: .*busybox:latest"):
        docker_engine.need_images("nginx")


def serve(text: str) -> list[str]:
    script = f"mkdir /www && echo -n '{text}' > /www/index.html && exec httpd -f -p 80 -h /www"
    return ["sh", "-c", script]


def published(container: Any, port: str) -> int:
    """The port on 127.0.0.1 under which the container's `port` is published."""
    container.reload()
    return int(container.ports[port][0]["HostPort"])


def fetch(port: int) -> str:
    """GET from a server that may still be starting."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as reply:
                return str(reply.read().decode())
        except (TimeoutError, ConnectionError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
