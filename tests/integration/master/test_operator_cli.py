"""The commands of operators, with a real master, an agent that talks and a framework."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mezzo.cli.main import cli
from mezzo.frameworks.sdk import TaskState
from mezzo.process.daemon import cli_command
from mezzo.record import replace
from tests.parts.masters import Cluster, Recorder, TalkingAgent, until
from tests.parts.ports import free_ports
from tests.parts.zookeeper import ZkEnsemble


class Mezzo:
    """The command line, told where the master is; and what runs there."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.cluster = Cluster(directory)
        try:
            self.master = self.cluster.master(*options).until_it_leads()
            self.agent = self.cluster.agent(self.master.target)
            until("the agent has an id", lambda: self.agent.info.id)
        except BaseException:
            self.cluster.end()
            raise
        self.agent_id = str(self.agent.info.id)
        self.host = self.agent.info.hostname

    def __call__(self, *args: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(
            cli, [*args, "--master", self.master.target], input=stdin, prog_name="mezzo"
        )

    def json(self, *args: str) -> Any:
        result = self(*args, "-o", "json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    def framework(self, *tasks: str) -> str:
        """The id of one that runs these tasks."""
        recorder = Recorder(*tasks)
        self.cluster.driver(recorder, self.master.target)
        framework_id = str(recorder.until("registered"))
        for each in tasks:
            recorder.until_state(each, TaskState.RUNNING)
        return framework_id


@pytest.fixture(scope="module")
def mezzo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mezzo]:
    made = Mezzo(tmp_path_factory.mktemp("operators"))
    try:
        yield made
    finally:
        made.cluster.end()


def test_weights_are_set_and_listed(mezzo: Mezzo) -> None:
    assert mezzo("weight", "set", "eng", "2.5").exit_code == 0
    assert {"role": "eng", "weight": 2.5} in mezzo.json("weight", "list")
    assert "2.5" in mezzo("weight", "list").stdout
    refused = mezzo("weight", "set", "eng", "0")
    assert refused.exit_code == 2
    assert "0.0 is not in the range 0<x<1000000000.0" in refused.stderr
    assert (
        "role engg is not in use yet: did you mean eng?"
        in mezzo("weight", "set", "engg", "1").stderr
    )


def test_quota_is_set_shown_and_removed(mezzo: Mezzo) -> None:
    done = mezzo("quota", "set", "ops", "--guarantee", "cpus:0.5", "--limit", "cpus:1;mem:100")
    assert (done.exit_code, done.stdout) == (0, "quota of role ops is set\n")
    ops = {"role": "ops", "guarantees": {"cpus": 0.5}, "limits": {"cpus": 1.0, "mem": 100.0}}
    assert mezzo.json("quota", "get", "ops") == [ops]
    assert "cpus 1, mem 100" in mezzo("quota", "get").stdout
    (role,) = [each for each in mezzo.json("role", "list") if each["role"] == "ops"]
    assert (role["guarantees"], role["limits"]) == (ops["guarantees"], ops["limits"])
    mistyped = mezzo("quota", "set", "ops", "--limit", "cpu:2")
    assert mistyped.exit_code == 2
    assert "no agent has a resource 'cpu': did you mean cpus?" in mistyped.stderr
    assert mezzo.json("quota", "get", "ops") == [ops]
    assert mezzo("quota", "set", "ops", "--limit", "fpga:2", "--force").exit_code == 0
    assert "did you mean ops?" in mezzo("quota", "get", "osp").stdout
    too_much = mezzo("quota", "set", "ops", "--guarantee", "cpus:999")
    assert too_much.exit_code == 1
    assert "force" in too_much.stderr
    assert mezzo("quota", "set", "ops", "--guarantee", "cpus:999", "--force").exit_code == 0
    assert mezzo("quota", "remove", "ops").exit_code == 0
    assert mezzo.json("quota", "get") == []
    assert "no role has quota" in mezzo("quota", "get").stdout
    absent = mezzo("quota", "remove", "ops")
    assert absent.exit_code == 2
    assert "role ops has no quota" in absent.stderr


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (("--limit", "cpus"), "--limit: resource 'cpus'"),
        (("--limit", "cpus:1;mem:2;cpus:3"), "--limit names cpus more than once"),
        (("--guarantee", "cpus(eng):1"), "--guarantee: 'cpus(eng):1' names a role"),
        ((), "give --guarantee or --limit"),
    ],
)
def test_what_is_no_quota_is_a_usage_error(
    mezzo: Mezzo, args: tuple[str, ...], reason: str
) -> None:
    result = mezzo("quota", "set", "ops", *args)
    assert result.exit_code == 2
    assert reason in result.stderr


def test_a_limit_of_nothing_is_a_limit(mezzo: Mezzo) -> None:
    assert mezzo("quota", "set", "none", "--limit", "gpus:0;mem:100").exit_code == 0
    limits = {"gpus": 0.0, "mem": 100.0}
    assert mezzo.json("quota", "get", "none") == [
        {"role": "none", "guarantees": {}, "limits": limits}
    ]
    assert mezzo("quota", "remove", "none").exit_code == 0


def test_a_small_weight_is_not_shown_as_none(mezzo: Mezzo) -> None:
    assert mezzo("weight", "set", "tiny", "0.0001").stdout == "role tiny has weight 0.0001\n"
    assert "0.0001" in mezzo("weight", "list").stdout
    assert "0.0001" in mezzo("role", "list").stdout


def test_what_is_offered_is_listed_and_explained(mezzo: Mezzo) -> None:
    framework_id = mezzo.framework()  # it declines everything
    (answer,) = mezzo.json("explain", "--framework", framework_id)
    assert answer["agent"] == {"id": mezzo.agent_id, "hostname": mezzo.host}
    assert answer["framework"] == {"id": framework_id, "name": "test"}
    until(
        "it is filtered",
        lambda: "FILTERED" in mezzo("explain", "--agent", mezzo.host).stdout,
    )
    for kind in ("agent", "framework"):
        unknown = mezzo("explain", f"--{kind}", "nowhere")
        assert unknown.exit_code == 2
        assert unknown.stderr.startswith(f"mezzo: there is no {kind} 'nowhere': ")
    assert mezzo.json("offer", "list") == []
    assert "nothing is offered" in mezzo("offer", "list").stdout


def test_an_agent_is_drained_and_taken_back(mezzo: Mezzo) -> None:
    mezzo.framework("drained")
    assert mezzo("agent", "drain", mezzo.host, "--max-grace-period", "5secs").exit_code == 0

    def state() -> str:
        (agent,) = mezzo.json("agent", "list")
        return str(agent["state"])

    until("it is drained", lambda: state() == "drained")
    assert "drained" in mezzo("agent", "list").stdout
    assert mezzo("agent", "reactivate", mezzo.agent_id).exit_code == 0
    assert state() == "active"
    assert mezzo("agent", "deactivate", mezzo.host).exit_code == 0
    assert state() == "deactivated"
    assert mezzo("agent", "reactivate", mezzo.host).exit_code == 0
    unknown = mezzo("agent", "drain", "nowhere")
    assert unknown.exit_code == 2
    assert unknown.stderr.startswith("mezzo: there is no agent 'nowhere': known are ")


def test_of_agents_of_one_host_each_has_an_address(mezzo: Mezzo) -> None:
    other = TalkingAgent(mezzo.master.target)
    other.info = replace(other.info, hostname=mezzo.host, port=mezzo.agent.info.port + 1)
    mezzo.cluster.agents.append(other.start())
    until("it has an id", lambda: other.info.id)
    host, framework_id = mezzo.host, mezzo.framework()
    of_both = [f"{host}:{each.info.port}" for each in (mezzo.agent, other)]
    ambiguous = mezzo("agent", "deactivate", host)
    assert ambiguous.exit_code == 1
    assert ambiguous.stderr.startswith(f"mezzo: 2 agents run on {host}: name one of ")
    assert set(ambiguous.stderr.split("one of ")[1].strip().split(", ")) == set(of_both)
    explained = mezzo("explain", "--framework", framework_id, "--agent", host).stdout
    assert mezzo.agent_id in explained
    assert str(other.info.id) in explained
    (answer,) = mezzo.json("explain", "--framework", framework_id, "--agent", of_both[1])
    assert answer["agent"]["id"] == other.info.id
    assert mezzo("agent", "gone", of_both[1], "--yes").exit_code == 0
    other.stop()
    mezzo.cluster.agents.remove(other)
    assert [agent["id"] for agent in mezzo.json("agent", "list")] == [mezzo.agent_id]


def test_gone_is_for_ever_and_so_it_asks(mezzo: Mezzo) -> None:
    other = mezzo.cluster.agent(mezzo.master.target)
    until("it has an id", lambda: other.info.id)
    other_id = str(other.info.id)
    assert mezzo("agent", "gone", other_id, stdin="n\n").exit_code == 1
    assert len(mezzo.json("agent", "list")) == 2
    assert mezzo("agent", "gone", other.info.hostname, "--yes").exit_code == 0
    other.stop()  # what it logs of its dismissal is not part of any output
    mezzo.cluster.agents.remove(other)
    assert [agent["id"] for agent in mezzo.json("agent", "list")] == [mezzo.agent_id]


def test_an_unreachable_agent_is_listed_and_named_by_its_host(tmp_path: Path) -> None:
    pings = ("--agent-ping-timeout", "1secs", "--max-agent-ping-timeouts", "1")
    mezzo = Mezzo(tmp_path, *pings)
    try:
        mezzo.agent.stop()
        mezzo.cluster.agents.remove(mezzo.agent)
        lost = {"id": mezzo.agent_id, "hostname": mezzo.host, "port": mezzo.agent.info.port}
        until(
            "it is unreachable",
            lambda: mezzo.json("agent", "list") == [{**lost, "state": "unreachable"}],
        )
        assert "unreachable" in mezzo("agent", "list").stdout
        assert mezzo("agent", "gone", mezzo.host, "--yes").exit_code == 0
        assert mezzo.json("agent", "list") == []
    finally:
        mezzo.cluster.end()


def test_a_framework_is_torn_down(mezzo: Mezzo) -> None:
    framework_id = mezzo.framework()
    assert mezzo("framework", "teardown", framework_id, "--yes").exit_code == 0
    again = mezzo("framework", "teardown", framework_id, "--yes")
    assert again.exit_code == 2
    assert f"there is no framework '{framework_id}'" in again.stderr


def test_maintenance_is_planned_begins_and_ends(mezzo: Mezzo) -> None:
    command = ("maintenance", "plan", "far", "off", "--in", "1hrs", "--for", "30mins")
    unknown = mezzo(*command)
    assert unknown.exit_code == 2
    assert "no agent has ever come from a machine 'far': known are " in unknown.stderr
    assert mezzo.json("maintenance", "get")["windows"] == []
    assert mezzo(*command, "--force").exit_code == 0
    (window,) = mezzo.json("maintenance", "get")["windows"]
    assert window["machine_ids"] == [{"hostname": "far"}, {"hostname": "off"}]
    assert window["unavailability"]["duration"] == {"nanoseconds": 1_800_000_000_000}
    assert "30 min" in mezzo("maintenance", "get").stdout
    mistyped = mezzo("maintenance", "start", "fra")
    assert mistyped.exit_code == 2
    assert "'fra': did you mean far?" in mistyped.stderr
    again = mezzo("maintenance", "plan", "near", "off")
    assert again.exit_code == 1
    assert again.stderr.startswith("mezzo: off: in the schedule already")
    assert mezzo("maintenance", "start", "far").exit_code == 0
    status = {row["machine"]: row["mode"] for row in mezzo.json("maintenance", "status")}
    assert status == {"far": "down", "off": "draining"}
    assert mezzo("maintenance", "stop", "far").exit_code == 0
    schedule = json.dumps({"windows": []})
    assert mezzo("maintenance", "set", "-", stdin=schedule).exit_code == 0
    assert "no maintenance is planned" in mezzo("maintenance", "get").stdout
    wrong = mezzo("maintenance", "set", "-", stdin='{"windows": [{}]}')
    assert wrong.exit_code == 2
    assert "machine_ids" in wrong.stderr


def test_a_master_that_is_not_there_is_unreachable() -> None:
    (port,) = free_ports(1)
    result = CliRunner().invoke(cli, ["quota", "get", "--master", f"127.0.0.1:{port}"])
    assert result.exit_code == 3
    assert "MEZZO_MASTER" in result.stderr
    result = CliRunner().invoke(cli, ["quota", "get", "--master", "what is this"])
    assert result.exit_code == 2
    assert "--master" in result.stderr


def test_of_several_addresses_the_one_that_answers_is_asked(mezzo: Mezzo) -> None:
    (port,) = free_ports(1)
    both = f"127.0.0.1:{port},{mezzo.master.target}"
    result = CliRunner().invoke(cli, ["agent", "list", "--master", both])
    assert result.exit_code == 0
    assert mezzo.agent_id in result.stdout


@pytest.mark.zookeeper
@pytest.mark.xdist_group("zookeeper")
def test_a_leader_is_found_in_zookeeper_and_only_the_answer_is_printed(
    tmp_path: Path, zk: ZkEnsemble
) -> None:
    cluster, url = Cluster(tmp_path), zk.url()
    try:
        cluster.master(zk=url).until_it_leads()
        result = CliRunner().invoke(cli, ["weight", "list", "--master", url, "-o", "json"])
    finally:
        cluster.end()
    assert (result.exit_code, result.stdout, result.stderr) == (0, "[]\n", "")


def test_of_a_zookeeper_that_is_not_there_one_line_tells_and_no_password() -> None:
    (port,) = free_ports(1)
    url = f"zk://who:secret@127.0.0.1:{port}/mezzo"
    done = subprocess.run(
        cli_command("weight", "list", "--master", url), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(
        f"mezzo: no master at zk://who:***@127.0.0.1:{port}/mezzo answers"
    )
    assert len(done.stderr.splitlines()) == 1
