"""N containers through mezzo against the bare engine, at the same concurrency, in turn.

Needs a Docker engine (DOCKER_HOST or the default socket) with a busybox image. Prints three lines:
the rate of the bare engine API, that of mezzo with the engine as `peer`, and mezzo's own share of
the way from POST to RUNNING: the time from the POST of an app of one instance to its TASK_RUNNING,
less what the engine takes for create and start of the same container.

    python bench/containers.py [--containers N] [--full]
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor

import docker
from _daemons import end, free_port, start, until
from docker.models.containers import Container

from mezzo.process.daemon import cli_command

# As many launches at once as one agent of mezzo makes.
CONCURRENCY = 8
IMAGE = "busybox:latest"


MARATHON = free_port()


class Bare:
    """The engine without mezzo, asked by the SDK for the very containers that mezzo makes of `app`:
    same limits, environment, labels (under another name: an agent ends what it does not know) and
    log rotation, and a folder of its own that is mounted."""

    def __init__(self, client: docker.DockerClient, made: Container, folder: str) -> None:
        self._client = client
        config, host = made.attrs["Config"], made.attrs["HostConfig"]
        taken = ("NetworkMode", "LogConfig", "CpuShares", "CpuPeriod", "CpuQuota", "Memory")
        self._host = {name: host[name] for name in (*taken, "MemorySwap")}
        (self._mount,) = host["Mounts"]
        self._config = {name: config[name] for name in ("Image", "Cmd", "Env")}
        self._config["Labels"] = {f"bench.{key}": text for key, text in config["Labels"].items()}
        self._folder = folder

    def create(self) -> Container:
        name = f"bench-{uuid.uuid4()}"
        sandbox = os.path.join(self._folder, name)
        os.mkdir(sandbox)
        mounts = [self._mount | {"Source": sandbox}]
        config = self._config | {"HostConfig": self._host | {"Mounts": mounts}}
        made = self._client.api.create_container_from_config(config, name)
        self._client.api.start(made["Id"])
        return self._client.containers.get(made["Id"])  # mezzo looks at it once, too

    def one(self) -> float:
        """Seconds for create and start of one container."""
        began = time.perf_counter()
        container = self.create()
        took = time.perf_counter() - began
        container.remove(force=True)
        return took

    def rate(self, count: int) -> float:
        with ThreadPoolExecutor(CONCURRENCY) as pool:
            began = time.perf_counter()
            made = [job.result() for job in [pool.submit(self.create) for _ in range(count)]]
            rate = count / (time.perf_counter() - began)
            list(pool.map(lambda container: container.remove(force=True), made))
        return rate


def one_of_mezzo(client: docker.DockerClient) -> Container:
    until_running("/model", 1)
    (made,) = (each for each in client.containers.list() if each.labels.get("mezzo.task"))
    remove("/model")
    return made


def call(method: str, path: str, body: object = None) -> dict:
    request = urllib.request.Request(
        f"http://127.0.0.1:{MARATHON}{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def app(name: str, instances: int) -> dict:
    return {
        "id": name,
        "args": ["sleep", "1000"],
        "cpus": 0.02,
        "mem": 16,
        "instances": instances,
        "portDefinitions": [],
        "container": {"type": "DOCKER", "docker": {"image": IMAGE}},
    }


def remove(name: str) -> None:
    call("DELETE", f"/v2/apps{name}")
    until(f"{name} is gone", lambda: not call("GET", "/v2/deployments"), within_s=120, every_s=0.1)


def mezzo_rate(count: int) -> float:
    took = until_running("/bench", count)
    remove("/bench")
    return count / took


def post_to_running() -> float:
    took = until_running("/one", 1)
    remove("/one")
    return took


def until_running(name: str, count: int) -> float:
    """Seconds from the POST of the app to its last TASK_RUNNING, as the event stream tells them."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{MARATHON}/v2/events?event_type=status_update_event",
        headers={"Accept": "text/event-stream"},
    )
    with urllib.request.urlopen(request, timeout=60) as events:
        began = time.perf_counter()
        call("POST", "/v2/apps", app(name, count))
        running = 0
        for line in events:
            if line.startswith(b"data:") and b'"TASK_RUNNING"' in line:
                running += 1
                if running == count:
                    return time.perf_counter() - began
    raise SystemExit(f"{name}: the events ended with {running} of {count} running")


def emit(case: str, value: float, unit: str, **more: float) -> None:
    line = {"bench": "containers", "case": case, "value": round(value, 2), "unit": unit}
    print(json.dumps(line | {k: round(v, 2) for k, v in more.items()}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--containers", type=int, default=50)
    parser.add_argument("--full", action="store_true", help="5 rounds instead of 2")
    options = parser.parse_args()
    rounds = 5 if options.full else 2
    client = docker.DockerClient(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock"))
    with tempfile.TemporaryDirectory() as folder:
        up = start(
            "the cluster",
            cli_command(
                *("up", "--agents", "1", "--containerizer", "docker", "--dir", folder),
                *("--gateway-port", str(free_port()), "--master-port", str(free_port())),
                *("--agent-port", str(free_port()), "--marathon-port", str(MARATHON)),
            ),
            subprocess.DEVNULL,
        )
        try:
            until("the cluster is up", is_up, within_s=60, every_s=0.2)
            engine = Bare(client, one_of_mezzo(client), folder)
            bare, mezzo = [], []
            for _ in range(rounds):
                bare.append(engine.rate(options.containers))
                mezzo.append(mezzo_rate(options.containers))
            engine_one, mezzo_one = [], []
            for _ in range(5 * rounds):
                engine_one.append(engine.one())
                mezzo_one.append(post_to_running())
        finally:
            end(up)
    peer = statistics.median(bare)
    emit(f"engine {options.containers}", peer, "containers/s")
    rate = statistics.median(mezzo)
    emit(f"mezzo {options.containers}", rate, "containers/s", peer=peer, ratio=rate / peer)
    engine_ms = 1000 * statistics.median(engine_one)
    own_ms = 1000 * statistics.median(mezzo_one) - engine_ms
    emit("own share of POST to RUNNING", own_ms, "ms", peer=engine_ms)


def is_up() -> bool:
    try:
        return bool(call("GET", "/v2/info")["frameworkId"])
    except OSError:
        return False


if __name__ == "__main__":
    main()
