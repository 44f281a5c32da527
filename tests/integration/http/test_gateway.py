"""The gateway's HTTP in front of a master that follows a script, over real gRPC."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mezzo.cluster.states import TaskState
from mezzo.election.solo import SoloElection
from mezzo.errors import BadRequest
from mezzo.messages.operator import (
    AgentAdded,
    AgentRemoved,
    FrameworkAdded,
    FrameworkUpdated,
    Resume,
    TaskAdded,
)
from mezzo.record import replace
from mezzo.wire import operator as operator_wire
from tests.parts.scripted_master import WITHIN_S, ScriptedMaster, ask, eventually, gateway
from tests.unit.cli.fake_server import FakeServer, serving
from tests.unit.gateway.clusters import A1, A2, agent, framework, task, update


@pytest.fixture
def master() -> Iterator[ScriptedMaster]:
    scripted = ScriptedMaster().start()
    yield scripted
    scripted.stop()


@pytest.fixture
def url(master: ScriptedMaster) -> Iterator[str]:
    with gateway(f"127.0.0.1:{master.port}") as address:
        eventually(lambda: ask(f"{address}/state")[0] == 200, "the leader is followed")
        yield address


def agents(url: str) -> list[str]:
    return [each["id"] for each in ask(f"{url}/state")[1]["slaves"]]


def test_state_follows_what_the_master_publishes(master: ScriptedMaster, url: str) -> None:
    master.publish(AgentAdded(agent(A1)), FrameworkAdded(framework()), TaskAdded(task()))
    eventually(lambda: agents(url) == [A1], "the agent is seen")
    master.publish(update("t1", TaskState.RUNNING), AgentRemoved(A1))
    eventually(lambda: agents(url) == [], "the agent is gone")
    _, state = ask(f"{url}/state")
    assert state["frameworks"][0]["tasks"][0]["state"] == "TASK_RUNNING"
    assert ask(f"{url}/master/state")[1] == state


def test_a_lost_event_is_noticed_and_made_good(master: ScriptedMaster, url: str) -> None:
    master.publish(AgentAdded(agent(A1)), AgentAdded(agent(A2)), lose=1)
    eventually(lambda: agents(url) == [A1, A2], "both agents are seen")
    assert master.subscriptions == [None, None], "what it holds is of no use any more"


def test_an_event_that_can_not_be_read_is_made_good_by_a_snapshot(
    master: ScriptedMaster, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be asked for again and again."""
    read = operator_wire.event_from_wire

    def unable(message: Any) -> Any:
        known = read(message)
        if known is not None and isinstance(known[2], AgentAdded):
            raise BadRequest("from the future")
        return known

    monkeypatch.setattr(operator_wire, "event_from_wire", unable)
    master.publish(FrameworkAdded(framework()))  # which was waited for with what it had
    master.publish(AgentAdded(agent(A1)))
    eventually(lambda: agents(url) == [A1], "the agent is seen")
    assert master.subscriptions == [None, None]


def test_a_broken_stream_goes_on_where_it_ended(master: ScriptedMaster, url: str) -> None:
    master.publish(AgentAdded(agent(A1)))
    eventually(lambda: agents(url) == [A1], "the agent is seen")
    master.hang_up()
    master.publish(AgentAdded(agent(A2)))
    eventually(lambda: agents(url) == [A1, A2], "what it missed is seen")
    assert master.subscriptions == [None, Resume(1, 1)]
    master.publish(AgentRemoved(A1))
    eventually(lambda: agents(url) == [A2], "and what comes later")


def test_without_a_leader_it_says_so_and_recovers_by_itself(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with gateway(f"solo:{lock}") as url:
        status, body = ask(f"{url}/state")
        assert status == 503
        assert "leads" in body["message"] or "leading" in body["message"]
        assert "try again" in body["message"]
        assert ask(f"{url}/health") == (200, "")
        assert ask(f"{url}/version")[1]["version"] == "1.11.0"
        assert "mezzo_gateway_synced 0.0" in ask(f"{url}/metrics")[1]
        master = ScriptedMaster().start()
        election = SoloElection(lock, f"127.0.0.1:{master.port}".encode())
        election.start(lambda _event: None)
        try:
            eventually(lambda: ask(f"{url}/state")[0] == 200, "the leader is found")
            assert "mezzo_gateway_synced 1.0" in ask(f"{url}/metrics")[1]
        finally:
            election.stop()
            master.stop()


def test_a_new_leader_is_followed_and_shows_its_own_state(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    first, second = ScriptedMaster().start(), ScriptedMaster(epoch=2).start()
    first.publish(AgentAdded(agent(A1)))
    second.publish(AgentAdded(agent(A2)))
    elections = [SoloElection(lock, f"127.0.0.1:{m.port}".encode()) for m in (first, second)]
    with gateway(f"solo:{lock}") as url:
        elections[0].start(lambda _event: None)
        eventually(lambda: ask(f"{url}/state")[0] == 200 and agents(url) == [A1], "the first leads")
        elections[0].stop()
        first.stop()
        # What the last leader said stands while the next one is elected.
        assert agents(url) == [A1]
        elections[1].start(lambda _event: None)
        eventually(lambda: agents(url) == [A2], "the second leads")
        elections[1].stop()
        second.stop()


def read_events(url: str) -> Iterator[tuple[str, Any]]:
    with urllib.request.urlopen(f"{url}/events", timeout=WITHIN_S) as stream:
        kind = ""
        for line in stream:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                yield kind, json.loads(value)


def test_a_page_gets_everything_first_and_then_what_changes(
    master: ScriptedMaster, url: str
) -> None:
    master.publish(AgentAdded(agent(A1)))
    eventually(lambda: agents(url) == [A1], "the agent is seen")
    events = read_events(url)
    kind, data = next(events)
    assert (kind, list(data["agents"])) == ("snapshot", [A1])
    assert next(events) == ("status", {"problem": None})
    master.publish(AgentRemoved(A1))
    assert next(events) == ("change", {"agents": {A1: None}})


def test_a_page_is_told_when_the_leader_is_gone(master: ScriptedMaster) -> None:
    other = ScriptedMaster().start()
    with gateway(f"127.0.0.1:{other.port}") as url:
        eventually(lambda: ask(f"{url}/state")[0] == 200, "the leader is followed")
        events = read_events(url)
        assert [next(events)[0], next(events)[1]] == ["snapshot", {"problem": None}]
        other.stop()
        kind, status = next(events)
        assert kind == "status"
        assert status["problem"] == f"the master at 127.0.0.1:{other.port} does not answer"


def test_more_pages_than_threads_are_served_and_reads_still_work(
    master: ScriptedMaster, url: str
) -> None:
    pages = [read_events(url) for _ in range(60)]
    for page in pages:
        assert [next(page)[0], next(page)[0]] == ["snapshot", "status"]
    assert ask(f"{url}/state")[0] == 200
    master.publish(AgentAdded(agent(A1)))
    for page in pages:
        assert list(next(page)[1]["agents"]) == [A1]
        page.close()


def test_marathon_is_read_where_it_says_that_it_is(master: ScriptedMaster, url: str) -> None:
    status, body = ask(f"{url}/marathon/v2/apps")
    assert status == 503
    assert "no Marathon is connected" in body["message"]
    with serving(FakeServer({"GET /v2/apps": (200, {"apps": []})})) as marathon:
        info = replace(framework().framework_info, webui_url=marathon.url)
        master.publish(FrameworkAdded(replace(framework(), framework_info=info)))
        eventually(lambda: ask(f"{url}/marathon/v2/apps")[0] == 200, "Marathon is found")
        assert ask(f"{url}/marathon/v2/apps?embed=apps.counts") == (200, {"apps": []})
        assert marathon.asked[-1] == ("GET /v2/apps?embed=apps.counts", None)
    status, body = ask(f"{url}/marathon/v2/apps")
    assert status == 502
    assert "nobody listens" in body["message"]
    master.publish(FrameworkUpdated(replace(framework(connected=False), framework_info=info)))
    eventually(
        lambda: "no Marathon" in ask(f"{url}/marathon/v2/apps")[1]["message"], "it is let go"
    )


@pytest.mark.parametrize(
    "path", ["/marathon/v2/leader", "/marathon/v1/x", "/nothing", "/static/../app.py"]
)
def test_what_is_not_the_gateways_to_serve_is_not_found(url: str, path: str) -> None:
    status, body = ask(f"{url}{path}")
    assert status == 404
    assert body["message"]


def test_writes_are_refused(url: str) -> None:
    request = urllib.request.Request(f"{url}/marathon/v2/apps", b"{}", method="POST")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=WITHIN_S)
    assert refused.value.code == 405


def test_metrics_tell_of_the_cluster(master: ScriptedMaster, url: str) -> None:
    master.publish(AgentAdded(agent(A1, used_cpus=2)), FrameworkAdded(framework()))
    master.publish(TaskAdded(task()), AgentAdded(agent(A2, active=False)))
    eventually(lambda: agents(url) == [A1, A2], "the agents are seen")
    lines = ask(f"{url}/metrics")[1].splitlines()
    for line in (
        'mezzo_cluster_resources_total{resource="cpus"} 5.0',
        'mezzo_cluster_resources_used{resource="cpus"} 2.0',
        'mezzo_cluster_agents{active="False"} 1.0',
        'mezzo_cluster_frameworks{connected="True"} 1.0',
        'mezzo_cluster_tasks{state="TASK_STAGING"} 1.0',
    ):
        assert line in lines
