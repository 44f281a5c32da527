"""One app's data hurts only that app, and the border: a broken invariant still ends the process."""

from __future__ import annotations

from typing import Any

import pytest

from mezzo.cluster.model import Attribute
from mezzo.cluster.states import TaskState
from mezzo.marathon.api.appinfo import ALWAYS, app_info
from mezzo.marathon.api.read_model import ReadModel
from mezzo.marathon.api.render import queue_item_json
from mezzo.marathon.commands import QueueRead, ReadQueue
from mezzo.marathon.effects import CallRefused
from mezzo.marathon.model.app import Constraint, Container, Docker, HostVolume, Operator
from mezzo.marathon.placement import launcher
from mezzo.marathon.placement.matching import Reason
from mezzo.messages import scheduler as m

from ..apps import app
from ..world import World

# What a door of today refuses, but one of tomorrow, or of yesterday, may let pass.
SENSELESS: dict[str, dict[str, Any]] = {
    "a number that is too long": {
        "constraints": (Constraint("hostname", Operator.MAX_PER, "9" * 5000),)
    },
    "a pattern of Java alone": {"constraints": (Constraint("hostname", Operator.LIKE, "(?=a)a"),)},
    "a volume of no mode": {
        "container": Container("DOCKER", Docker("x"), volumes=(HostVolume("/a", "/b", "XX"),))
    },
}


def queue_item(world: World, app_id: str) -> dict[str, Any]:
    read = world.ask(ReadQueue())
    assert isinstance(read, QueueRead)
    (item,) = [item for item in read.items if item.app.id == app_id]
    return queue_item_json(item, with_offers=True)


@pytest.mark.parametrize("fields", SENSELESS.values(), ids=SENSELESS)
def test_an_app_that_cant_be_placed_waits_alone_and_says_why(fields: dict[str, Any]) -> None:
    world = World.of("a")
    world.put(app("/bad", **fields))
    world.put(app("/good", 3))
    world.run()
    assert len(world.running("/good")) == 3
    assert world.running("/bad") == []
    assert not [key for key in world.store if key.startswith("instance/bad")]

    item = queue_item(world, "/bad")
    assert item["fault"].startswith("placing it fails: ")
    (row,) = [
        row
        for row in item["processedOffersSummary"]["rejectSummaryLaunchAttempt"]
        if row["reason"] == "AppFault"
    ]
    assert row["declined"] > 0
    assert item["lastUnusedOffers"][0]["reason"] == ["AppFault"]
    info = app_info(world.shown_apps["/bad"], ReadModel(), ALWAYS)
    assert info["fault"] == item["fault"]
    assert [fault.app_id for fault in world.faults if fault.news] == ["/bad"]
    assert len(item["fault"]) <= 300

    world.restart()  # it is stored, and no reason not to lead
    world.run()
    assert len(world.running("/good")) == 3

    world.put(app("/bad"), force=True)
    assert world.shown_apps["/bad"].fault is None  # the data are others
    world.advance(1)
    assert len(world.running("/bad")) == 1
    assert world.shown_apps["/bad"].fault is None


def test_an_app_without_a_fault_shows_nothing_of_it() -> None:
    world = World.of("a", cpus=0.01)
    world.put(app("/a"))
    world.run()
    item = queue_item(world, "/a")
    assert "fault" not in item
    rows = item["processedOffersSummary"]["rejectSummaryLaunchAttempt"]
    assert Reason.FAULT not in [row["reason"] for row in rows]


def test_an_agent_with_attributes_beyond_measure_gets_no_tasks() -> None:
    """An instance remembers them: its record would be more than the store takes."""
    world = World.of("a", "b")
    world.agents[0].attributes = (Attribute("rack", text="x" * 1_000_000),)
    world.put(app("/a", 4))
    world.run()
    assert {task.agent.hostname for task in world.tasks.values()} == {"b"}
    assert "attributes of agent S0 are too large" in world.faults[0].fault
    assert world.shown_apps["/a"].fault is None  # it could be placed after all
    assert max(world.written) < 100_000


def test_a_broken_invariant_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise AssertionError("a bug")

    world = World.of("a")
    monkeypatch.setattr(launcher, "match", broken)
    world.put(app("/a"))
    with pytest.raises(AssertionError, match="a bug"):
        world.run()


# ---- calls that the master refuses


def test_a_refused_launch_is_a_failed_one_of_its_app_alone() -> None:
    world = World.of("a", auto_run=False)
    world.deploy(app("/good"))
    (good,) = world.running("/good")
    world.update(good, TaskState.RUNNING)
    world.put(app("/bad", backoff_s=5.0))
    world.run()
    (bad,) = world.running("/bad")
    del world.tasks[bad]  # it never came to the master
    effects = world.say(m.Answered("ACCEPT", "Call.accept: it must be ..."))
    assert CallRefused("ACCEPT", "Call.accept: it must be ...") in effects
    assert world.aborted is None
    asked = world.called(m.Reconcile)[-1]
    assert [task.task_id for task in asked.tasks] == [bad]
    world.run()
    assert world.running("/good") == [good]
    assert queue_item(world, "/bad")["delay"]["timeLeftSeconds"] == 5
    world.advance(6)
    assert len(world.running("/bad")) == 1


@pytest.mark.parametrize("call", ["KILL", "ACKNOWLEDGE", "DECLINE", "REVIVE", "RECONCILE"])
def test_another_refused_call_is_told_and_nothing_ends(call: str) -> None:
    world = World.of("a")
    world.deploy(app("/a"))
    before = world.running("/a")
    assert world.say(m.Answered(call, "no")) == [CallRefused(call, "no")]
    world.advance(100)
    assert world.aborted is None
    assert world.running("/a") == before


def test_without_a_subscription_nothing_works() -> None:
    world = World.of("a")
    world.disconnect()
    world.link_up()
    world.say(m.Answered("SUBSCRIBE", "no"))
    assert world.aborted == "the master refuses a SUBSCRIBE call: no"
