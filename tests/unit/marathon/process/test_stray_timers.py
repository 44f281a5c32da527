"""A timer may come when what it is for is gone, or twice."""

from __future__ import annotations

from typing import Any, Final, get_args

import pytest

from mezzo.core import TimerFired
from mezzo.marathon.effects import Call
from mezzo.marathon.timers import MarathonTimer
from mezzo.messages.scheduler import Reconcile
from mezzo.record import Record

from ..apps import app
from ..world import World

_KINDS: Final[tuple[type[Any], ...]] = get_args(MarathonTimer)


def _due(kind: type[Any], app_id: str, instance_id: str) -> Record:
    subjects = {"app_id": app_id, "instance_id": instance_id}
    due: Record = kind(**{name: subjects[name] for name in kind.__struct_fields__})
    return due


def _told(effects: list[Any]) -> list[Any]:
    """What others are told, but for the question what runs."""
    calls = [effect.call for effect in effects if isinstance(effect, Call)]
    return [call for call in calls if not isinstance(call, Reconcile)]


@pytest.mark.parametrize("kind", _KINDS)
def test_a_timer_of_what_is_gone_is_nobodys(kind: type[Any]) -> None:
    world = World.of()
    world.deploy(app())
    (instance_id,) = world.shown_instances
    world.delete("/a")
    world.run()
    assert world.shown_instances == {}
    stored = dict(world.store)
    assert _told(world.step(TimerFired(_due(kind, "/a", instance_id)))) == []
    assert world.store == stored


@pytest.mark.parametrize("kind", _KINDS)
def test_a_timer_that_comes_twice_and_too_early_changes_nothing(kind: type[Any]) -> None:
    world = World.of()
    world.deploy(app())
    (instance_id,) = world.shown_instances
    shown, stored = dict(world.shown_instances), dict(world.store)
    for _ in range(2):
        assert _told(world.step(TimerFired(_due(kind, "/a", instance_id)))) == []
    assert world.shown_instances == shown
    assert world.store == stored


@pytest.mark.parametrize("kind", _KINDS)
def test_a_timer_that_comes_before_there_is_a_master_does_not_stop_marathon(
    kind: type[Any],
) -> None:
    world = World()
    for _ in range(2):
        assert _told(world.step(TimerFired(_due(kind, "/a", "a.instance-x")))) == []
