"""What `mezzo up` decides before it starts anything."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from mezzo.cli.local_cluster import TASK_PORTS, Plan, shares
from mezzo.resources import Resources

from .conftest import Mezzo


def plan(agents: int, agent_port: int = 5051) -> Plan:
    return Plan(
        Path("/tmp/none"),
        agents,
        "process",
        None,
        gateway_port=5050,
        master_port=5055,
        agent_port=agent_port,
        marathon_port=8080,
    )


@given(st.integers(1, 100))
def test_agents_share_the_machine_without_overlap(agents: int) -> None:
    parts = [Resources.parse(text) for text in shares(agents)]
    assert len(parts) == agents
    begin, end = TASK_PORTS
    taken = [port for part in parts for port in part.ports.numbers()]
    assert len(taken) == len(set(taken))
    assert begin <= min(taken) <= max(taken) <= end
    # An app asks for one CPU unless it says otherwise: it must fit somewhere.
    assert all(part.cpus >= 1 for part in parts)
    assert len({(part.cpus, part.mem_mib, part.disk_mib) for part in parts}) == 1


@given(st.integers(1, 100), st.integers(5000, 6000))
def test_no_port_is_given_twice(agents: int, agent_port: int) -> None:
    ports = [port for port, _ in plan(agents, agent_port).ports()]
    assert len(ports) == len(set(ports)) == agents + 3


def test_one_port_for_two_parts_is_a_usage_error(mezzo: Mezzo, tmp_path: Path) -> None:
    result = mezzo(
        "up",
        "--containerizer",
        "process",
        "--dir",
        str(tmp_path / "d"),
        "--gateway-port",
        "9000",
        "--marathon-port",
        "9000",
    )
    assert result.exit_code == 2
    assert "port 9000 is given to --gateway-port and --marathon-port" in result.stderr
    assert not (tmp_path / "d").exists()


def test_docker_that_is_asked_for_and_absent_is_a_failure(mezzo: Mezzo, tmp_path: Path) -> None:
    socket = f"unix://{tmp_path}/none.sock"
    result = mezzo("up", "--containerizer", "docker", "--docker-host", socket)
    assert result.exit_code == 1
    assert f"no Docker engine answers at {socket}" in result.stderr


def test_a_demo_that_is_no_app_is_refused_before_anything_starts(
    mezzo: Mezzo, tmp_path: Path
) -> None:
    (tmp_path / "demo.json").write_text("{}")
    result = mezzo("up", "--dir", str(tmp_path / "d"), "--demo", str(tmp_path / "demo.json"))
    assert result.exit_code == 2
    assert not (tmp_path / "d").exists()
