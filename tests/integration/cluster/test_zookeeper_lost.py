"""ZooKeeper comes back without what it knew, under a whole cluster: tasks live, all register again.

Marathon keeps its apps in a file here: it is the masters' memory that is lost.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.marathon_cluster import Marathon, _kill_tasks, _spawn, wait_for
from tests.parts.masters import MasterProcess, until
from tests.parts.zookeeper import ZkEnsemble, free_ports


@pytest.fixture
def agent_dir(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "agent"
    yield directory
    _kill_tasks(directory)


def start_agent(url: str, work_dir: Path) -> subprocess.Popen[bytes]:
    (port,) = free_ports(1)
    return _spawn(
        *("agent", "--master", url, "--work-dir", str(work_dir), "--port", str(port)),
        *("--containerizers", "process", "--resources", "cpus:4;mem:1000;disk:1000"),
        log=work_dir.with_suffix(".log"),
    )


@pytest.mark.zookeeper
@pytest.mark.parametrize("what", ["comes back empty", "comes back from a backup"])
def test_a_cluster_outlives_the_memory_of_its_zookeeper(
    zk_alone: ZkEnsemble, tmp_path: Path, agent_dir: Path, what: str
) -> None:
    (server,) = zk_alone.servers
    url = zk_alone.url()
    if what == "comes back from a backup":  # of a time when there was an epoch, but no agent
        early = MasterProcess(tmp_path / "early", zk=url).start().until_it_leads()
        server.back_up(tmp_path / "backup")
        early.stop()
    masters = [MasterProcess(tmp_path / name, zk=url).start() for name in ("m1", "m2")]
    agent = start_agent(url, agent_dir)
    marathon = Marathon(url, tmp_path / "marathon")
    marathon.directory.mkdir()
    try:
        marathon.start()
        marathon.create("/kept", instances=2)
        tasks = marathon.settled("/kept", 2)
        server.kill()
        server.lose_data(tmp_path / "backup" if what == "comes back from a backup" else None)
        zk_alone.start()
        until("a master leads", lambda: any(master.leads() for master in masters))
        # It gets its launches done, so agent and framework obey the new master.
        wait_for(
            lambda: marathon.put("/v2/apps/kept?force=true", {"instances": 3}).status == 200,
            "an update",
        )
        after = marathon.settled("/kept", 3)
        assert set(tasks) < set(after)
        leader = next(master for master in masters if master.leads())
        (known,) = leader.state().get_agents.agents
        assert known.active
        (framework,) = leader.state().get_frameworks.frameworks
        assert framework.connected
        assert agent.poll() is None
    finally:
        marathon.kill(signal.SIGTERM)
        agent.terminate()
        agent.wait()
        for master in masters:
            master.kill()
