"""Offers at the master: made, accepted, declined, filtered, rescinded."""

from __future__ import annotations

from typing import Any

import pytest

from mezzo.cluster.model import (
    Address,
    Attribute,
    Capability,
    CommandInfo,
    ContainerInfo,
    ContainerType,
    ExecutorInfo,
    Filters,
    TaskStatus,
    Url,
)
from mezzo.cluster.operations import Launch, LaunchGroup, OtherOperation
from mezzo.cluster.resources import Kind, Resources
from mezzo.cluster.states import Reason, Source, TaskState
from mezzo.core import Instant
from mezzo.ids import AgentId, ExecutorId, OfferId
from mezzo.master.events import AgentSaid, FrameworkSaid
from mezzo.master.offers.offering import OFFERS_MAX
from mezzo.master.timers import (
    AllocationDue,
    CycleDue,
    HeartbeatDue,
    OperatorHeartbeatDue,
    PingsDue,
    RecoveryOver,
    RegistryGcDue,
)
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.record import replace

from ..world import BIG, SMALL, Framework, World, task

MULTI = (Capability.MULTI_ROLE,)


# ---- made


def test_an_offer_tells_all_about_its_agent(world: World) -> None:
    agent = world.agent(attributes=(Attribute("rack", text="a"),), hostname="h")
    framework = world.framework(role="web")
    offer = framework.offer()
    assert offer.id == "m1-O0"
    assert (offer.framework_id, offer.agent_id) == (framework.id, agent.id)
    assert (offer.hostname, offer.attributes) == ("h", agent.info.attributes)
    assert offer.url == Url("http", Address(agent.info.port, "h"), "/slave(1)")
    assert (offer.role, offer.resources) == ("web", BIG)


def test_offers_made_at_the_same_time_come_in_one_event(world: World) -> None:
    for _ in range(3):
        world.agent()
    framework = world.framework()
    (event,) = framework.heard(sm.Offers)
    assert len(event.offers) == 3


def test_two_frameworks_and_two_agents_get_one_agent_each(world: World) -> None:
    """Behaviour 76."""
    one, two = world.framework(suppressed=("*",)), world.framework(suppressed=("*",))
    world.agent()
    world.agent()
    world.step(*[_said(f, sm.Revive()) for f in (one, two)])
    world.settle()
    assert (len(one.offers), len(two.offers)) == (1, 1)


def _said(framework: Framework, call: sm.Call) -> FrameworkSaid:
    assert framework.conn is not None
    return FrameworkSaid(framework.conn, framework.id, call)


# ---- accepted


def test_a_task_goes_to_the_agent_and_the_rest_comes_back_hidden(world: World) -> None:
    """Behaviour 19."""
    agent, framework = world.agent(), world.framework()
    info = task("t1", agent.id, SMALL)
    framework.accept([framework.offer()], info, refuse_s=10)
    (run,) = agent.heard(am.RunTask)
    assert run == am.RunTask(framework.info, info, "*")
    world.advance(9.9)
    assert not framework.offers
    world.advance(0.2)
    assert framework.offer().resources == BIG - SMALL


def test_nothing_is_told_of_a_task_that_was_launched(world: World) -> None:
    """Mesos: STAGING is not an update."""
    framework = world.framework()
    world.agent()
    framework.launch("t1")
    assert framework.updates() == []


def test_two_offers_of_one_agent_and_role_are_joined(world: World) -> None:
    """Behaviour 14."""
    agent = world.agent()
    framework = world.framework()
    framework.launch("t1", Resources.of(cpus=2, mem=2000))
    framework.say(sm.Revive())
    first = framework.offer()
    # What comes free while the rest is offered is an offer of its own.
    status = agent.update(task("t1", agent.id), framework.id, TaskState.FINISHED)
    framework.acknowledge(status)
    both = list(framework.offers.values())
    assert len(both) == 2
    assert first in both
    framework.accept(both, task("t2", agent.id, Resources.of(cpus=4, mem=4000)))
    assert [run.task.task_id for run in agent.heard(am.RunTask)] == ["t1", "t2"]


def test_no_operations_are_a_decline(world: World) -> None:
    world.agent()
    framework = world.framework()
    offer = framework.offer()
    framework.offers.clear()
    framework.say(sm.Accept((offer.id,), (), Filters(20)))
    world.advance(19)
    assert not framework.offers
    world.advance(2)
    assert framework.offers


@pytest.mark.parametrize("aware", [True, False])
@pytest.mark.parametrize("mistake", ["two agents", "twice", "unknown", "used", "foreign", "none"])
def test_an_accept_of_wrong_offers_launches_nothing_and_returns_all(
    world: World, aware: bool, mistake: str
) -> None:
    """Behaviour 15. Behaviour 16."""
    agent, framework = world.agent(), world.framework(aware=aware)
    offers = [framework.offer().id]
    if mistake == "two agents":
        other = world.agent()
        offers.append(framework.offer(other).id)
    elif mistake == "twice":
        offers *= 2
    elif mistake == "unknown":
        offers.append(OfferId("m1-O99"))
    elif mistake == "used":
        used = framework.offer()
        framework.decline()
        world.advance(6)
        offers = [framework.offer().id, used.id]
    elif mistake == "foreign":
        other_framework = world.framework()
        world.agent()
        offers.append(other_framework.offer().id)
    else:
        offers = []
    mine = [offer_id for offer_id in offers if offer_id in framework.offers]
    for offer_id in mine:
        framework.offers.pop(offer_id, None)
    tasks = (task("t1", agent.id), task("t2", agent.id))
    operations = (Launch(tasks), OtherOperation("RESERVE", "r1"), OtherOperation("CREATE"))
    framework.say(sm.Accept(tuple(offers), operations))
    statuses = framework.updates()
    wanted = TaskState.DROPPED if aware else TaskState.LOST
    assert [(s.task_id, s.state, s.reason) for s in statuses] == [
        ("t1", wanted, Reason.INVALID_OFFERS),
        ("t2", wanted, Reason.INVALID_OFFERS),
    ]
    assert all((s.uuid, s.source) == (None, Source.MASTER) for s in statuses)
    (operation,) = framework.heard(sm.UpdateOperationStatus)
    assert (operation.status.operation_id, operation.status.state) == ("r1", "OPERATION_ERROR")
    assert agent.heard(am.RunTask) == []
    assert not set(mine) & set(world.core.state.offers)
    assert agent.id in {offer.agent_id for offer in framework.offers.values()}, "offered again"


def test_offers_of_two_roles_cannot_be_joined(world: World) -> None:
    """Behaviour 15."""
    framework = world.framework(capabilities=MULTI, roles=("a", "b"))
    agent = world.agent(Resources.parse("cpus(a):1;mem(a):100;cpus(b):1;mem(b):100"))
    offers = [offer.id for offer in framework.offers.values()]
    assert len(offers) == 2
    framework.offers.clear()
    framework.say(sm.Accept(tuple(offers), (Launch((task("t1", agent.id),)),)))
    (status,) = framework.updates()
    assert status.reason is Reason.INVALID_OFFERS
    assert "more than one role" in (status.message or "")


DOCKER = ContainerInfo(ContainerType.DOCKER)
EXECUTOR = ExecutorInfo(ExecutorId("e"))
MIXED = Resources({Kind("cpus"): 10, Kind("cpus", revocable=True): 10})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"resources": Resources()}, "uses no resources"),
        ({"resources": Resources.of(cpus=4.001)}, "uses more resources cpus:4.001 than available"),
        ({"resources": Resources.of(ports=[(1, 2)])}, "uses more resources"),
        ({"task_id": "a/b"}, "holds '/'"),
        ({"task_id": ""}, "task_id is empty"),
        ({"agent_id": AgentId("other")}, "invalid agent other"),
        ({"command": None}, "exactly one of command and executor"),
        ({"executor": EXECUTOR}, "exactly one of command and executor"),
        ({"command": None, "executor": EXECUTOR}, "executor.command is missing"),
        ({"container": DOCKER}, "container.docker.image is missing"),
        ({"unique_lease": 1.0}, "unique_lease is 1 s"),
        ({"resources": MIXED}, "revocable and non-revocable cpus"),
        ({"resources": Resources.of(cpus=1, gpus=0.5)}, "uses 0.5 gpus: ask for whole ones"),
    ],
)
def test_a_wrong_task_is_an_error_and_takes_nothing(
    world: World, change: dict[str, Any], complaint: str
) -> None:
    """Behaviour 17."""
    agent, framework = world.agent(), world.framework()
    wrong = replace(task("wrong", agent.id), **change)
    framework.accept([framework.offer()], wrong, task("right", agent.id, BIG))
    (status,) = framework.updates()
    assert (status.state, status.reason) == (TaskState.ERROR, Reason.TASK_INVALID)
    assert complaint in (status.message or "")
    assert [run.task.task_id for run in agent.heard(am.RunTask)] == ["right"]


def test_a_task_id_is_used_once(world: World) -> None:
    """Behaviour 17."""
    agent, framework = world.agent(), world.framework()
    framework.launch("t1")
    framework.say(sm.Revive())
    framework.launch("t1")
    assert "duplicate ID" in (framework.updates()[0].message or "")
    framework.acknowledge(agent.update(task("t1", agent.id), framework.id, TaskState.FINISHED))
    framework.say(sm.Revive())
    framework.updates()
    offers = list(framework.offers.values())
    framework.accept(offers, task("t1", agent.id))
    assert "one that has ended" in (framework.updates()[0].message or "")
    assert len(agent.heard(am.RunTask)) == 1


def test_two_frameworks_may_use_one_task_id(world: World) -> None:
    agent = world.agent()
    for _ in range(2):
        framework = world.framework()
        framework.launch("t1")
        framework.say(sm.Suppress())
    assert len(agent.heard(am.RunTask)) == 2


def test_a_launch_with_an_operation_id_is_an_error(world: World) -> None:
    """Behaviour 18."""
    agent, framework = world.agent(), world.framework()
    operations = (Launch((task("t1", agent.id),), "an-id"),)
    framework.say(sm.Accept((framework.offer().id,), operations, Filters(0)))
    (status,) = framework.updates()
    assert (status.state, status.reason) == (TaskState.ERROR, Reason.TASK_INVALID)
    framework.offers.clear()
    world.advance(2)
    assert framework.held == BIG


def test_a_task_group_is_an_error_for_each_of_its_tasks(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    group = LaunchGroup(EXECUTOR, (task("t1", agent.id), task("t2", agent.id)))
    framework.say(sm.Accept((framework.offer().id,), (group,)))
    statuses = framework.updates()
    assert [(s.task_id, s.reason) for s in statuses] == [
        ("t1", Reason.TASK_GROUP_INVALID),
        ("t2", Reason.TASK_GROUP_INVALID),
    ]


def test_a_task_of_next_to_no_cpu_runs(world: World) -> None:
    """Behaviour 30."""
    agent, framework = world.agent(), world.framework()
    framework.launch("t1", Resources.of(cpus=0.0001, mem=32))
    assert agent.heard(am.RunTask)[0].task.resources == Resources.of(mem=32)


def test_a_task_runs_as_the_user_of_its_command_else_of_its_framework(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    framework.accept(
        [framework.offer()],
        task("t1", agent.id, command=CommandInfo("true", user="bob")),
        task("t2", agent.id),
    )
    tasks = world.core.state.frameworks[framework.id].tasks
    assert [entry.info.user for entry in tasks.values()] == ["bob", "root"]


# ---- declined


def test_a_declined_offer_stays_away_for_its_time_and_comes_soon_after(world: World) -> None:
    """Behaviour 20."""
    world.agent()
    framework = world.framework()
    framework.decline(5)
    world.advance(4.9)
    assert not framework.offers
    world.advance(0.2)
    assert framework.offers


def test_a_refusal_of_no_time_lasts_until_others_had_their_turn(world: World) -> None:
    """Behaviour 69."""
    world.agent()
    one, other = world.framework(), world.framework()
    holder, waiting = (one, other) if one.offers else (other, one)
    holder.decline(0)
    assert waiting.offers
    waiting.decline(3600)
    world.advance(1.1)
    assert holder.offers


def test_who_uses_a_part_may_have_the_rest_again_at_once(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    framework.accept([framework.offer()], task("t1", agent.id), refuse_s=0)
    assert framework.offer().resources == BIG - SMALL
    framework.accept([framework.offer()], refuse_s=0)
    assert not framework.offers, "who used nothing waits for its turn"


@pytest.mark.parametrize("refuse_s", [-1.0, float("nan")])
def test_a_senseless_refusal_counts_as_5_seconds(world: World, refuse_s: float) -> None:
    world.agent()
    framework = world.framework()
    framework.decline(refuse_s)
    world.advance(4.9)
    assert not framework.offers
    world.advance(0.2)
    assert framework.offers


def test_a_refusal_for_ever_lasts_a_year(world: World) -> None:
    world.agent()
    framework = world.framework()
    framework.decline(4294967295.0)
    assert world.core.state.cycle_timer_s == pytest.approx(365 * 86400)


def test_more_than_was_refused_is_offered_at_once(world: World) -> None:
    """Behaviour 70."""
    agent, framework = world.agent(), world.framework()
    framework.launch("t1")  # and refuses the rest for an hour
    assert not framework.offers
    agent.update(task("t1", agent.id), framework.id, TaskState.FINISHED)
    assert framework.held == BIG


def test_declining_unknown_or_foreign_offers_changes_nothing(world: World) -> None:
    world.agent()
    one, other = world.framework(), world.framework()
    holder, waiting = (one, other) if one.offers else (other, one)
    waiting.say(sm.Decline((holder.offer().id, OfferId("nonsense"))))
    assert list(world.core.state.offers) == list(holder.offers)


def test_changed_attributes_end_the_refusals_of_an_agent(world: World) -> None:
    """Behaviour 75."""
    agent, framework = world.agent(), world.framework()
    framework.decline(3600)
    agent.info = replace(agent.info, attributes=(Attribute("new", text="x"),))
    agent.disconnect()
    agent.reregister()
    assert framework.offer().attributes == agent.info.attributes


def test_an_agent_that_comes_back_as_it_was_stays_refused(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    framework.decline(3600)
    agent.disconnect()
    agent.reregister()
    assert not framework.offers


# ---- suppressed and revived


def test_who_suppresses_gets_nothing_until_it_revives(world: World) -> None:
    """Behaviour 21."""
    framework = world.framework()
    framework.say(sm.Suppress())
    agent = world.agent()
    world.advance(100)
    assert not framework.offers
    framework.say(sm.Revive())
    assert framework.offer(agent)


def test_reviving_ends_refusals(world: World) -> None:
    """Behaviour 21."""
    world.agent()
    framework = world.framework()
    framework.decline(3600)
    framework.say(sm.Revive())
    assert framework.offers


def test_who_subscribes_suppressed_gets_nothing(world: World) -> None:
    """Behaviour 22."""
    world.agent()
    framework = world.framework(suppressed=("*",))
    world.advance(100)
    assert not framework.offers


def test_roles_are_suppressed_and_revived_one_by_one(world: World) -> None:
    framework = world.framework(capabilities=MULTI, roles=("a", "b"))
    framework.say(sm.Suppress(("a",)))
    world.agent()
    assert [offer.role for offer in framework.offers.values()] == ["b"]
    framework.say(sm.Suppress(("b",)))
    framework.decline(0)
    framework.say(sm.Revive(("a",)))
    assert [offer.role for offer in framework.offers.values()] == ["a"]


# ---- timed out


def test_an_offer_that_is_held_too_long_is_rescinded_and_goes_to_others() -> None:
    """Behaviour 23."""
    world = World(offer_timeout_s=30.0)
    agent = world.agent()
    hoarder = world.framework("a")
    other = world.framework("b")
    assert hoarder.offer(agent)
    world.advance(29)
    assert hoarder.heard(sm.Rescind) == []
    world.advance(2)
    assert len(hoarder.heard(sm.Rescind)) == 1
    assert other.offer(agent)


def test_a_framework_that_is_offered_very_much_gets_it_in_pieces(world: World) -> None:
    for _ in range(OFFERS_MAX + 1):
        world.agent()
    framework = world.framework()
    assert [len(event.offers) for event in framework.heard(sm.Offers)] == [OFFERS_MAX, 1]


def test_who_lets_an_offer_time_out_is_not_the_first_to_get_it_again() -> None:
    """Not even when the other has more already: on a single agent it starved."""
    world = World(offer_timeout_s=30.0)
    agent = world.agent()
    modest = world.framework("modest")
    modest.launch("t1")
    hoarder = world.framework("hoarder")
    assert hoarder.offer(agent)
    modest.say(sm.Revive())
    world.advance(31)
    assert hoarder.offers == {}
    assert modest.offer(agent)


def test_pieces_of_an_agent_that_were_offered_at_different_times_time_out_together() -> None:
    """One had the cpus and, from another time, the memory: they never came back together, and who
    needed both starved."""
    world = World(offer_timeout_s=30.0)
    agent = world.agent()
    no_cpus = om.QuotaConfig("hoarder", {}, {"cpus": 0})
    world.ask(om.UpdateQuota((no_cpus,)))
    hoarder = world.framework("hoarder", role="hoarder")
    assert not hoarder.offer(agent).resources.cpus
    world.advance(10)
    world.ask(om.UpdateQuota((om.QuotaConfig("hoarder"),)))
    assert [bool(offer.resources.cpus) for offer in hoarder.offers.values()] == [False, True]
    modest = world.framework("modest")
    world.advance(21)
    assert hoarder.offers == {}
    assert modest.offer(agent).resources == BIG


def test_an_offer_that_was_used_in_time_is_not_rescinded() -> None:
    """Behaviour 23."""
    world = World(offer_timeout_s=30.0)
    world.agent()
    framework = world.framework()
    framework.launch("t1")
    framework.say(sm.Revive())
    framework.decline(3600)
    framework.inbox.clear()
    assert not any(isinstance(key, tuple) and key[0] == "offer" for key in world.timers)
    world.advance(60)
    assert framework.heard(sm.Rescind) == []


def test_without_a_timeout_offers_are_held_for_ever() -> None:
    world = World(offer_timeout_s=None)
    world.agent()
    framework = world.framework()
    world.advance(86400)
    assert framework.offers
    assert framework.heard(sm.Rescind) == []


# ---- withdrawn


def test_what_was_just_offered_can_be_withdrawn_with_the_rest_of_its_agent(world: World) -> None:
    """In one cycle a thinker is granted some more of an agent that it must give back for another's
    sake: it hears of the offer before it hears that it is gone."""
    agent, hungry = world.agent(), world.framework()
    first = task("t1", agent.id, BIG - SMALL)
    hungry.accept([hungry.offer()], first, refuse_s=3600)
    thinker = world.framework()
    second = thinker.launch("t2")
    for _ in range(2):
        world.agent(Resources.of(cpus=3, mem=3000))
    hungry.decline(3600)
    agent.update(first, hungry.id, TaskState.FINISHED)
    hungry.decline(1)  # so the thinker has all three agents
    world.now = Instant(world.now.wall_s + 1.2, world.now.mono_s + 1.2)  # no timer fires yet
    ended = TaskStatus(second.task_id, TaskState.FINISHED, agent_id=agent.id, uuid=world.uuid())
    assert agent.conn is not None
    update = am.StatusUpdate(thinker.id, ended, TaskState.FINISHED)
    thinker.inbox.clear()
    world.step(AgentSaid(agent.conn, update))
    world.settle()
    kinds = [type(event) for event in thinker.inbox]
    assert kinds == [sm.Update, sm.Offers, sm.Rescind, sm.Rescind]
    assert (hungry.held, agent.id in {o.agent_id for o in thinker.offers.values()}) == (BIG, False)


# ---- who sees what


def test_reserved_resources_are_seen_by_their_role_alone(world: World) -> None:
    world.agent(Resources.parse("cpus:1;mem:100;cpus(ads):2;mem(ads):200"))
    web = world.framework(role="web")
    assert web.held == Resources.parse("cpus:1;mem:100")
    ads = world.framework(role="ads")
    assert ads.held == Resources.parse("cpus(ads):2;mem(ads):200")


def test_an_agent_with_gpus_is_for_those_who_can_use_them(world: World) -> None:
    world.agent(Resources.of(cpus=1, mem=100, gpus=1))
    blind = world.framework()
    assert not blind.offers
    able = world.framework(capabilities=(Capability.GPU_RESOURCES,))
    assert able.offers


def test_crumbs_are_not_offered(world: World) -> None:
    world.agent(Resources.of(cpus=0.009, mem=31.9, disk=1e6))
    framework = world.framework()
    assert not framework.offers
    world.agent(Resources.of(cpus=0.01))
    assert framework.held == Resources.of(cpus=0.01)


# ---- quiet


def test_a_quiet_cluster_is_quiet(world: World) -> None:
    """No cycle without a change: only pings, heartbeats and the collection of garbage."""
    for _ in range(3):
        world.agent()
    framework = world.framework()
    framework.decline(3600)
    assert {type(key) for key in world.timers} == {
        *(CycleDue, RegistryGcDue, HeartbeatDue, OperatorHeartbeatDue, PingsDue, RecoveryOver)
    }
    framework.say(sm.Revive())
    framework.say(sm.Suppress())
    framework.decline()
    world.advance(60)
    assert AllocationDue() not in world.timers


def test_one_cycle_answers_all_events_that_came_before_it(world: World) -> None:
    agents = [world.agent() for _ in range(3)]
    framework = world.framework()
    framework.inbox.clear()
    effects: list[Any] = []
    for agent in agents:
        assert agent.conn is not None
        effects += world.step(
            _said(framework, sm.Decline((framework.offer(agent).id,), Filters(1)))
        )
    framework.offers.clear()
    assert len([e for e in effects if getattr(e, "key", None) == AllocationDue()]) == 1
    world.advance(2)
    assert len(framework.heard(sm.Offers)) == 1
