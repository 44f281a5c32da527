"""A framework speaks only for itself: what it says of others counts for nothing, and is told."""

from __future__ import annotations

import pytest

from mezzo.cluster.model import (
    CommandInfo,
    MachineId,
    TaskInfo,
    Unavailability,
)
from mezzo.cluster.resources import Resources
from mezzo.cluster.states import TaskState
from mezzo.ids import TaskId
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.record import replace

from ..liar import Liar
from ..world import SMALL, World

S = TaskState


def test_a_launch_on_anothers_offer_is_refused_and_its_offers_stand(world: World) -> None:
    agent = world.agent()
    honest = world.framework()
    offer = honest.offer(agent)
    thief = world.framework()
    thief.say(sm.Accept((offer.id,), ()))
    thief.say(sm.Decline((offer.id,)))
    thief.accept([offer], TaskInfo("x", TaskId("x"), agent.id, SMALL, command=CommandInfo("x")))
    assert [status.state for status in thief.updates()] == [S.DROPPED]
    assert offer.id in world.core.state.offers
    assert honest.offers == {offer.id: offer}


def test_calls_about_what_is_anothers_are_told(liar: Liar) -> None:
    """And change nothing."""
    world, honest = liar.world, liar.framework
    thief = world.framework()
    offer = next(iter(honest.offers))
    thief.say(sm.Decline((offer,)))
    thief.say(sm.Accept((offer,)))
    status = liar.honest.update(liar.task, honest.id, S.RUNNING)
    assert status.uuid is not None
    honest.say(sm.Kill(liar.task.task_id, liar.agent.id))
    honest.say(sm.Acknowledge(liar.agent.id, liar.task.task_id, status.uuid))
    thief.say(sm.Kill(liar.task.task_id, liar.honest.id))
    assert [each.split(": ")[1].split()[0] for each in world.denied] == [
        *("DECLINE", "ACCEPT", "KILL", "ACKNOWLEDGE")
    ]
    assert liar.dropped == 4
    assert offer in honest.offers
    assert not liar.honest.heard(am.KillTask)
    assert not liar.honest.heard(am.UpdateAcknowledged)
    assert not liar.agent.heard(am.UpdateAcknowledged)
    assert [told.state for told in thief.updates()] == [S.GONE]


def test_an_inverse_offer_of_another_framework_can_not_be_answered(world: World) -> None:
    agent = world.agent()
    honest, thief = world.framework(), world.framework()
    honest.launch("t", agent=agent)
    window = om.MaintenanceWindow((MachineId(agent.info.hostname),), Unavailability(2e6))
    world.ask(om.UpdateMaintenanceSchedule(om.MaintenanceSchedule((window,))))
    (offer,) = honest.heard(sm.InverseOffers)[0].inverse_offers
    thief.say(sm.DeclineInverseOffers((offer.id,)))
    assert offer.id in world.core.state.inverse_offers
    assert "made to another framework" in world.denied[0]


def test_a_role_that_is_none_of_its_own_is_told(world: World) -> None:
    framework = world.framework(role="ads")
    framework.say(sm.Suppress(("web",)))
    framework.say(sm.Revive(("ads", "web")))
    told = framework.heard(sm.Answered)
    assert [(each.call, "'web'" in (each.refusal or "")) for each in told] == [
        ("SUPPRESS", True),
        ("REVIVE", True),
    ]


def test_who_reconciles_all_the_time_is_slowed_down(liar: Liar) -> None:
    """Each answer is work for the master, and a line in the outbox of its stream."""
    framework = liar.framework
    many = sm.Reconcile(tuple(sm.ReconcileTask(TaskId(f"x{n}")) for n in range(1000)))
    for _ in range(105):
        framework.say(many)
    answers = len(framework.updates())
    refusals = framework.heard(sm.Answered)
    assert 100_000 <= answers <= 101_000
    assert len(refusals) == 105 - answers // 1000
    assert all("ask again in" in (each.refusal or "") for each in refusals)
    liar.world.advance(10.0)
    assert [status.task_id for status in framework.reconcile()] == ["t"]
    framework.say(sm.ReconcileOperations())
    assert not framework.heard(sm.Answered)


def test_of_frameworks_that_come_and_go_not_all_are_remembered(world: World) -> None:
    """Each with a failover timeout of a year. One that has a task waits for it."""
    agent = world.agent()
    busy = world.framework("busy", failover_timeout=3e7)
    busy.launch("t", agent=agent)
    other = world.framework("other", failover_timeout=3e7)
    busy.disconnect()
    other.disconnect()
    most = world.core.state.config.max_idle_frameworks_away
    gone = [world.framework("again", failover_timeout=3e7) for _ in range(60)]
    for framework in gone:
        framework.disconnect()
    world.core.state.config = replace(world.core.state.config, max_idle_frameworks_away=60)
    world.framework("again", failover_timeout=3e7).disconnect()
    state = world.core.state
    assert most == 1000
    assert len(state.away) == 60
    assert {busy.id, other.id} <= set(state.frameworks)
    assert [each.id in state.frameworks for each in gone[:4]] == [False, False, False, True]
    assert {f.id for f in state.frameworks.values() if f.conn is None} == set(state.away.oldest())
    busy.subscribe()
    assert busy.id not in state.away
    gone[0].subscribe()
    assert "removed" in gone[0].heard(sm.Error)[0].message


@pytest.mark.parametrize("how", ["not back", "unreachable", "store lost"])
def test_who_may_have_something_that_no_agent_has_told_of_yet_is_not_given_up(how: str) -> None:
    """A new leader knows tasks only once their agents are back."""
    world = World(max_idle_frameworks_away=1)
    agent, busy = world.agent(), world.framework("busy", failover_timeout=3e7)
    info = busy.launch("t", agent=agent)
    agent.update(info, busy.id, S.RUNNING)
    if how == "store lost":
        world.stored.clear()
    world.restart()
    if how == "store lost":
        busy.subscribe()
        busy.disconnect()
    elif how == "unreachable":
        world.advance(700)
        assert agent.id in world.core.state.unreachable
    for _ in range(3):
        world.framework("another", failover_timeout=3e7).disconnect()
    assert busy.id in world.core.state.frameworks
    agent.reregister()
    assert not agent.heard(am.ShutdownFramework)
    busy.subscribe()
    assert [status.state for status in busy.reconcile()] == [S.RUNNING]


def test_that_many_who_are_away_have_something_keeps_nobody_else_for_ever() -> None:
    world = World(max_idle_frameworks_away=200)
    agent = world.agent(Resources.of(cpus=1000, mem=100_000))
    busy = []
    for _ in range(150):
        framework = world.framework(failover_timeout=3e7)
        framework.launch("t", agent=agent)
        busy.append(framework)
    for framework in busy:
        framework.disconnect()
    for _ in range(150):
        world.framework(failover_timeout=3e7).disconnect()
    assert len(world.core.state.away) == 200
    assert {framework.id for framework in busy} <= set(world.core.state.frameworks)
