"""Marathons that die, stand by and take over, with real processes all around them."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mezzo.cluster.model import FrameworkInfo
from mezzo.frameworks.sdk import SchedulerDriver
from mezzo.frameworks.sdk.scheduler import Scheduler
from mezzo.ids import FrameworkId
from tests.parts.marathon_cluster import Cluster, Marathon, run_cluster, wait_for
from tests.parts.zookeeper import ZkEnsemble


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    yield from run_cluster(tmp_path_factory.mktemp("failover"))


def test_a_killed_marathon_finds_its_apps_and_tasks_again(cluster: Cluster) -> None:
    """Promise 3, behaviour 119."""
    marathon = cluster.marathon("crash")
    marathon.create("/kept", instances=3, labels={"a": "b"})
    tasks = marathon.settled("/kept", 3)
    before = marathon.app("/kept")
    marathon.kill()
    marathon.start()
    assert marathon.settled("/kept", 3) == tasks
    after = marathon.app("/kept")
    assert {**after, "tasks": ()} == {**before, "tasks": ()}
    marathon.put("/v2/apps/kept", {"instances": 1})
    assert set(marathon.settled("/kept", 1)) < set(tasks)
    marathon.kill()


def test_a_killed_marathon_goes_on_with_its_deployments(cluster: Cluster) -> None:
    """Behaviour 41."""
    marathon = cluster.marathon("deploying")
    marathon.create("/upgraded", instances=3)
    old = marathon.settled("/upgraded", 3)
    # Deleted, created and changed, each killed in the midst of it.
    marathon.create("/deleted", instances=3)
    marathon.settled("/deleted", 3)
    marathon.delete("/v2/apps/deleted")
    marathon.put("/v2/apps/upgraded", {"cmd": "exec sleep 999"})
    marathon.create("/created", instances=2)
    marathon.kill()
    marathon.start()
    marathon.gone("/deleted")
    assert not set(marathon.settled("/upgraded", 3)) & set(old)
    marathon.settled("/created", 2)
    marathon.kill()


def test_what_ended_while_marathon_was_away_is_replaced(cluster: Cluster, tmp_path: Path) -> None:
    marathon = cluster.marathon("away")
    pid_file = tmp_path / "pid"
    marathon.create("/ended", cmd=f"echo $$ > {pid_file}; exec sleep 1000")
    (first,) = marathon.settled("/ended", 1)
    marathon.kill()
    os.kill(int(pid_file.read_text()), signal.SIGKILL)
    marathon.start()
    wait_for(
        lambda: (ids := marathon.settled("/ended", 1)) and ids != [first], "task that replaces it"
    )
    marathon.kill()


def test_abdication_restarts_the_process_as_a_standby(cluster: Cluster) -> None:
    """Behaviour 118, alone: the same process leads again, no task is touched."""
    marathon = cluster.marathon("abdicating")
    marathon.create("/stays")
    tasks = marathon.settled("/stays", 1)
    assert marathon.process is not None
    pid = marathon.process.pid
    assert marathon.delete("/v2/leader").json == {"message": "Leadership abdicated"}
    log = marathon.directory / f"{marathon.port}.log"
    wait_for(  # on its way out it still answers, or cuts an answer off
        lambda: "http.listening" in log.read_text().partition("daemon.restarting")[2], "restart"
    )
    assert marathon.settled("/stays", 1) == tasks
    assert marathon.process.pid == pid
    assert marathon.process.poll() is None
    marathon.kill()


def test_a_marathon_whose_framework_was_failed_over_stands_by(cluster: Cluster) -> None:
    """F17: the successor's subscription may be heard of before the lost session. The process is
    the same, and since here nobody else is elected it leads again.
    """
    marathon = cluster.marathon("rival")
    marathon.create("/stays")
    tasks = marathon.settled("/stays", 1)
    assert marathon.process is not None
    framework_id = FrameworkId(marathon.get("/v2/info").json["frameworkId"])
    info = FrameworkInfo("nobody", "marathon", framework_id, failover_timeout=1000)
    rival = SchedulerDriver(Scheduler(), info, cluster.master)
    rival.start()
    log = marathon.directory / f"{marathon.port}.log"
    try:
        wait_for(lambda: "Framework failed over" in log.read_text(), "word of the rival")
        rival.join()  # failed over in its turn
    finally:
        rival.stop(failover=True)
    assert marathon.settled("/stays", 1) == tasks
    assert marathon.process.poll() is None
    assert "daemon.restarting" in log.read_text()
    assert "daemon.failed" not in log.read_text()
    marathon.kill()


def test_a_damaged_record_hurts_its_app_alone(cluster: Cluster) -> None:
    """Promise 9 on real processes: the rest is led, the app's task lives, DELETE gets in."""
    marathon = cluster.marathon("damaged")
    for app_id in ("/damaged", "/whole"):
        marathon.create(app_id)
    (damaged,) = marathon.settled("/damaged", 1)
    whole = marathon.settled("/whole", 1)
    marathon.kill()
    with closing(sqlite3.connect(marathon.directory / "marathon.db")) as database, database:
        changed = database.execute(
            "UPDATE state SET value = ? WHERE key = 'app//damaged'", (b'{"id": "/dama',)
        )
        assert changed.rowcount == 1
    marathon.start()
    assert marathon.settled("/whole", 1) == whole
    (entry,) = marathon.get("/v2/quarantine").json["quarantine"]
    assert (entry["key"], entry["appId"]) == ("app//damaged", "/damaged")
    running = {task["id"]: task["state"] for task in marathon.get("/v2/tasks").json["tasks"]}
    assert running[damaged] == "TASK_RUNNING"
    assert marathon.create("/new")["id"] == "/new"
    assert marathon.delete("/v2/apps/damaged").status == 200
    wait_for(
        lambda: damaged not in [task["id"] for task in marathon.get("/v2/tasks").json["tasks"]],
        "end of the task of the deleted app",
    )
    assert marathon.get("/v2/quarantine").json == {"quarantine": []}
    marathon.kill()


def check_standby(leader: Marathon, standby: Marathon) -> None:
    """Behaviours 111, 116, 117."""
    answer = wait_for(
        lambda: (a := standby.get("/v2/apps/shared")).status == 200 and a, "answer by way of both"
    )
    assert answer.headers["X-Marathon-Leader"] == f"http://{leader.address}"
    assert answer.json == leader.get("/v2/apps/shared").json
    assert standby.get("/v2/leader").json == {"leader": leader.address}
    assert standby.put("/v2/apps/shared", {"labels": {"by": "standby"}}).status == 200
    leader.settled("/shared", 1)
    events = standby.get("/v2/events?event_type=x", Accept="text/event-stream")
    assert events.status == 302
    assert events.headers["Location"] == f"http://{leader.address}/v2/events?event_type=x"
    loop = standby.get("/v2/apps", **{"X-Marathon-Via": f"1.1 {standby.address}"})
    assert (loop.status, loop.json["message"]) == (502, "Detected proxying loop.")
    # A path goes on as it came, and a page of the standby's own may write through it.
    for part in ("%2Fshared", "%C3%A4", "a%20b", "%00", "x%2Fy"):
        through, direct = standby.get(f"/v2/apps/{part}"), leader.get(f"/v2/apps/{part}")
        assert (through.status, through.text) == (direct.status, direct.text)
    page = {"Origin": f"http://{standby.address}", "Content-Type": "application/json"}
    own = standby.ask("PUT", "/v2/apps/shared", {"labels": {"by": "page"}}, headers=page)
    assert own.status == 200
    leader.settled("/shared", 1)
    page["Origin"] = f"http://{leader.address}"
    assert standby.ask("PUT", "/v2/apps/shared", {}, headers=page).status == 403


def test_a_standby_answers_for_the_leader_and_takes_over(cluster: Cluster) -> None:
    leader = cluster.marathon("solo")
    leader.create("/shared")
    leader.settled("/shared", 1)
    standby = cluster.marathon("solo")
    check_standby(leader, standby)
    tasks = leader.task_ids("/shared")
    leader.kill()
    wait_for(lambda: standby.get("/v2/leader").json.get("leader") == standby.address, "takeover")
    assert standby.settled("/shared", 1) == tasks
    standby.kill()


@pytest.mark.zookeeper
def test_marathons_elect_a_leader_in_zookeeper(cluster: Cluster, zk: ZkEnsemble) -> None:
    """Behaviours 116, 118: abdicating hands over to the other one."""
    url = zk.url()
    first = cluster.marathon("zk-1", zk=url)
    first.create("/shared")
    tasks = first.settled("/shared", 1)
    second = cluster.marathon("zk-2", zk=url)
    check_standby(first, second)
    tasks = first.task_ids("/shared")
    config = first.get("/v2/info").json
    assert config["marathon_config"]["ha"] is True
    assert config["zookeeper_config"]["zk"].startswith("zk://127.0.0.1:")
    first.delete("/v2/leader")
    wait_for(lambda: second.get("/v2/leader").json.get("leader") == second.address, "takeover")
    assert second.settled("/shared", 1) == tasks
    # The one that abdicated is a standby now.
    wait_for(
        lambda: first.get("/ping").headers["X-Marathon-Leader"] == f"http://{second.address}",
        "answer by way of the former leader",
    )
    second.kill()
    wait_for(lambda: first.get("/v2/leader").json.get("leader") == first.address, "way back")
    assert first.settled("/shared", 1) == tasks
    first.kill()


@pytest.mark.zookeeper
def test_a_marathon_that_slept_through_its_deposition_stands_by(
    cluster: Cluster, zk: ZkEnsemble
) -> None:
    """F17: it wakes to a lost session, a fenced store and a framework that was failed over, in any
    order; whichever it meets first, the process goes on as a standby.
    """
    url = zk.url()
    first = cluster.marathon("sleeper-1", zk=url)
    first.create("/shared")
    tasks = first.settled("/shared", 1)
    second = cluster.marathon("sleeper-2", zk=url)
    assert first.process is not None
    first.process.send_signal(signal.SIGSTOP)
    try:
        # The session lasts ten seconds.
        wait_for(
            lambda: second.get("/v2/leader").json.get("leader") == second.address, "takeover", 60
        )
        wait_for(lambda: second.get("/v2/apps/shared").status == 200, "answer of the successor")
        assert second.settled("/shared", 1) == tasks
    finally:
        first.process.send_signal(signal.SIGCONT)
    wait_for(
        lambda: first.get("/ping").headers["X-Marathon-Leader"] == f"http://{second.address}",
        "answer by way of the former leader",
    )
    assert first.process.poll() is None
    log = (first.directory / f"{first.port}.log").read_text()
    assert "daemon.restarting" in log
    assert "daemon.failed" not in log
    assert second.settled("/shared", 1) == tasks
    first.kill()
    second.kill()
