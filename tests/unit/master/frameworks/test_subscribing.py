"""Frameworks that change in place, declare demand, or come and go all the time."""

from __future__ import annotations

from typing import Any

import pytest

from mezzo.cluster.model import (
    Attribute,
    AttributeConstraint,
    Capability,
    FrameworkInfo,
    Label,
    OfferConstraints,
    Predicate,
    RoleConstraints,
    RoleOfferFilter,
)
from mezzo.cluster.resources import Resources
from mezzo.cluster.states import TaskState
from mezzo.ids import FrameworkId
from mezzo.master.timers import AdmissionDue
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.record import replace

from ..world import SMALL, Framework, World, task

MULTI = (Capability.MULTI_ROLE,)
UNIT = Resources.of(cpus=1, mem=100)


def update(framework: Framework, *suppressed: str, **change: Any) -> str | None:
    """The refusal; None if it was done. The framework describes itself so from then on."""
    constraints = change.pop("constraints", None)
    info = replace(framework.info, **change)
    framework.say(sm.UpdateFramework(info, suppressed, constraints))
    (answer,) = framework.heard(sm.Answered)
    assert answer.call == "UPDATE_FRAMEWORK"
    if answer.refusal is None:
        framework.info = info
    return answer.refusal


def constrained(role: str, attribute: str) -> OfferConstraints:
    condition = AttributeConstraint(Predicate.EXISTS, attribute)
    return OfferConstraints((RoleConstraints(role, ((condition,),)),))


# ---- changing in place


def test_a_framework_changes_in_place_and_its_stream_goes_on(world: World) -> None:
    world.operator()
    framework = world.framework()
    conn = framework.conn
    change = {"name": "new", "webui_url": "u", "labels": (Label("a"),), "failover_timeout": 7.0}
    assert update(framework, **change) is None
    assert framework.conn == conn
    (view,) = [e.framework for _, e in world.published if isinstance(e, om.FrameworkUpdated)]
    assert view.framework_info == framework.info
    framework.disconnect()
    world.advance(8)
    assert framework.id in world.core.state.completed, "the new timeout counts"


def test_what_changed_in_place_survives_a_failover(world: World) -> None:
    framework = world.framework()
    assert update(framework, webui_url="u") is None
    world.restart()
    assert world.core.state.frameworks[framework.id].info.webui_url == "u"


def test_offers_of_roles_that_were_given_up_are_rescinded(world: World) -> None:
    framework = world.framework(capabilities=MULTI, roles=("a", "b"))
    world.agent(Resources.parse("cpus(a):1;mem(a):100;cpus(b):1;mem(b):100"))
    kept = next(offer for offer in framework.offers.values() if offer.role == "a")
    assert update(framework, roles=("a", "c")) is None
    assert len(framework.heard(sm.Rescind)) == 1
    assert list(framework.offers.values()) == [kept]
    world.agent(Resources.parse("cpus(b):1;mem(b):100;cpus(c):1;mem(c):100"))
    assert {offer.role for offer in framework.offers.values()} == {"a", "c"}


def test_the_suppressed_roles_become_those_that_are_named(world: World) -> None:
    framework = world.framework(capabilities=MULTI, roles=("a", "b"), suppressed=("a",))
    assert update(framework, "b") is None
    world.agent()
    assert {offer.role for offer in framework.offers.values()} == {"a"}


def test_constraints_change_in_place(world: World) -> None:
    framework = world.framework()
    assert update(framework, constraints=constrained("*", "rack")) is None
    world.agent()
    assert not framework.offers
    agent = world.agent(attributes=(Attribute("rack", text="a"),))
    assert framework.offer(agent)
    assert update(framework) is None
    world.advance(1)
    assert len(framework.offers) == 2


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"user": "eve"}, "framework_info.user can't change"),
        ({"principal": "eve"}, "principal"),
        ({"checkpoint": False}, "framework_info.checkpoint can't change"),
        ({"id": FrameworkId("other")}, "differ"),
        ({"name": ""}, "name is empty"),
        ({"roles": ("a",)}, "needs the capability MULTI_ROLE"),
        ({"role": "a b"}, "role 'a b' is invalid"),
        ({"constraints": constrained("a", "x")}, "offer_constraints of role 'a'"),
        ({"offer_filters": (RoleOfferFilter("a"),)}, "offer_filters of role 'a'"),
        ({"offer_filters": (RoleOfferFilter("*", ({},)),)}, "quantities of nothing"),
        ({"failover_timeout": -1.0}, "failover_timeout is -1.0"),
    ],
)
def test_a_wrong_update_changes_nothing_and_ends_nothing(
    world: World, change: dict[str, Any], complaint: str
) -> None:
    world.agent()
    framework = world.framework()
    stored, offers = dict(world.stored), dict(framework.offers)
    refusal = update(framework, **{"webui_url": "u", **change})
    assert complaint in (refusal or "")
    assert framework.conn is not None
    assert (world.stored, framework.offers) == (stored, offers)
    assert world.core.state.frameworks[framework.id].info == framework.info


def test_suppressed_roles_of_an_update_must_be_among_its_roles(world: World) -> None:
    assert "suppressed role 'x' is none" in (update(world.framework(), "x") or "")


def test_a_minimum_of_its_own_decides_what_a_framework_is_offered(world: World) -> None:
    least = (RoleOfferFilter("*", ({"cpus": 2000},)),)
    framework = world.framework(offer_filters=least)
    world.agent(UNIT)
    assert not framework.offers
    assert update(framework, offer_filters=()) is None
    assert framework.offers


# ---- demand


def demand(count: int | None, role: str | None = None, of: Resources = UNIT) -> sm.DemandRequest:
    return sm.DemandRequest(of, None, count, role)


def test_who_declares_demand_is_offered_no_more_than_that(world: World) -> None:
    framework = world.framework(suppressed=("*",))
    framework.say(sm.Request((demand(3),)))
    framework.say(sm.Revive())
    world.agent()
    assert framework.held == Resources.of(cpus=3, mem=300)
    framework.launch("t1", Resources.of(cpus=1, mem=100))
    framework.say(sm.Revive())
    assert framework.held == Resources.of(cpus=2, mem=200)
    framework.decline(0)
    framework.say(sm.Request())
    world.advance(2)
    assert framework.held.cpus == 3, "who declares nothing is offered all"


def test_demand_is_for_the_role_that_is_named_or_for_each(world: World) -> None:
    framework = world.framework(capabilities=MULTI, roles=("a", "b"), suppressed=("a", "b"))
    framework.say(sm.Request((demand(1, "a"), demand(1))))
    framework.say(sm.Revive())
    world.agent()
    held = {offer.role: offer.resources.cpus for offer in framework.offers.values()}
    assert held == {"a": 2.0, "b": 1.0}


def test_a_request_without_a_count_is_a_hint_that_nobody_heeds(world: World) -> None:
    framework = world.framework()
    framework.say(sm.Request((demand(None),)))
    agent = world.agent()
    assert framework.held == agent.info.resources


def test_demand_ends_with_the_subscription(world: World) -> None:
    framework = world.framework()
    framework.say(sm.Request((demand(1),)))
    framework.subscribe()
    agent = world.agent()
    assert framework.held == agent.info.resources


def test_demand_outlives_an_update_in_place(world: World) -> None:
    framework = world.framework(capabilities=MULTI, roles=("a", "b"), suppressed=("a", "b"))
    framework.say(sm.Request((demand(1),)))
    assert update(framework, roles=("b", "c")) is None
    world.agent()
    held = {offer.role: offer.resources.cpus for offer in framework.offers.values()}
    assert held == {"b": 1.0}


def test_what_was_launched_of_a_demand_is_not_wanted_again_after_an_update(world: World) -> None:
    framework = world.framework(capabilities=MULTI, roles=("a", "b"))
    framework.say(sm.Request((demand(2, "a"), demand(1, "b"))))
    agent = world.agent()
    for offer in [each for each in framework.offers.values() if each.role == "a"]:
        framework.accept([offer], task("t", agent.id, offer.resources), refuse_s=0)
    assert framework.held.cpus == 1
    assert update(framework, roles=("a", "b", "c")) is None
    world.agent()
    world.advance(10)
    assert [(each.role, each.resources.cpus) for each in framework.offers.values()] == [("b", 1.0)]
    assert update(framework, roles=("b",)) is None
    assert update(framework, roles=("a", "b")) is None
    world.advance(10)
    assert [(each.role, each.resources.cpus) for each in framework.offers.values()] == [("b", 1.0)]
    framework.say(sm.Request())
    assert {each.role for each in framework.offers.values()} == {"a", "b"}


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (demand(-1), "count is -1"),
        (demand(10**10), "count is 10000000000"),
        (demand(1, of=Resources()), "names no resources"),
        (demand(1, "x"), "role 'x': not one of the framework's"),
    ],
)
def test_a_wrong_request_changes_nothing(
    world: World, wrong: sm.DemandRequest, complaint: str
) -> None:
    framework = world.framework()
    framework.say(sm.Request((demand(2),)))
    framework.say(sm.Request((demand(1), wrong)))
    (answer,) = framework.heard(sm.Answered)
    assert answer.call == "REQUEST"
    assert complaint in (answer.refusal or "")
    world.agent()
    assert framework.held.cpus == 2


def test_shapes_are_bounded(world: World) -> None:
    framework = world.framework()
    framework.say(sm.Request((demand(1),) * 1001))
    assert "more than 1000 shapes" in (framework.heard(sm.Answered)[0].refusal or "")


# ---- coming and going


def test_who_subscribes_over_and_over_costs_few_admissions_and_no_writes(world: World) -> None:
    for _ in range(5):
        world.agent()
    world.operator()
    poison = world.framework()
    world.writes.clear()
    world.published.clear()
    offers = 0
    for _ in range(100):
        poison.disconnect()
        poison.subscribe()
        offers += len(poison.heard(sm.Offers))
        world.advance(0.01)
    assert len(poison.heard(sm.Subscribed)) == 101
    assert offers <= 3
    assert world.writes == []
    assert len([e for _, e in world.published if isinstance(e, om.FrameworkUpdated)]) <= 3
    world.advance(3)
    assert len(poison.offers) == 5, "it is served in the end"


def test_a_crowd_of_one_name_is_admitted_one_after_the_other(world: World) -> None:
    world.agent()
    crowd = [world.framework("crowd", failover_timeout=0.0) for _ in range(6)]
    waiting = [f for f in crowd if AdmissionDue(f.id) in world.timers]
    assert waiting == crowd[3:]
    other = world.framework("other")
    assert AdmissionDue(other.id) not in world.timers
    waiting[0].disconnect()
    waiting[1].say(sm.Teardown())
    world.advance(3.1)
    assert not any(f for f in crowd if AdmissionDue(f.id) in world.timers)


def test_who_waits_for_admission_may_change_its_mind(world: World) -> None:
    framework = world.framework(capabilities=MULTI, roles=("a", "b"))
    for _ in range(3):
        framework.subscribe()
    assert AdmissionDue(framework.id) in world.timers
    framework.say(sm.Suppress())
    framework.say(sm.Revive(("a", "b")))
    framework.say(sm.Suppress(("b",)))
    framework.say(sm.Request((demand(1, "a"),)))
    agent = world.agent()
    assert not framework.offers
    world.advance(3.1)
    assert [(o.role, o.resources.cpus) for o in framework.offers.values()] == [("a", 1.0)]
    framework.say(sm.Request())
    for _ in range(3):
        framework.subscribe()
    assert update(framework, roles=("c",)) is None
    world.advance(3.1)
    assert [offer.role for offer in framework.offers.values()] == ["c"]
    assert framework.offer(agent)


@pytest.mark.parametrize(
    ("begins_with", "calls", "offered"),
    [
        (("a", "b"), (sm.Revive(("a",)),), {"a"}),
        (("a", "b"), (sm.Revive(),), {"a", "b"}),
        ((), (sm.Suppress(),), set()),
        ((), (sm.Suppress(("a",)),), {"b"}),
        ((), (sm.Suppress(), sm.Revive(("b",))), {"b"}),
        (("b",), (sm.Revive(("b",)), sm.Suppress(("a", "b")), sm.Revive(("a",))), {"a"}),
    ],
)
def test_suppressing_and_reviving_count_for_the_roles_that_are_named_also_of_one_who_waits(
    world: World, begins_with: tuple[str, ...], calls: tuple[sm.Call, ...], offered: set[str]
) -> None:
    framework = world.framework(capabilities=MULTI, roles=("a", "b"))
    for _ in range(3):
        framework.subscribe(*begins_with)
    assert AdmissionDue(framework.id) in world.timers
    for call in calls:
        framework.say(call)
    for _ in range(20):
        world.agent()
    world.advance(3.1)
    assert {offer.role for offer in framework.offers.values()} == offered


def test_a_new_stream_is_not_offered_for_the_old_one_while_it_waits(world: World) -> None:
    framework = world.framework()
    for _ in range(3):
        framework.subscribe()
    world.agent()
    assert not framework.offers
    world.advance(3.1)
    assert framework.offers


def test_a_short_absence_is_not_stored_and_a_long_one_is(world: World) -> None:
    framework = world.framework(failover_timeout=60.0)
    stored = dict(world.stored)
    framework.disconnect()
    world.advance(4)
    assert world.stored == stored
    world.advance(2)
    assert world.stored != stored
    world.restart()
    world.advance(53)
    assert framework.id in world.core.state.frameworks
    world.advance(2)
    assert framework.id in world.core.state.completed, "60 s after it went away"


def test_a_failover_timeout_shorter_than_that_is_kept_all_the_same(world: World) -> None:
    framework = world.framework(failover_timeout=1.0)
    framework.disconnect()
    world.advance(1.1)
    assert framework.id in world.core.state.completed


def test_admissions_are_forgotten_in_time(world: World) -> None:
    for number in range(20):
        world.framework(f"once-{number}", suppressed=("*",))
        world.advance(2)
    assert len(world.core.state.admitted_s) <= 3


# ---- never acknowledging


def test_who_never_acknowledges_takes_a_bounded_place() -> None:
    world = World(max_unacknowledged_tasks_per_framework=3, refuse_min_s=0.0)
    agent, framework = world.agent(), world.framework()
    sent = []
    for number in range(6):
        info = task(f"t{number}", agent.id, SMALL)
        framework.accept(list(framework.offers.values()), info, refuse_s=0)
        sent.append(agent.update(info, framework.id, TaskState.FINISHED))
    entry = world.core.state.frameworks[framework.id]
    assert list(entry.tasks) == ["t3", "t4", "t5"]
    assert list(entry.completed) == ["t0", "t1", "t2"]
    framework.updates()
    agent.resend()
    assert framework.updates() == sent, "the agent still repeats them all"
    for status in sent:
        framework.acknowledge(status)
    assert not agent.tasks
    assert not entry.tasks
    assert not entry.ended


def test_unacknowledged_ends_are_bounded_also_when_the_agent_reports_them() -> None:
    world = World(max_unacknowledged_tasks_per_framework=2)
    agent, framework = world.agent(), world.framework()
    infos = [task(f"t{number}", agent.id, Resources.of(cpus=0.5)) for number in range(5)]
    framework.accept([framework.offer()], *infos)
    for info in infos:
        agent.update(info, framework.id, TaskState.FAILED)
    agent.disconnect()
    agent.reregister()
    assert len(world.core.state.frameworks[framework.id].tasks) == 2
    world.restart()
    framework.subscribe()
    agent.reregister()
    assert len(world.core.state.frameworks[framework.id].tasks) == 2
    assert len(world.core.state.agents[agent.id].tasks) == 2


def test_a_new_framework_is_not_told_of_as_one_that_changed(world: World) -> None:
    world.operator()
    framework = Framework(world, FrameworkInfo("root", "new"))
    framework.subscribe()
    kinds = [type(event) for _, event in world.published]
    assert kinds == [om.FrameworkAdded]
