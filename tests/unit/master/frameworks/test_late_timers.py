"""A timer that was cancelled may have fired already: its event waits behind what cancelled it."""

from __future__ import annotations

from typing import Any, Final, get_args

import pytest

from mezzo.core import TimerFired
from mezzo.ids import AgentId, FrameworkId, OfferId
from mezzo.master.effects import ToAgent, ToFramework
from mezzo.master.timers import AdmissionDue, MasterTimer, OfferTimeout
from mezzo.record import Record

from ..world import World

_KINDS: Final[tuple[type[Any], ...]] = get_args(MasterTimer)
_OF_SOMEBODY: Final = [kind for kind in _KINDS if kind.__struct_fields__]


def _due(kind: type[Any], agent: AgentId, framework: FrameworkId, offer: OfferId) -> Record:
    subjects = {"agent_id": agent, "framework_id": framework, "offer_id": offer}
    due: Record = kind(**{name: subjects[name] for name in kind.__struct_fields__})
    return due


def told(world: World, due: Record) -> list[object]:
    """Who is told of it, and what is stored."""
    writes = len(world.writes)
    effects = world.step(TimerFired(due))
    return [e for e in effects if isinstance(e, ToAgent | ToFramework)] + world.writes[writes:]


@pytest.mark.parametrize("kind", _OF_SOMEBODY)
def test_a_timer_of_somebody_who_is_gone_is_nobodys(kind: type[Record]) -> None:
    world = World()
    agent, framework = world.agent(), world.framework()
    (offer,) = framework.offers
    due = _due(kind, agent.id, framework.id, offer)
    framework.decline()
    framework.disconnect()
    world.advance(61)
    agent.disconnect()
    world.advance(100)
    assert framework.id not in world.core.state.frameworks
    assert agent.id not in world.core.state.agents
    assert told(world, due) == []


def test_who_left_while_it_waited_for_admission_is_not_admitted() -> None:
    world = World()
    framework = world.framework()
    for _ in range(3):
        framework.subscribe()
    assert AdmissionDue(framework.id) in world.timers
    framework.disconnect()
    assert told(world, AdmissionDue(framework.id)) == []
    world.agent()
    world.advance(10)
    assert world.core.state.offers == {}
    framework.subscribe()
    world.advance(10)
    assert framework.offers


@pytest.mark.parametrize("kind", [kind for kind in _OF_SOMEBODY if kind is not OfferTimeout])
def test_a_timer_that_is_not_due_for_somebody_who_is_there_changes_nothing(
    kind: type[Record],
) -> None:
    world = World()
    agent, framework = world.agent(), world.framework()
    (offer,) = framework.offers
    assert told(world, _due(kind, agent.id, framework.id, offer)) == []
    assert framework.offers
    assert agent.conn is not None


@pytest.mark.parametrize("kind", [kind for kind in _KINDS if kind not in _OF_SOMEBODY])
def test_a_timer_that_comes_twice_does_not_stop_the_master(kind: type[Record]) -> None:
    world = World()
    for _ in range(2):
        world.step(TimerFired(kind()))
    agent, framework = world.agent(), world.framework()
    for _ in range(2):
        world.step(TimerFired(kind()))
    world.advance(30)
    assert framework.conn is not None
    assert agent.conn is not None
    assert framework.held == agent.info.resources
