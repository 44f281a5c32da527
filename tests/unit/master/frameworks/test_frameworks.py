"""Frameworks at the master: subscribing, failing over, going away, being removed."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mezzo.cluster.model import Capability, FrameworkInfo, Label
from mezzo.cluster.states import Reason, TaskState
from mezzo.ids import FrameworkId
from mezzo.master.effects import CloseStream, ToFramework
from mezzo.master.events import FrameworkSaid
from mezzo.master.timers import FailoverTimeout
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.record import replace

from ..world import World

MULTI = (Capability.MULTI_ROLE,)


def names(effects: list[Any]) -> list[str]:
    return [type(effect).__name__ for effect in effects]


# ---- subscribing


def test_a_new_framework_gets_an_id_then_a_heartbeat_at_once_and_each_15_s(world: World) -> None:
    """Behaviour 6."""
    framework = world.framework()
    assert framework.id == "m1-0000"
    assert [type(event) for event in framework.inbox] == [sm.Subscribed, sm.Heartbeat]
    subscribed = framework.heard(sm.Subscribed)[0]
    assert subscribed.heartbeat_interval_seconds == 15.0
    assert subscribed.master_info == world.core.state.config.info
    framework.inbox.clear()
    world.advance(45)
    assert framework.inbox == [sm.Heartbeat()] * 3


def test_the_id_is_stored_before_it_is_told(world: World) -> None:
    framework = world.framework()
    assert f"framework/{framework.id}" in world.stored


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"role": "a b"}, "role 'a b' is invalid"),
        ({"role": "/a"}, "role '/a' is invalid"),
        ({"role": "a//b"}, "is invalid"),
        ({"role": "a/."}, "is invalid"),
        ({"role": "a/*"}, "is invalid"),
        ({"role": "-a"}, "is invalid"),
        ({"role": ""}, "is invalid"),
        ({"roles": ("a",)}, "needs the capability MULTI_ROLE"),
        ({"capabilities": MULTI, "role": "a"}, "use roles"),
        ({"capabilities": MULTI, "roles": ("a", "a")}, "holds a role twice"),
        ({"name": ""}, "name is empty"),
        ({"failover_timeout": -1.0}, "failover_timeout is -1.0"),
        ({"failover_timeout": float("nan")}, "failover_timeout is nan"),
        ({"labels": (Label("k", "v" * 100_000),)}, "framework_info takes 100"),
    ],
)
def test_a_wrong_framework_is_told_why_and_its_stream_ends(
    world: World, change: dict[str, Any], complaint: str
) -> None:
    """Behaviour 7."""
    framework = world.framework(aware=False)
    other = world.framework("other", aware=False)
    stored = dict(world.stored)
    other.info = replace(other.info, id=None, **change)
    other.subscribe()
    (error,) = other.heard(sm.Error)
    assert re.search(re.escape(complaint), error.message)
    assert other.conn is None
    assert {k: v for k, v in world.stored.items() if k not in stored} == {}
    assert framework.conn is not None


def test_suppressed_roles_must_be_among_the_roles(world: World) -> None:
    framework = world.framework(capabilities=MULTI, roles=("a", "b"), suppressed=("c",))
    assert "suppressed role 'c' is none" in framework.heard(sm.Error)[0].message


def test_good_roles_are_taken(world: World) -> None:
    framework = world.framework(capabilities=MULTI, roles=("*", "a", "a/b", "x.y", "ü"))
    assert framework.heard(sm.Subscribed)


def test_the_id_of_the_call_must_be_that_of_the_info(world: World) -> None:
    framework = world.framework()
    framework.conn = conn = world.open(framework)
    subscribe = sm.Subscribe(replace(framework.info, id=FrameworkId("other")))
    effects = world.step(FrameworkSaid(conn, framework.id, subscribe))
    assert names(effects)[:2] == ["ToFramework", "CloseStream"]


def test_a_call_before_subscribing_ends_the_stream(world: World) -> None:
    framework = world.framework()
    stranger = world.open(framework)
    effects = world.step(FrameworkSaid(stranger, framework.id, sm.Revive()))
    assert isinstance(effects[0], ToFramework)
    assert isinstance(effects[0].event, sm.Error)
    assert effects[1] == CloseStream(stranger)
    assert framework.conn is not None


def test_a_call_that_names_another_framework_ends_the_stream(world: World) -> None:
    framework = world.framework()
    assert framework.conn is not None
    world.feed(FrameworkSaid(framework.conn, FrameworkId("other"), sm.Revive()))
    assert framework.heard(sm.Error)
    assert framework.conn is None


def test_the_first_call_may_be_repeated_on_its_stream(world: World) -> None:
    framework = world.framework()
    assert framework.conn is not None
    first = replace(framework.info, id=None)
    world.feed(FrameworkSaid(framework.conn, None, sm.Subscribe(first)))
    assert {event.framework_id for event in framework.heard(sm.Subscribed)} == {framework.id}
    assert list(world.core.state.frameworks) == [framework.id]
    assert framework.conn is not None


def test_a_stream_is_of_one_framework(world: World) -> None:
    framework = world.framework()
    assert framework.conn is not None
    other = FrameworkInfo("root", "other", id=FrameworkId("other"))
    world.feed(FrameworkSaid(framework.conn, other.id, sm.Subscribe(other)))
    assert "this stream is that of framework m1-0000" in framework.heard(sm.Error)[0].message
    assert list(world.core.state.frameworks) == [framework.id]


# ---- failing over


def test_a_second_stream_takes_over_and_the_first_is_told(world: World) -> None:
    """Behaviour 8."""
    agent = world.agent()
    framework = world.framework()
    old_conn, old_offer = framework.conn, framework.offer()
    framework.inbox.clear()
    framework.subscribe()
    assert old_conn not in world.peers
    kinds = [type(event) for event in framework.inbox]
    assert kinds == [sm.Error, sm.Subscribed, sm.Heartbeat, sm.Offers]
    assert framework.heard(sm.Subscribed)[0].framework_id == framework.id
    assert framework.offer(agent).id != old_offer.id
    assert old_offer.id not in world.core.state.offers


def test_what_the_old_stream_still_says_is_not_heard(world: World) -> None:
    world.agent()
    framework = world.framework()
    old = framework.conn
    assert old is not None
    framework.conn = new = world.open(framework)
    world.step(FrameworkSaid(new, framework.id, sm.Subscribe(framework.info)))
    world.core.step(FrameworkSaid(old, framework.id, sm.Teardown()), world.now)
    assert framework.id in world.core.state.frameworks


def test_after_a_failover_the_new_words_count_but_user_and_checkpoint_stay(world: World) -> None:
    """Behaviour 12. Behaviour 13."""
    world.operator()
    framework = world.framework(hostname="old", labels=(Label("a"),))
    before = framework.info
    framework.info = replace(
        before,
        **{"name": "new", "hostname": "h", "webui_url": "u", "labels": (Label("b"),)},
        **{"user": "eve", "checkpoint": False, "failover_timeout": 5.0},
    )
    framework.subscribe()
    (view,) = [e.framework for _, e in world.published if isinstance(e, om.FrameworkUpdated)][-1:]
    assert view.framework_info == replace(framework.info, user="root", checkpoint=True)


def test_the_principal_cannot_change(world: World) -> None:
    """Behaviour 12."""
    framework = world.framework(principal="alice")
    live = framework.conn
    framework.info = replace(framework.info, principal="eve")
    framework.subscribe()
    assert "principal" in framework.heard(sm.Error)[0].message
    assert live in world.peers, "the first stream lives on"


def test_resubscribing_clears_suppression_and_filters(world: World) -> None:
    world.agent()
    framework = world.framework()
    framework.decline(3600)
    framework.say(sm.Suppress())
    framework.subscribe()
    assert framework.offers


def test_a_role_that_was_given_up_stays_so(world: World) -> None:
    world.agent()
    framework = world.framework(capabilities=MULTI, roles=("a", "b"))
    framework.info = replace(framework.info, roles=("a",))
    framework.subscribe()
    framework.say(sm.Revive())
    world.advance(10)
    assert {offer.role for offer in framework.offers.values()} == {"a"}


# ---- going away


def test_a_disconnected_framework_loses_its_offers_and_keeps_its_tasks(world: World) -> None:
    world.agent()
    away, other = world.framework(), world.framework()
    holder, waiting = (away, other) if away.offers else (other, away)
    holder.launch("t1")
    assert waiting.offers
    holder.say(sm.Revive())
    waiting.decline(3600)
    assert holder.offers
    waiting.say(sm.Revive())
    holder.disconnect()
    assert waiting.offers, "others get what it held"
    assert list(world.core.state.frameworks[holder.id].tasks) == ["t1"]


def test_a_framework_back_in_time_keeps_its_tasks(world: World) -> None:
    """Behaviour 25."""
    agent = world.agent()
    framework = world.framework()
    framework.launch("t1")
    framework.disconnect()
    world.advance(59)
    framework.subscribe()
    world.advance(3600)
    assert framework.reconcile(("t1", agent.id))[0].state is TaskState.STAGING


def test_a_framework_that_stays_away_is_removed_and_its_tasks_are_killed(world: World) -> None:
    """Behaviour 25."""
    agent = world.agent()
    world.operator()
    framework = world.framework()
    framework.launch("t1")
    framework.disconnect()
    world.advance(61)
    assert agent.heard(am.ShutdownFramework) == [am.ShutdownFramework(framework.id)]
    state = world.ask(om.GetState())
    assert isinstance(state, om.State)
    assert [f.framework_info.id for f in state.get_frameworks.frameworks] == []
    (done,) = state.get_frameworks.completed_frameworks
    assert (done.framework_info.id, done.active) == (framework.id, False)
    (task,) = state.get_tasks.completed_tasks
    assert task.state is TaskState.KILLED
    assert task.statuses[-1].reason is Reason.FRAMEWORK_REMOVED
    assert [e for _, e in world.published if isinstance(e, om.FrameworkRemoved)]
    other = world.framework()
    assert other.offer(agent).resources == agent.info.resources


def test_a_removed_framework_cannot_come_back(world: World) -> None:
    """Behaviour 11."""
    framework = world.framework()
    framework.say(sm.Teardown())
    assert framework.conn is None
    framework.subscribe()
    assert "Framework has been removed" in framework.heard(sm.Error)[0].message
    world.restart()
    framework.subscribe()
    assert "Framework has been removed" in framework.heard(sm.Error)[0].message


def test_teardown_gives_its_resources_to_others(world: World) -> None:
    """Behaviour 24."""
    agent = world.agent()
    framework = world.framework()
    framework.launch("t1")
    other = world.framework()
    other.decline(3600)
    other.say(sm.Revive())
    framework.say(sm.Teardown())
    assert sum(offer.resources.cpus for offer in other.offers.values()) == agent.info.resources.cpus
    assert agent.heard(am.ShutdownFramework) == [am.ShutdownFramework(framework.id)]
    assert FailoverTimeout(framework.id) not in world.timers


def test_a_removed_framework_waits_for_no_agent(world: World) -> None:
    agent = world.agent()
    framework = world.framework()
    framework.launch("t1")
    agent.disconnect()
    world.advance(100)
    framework.say(sm.Teardown())
    state = world.ask(om.GetState())
    assert isinstance(state, om.State)
    assert state.get_tasks.unreachable_tasks == ()
    agent.reregister()
    assert agent.heard(am.ShutdownFramework) == [am.ShutdownFramework(framework.id)]


def test_an_operator_can_tear_a_framework_down(world: World) -> None:
    agent = world.agent()
    framework = world.framework()
    framework.launch("t1")
    assert world.ask(om.Teardown(framework.id)) == om.Done()
    assert framework.conn is None
    assert agent.heard(am.ShutdownFramework)
    again = world.ask(om.Teardown(framework.id))
    assert isinstance(again, om.Refused)
    assert framework.id in again.message


def test_completed_frameworks_are_bounded_also_in_the_store() -> None:
    world = World(max_completed_frameworks=3)
    ids = []
    for _ in range(6):
        framework = world.framework()
        ids.append(framework.id)
        world.advance(1)
        framework.say(sm.Teardown())
    assert list(world.core.state.completed) == ids[3:]
    assert sorted(world.stored) == [f"framework/{each}" for each in ids[3:]]


def test_after_a_restart_the_oldest_completed_framework_still_goes_first() -> None:
    world = World(max_completed_frameworks=2)
    first, second = world.framework(), world.framework()
    second.say(sm.Teardown())
    world.advance(5)
    first.say(sm.Teardown())
    world.restart()
    world.framework().say(sm.Teardown())
    assert second.id not in world.core.state.completed
    assert first.id in world.core.state.completed


def test_the_failover_deadline_runs_on_through_a_masters_failover(world: World) -> None:
    framework = world.framework()
    framework.disconnect()
    world.advance(40)
    world.restart()
    world.advance(15)
    assert framework.id in world.core.state.frameworks
    world.advance(10)
    assert framework.id in world.core.state.completed


def test_who_was_connected_to_the_last_master_has_time_to_find_the_next(world: World) -> None:
    hasty = world.framework(failover_timeout=0.0)
    patient = world.framework(failover_timeout=5000.0)
    world.restart()
    world.advance(599)
    assert set(world.core.state.frameworks) == {hasty.id, patient.id}
    world.advance(2)
    assert set(world.core.state.frameworks) == {patient.id}
    world.restart()  # the deadline is stored
    world.advance(4398)
    assert set(world.core.state.frameworks) == {patient.id}
    world.advance(2)
    assert not world.core.state.frameworks


def test_many_frameworks_get_their_deadlines_in_small_commits(world: World) -> None:
    for _ in range(250):
        world.framework()
    world.restart()
    assert world.largest_commit <= 100
    assert all(f.deadline_s is not None for f in world.core.state.frameworks.values())


def test_frameworks_that_describe_themselves_at_length_get_their_deadlines_in_small_commits(
    world: World,
) -> None:
    """A transaction of ZooKeeper takes a megabyte."""
    text = "x" * 60_000
    for _ in range(30):
        world.framework(labels=(Label("a", text),))
    world.largest_commit = 0
    world.restart()
    assert 0 < world.largest_commit * len(text) < 600_000
    assert all(framework.deadline_s for framework in world.core.state.frameworks.values())
