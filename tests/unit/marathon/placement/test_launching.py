"""The launch queue: offers, backoff, tokens, asking for offers, and the reasons for each no."""

from __future__ import annotations

import pytest

from mezzo.cluster.states import TaskState
from mezzo.core import Put, TimerFired
from mezzo.marathon.commands import Done, NotFound, QueueRead, ReadQueue, ResetDelay
from mezzo.marathon.config import MarathonConfig
from mezzo.marathon.effects import Call
from mezzo.marathon.events import MasterEvent
from mezzo.marathon.placement.matching import Reason
from mezzo.marathon.timers import ReviveDue
from mezzo.marathon.views import QueueItem
from mezzo.messages import scheduler as m

from ..apps import app
from ..world import World


def queue(world: World) -> dict[str, QueueItem]:
    result = world.ask(ReadQueue())
    assert isinstance(result, QueueRead)
    return {item.app.id: item for item in result.items}


# ---------------------------------------------------------------------------------- offers


def test_an_instance_is_stored_in_the_step_that_accepts_its_offer() -> None:
    world = World.of("a")
    world.put(app("/a"))
    output = world.core.step(
        world_offer(world), world.now
    )  # not let out: what counts is the order that the shell keeps
    puts = [write.key for write in output.writes if isinstance(write, Put)]
    (accept,) = [e.call for e in output.effects if isinstance(e, Call)][:1]
    assert isinstance(accept, m.Accept)
    (launch,) = accept.operations
    (task,) = launch.task_infos  # type: ignore[union-attr]
    assert [f"{key.removeprefix('instance/')}._app.1" for key in puts] == [task.task_id]


def world_offer(world: World) -> MasterEvent:
    assert world.conn is not None
    offers = tuple(world.make_offer(agent) for agent in world.agents)
    return MasterEvent(world.conn, world.epoch, m.Offers(offers))


def test_the_first_fitting_offer_launches_a_new_app() -> None:
    world = World.of("a")
    world.put(app("/a"))
    assert not world.suppressed
    world.offer()
    assert len(world.running("/a")) == 1
    (accept,) = world.called(m.Accept)
    assert accept.filters.refuse_seconds == 0  # what is left may be of use at once


def test_an_offer_nobody_needs_is_declined_for_two_minutes() -> None:
    world = World.of("a", "b")
    world.offer()
    (decline,) = world.called(m.Decline)
    assert len(decline.offer_ids) == 2
    assert decline.filters.refuse_seconds == 120


def test_no_more_instances_than_the_limit_go_on_one_offer() -> None:
    world = World.of("a")
    world.put(app("/a", 12))
    world.offer()
    assert len(world.running("/a")) == 5
    world.offer()
    assert len(world.running("/a")) == 10


def test_several_apps_share_an_offer_and_who_got_something_goes_behind() -> None:
    world = World.of("a", config=MarathonConfig(max_instances_per_offer=3))
    world.put(app("/a", 5))
    world.put(app("/b", 2))
    world.offer()
    assert (len(world.running("/a")), len(world.running("/b"))) == (3, 0)
    world.offer()
    assert (len(world.running("/a")), len(world.running("/b"))) == (4, 2)


def test_launch_tokens_bound_the_launches_that_have_not_come_up_yet() -> None:
    """Behaviour 130."""
    world = World.of("a", auto_run=False, config=MarathonConfig(launch_tokens=4))
    world.put(app("/a", 6))
    world.offer()
    world.offer()
    tasks = world.running("/a")
    assert len(tasks) == 4
    assert world.called(m.Decline)[-1].filters.refuse_seconds == 0  # it could have been used
    world.update(tasks[0], TaskState.RUNNING)
    world.offer()
    assert len(world.running("/a")) == 5
    world.advance(30)  # all are there again
    world.offer()
    assert len(world.running("/a")) == 6


def test_launch_tokens_are_there_again_and_again() -> None:
    world = World.of("a", auto_run=False, config=MarathonConfig(launch_tokens=1))
    world.put(app("/a", 3))
    for launched in (1, 2, 3):
        world.offer()
        assert len(world.running("/a")) == launched
        world.advance(30)


def test_offers_are_suppressed_when_nothing_waits_and_asked_for_when_something_does() -> None:
    world = World.of("a")
    subscribe = world.calls[0]
    assert isinstance(subscribe, m.Subscribe)
    assert subscribe.suppressed_roles == ("*",)
    world.put(app("/a"))
    world.run()
    assert [type(c).__name__ for c in world.calls if isinstance(c, m.Revive | m.Suppress)] == [
        "Revive",
        "Suppress",
    ]


def test_a_second_app_has_its_revive_at_once_if_the_master_answered_the_first() -> None:
    world = World.of("a", cpus=1)
    world.put(app("/big", cpus=50.0))
    world.offer()
    world.put(app("/a"))
    assert len(world.called(m.Revive)) == 2


def test_without_an_answer_revives_keep_a_gap() -> None:
    world = World.of("a")
    world.put(app("/a"))
    world.put(app("/b"))
    world.put(app("/c"))
    assert len(world.called(m.Revive)) == 1
    world.mono_s = world.timers[ReviveDue()]
    world.step(TimerFired(ReviveDue()))
    assert len(world.called(m.Revive)) == 2


def test_a_subscription_while_apps_wait_is_not_suppressed() -> None:
    world = World.of("a")
    world.disconnect()
    world.put(app("/a"))
    assert world.running("/a") == []
    world.connect()
    assert not world.suppressed
    world.run()
    assert len(world.running("/a")) == 1


# ---------------------------------------------------------------------------------- backoff


def test_a_failing_app_waits_longer_each_time_up_to_its_maximum() -> None:
    """Behaviour 85: 1, 1.15, 1.3225, ... and the queue shows it."""
    world = World.of("a", auto_run=False)
    world.put(app("/a", backoff_s=10.0, backoff_factor=2.0, max_launch_delay_s=60.0))
    world.run()
    seen = []
    for _ in range(5):
        (task_id,) = world.running("/a")
        world.update(task_id, TaskState.FAILED)
        item = queue(world)["/a"]
        seen.append(item.delay_left_s)
        world.run()
        assert world.running("/a") == []  # not before
        world.advance(item.delay_left_s - 0.1)
        assert world.running("/a") == []
        world.advance(5.2)
        assert len(world.running("/a")) == 1
    assert seen == pytest.approx([10, 20, 40, 60, 60])


def test_an_exit_with_zero_is_started_again_as_after_a_failure() -> None:
    """Behaviour 89."""
    world = World.of("a")
    world.deploy(app("/a"))
    (task_id,) = world.running("/a")
    world.update(task_id, TaskState.FINISHED)
    assert queue(world)["/a"].delay_left_s == 1
    world.advance(5)  # the time between two revives
    assert len(world.running("/a")) == 1


def test_a_kill_is_no_failure() -> None:
    world = World.of("a")
    world.deploy(app("/a"))
    (task_id,) = world.running("/a")
    world.update(task_id, TaskState.KILLED)
    assert queue(world)["/a"].delay_left_s == 0


def test_the_delay_is_forgotten_after_a_quiet_time() -> None:
    world = World.of("a", auto_run=False)
    world.put(app("/a", backoff_s=10.0, backoff_factor=2.0, max_launch_delay_s=30.0))
    world.run()
    (task_id,) = world.running("/a")
    world.update(task_id, TaskState.FAILED)
    world.advance(12)
    (task_id,) = world.running("/a")
    world.update(task_id, TaskState.RUNNING)
    world.advance(60)
    world.update(task_id, TaskState.FAILED)
    assert queue(world)["/a"].delay_left_s == 10


@pytest.mark.parametrize(
    ("change", "waits"), [({"cmd": "mended"}, False), ({"instances": 2}, True)]
)
def test_a_new_configuration_starts_without_delay_and_scaling_keeps_it(
    change: dict[str, object], waits: bool
) -> None:
    """Behaviour 87."""
    world = World.of("a", auto_run=False)
    world.put(app("/a", backoff_s=100.0))
    world.run()
    world.update(world.running("/a")[0], TaskState.FAILED)
    fields = {"instances": 1, "backoff_s": 100.0} | change
    world.put(app("/a", **fields), force=True)  # type: ignore[arg-type]
    assert (queue(world)["/a"].delay_left_s > 0) == waits


def test_the_delay_can_be_reset() -> None:
    """Behaviour 86."""
    world = World.of("a", auto_run=False)
    world.put(app("/a", backoff_s=100.0))
    world.run()
    world.update(world.running("/a")[0], TaskState.FAILED)
    world.run()
    assert world.running("/a") == []
    assert world.ask(ResetDelay("/a")) == Done()
    world.advance(0.2)
    assert len(world.running("/a")) == 1
    nobody = "Application /x not found in tasks queue."
    assert world.ask(ResetDelay("/x")) == NotFound(nobody)


def test_an_offer_during_a_delay_is_declined_until_the_delay_ends() -> None:
    world = World.of("a", auto_run=False)
    world.put(app("/a", backoff_s=7.0))
    world.run()
    world.update(world.running("/a")[0], TaskState.FAILED)
    world.offer()
    assert world.called(m.Decline)[-1].filters.refuse_seconds == 7


# ---------------------------------------------------------------------------------- reasons


def test_each_refused_offer_is_counted_by_its_first_reason() -> None:
    """Behaviour 112."""
    world = World.of("a", "b", "c", cpus=2)
    world.put(app("/a", cpus=10_000.0))
    world.offer()
    world.offer()
    item = queue(world)["/a"]
    assert item.count == 1
    assert item.processed == item.unused == 6
    assert item.refused_in_all == {Reason.CPUS: 6}
    assert [refused.reason for refused in item.last_refused] == [Reason.CPUS] * 3
    assert [refused.offer.hostname for refused in item.last_refused] == ["a", "b", "c"]


def test_an_app_that_was_offered_nothing_shows_so() -> None:
    world = World.of("a")
    world.put(app("/a"))
    item = queue(world)["/a"]
    assert (item.processed, item.last_refused, item.last_unused_s) == (0, (), None)


def test_an_app_at_its_target_is_not_in_the_queue() -> None:
    """Behaviour 114."""
    world = World.of("a")
    world.deploy(app("/a", 2))
    assert queue(world) == {}


def test_a_lost_agent_is_no_reason_any_more() -> None:
    world = World.of("a", "b", cpus=1)
    world.put(app("/a", cpus=5.0))
    world.offer()
    world.say(m.Failure(world.agents[0].id))
    assert [r.offer.hostname for r in queue(world)["/a"].last_refused] == ["b"]
