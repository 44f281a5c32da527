"""The Python client `marathon` 0.13.0, as its users have it, against a real cluster.

It hands every answer to its classes as keyword arguments: a key that it doesn't know is an error.
"""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parts.marathon_cluster import run_cluster

# A process of its own: the client's package is called as our folder is, and needs a shim for
# collections as they were in Python 3.9.
SCRIPT = """
import collections, collections.abc, sys, time
for name in ("Mapping", "MutableMapping", "Sequence", "Iterable", "Callable"):
    setattr(collections, name, getattr(collections.abc, name))
from marathon import MarathonClient, NotFoundError
from marathon.models import MarathonApp, MarathonConstraint
from marathon.models.container import MarathonContainer, MarathonDockerContainer

def until(read):
    for _ in range(300):
        value = read()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError("did not happen")

def settled(app_id, n):
    def read():
        app = client.get_app(app_id, embed_task_stats=True)
        return app.tasks_running == len(app.tasks) == n and not app.deployments and app
    return until(read)

client = MarathonClient(sys.argv[1])
assert b"pong" in client.ping()
assert client.get_info().name == "marathon"
assert "leader" in client.get_leader()
rack = MarathonConstraint("rack", "LIKE", "r.*")
made = client.create_app("py", MarathonApp(
    cmd="exec sleep 1000", cpus=0.01, mem=8, instances=2, constraints=[rack], labels={"a": "b"}))
assert made.id == "/py"
app = settled("py", 2)
assert app.task_stats.total_summary.stats.counts.running == 2
assert len(client.list_tasks("py")) == 2
assert [a.id for a in client.list_apps(embed_tasks=True, label="a==b")] == ["/py"]
assert client.scale_app("py", instances=3)["deploymentId"]
settled("py", 3)
first = client.list_versions("py")[-1]
assert client.get_version("py", first).instances == 2
app = client.get_app("py")
app.cmd = "exec sleep 999"
assert client.update_app("py", app)["version"]
assert settled("py", 3).cmd == "exec sleep 999"
killed = client.list_tasks("py")[0].id
assert client.kill_task("py", killed).id == killed
until(lambda: killed not in [task.id for task in client.list_tasks("py")])
settled("py", 3)
client.kill_given_tasks([client.list_tasks("py")[0].id], scale=True)
settled("py", 2)
client.restart_app("py")
settled("py", 2)
client.rollback_app("py", first)
assert settled("py", 2).cmd == "exec sleep 1000"
docker = MarathonDockerContainer(image="x", network="BRIDGE", port_mappings=[{"containerPort": 80}])
client.create_app("big", MarathonApp(cpus=1000, mem=8, container=MarathonContainer(docker=docker)))
(item,) = until(lambda: [i for i in client.list_queue(embed_last_unused_offers=True)
                         if i.last_unused_offers])
assert item.app.id == "/big"
(deployment,) = client.list_deployments()
assert deployment.affected_apps == ["/big"]
client.delete_deployment(deployment.id)
until(lambda: not client.list_deployments())
assert client.get_metrics()["counters"]
events = client.event_stream()
client.delete_app("py")
assert next(iter(events)).event_type
try:
    client.get_app("big")
except NotFoundError:
    pass
else:
    raise AssertionError("/big should be gone")
print("the client is content")
"""


def _has_client() -> bool:
    try:
        return importlib.metadata.version("marathon").startswith("0.13")
    except importlib.metadata.PackageNotFoundError:
        return False


@pytest.mark.skipif(
    not _has_client(),
    reason="THE PYTHON CLIENT IS NOT TESTED: the package marathon 0.13 is not installed "
    "(pip install marathon==0.13.0)",
)
def test_the_python_client_understands_every_answer(tmp_path: Path) -> None:
    """Section 20.1."""
    script = tmp_path / "client.py"
    script.write_text(SCRIPT)
    for cluster in run_cluster(tmp_path):
        marathon = cluster.marathon("client")
        done = subprocess.run(
            [sys.executable, str(script), f"http://{marathon.address}"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == "the client is content\n"
