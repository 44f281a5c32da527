"""A timer that was cancelled may have fired already: its event waits behind what cancelled it."""

from __future__ import annotations

import pytest

from mezzo.core import TimerFired
from mezzo.master.core import _KEYED_TIMERS, _TIMERS
from mezzo.master.effects import ToAgent, ToFramework

from ..world import World


def told(world: World, name: str, subject: object) -> list[object]:
    """Who is told of it, and what is stored."""
    writes = len(world.writes)
    effects = world.step(TimerFired((name, subject)))
    return [e for e in effects if isinstance(e, ToAgent | ToFramework)] + world.writes[writes:]


@pytest.mark.parametrize("name", sorted(_KEYED_TIMERS))
def test_a_timer_of_somebody_who_is_gone_is_nobodys(name: str) -> None:
    world = World()
    agent, framework = world.agent(), world.framework()
    subjects = {"inverse offer": (agent.id, framework.id), "drain ask": agent.id}
    (offer,) = framework.offers
    subject = subjects.get(name, offer if name == "offer" else framework.id)
    framework.decline()
    framework.disconnect()
    world.advance(61)
    agent.disconnect()
    world.advance(100)
    assert framework.id not in world.core.state.frameworks
    assert agent.id not in world.core.state.agents
    assert told(world, name, subject) == []


def test_who_left_while_it_waited_for_admission_is_not_admitted() -> None:
    world = World()
    framework = world.framework()
    for _ in range(3):
        framework.subscribe()
    assert ("admit", framework.id) in world.timers
    framework.disconnect()
    assert told(world, "admit", framework.id) == []
    world.agent()
    world.advance(10)
    assert world.core.state.offers == {}
    framework.subscribe()
    world.advance(10)
    assert framework.offers


@pytest.mark.parametrize("name", [n for n in sorted(_KEYED_TIMERS) if n != "offer"])
def test_a_timer_that_is_not_due_for_somebody_who_is_there_changes_nothing(name: str) -> None:
    world = World()
    agent, framework = world.agent(), world.framework()
    subjects = {"inverse offer": (agent.id, framework.id), "drain ask": agent.id}
    assert told(world, name, subjects.get(name, framework.id)) == []
    assert framework.offers
    assert agent.conn is not None


@pytest.mark.parametrize("name", sorted(map(str, _TIMERS)))
def test_a_timer_that_comes_twice_does_not_stop_the_master(name: str) -> None:
    world = World()
    for _ in range(2):
        world.step(TimerFired(name))
    agent, framework = world.agent(), world.framework()
    for _ in range(2):
        world.step(TimerFired(name))
    world.advance(30)
    assert framework.conn is not None
    assert agent.conn is not None
    assert framework.held == agent.info.resources
