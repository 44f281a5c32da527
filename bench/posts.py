"""What a POST of an app costs Marathon: CPU of its process, from the request to the answer.

One client, one connection, no master: the app is stored, planned, announced and answered, and then
waits for offers. One JSON line for each case: milliseconds of CPU for each POST.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from _daemons import end, free_port, start, until

SMALL: dict[str, Any] = {"cmd": "sleep 1000", "cpus": 0.1, "mem": 32}
# As services are: what most keys hold in a definition of somebody's production.
FULL: dict[str, Any] = {
    "args": ["--listen", "0.0.0.0:8080", "--verbose"],
    "env": {f"SETTING_{n}": f"value of the setting {n}" for n in range(20)},
    "instances": 3,
    "cpus": 0.5,
    "mem": 512,
    "constraints": [["hostname", "UNIQUE"], ["rack", "GROUP_BY", "3"]],
    "container": {
        "type": "DOCKER",
        "docker": {
            "image": "registry.example.com/shop/cart:1.4.2",
            "forcePullImage": True,
            "parameters": [{"key": "log-opt", "value": "max-size=10m"}],
        },
        "volumes": [{"containerPath": "/data", "hostPath": "/srv/data", "mode": "RW"}],
        "portMappings": [
            {"containerPort": 8080, "hostPort": 0, "name": "http", "labels": {"VIP_0": "cart:80"}},
            {"containerPort": 9090, "hostPort": 0, "name": "metrics"},
        ],
    },
    "networks": [{"mode": "container/bridge"}],
    "healthChecks": [
        {"protocol": "MESOS_HTTP", "path": "/health", "portIndex": 0, "intervalSeconds": 10},
        {"protocol": "HTTP", "path": "/ready", "portIndex": 1, "gracePeriodSeconds": 60},
    ],
    "labels": {f"HAPROXY_{n}_GROUP": "external" for n in range(10)},
    "upgradeStrategy": {"minimumHealthCapacity": 0.5, "maximumOverCapacity": 0.2},
    "taskKillGracePeriodSeconds": 30,
}
CASES = {"small": SMALL, "full": FULL}


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ask(connection: http.client.HTTPConnection, method: str, path: str, body: bytes = b"") -> int:
    connection.request(method, path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    return answer.status


def leads(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        return ask(connection, "GET", "/v2/apps") == 200
    except OSError:
        return False
    finally:
        connection.close()


def measure(case: str, definition: dict[str, Any], posts: int, rounds: int) -> float:
    """Milliseconds of CPU for each POST: the median of the rounds."""
    port = free_port()
    with tempfile.TemporaryDirectory() as work_dir:
        marathon = start(
            "marathon",
            [
                *(sys.executable, "-P", "-m", "mezzo.cli", "marathon", "--work-dir", work_dir),
                *("--http-port", str(port), "--master", f"127.0.0.1:{free_port()}"),
                *("--max-running-deployments", "1000000", "--log-level", "error"),
            ],
            subprocess.DEVNULL,
        )
        until("Marathon leads", lambda: leads(port), within_s=60)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        found = []
        for number in range(rounds + 1):  # the first warms it up
            bodies = [
                json.dumps({"id": f"/shop/{case}-{number}-{n}", **definition}).encode()
                for n in range(posts)
            ]
            before_s = cpu_s(marathon.pid)
            for body in bodies:
                if (status := ask(connection, "POST", "/v2/apps", body)) != 201:
                    raise SystemExit(f"a POST is answered with {status}")
            found.append((cpu_s(marathon.pid) - before_s) / posts * 1000)
        connection.close()
        end(marathon, signal.SIGKILL)
    return statistics.median(found[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posts", type=int, default=1000, help="of each round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for case, definition in CASES.items():
        value = measure(case, definition, options.posts, options.rounds)
        print(json.dumps({"bench": "posts", "case": case, "value": round(value, 3)}), flush=True)


if __name__ == "__main__":
    main()
