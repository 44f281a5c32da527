"""Hostile actors of the simulator: what they draw, what the door lets through, what is noticed."""

from __future__ import annotations

import random
from typing import get_args

import pytest

from mezzo.ids import AgentId, TaskId
from mezzo.marathon.model.app import App
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.sim.cluster import Cluster
from mezzo.sim.daemons.masters import FromAgent, ToClient
from mezzo.sim.hostile import door
from mezzo.sim.hostile.gossip import Gossip
from mezzo.sim.hostile.wild import Wild
from mezzo.sim.making.shape import Shape
from mezzo.sim.world.moments import KINDS
from mezzo.sim.world.watched import Broken

KINDS_OF_MESSAGES = (*get_args(sm.Call), *am.AGENT_MESSAGES, *om.CALLS.values())


def wild(seed: int) -> Wild:
    rng = random.Random(seed)
    return Wild(rng, Gossip(rng))


@pytest.mark.parametrize("kind", [*KINDS_OF_MESSAGES, App], ids=lambda kind: kind.__name__)
def test_of_every_message_wild_ones_are_drawn_and_a_seed_draws_the_same(kind: type) -> None:
    drawn = [wild(seed).record(kind) for seed in range(60)]
    assert repr(drawn) == repr([wild(seed).record(kind) for seed in range(60)])
    if kind.__struct_fields__:
        assert len({repr(each) for each in drawn}) > 1


def test_a_change_of_a_record_is_one_change() -> None:
    call = sm.Kill(TaskId("t"), AgentId("a"))
    changed = [wild(seed).mutated(call) for seed in range(100)]
    differing = [
        sum(getattr(each, name) != getattr(call, name) for name in call.__struct_fields__)
        for each in changed
    ]
    assert set(differing) <= {0, 1}
    assert 1 in differing


def test_what_an_honest_daemon_sends_and_the_wire_refuses_is_a_finding() -> None:
    told = ToClient(1, am.KillTask("f", TaskId("t"), kill_policy=None))  # type: ignore[arg-type]
    assert door.passes("master0", told, honest=True) == told
    assert door.passes("liar0", FromAgent(am.Pong(2**70)), honest=False) is None
    with pytest.raises(Broken, match="promise 9"):
        door.passes("agent0", FromAgent(am.Pong(2**70)), honest=True)


def test_moments_know_every_message_and_what_is_stored() -> None:
    for kind in (*get_args(sm.Call), *get_args(sm.Event), *am.MASTER_MESSAGES):
        assert kind.__name__ in KINDS
    assert "write instance" in KINDS


@pytest.mark.parametrize("seed", [1, 2, 16, 57, 61, 88, 103])
def test_a_cluster_with_hostile_actors_keeps_its_promises(seed: int) -> None:
    report = Cluster(seed, Shape(hostile=True)).run()
    assert report.steps
