"""What `mezzo up` decides before it starts anything."""

from __future__ import annotations

import os
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzo.cli.main import cli
from mezzo.cli.setting_options import DAEMONS, mistyped
from mezzo.cli.up.command import call_hint, command
from mezzo.cli.up.handing_on import handed_on, unheeded
from mezzo.cli.up.local_cluster import TASK_PORTS, Plan, shares
from mezzo.cluster.resources import Resources
from tests.parts.folders import open_the_way_to

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
        mesos_user="root",
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


def test_agents_that_there_are_no_ports_for_are_a_usage_error(mezzo: Mezzo, tmp_path: Path) -> None:
    ports = ("--agents", "100", "--agent-port", "65500")
    result = mezzo("up", "--containerizer", "process", "--dir", str(tmp_path / "d"), *ports)
    assert result.exit_code == 2
    assert "from --agent-port 65500 on there are 36 ports for 100 agents" in result.stderr
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("ports", "problem"),
    [
        ("31000", "no range of ports"),
        ("32000-31000", "no range of ports"),
        ("1-70000", "no range of ports"),
        ("31000-31001", "is no port for each of 3 agents"),
        ("5000-6000", "port 5050 of --gateway-port is one of --task-ports"),
    ],
)
def test_ports_of_tasks_are_a_range_of_their_own(
    mezzo: Mezzo, tmp_path: Path, ports: str, problem: str
) -> None:
    args = ("--containerizer", "process", "--dir", str(tmp_path / "d"))
    result = mezzo("up", *args, "--task-ports", ports)
    assert result.exit_code == 2
    assert problem in result.stderr
    assert not (tmp_path / "d").exists()


def test_docker_that_is_asked_for_and_absent_is_a_failure(mezzo: Mezzo, tmp_path: Path) -> None:
    socket = f"unix://{tmp_path}/none.sock"
    result = mezzo("up", "--containerizer", "docker", "--docker-host", socket)
    assert result.exit_code == 1
    assert f"no Docker engine answers at {socket}" in result.stderr


def test_a_demo_that_cannot_run_here_is_refused_before_anything_starts(
    mezzo: Mezzo, tmp_path: Path
) -> None:
    (tmp_path / "demo.json").write_text('{"id": "/d", "container": {"docker": {"image": "x"}}}')
    args = ("--containerizer", "process", "--dir", str(tmp_path / "d"))
    result = mezzo("up", *args, "--demo", str(tmp_path / "demo.json"))
    assert result.exit_code == 1
    assert "nothing was started: /d: it needs the image x, and tasks run as" in result.stderr
    assert not (tmp_path / "d").exists()


def test_a_user_that_tasks_cannot_run_as_is_a_usage_error(mezzo: Mezzo, tmp_path: Path) -> None:
    result = mezzo("up", "--dir", str(tmp_path / "d"), "--mesos-user", "nobody-knows-me")
    assert result.exit_code == 2
    assert "user 'nobody-knows-me' is unknown on this machine" in result.stderr
    assert not (tmp_path / "d").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="ONLY ROOT can choose another user")
def test_a_folder_that_is_closed_to_the_user_of_the_tasks_is_a_usage_error(
    mezzo: Mezzo, tmp_path: Path
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    open_the_way_to(closed)
    result = mezzo("up", "--dir", str(closed / "d"), "--mesos-user", "nobody")
    assert result.exit_code == 2
    assert f"{closed} is closed to that user" in result.stderr


@pytest.mark.parametrize(
    ("pair", "problem"),
    [
        ("agent", "is not DAEMON.NAME=VALUE"),
        ("agnet.port=1", "there is no daemon 'agnet'"),
        ("agent.gc-dleay=1days", "mezzo agent has no such setting: did you mean gc-delay?"),
        ("agent.gc_delay=soon", "--set agent.gc-delay: 'soon' is no duration"),
        ("agent.work-dir=/x", "`mezzo up` decides that itself, by --dir"),
        ("master.zk=zk://h:1/x", "`mezzo up` decides that itself"),
    ],
)
def test_a_setting_of_a_daemon_that_cannot_be_is_a_usage_error(
    mezzo: Mezzo, tmp_path: Path, pair: str, problem: str
) -> None:
    result = mezzo("up", "--dir", str(tmp_path / "d"), "--set", pair)
    assert result.exit_code == 2
    assert problem in result.stderr
    assert not (tmp_path / "d").exists()


def test_settings_reach_their_daemon_and_no_address_of_another_cluster_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "MEZZO_MASTER": "zk://elsewhere:2181/mezzo",
        "MEZZO_ZK": "zk://elsewhere:2181/mezzo",
        "MEZZO_MASTER_ZK": "zk://elsewhere:2181/mezzo",
        "MEZZO_OFFER_TIMEOUT": "1mins",
        "MEZZO_AGENT_GC_DELAY": "1days",
        "MEZZO_DOCKER_CFS": "false",
    }.items():
        monkeypatch.setenv(name, value)
    assert handed_on(["agent.gc-delay=2days"]) == {
        "master": {"MEZZO_MASTER_OFFER_TIMEOUT": "1mins"},
        "gateway": {},
        "marathon": {},
        "agent": {"MEZZO_AGENT_GC_DELAY": "2days", "MEZZO_AGENT_DOCKER_CFS": "false"},
    }


def test_variables_that_reach_no_daemon_are_told() -> None:
    environment = dict.fromkeys(
        ("MEZZO_AGENT_GC_DLEAY", "MEZZO_AGENT_WORK_DIR", "MEZZO_MASTER_ZK", "MEZZO_AGENT_PORT"), "x"
    )
    environment |= {"MEZZO_MASTER": "x", "MEZZO_MARATHON": "x", "MEZZO_AGENT_PING_TIMEOUT": "1secs"}
    said = list(unheeded(environment, command))
    assert len(said) == 3
    assert "MEZZO_AGENT_GC_DLEAY is no setting: did you mean MEZZO_AGENT_GC_DELAY" in said[0]
    assert said[1:] == [
        "MEZZO_MASTER_ZK is not used: `mezzo up` decides that itself",
        "MEZZO_AGENT_WORK_DIR is not used: `mezzo up` decides that itself, by --dir",
    ]


def test_a_mistyped_variable_is_told_whatever_else_is_set() -> None:
    environment = dict.fromkeys(
        ("MEZZO_RELAY_LISTNE", "MEZZO_MASTER_ROLES", "MEZZO_AGENT_PING_TIMEOUT", "MEZZO_ZK"), "x"
    )
    daemons = [cli.get_command(click.Context(cli), name) for name in DAEMONS]
    (said,) = mistyped(environment, lambda: [each for each in daemons if each is not None])
    assert said.startswith("MEZZO_RELAY_LISTNE is no setting: did you mean MEZZO_RELAY_LISTEN")


def test_a_demo_that_is_no_app_is_refused_before_anything_starts(
    mezzo: Mezzo, tmp_path: Path
) -> None:
    (tmp_path / "demo.json").write_text("{}")
    result = mezzo("up", "--dir", str(tmp_path / "d"), "--demo", str(tmp_path / "demo.json"))
    assert result.exit_code == 2
    assert not (tmp_path / "d").exists()


def test_how_to_call_what_is_not_on_the_path_is_told(tmp_path: Path) -> None:
    ours, other = tmp_path / "my venv" / "mezzo", tmp_path / "mezzo"
    ours.parent.mkdir()
    ours.touch()
    other.touch()
    assert call_hint(ours, str(ours)) is None
    assert call_hint(Path("cli/__main__.py").absolute(), None) is None  # python -m mezzo.cli
    for found in (None, str(other)):
        assert f"Type '{ours}' for `mezzo`" in (call_hint(ours, found) or "")
    (ours.parent / "activate").touch()
    assert f"`. '{ours.parent}/activate'` first" in (call_hint(ours, None) or "")
