"""What operators are told: snapshots, events, answers; together they are a replica."""

from __future__ import annotations

from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm

from .world import BIG, SMALL, World


def test_the_snapshot_comes_first_and_events_follow_it_without_a_gap(world: World) -> None:
    world.agent()
    world.operator()
    ((at, snapshot),) = world.snapshots
    assert isinstance(snapshot, om.OperatorSubscribed)
    assert len(snapshot.get_state.get_agents.agents) == 1
    world.published.clear()
    framework = world.framework()
    framework.launch("t1")
    world.agent()
    kinds = [type(event) for _, event in world.published]
    assert kinds == [om.FrameworkAdded, om.TaskAdded, om.AgentAdded]
    assert [sequence for sequence, _ in world.published] == [at + 1, at + 2, at + 3]


def test_nothing_is_published_for_nobody(world: World) -> None:
    world.framework()
    world.agent()
    world.advance(100)
    assert world.published == []


def test_a_heartbeat_repeats_the_last_number(world: World) -> None:
    world.operator()
    world.advance(15)
    assert world.published == [(world.core.state.sequence, om.OperatorHeartbeat())]


def test_the_answer_to_a_write_carries_the_number_of_its_events(world: World) -> None:
    """Whoever waits until its replica has come so far reads its own write."""
    world.operator()
    framework = world.framework()
    world.ask(om.TeardownFramework(framework.id))
    (at,) = [n for n, event in world.published if isinstance(event, om.FrameworkRemoved)]
    assert max(world.answers.values(), key=lambda answer: answer[0]) == (at, om.Done())


def test_views_tell_what_is_allocated_and_what_is_offered(world: World) -> None:
    world.operator()
    agent, framework = world.agent(), world.framework()
    framework.launch("t1")
    framework.say(sm.Revive())
    (view,) = world.ask(om.GetAgents()).agents  # type: ignore[union-attr]
    assert (view.total_resources, view.allocated_resources) == (BIG, SMALL)
    assert view.offered_resources == BIG - SMALL
    (of_framework,) = world.ask(om.GetFrameworks()).frameworks  # type: ignore[union-attr]
    assert of_framework.allocated_resources == SMALL
    assert of_framework.offered_resources == BIG - SMALL
    world.published.clear()
    world.advance(1.1)
    assert [event for _, event in world.published] == [
        om.AgentUpdated(view),
        om.FrameworkUpdated(of_framework),
    ]
    world.advance(5)
    assert len(world.published) == 2, "nothing changed since"
    assert agent.id == view.agent_info.id


def test_the_master_tells_of_itself(world: World) -> None:
    master = world.ask(om.GetMaster())
    assert master == om.Master(world.core.state.config.info, elected_time=world.now.wall_s)
