"""What was set aside, as the API shows it and lets it be deleted."""

from __future__ import annotations

from typing import Any

import pytest

from mezzo.cluster.resources import Resources
from mezzo.ids import AgentId, TaskId
from mezzo.marathon.effects import Publish
from mezzo.marathon.news import AppTerminated, UnhealthyInstanceKilled

from ..api_world import ApiWorld

SMALL = {"cmd": "sleep 1000", "cpus": 0.1, "mem": 32}
KEY = "app//shop/web"


def damaged() -> ApiWorld:
    world = ApiWorld.up()
    for app_id in ("/shop/web", "/other"):
        assert world.ask_api("POST", "/v2/apps", {"id": app_id, **SMALL}).status_code == 201
        world.run()
    world.store[KEY] = b'{"id":'
    world.restart()
    world.run()
    return world


def test_a_record_that_was_set_aside_is_listed_and_the_rest_is_served() -> None:
    world = damaged()
    (entry,) = world.ask_api("GET", "/v2/quarantine").get_json()["quarantine"]
    assert entry["reason"].startswith("stored bytes are no StoredApp")
    assert entry | {"reason": ""} == {
        "key": KEY,
        "kind": "app",
        "appId": "/shop/web",
        "reason": "",
        "bytes": 6,
    }
    apps = world.ask_api("GET", "/v2/apps").get_json()["apps"]
    assert [app["id"] for app in apps] == ["/other"]
    assert len(world.ask_api("GET", "/v2/tasks").get_json()["tasks"]) == 2
    answer = world.ask_api("GET", "/v2/apps/shop/web")
    assert answer.status_code == 404
    assert "its stored definition can't be read" in answer.get_json()["message"]
    assert world.term.metrics.values()[0]["marathon.apps.faults.counter"] == 0


def test_it_is_deleted_by_its_key() -> None:
    world = damaged()
    for query, status in (("", 400), ("?key=app//other", 404), ("?key=app/shop/web", 404)):
        answer = world.ask_api("DELETE", f"/v2/quarantine{query}")
        assert answer.status_code == status
        assert "message" in answer.get_json()
    assert KEY in world.store
    assert "app//other" in world.store
    assert world.ask_api("DELETE", f"/v2/quarantine?key={KEY}").status_code == 204
    world.run()
    assert world.ask_api("GET", "/v2/quarantine").get_json() == {"quarantine": []}
    assert world.running("/shop/web") == []
    assert KEY not in world.store


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_an_app_that_is_put_anew_takes_its_tasks_over(method: str) -> None:
    world = damaged()
    (old,) = world.running("/shop/web")
    path = "/v2/apps" if method == "POST" else "/v2/apps/shop/web"
    answer = world.ask_api(method, path, {"id": "/shop/web", **SMALL})
    assert answer.status_code == 201
    world.run()
    world.advance(10)
    assert world.ask_api("GET", "/v2/quarantine").get_json() == {"quarantine": []}
    (new,) = world.running("/shop/web")
    assert new != old


def test_it_is_deleted_with_its_tasks_as_an_app() -> None:
    world = damaged()
    assert world.ask_api("DELETE", "/v2/apps/shop/web").status_code == 200
    world.run()
    world.advance(10)
    assert world.running("/shop/web") == []
    assert world.ask_api("GET", "/v2/quarantine").get_json() == {"quarantine": []}


def test_an_app_whose_data_makes_no_sense_says_so_in_the_queue_and_by_itself() -> None:
    """A pattern that an earlier version has taken."""
    world = ApiWorld.up()
    world.agents[0].total = Resources()
    answer = world.ask_api(
        "POST", "/v2/apps", {"id": "/a", **SMALL, "constraints": [["hostname", "LIKE", "h.*"]]}
    )
    assert answer.status_code == 201
    for key in world.store:
        world.store[key] = world.store[key].replace(b'"h.*"', b'"(?=h).*"')
    world.agents[0].total = Resources.of(cpus=1, mem=1000, ports=[(31000, 31009)])
    world.restart()
    world.run()
    (item,) = world.ask_api("GET", "/v2/queue?embed=lastUnusedOffers").get_json()["queue"]
    assert "lookahead" in item["fault"]
    assert item["lastUnusedOffers"][0]["reason"] == ["AppFault"]
    assert "lookahead" in world.ask_api("GET", "/v2/apps/a").get_json()["app"]["fault"]
    (listed,) = world.ask_api("GET", "/v2/apps").get_json()["apps"]
    assert "lookahead" in listed["fault"]


def test_an_event_that_cant_be_rendered_is_lost_alone() -> None:
    world = ApiWorld.up()
    stream = world.listen()
    odd: tuple[Any, ...] = (object(), 2**70, {1: 2}, "\ud800")
    for reason in odd:
        news = UnhealthyInstanceKilled("/a", TaskId("t"), "i", AgentId("S0"), "h", 0, reason)
        world.term.publish(Publish(news, 0.0))
    world.term.publish(Publish(AppTerminated("/good"), 0.0))
    assert world.term.metrics.values()[0]["marathon.events.unrenderable.counter"] == 4
    heard, _ = stream.take()
    assert b"/good" in heard
    assert b'"/a"' not in heard
