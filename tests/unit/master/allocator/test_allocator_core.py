"""The allocator in the master's core: what it withdraws is rescinded, what it knows is kept."""

from __future__ import annotations

import random

from mezzo.cluster.model import (
    Attribute,
    AttributeConstraint,
    Capability,
    FaultDomain,
    MasterInfo,
    OfferConstraints,
    Predicate,
    RoleConstraints,
    RoleOfferFilter,
)
from mezzo.cluster.resources import Resources
from mezzo.cluster.states import TaskState
from mezzo.master.allocator.reasons import Veto
from mezzo.master.allocator.terms import AllocatorConfig, Quota
from mezzo.master.config import MasterConfig
from mezzo.master.state.master_state import MasterState
from mezzo.messages import scheduler as sm

from ..world import Framework, World, task


def rescinded(framework: Framework) -> int:
    return len(framework.heard(sm.Rescind))


def test_offers_beyond_a_fair_part_go_to_who_has_none() -> None:
    world = World(allocator=AllocatorConfig(patience_s=2.0))
    for _ in range(4):
        world.agent()
    thinker = world.framework("thinker")
    hungry = world.framework("hungry")
    assert (len(thinker.offers), len(hungry.offers)) == (4, 0)
    world.advance(1.9)
    assert not hungry.offers
    world.advance(0.2)
    assert (len(thinker.offers), len(hungry.offers)) == (2, 2)
    assert rescinded(thinker) == 2
    world.advance(100.0)
    assert (len(thinker.offers), len(hungry.offers)) == (2, 2)


def test_without_patience_a_thinker_keeps_all_until_the_offers_time_out() -> None:
    world = World(allocator=AllocatorConfig(patience_s=None), offer_timeout_s=50.0)
    for _ in range(2):
        world.agent()
    thinker = world.framework("thinker")
    hungry = world.framework("hungry")
    world.advance(49.0)
    assert (len(thinker.offers), len(hungry.offers)) == (2, 0)
    world.advance(2.0)
    assert hungry.offers


def test_a_tighter_limit_rescinds_offers() -> None:
    world = World()
    for _ in range(3):
        world.agent()
    framework = world.framework(role="r")
    world.core.state.allocator.set_quota("r", Quota({}, {"cpus": 4000, "mem": 4_000_000}))
    framework.say(sm.Revive())  # any event lets the cycle come that the allocator wants
    assert len(framework.offers) == 1
    assert rescinded(framework) == 2


def test_what_is_launched_is_known_to_the_allocator_until_it_ends() -> None:
    world = World()
    agent = world.agent()
    framework = world.framework(role="r")
    framework.accept([framework.offer()], task("t1", agent.id), refuse_s=0)
    allocator = world.core.state.allocator
    assert allocator.consumed("r") == {"cpus": 1000, "mem": 100_000}
    agent.disconnect()
    agent.reregister()
    assert allocator.consumed("r") == {"cpus": 1000, "mem": 100_000}
    agent.update(next(iter(agent.tasks.values())), framework.id, TaskState.FINISHED)
    assert allocator.consumed("r") == {}


def test_the_agents_of_other_regions_are_for_who_is_aware_of_regions() -> None:
    home = FaultDomain("north", "z1")
    world = World(domain=home)
    near = world.agent(domain=home)
    far = world.agent(domain=FaultDomain("south", "z1"))
    framework = world.framework()
    assert [offer.agent_id for offer in framework.offers.values()] == [near.id]
    told = world.core.state.allocator.explain(framework.id, "*", far.id, 0.0)
    assert [each.veto for each in told.objections] == [Veto.REGION]
    aware = world.framework(capabilities=(Capability.REGION_AWARE,))
    assert [offer.agent_id for offer in aware.offers.values()] == [far.id]


def test_the_masters_region_is_that_of_its_domain() -> None:

    info = MasterInfo("m", 0, 5050, domain=FaultDomain("west", "z"))
    state = MasterState.new(MasterConfig(info), 1, random.Random(1))
    assert state.allocator._books.config.region == "west"


def test_a_minimum_of_the_framework_counts_in_place_of_the_configured_one() -> None:
    world = World()
    world.agent(Resources.of(mem=10))
    plain = world.framework()
    filters = (RoleOfferFilter("r", ({"mem": 5000},)),)
    modest = world.framework(role="r", offer_filters=filters)
    assert (len(plain.offers), len(modest.offers)) == (0, 1)


def test_constraints_come_with_the_subscription_or_refuse_it() -> None:
    world = World()
    agent = world.agent(attributes=(Attribute("rack", text="r1"),))
    world.agent()
    rack = AttributeConstraint(Predicate.TEXT_EQUALS, "rack", text="r1")
    framework = world.framework(role="r")
    framework.disconnect()
    framework.conn = world.open(framework)
    wrong = OfferConstraints((RoleConstraints("r", ((),)),))
    framework.say(sm.Subscribe(framework.info, (), wrong))
    assert [e.message for e in framework.heard(sm.Error)] == [
        "offer_constraints of role 'r' hold an empty group: leave it out"
    ]
    framework.conn = world.open(framework)
    foreign = OfferConstraints((RoleConstraints("x", ((rack,),)),))
    framework.say(sm.Subscribe(framework.info, (), foreign))
    assert "'x'" in framework.heard(sm.Error)[0].message
    framework.conn = world.open(framework)
    right = OfferConstraints((RoleConstraints("r", ((rack,),)),))
    framework.say(sm.Subscribe(framework.info, (), right))
    assert [offer.agent_id for offer in framework.offers.values()] == [agent.id]


def test_a_cycle_that_looked_at_many_agents_in_vain_is_followed_by_a_rest() -> None:
    """Or one framework could keep the master at looking, with one small change at a time."""
    world = World()
    for _ in range(300):
        world.agent(Resources.of(cpus=1, mem=100, gpus=1))
    framework = world.framework()  # not for GPUs
    framework.say(sm.Revive())
    world.advance(0.0)
    plain = world.agent(Resources.of(cpus=1, mem=100))
    assert not framework.offers
    world.advance(0.05)
    assert [offer.agent_id for offer in framework.offers.values()] == [plain.id]


def test_a_cycle_that_gives_what_it_looks_at_is_followed_by_none() -> None:
    world = World()
    for _ in range(300):
        world.agent()
    framework = world.framework()
    assert len(framework.offers) == 300
    plain = world.agent()
    assert framework.offer(plain)
