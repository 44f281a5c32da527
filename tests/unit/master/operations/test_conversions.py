"""Reservations and volumes at the master: who may make them of what."""

from __future__ import annotations

import pytest

from mezzo.cluster.model import AgentCapability, Capability
from mezzo.cluster.operations import (
    Conversion,
    Create,
    Destroy,
    GrowVolume,
    Launch,
    OperationState,
    Reserve,
    ShrinkVolume,
    Unreserve,
)
from mezzo.cluster.resources import Disk, DiskSource, Kind, Reservation, Resources
from mezzo.cluster.states import TaskState
from mezzo.ids import AgentId
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm

from ..reserved import ADS, ROOMY, WEB, ads, of, volume
from ..world import Agent, Framework, World, task

SHARING = (Capability.SHARED_RESOURCES,)
EVE = Reservation("DYNAMIC", "ads", "eve")
MOUNT = DiskSource("MOUNT", "/mnt/a")


def total(world: World, agent: Agent) -> Resources:
    """What the master thinks that the agent has; checks that the agent has it indeed."""
    seen = world.core.state.agents[agent.id].info.resources
    assert seen == agent.info.resources
    return seen


def complaints(framework: Framework) -> list[str]:
    statuses = [event.status for event in framework.heard(sm.UpdateOperationStatus)]
    assert all(s.state is OperationState.ERROR and s.uuid is None for s in statuses)
    return [status.message or "" for status in statuses]


# ---- frameworks


def test_reserve_create_and_launch_apply_in_order_in_one_accept(world: World) -> None:
    """Behaviour 84."""
    agent, framework = world.agent(ROOMY), ads(world)
    wanted = of("cpus", 1) + of("mem", 100) + volume(300)
    framework.operate(
        Reserve(of("cpus", 2) + of("mem", 100) + of("disk", 500)),
        Create(volume(300)),
        Launch((task("t1", agent.id, wanted),)),
        refuse_s=0,
    )
    kinds = [type(m) for m in agent.inbox if not isinstance(m, am.AgentRegistered)]
    assert kinds == [am.ApplyOperation, am.ApplyOperation, am.RunTask]
    assert agent.heard(am.RunTask)[0].task.resources == wanted
    left = Resources.of(cpus=2, mem=3900, disk=500) + of("cpus", 1) + of("disk", 200)
    assert framework.held == left
    assert total(world, agent) == left + wanted


def test_what_was_reserved_is_for_the_role_until_it_is_unreserved(world: World) -> None:
    agent, framework = world.agent(ROOMY), ads(world)
    framework.operate(Reserve(of("cpus", 3)), refuse_s=3600)
    other = world.framework()
    assert other.held == Resources.of(cpus=1, mem=4000, disk=1000)
    other.decline(3600)
    framework.say(sm.Revive())
    framework.operate(Unreserve(of("cpus", 3)), refuse_s=3600)
    other.say(sm.Revive())
    assert other.held == total(world, agent) == ROOMY


def test_fixed_point_parts_are_unreserved_as_a_whole(world: World) -> None:
    """Behaviour 86."""
    agent, framework = world.agent(ROOMY), ads(world)
    framework.operate(Reserve(of("cpus", 0.1)), Reserve(of("cpus", 0.2)), refuse_s=0)
    framework.operate(Unreserve(of("cpus", 0.3)), refuse_s=0)
    assert framework.held == total(world, agent) == ROOMY


@pytest.mark.parametrize(
    ("conversion", "complaint"),
    [
        (Reserve(of("cpus", 5), id="o"), "needed but not contained"),
        (Reserve(of("cpus", 1, Reservation("DYNAMIC", "ops", "alice")), id="o"), "offer is for"),
        (Reserve(of("cpus", 1, Reservation("DYNAMIC", "adsx", "alice")), id="o"), "offer is for"),
        (Reserve(of("cpus", 1, EVE), id="o"), "as principal 'eve'"),
        (Reserve(of("cpus", 1, Reservation("DYNAMIC", "ads")), id="o"), "as principal None"),
        (
            Reserve(of("cpus", 1, EVE, WEB), Resources.of(cpus=1), id="o"),
            "needs the capability RESERVATION_REFINEMENT",
        ),
        (Create(volume(100), id="o"), "needed but not contained"),
        (Create(volume(100, principal="eve"), id="o"), "as principal 'eve'"),
        (Create(volume(100, shared=True), id="o"), "needs the capability SHARED_RESOURCES"),
        (Unreserve(of("cpus", 1), id="o"), "needed but not contained"),
        (Destroy(volume(1), id="o"), "needed but not contained"),
        (Reserve(of("cpus", 1), id="a/b"), "the operation's id 'a/b' holds '/'"),
    ],
)
def test_a_wrong_operation_is_dropped_and_its_resources_return(
    world: World, conversion: Conversion, complaint: str
) -> None:
    """Behaviour 85."""
    agent, framework = world.agent(ROOMY), ads(world)
    framework.operate(conversion, Launch((task("t1", agent.id),)), refuse_s=0)
    (told,) = complaints(framework)
    assert complaint in told
    assert agent.heard(am.ApplyOperation) == []
    assert [run.task.task_id for run in agent.heard(am.RunTask)] == ["t1"], "the rest is done"
    assert total(world, agent) == ROOMY
    assert framework.held == ROOMY - task("t1", agent.id).resources


def test_who_gave_no_id_is_not_told_of_a_wrong_operation(world: World) -> None:
    _, framework = world.agent(ROOMY), ads(world)
    framework.operate(Reserve(of("cpus", 5)), refuse_s=0)
    assert complaints(framework) == []
    world.advance(2)
    assert framework.held == ROOMY


def test_without_a_principal_of_its_own_a_framework_may_name_any(world: World) -> None:
    agent, framework = world.agent(ROOMY), ads(world, principal=None)
    framework.operate(Reserve(of("cpus", 1, EVE)))
    assert total(world, agent).filter(role="ads") == of("cpus", 1, EVE)


def test_a_reservation_is_refined_for_a_role_below(world: World) -> None:
    agent = world.agent(ROOMY)
    refining = (Capability.RESERVATION_REFINEMENT,)
    framework = ads(world, capabilities=refining)
    framework.operate(Reserve(of("cpus", 2)), Reserve(of("cpus", 1, ADS, WEB)), refuse_s=3600)
    below = world.framework(role="ads/web", capabilities=refining)
    assert below.held.filter(role="ads/web") == of("cpus", 1, ADS, WEB)
    blind = world.framework(role="ads/web")
    below.decline(3600)
    assert blind.held.filter(role="ads/web") == Resources()
    assert total(world, agent).cpus == 4


def test_resources_that_were_reserved_for_a_role_below_are_not_launched_on(world: World) -> None:
    agent, framework = world.agent(ROOMY), ads(world)
    below = of("cpus", 1, WEB)
    framework.operate(Reserve(below), Launch((task("t1", agent.id, below),)))
    (status,) = framework.updates()
    assert status.state is TaskState.ERROR
    assert "is reserved to 'ads/web'" in (status.message or "")


def test_a_mount_disk_is_never_split(world: World) -> None:
    disk = Resources({Kind("disk", (), Disk(MOUNT)): 100_000})
    agent, framework = world.agent(Resources.of(cpus=1, mem=100) + disk), ads(world)
    whole = of("disk", 100, disk=Disk(MOUNT))
    part = of("disk", 60, disk=Disk(MOUNT))
    framework.operate(Reserve(part, id="o"), Reserve(whole), refuse_s=0)
    assert "not contained" in complaints(framework)[0]
    framework.operate(Create(volume(60, source=MOUNT), id="o"), refuse_s=0)
    assert "not contained" in complaints(framework)[0]
    world.advance(2)
    framework.operate(Create(volume(100, source=MOUNT)), refuse_s=0)
    assert volume(100, source=MOUNT) <= total(world, agent)


def test_a_volumes_id_is_new_also_if_the_other_is_in_use(world: World) -> None:
    agent, framework = world.agent(ROOMY), ads(world)
    used = volume(100) + of("cpus", 1)
    framework.operate(
        Reserve(of("disk", 500) + of("cpus", 1)),
        Create(volume(100)),
        Launch((task("t1", agent.id, used),)),
        refuse_s=0,
    )
    framework.operate(Create(volume(200), id="o"), refuse_s=0)
    assert "role ads has a volume v on this agent" in complaints(framework)[0]


def test_a_volume_in_use_is_neither_destroyed_nor_unreserved(world: World) -> None:
    """Behaviour 88."""
    agent, framework = world.agent(ROOMY), ads(world)
    framework.operate(Reserve(of("disk", 500)), Create(volume(100)), refuse_s=0)
    framework.operate(
        Unreserve(volume(100), id="o1"),
        Unreserve(of("disk", 500), id="o2"),
        Launch((task("t1", agent.id, volume(100)),)),
        Destroy(volume(100), id="o3"),
        refuse_s=0,
    )
    told = complaints(framework)
    assert ["destroy it first" in told[0], *("not contained" in t for t in told[1:])] == [True] * 3
    assert volume(100) <= total(world, agent)
    agent.update(task("t1", agent.id), framework.id, TaskState.FINISHED)
    framework.decline(0)
    world.advance(2)
    framework.operate(Destroy(volume(100)), Unreserve(of("disk", 500)), refuse_s=0)
    assert total(world, agent) == ROOMY


def test_a_volume_outlives_its_task_and_is_offered_to_its_role(world: World) -> None:
    """Behaviour 87."""
    agent, framework = world.agent(ROOMY), ads(world)
    framework.operate(
        Reserve(of("disk", 100)), Create(volume(100)), Launch((task("t1", agent.id, volume(100)),))
    )
    framework.acknowledge(agent.update(task("t1", agent.id), framework.id, TaskState.FINISHED))
    framework.say(sm.Teardown())
    stranger, successor = world.framework(), ads(world)
    stranger.decline(3600)
    stranger.say(sm.Suppress())
    successor.say(sm.Revive())
    assert successor.held.filter(role="ads") == volume(100)


def test_a_volume_grows_and_shrinks(world: World) -> None:
    agent, framework = world.agent(ROOMY), ads(world)
    framework.operate(
        Reserve(of("disk", 500)),
        Create(volume(100)),
        GrowVolume(volume(100), of("disk", 300)),
        ShrinkVolume(volume(400), 150_000),
        refuse_s=0,
    )
    assert framework.held.filter(role="ads") == volume(250) + of("disk", 250)
    assert total(world, agent).disk_mib == 1000


def test_a_shared_volume_is_used_by_many_and_destroyed_when_by_none(world: World) -> None:
    agent, framework = world.agent(ROOMY), ads(world, capabilities=SHARING)
    shared = volume(100, shared=True)
    wanted = Resources.of(cpus=1) + shared
    framework.operate(
        Reserve(of("disk", 100)),
        Create(shared),
        Launch((task("t1", agent.id, wanted), task("t2", agent.id, wanted))),
        Launch((task("t3", agent.id, shared),)),
        Destroy(shared, id="o"),
        refuse_s=0,
    )
    assert [run.task.task_id for run in agent.heard(am.RunTask)] == ["t1", "t2", "t3"]
    assert "is used by a task" in complaints(framework)[0]
    assert shared <= framework.held
    other = ads(world, capabilities=SHARING)
    framework.decline(0)
    for number in (1, 2, 3):
        agent.update(task(f"t{number}", agent.id), framework.id, TaskState.FINISHED)
    world.advance(5)
    holders = [each for each in (framework, other) if shared <= each.held]
    assert holders
    holders[0].operate(Destroy(shared), refuse_s=3600)
    assert total(world, agent).disk_mib == 1000
    assert not any(shared <= each.held for each in (framework, other))


@pytest.mark.parametrize(
    ("lacking", "conversion"),
    [
        (AgentCapability.AGENT_OPERATION_FEEDBACK, Reserve(of("cpus", 1), id="o")),
        (AgentCapability.RESIZE_VOLUME, ShrinkVolume(volume(100), 1000, id="o")),
        (AgentCapability.RESIZE_VOLUME, GrowVolume(volume(100), of("disk", 1), id="o")),
        (AgentCapability.RESERVATION_REFINEMENT, Reserve(of("cpus", 1, ADS, WEB), id="o")),
    ],
)
def test_an_agent_that_cannot_do_it_is_not_asked(
    world: World, lacking: AgentCapability, conversion: Conversion
) -> None:
    agent = world.agent(ROOMY)
    agent.capabilities = tuple(c for c in AgentCapability if c is not lacking)
    agent.disconnect()
    agent.reregister()
    framework = ads(world, capabilities=(Capability.RESERVATION_REFINEMENT,))
    framework.operate(conversion)
    assert f"lacks the capability {lacking}" in complaints(framework)[0]
    assert agent.heard(am.ApplyOperation) == []


# ---- operators


def test_an_operator_reserves_and_unreserves_what_is_free(world: World) -> None:
    agent = world.agent(ROOMY)
    assert world.ask(om.ReserveResources(agent.id, of("cpus", 4))) == om.Done()
    assert total(world, agent) == ROOMY - Resources.of(cpus=4) + of("cpus", 4)
    assert ads(world).held.filter(role="ads") == of("cpus", 4)
    assert world.ask(om.UnreserveResources(agent.id, of("cpus", 4))) == om.Done()
    assert total(world, agent) == ROOMY
    assert [m.framework_id for m in agent.heard(am.ApplyOperation)] == [None, None]
    assert world.ask(om.GetOperations()) == om.Operations()


def test_an_operator_makes_and_unmakes_volumes(world: World) -> None:
    agent = world.agent(ROOMY)
    calls = (
        om.ReserveResources(agent.id, of("disk", 500)),
        om.CreateVolumes(agent.id, volume(100)),
        om.GrowVolume(volume(100), of("disk", 100), agent.id),
        om.ShrinkVolume(volume(200), 50_000, agent.id),
    )
    assert [world.ask(call) for call in calls] == [om.Done()] * 4
    assert total(world, agent).filter(role="ads") == volume(150) + of("disk", 350)
    assert world.ask(om.DestroyVolumes(agent.id, volume(150))) == om.Done()
    assert total(world, agent).filter(role="ads") == of("disk", 500)


def test_an_operator_moves_a_reservation(world: World) -> None:
    agent = world.agent(ROOMY)
    ops = of("cpus", 1, Reservation("DYNAMIC", "ops"))
    world.ask(om.ReserveResources(agent.id, of("cpus", 2)))
    assert world.ask(om.ReserveResources(agent.id, ops, of("cpus", 1))) == om.Done()
    assert ops + of("cpus", 1) <= total(world, agent)


def test_offers_make_room_for_an_operator_who_needs_more_than_is_free(world: World) -> None:
    """Behaviour 90."""
    one = world.agent(ROOMY)
    holder = world.framework()
    keeper = world.agent(ROOMY)
    assert len(holder.offers) == 2
    assert world.ask(om.ReserveResources(one.id, of("cpus", 1))) == om.Done()
    assert len(holder.heard(sm.Rescind)) == 1
    assert keeper.id in {offer.agent_id for offer in holder.offers.values()}
    assert total(world, one).filter(role="ads") == of("cpus", 1)


def test_only_offers_that_help_are_taken_back(world: World) -> None:
    agent = world.agent(ROOMY + of("cpus", 2, Reservation("STATIC", "ops")))
    framework = world.framework(capabilities=(Capability.MULTI_ROLE,), roles=("ops", "web"))
    held = list(framework.offers.values())
    wanted = of("cpus", 1, Reservation("STATIC", "ops"), Reservation("DYNAMIC", "ops/a"))
    assert world.ask(om.ReserveResources(agent.id, wanted)) == om.Done()
    rescinded = {event.offer_id for event in framework.heard(sm.Rescind)}
    assert rescinded == {o.id for o in held if o.resources.filter(role="ops")}


def test_what_tasks_use_is_a_conflict_and_takes_nothing_back(world: World) -> None:
    """Behaviour 90."""
    agent, framework = world.agent(ROOMY), world.framework()
    framework.accept([framework.offer()], task("t1", agent.id), refuse_s=0)
    answer = world.ask(om.ReserveResources(agent.id, of("cpus", 4)))
    assert isinstance(answer, om.Conflict)
    assert "only cpus:3" in answer.message
    assert framework.offers
    assert framework.heard(sm.Rescind) == []
    assert total(world, agent) == ROOMY


def test_an_operator_cannot_unreserve_what_carries_a_volume(world: World) -> None:
    """Behaviour 88."""
    agent = world.agent(ROOMY)
    world.ask(om.ReserveResources(agent.id, of("disk", 100)))
    world.ask(om.CreateVolumes(agent.id, volume(100)))
    answer = world.ask(om.UnreserveResources(agent.id, volume(100)))
    assert isinstance(answer, om.Refused)
    assert "destroy it first" in answer.message
    assert isinstance(world.ask(om.UnreserveResources(agent.id, of("disk", 100))), om.Conflict)


@pytest.mark.parametrize(
    ("resources", "complaint"),
    [
        (Resources(), "resources is empty"),
        (Resources.of(cpus=1), "names no reservation"),
        (of("cpus", 1, Reservation("DYNAMIC", "a b")), "role 'a b' is invalid"),
    ],
)
def test_a_senseless_call_is_refused(world: World, resources: Resources, complaint: str) -> None:
    agent = world.agent(ROOMY)
    answer = world.ask(om.ReserveResources(agent.id, resources))
    assert isinstance(answer, om.Refused)
    assert complaint in answer.message


def test_the_agent_must_be_known_and_here(world: World) -> None:
    answer = world.ask(om.ReserveResources(AgentId("nobody"), of("cpus", 1)))
    assert isinstance(answer, om.Refused)
    assert "nobody is not known" in answer.message
    agent = world.agent(ROOMY)
    agent.disconnect()
    assert isinstance(world.ask(om.ReserveResources(agent.id, of("cpus", 1))), om.Conflict)
