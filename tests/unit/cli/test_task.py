"""`mezzo node`, `framework` and `task` against a server that plays a gateway and an agent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from mezzo.cluster.states import TaskState
from mezzo.gateway.mesos.state_endpoint import state_json
from mezzo.gateway.replica.cluster_replica import Replica
from mezzo.ids import AgentId
from mezzo.messages.operator import TaskAdded
from mezzo.record import replace

from ..gateway.clusters import A1, MASTER, agent, framework, snapshot, task
from .conftest import Mezzo
from .fake_server import FakeServer, serving


def cluster(agent_port: int) -> dict[str, Any]:
    """What a real gateway would answer."""
    info = replace(agent(A1).agent_info, hostname="127.0.0.1", port=agent_port)
    replica = Replica()
    start = snapshot(agents=(replace(agent(A1), agent_info=info),), frameworks=(framework(),))
    replica.apply(0, 1, start)
    for number, each in enumerate(
        [
            task("web.1", TaskState.RUNNING),
            task("web.2", TaskState.RUNNING),
            task("db.1", TaskState.RUNNING),
            task("db.0", TaskState.FAILED),
            task("far", TaskState.RUNNING, agent_id=AgentId("elsewhere")),
        ],
        1,
    ):
        replica.apply(number, 1, TaskAdded(replace(each, name=each.name.split(".")[0])))
    return state_json(replica.view(), MASTER)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """One process plays both: the agent's port is the gateway's."""
    fake = FakeServer()
    with serving(fake):
        fake.routes["GET /state"] = 200, cluster(int(fake.url.rpartition(":")[2]))
        fake.routes["GET /containers/db.1/logs"] = b"hello\n\xff\n"
        yield fake


def test_nodes_and_frameworks_are_listed(mezzo: Mezzo, server: FakeServer) -> None:
    nodes = mezzo("node", "list", "--gateway", server.url)
    assert "0/5" in nodes.stdout
    assert "rack:a level:2.5" in nodes.stdout
    assert "marathon" in mezzo("framework", "list", "--gateway", server.url).stdout


def test_an_empty_cluster_says_what_to_do(mezzo: Mezzo) -> None:
    empty = {"slaves": [], "frameworks": [], "completed_frameworks": []}
    with serving(FakeServer({"GET /state": (200, empty)})) as server:
        assert "mezzo agent" in mezzo("node", "list", "--gateway", server.url).stdout
        assert mezzo("task", "list", "-o", "json", "--gateway", server.url).stdout == "[]\n"


def test_tasks_that_are_over_are_listed_on_demand(mezzo: Mezzo, server: FakeServer) -> None:
    def ids(*args: str) -> set[str]:
        shown = mezzo("task", "list", "-o", "json", "--gateway", server.url, *args).stdout
        return {each["id"] for each in json.loads(shown)}

    assert ids() == {"web.1", "web.2", "db.1", "far"}
    assert ids("--all") == {"web.1", "web.2", "db.1", "db.0", "far"}


def test_logs_are_the_bytes_that_the_agent_has(mezzo: Mezzo, server: FakeServer) -> None:
    result = mezzo(
        "task", "logs", "db.1", "--stderr", "-f", "--offset", "5", "--gateway", server.url
    )
    assert result.exit_code == 0
    assert result.stdout_bytes == b"hello\n\xff\n"
    assert server.asked[-1][0] == "GET /containers/db.1/logs?stream=stderr&offset=5&follow=1"


@pytest.mark.parametrize("wanted", ["db.1", "db", "db."])
def test_the_task_that_lives_is_meant(mezzo: Mezzo, server: FakeServer, wanted: str) -> None:
    result = mezzo("task", "logs", wanted, "--gateway", server.url)
    assert (result.exit_code, result.stdout_bytes) == (0, b"hello\n\xff\n")


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        ("web", "2 tasks fit 'web': name one of web.1, web.2"),
        ("nothing", "there is no task 'nothing'"),
        ("far", "the agent elsewhere of task far is not connected"),
        ("db.0", "has no logs of task db.0 any more"),
    ],
)
def test_logs_that_cannot_be_had_are_exit_code_1(
    mezzo: Mezzo, server: FakeServer, wanted: str, problem: str
) -> None:
    result = mezzo("task", "logs", wanted, "--gateway", server.url)
    assert result.exit_code == 1
    assert problem in result.stderr
