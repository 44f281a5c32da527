"""What operators are told: snapshots, events, answers; together they are a replica."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mezzo.cluster.model import (
    AgentCapability,
    AttributeConstraint,
    CommandInfo,
    ExecutorInfo,
    OfferConstraints,
    Predicate,
    RoleConstraints,
)
from mezzo.cluster.resources import Resources
from mezzo.cluster.states import TaskState
from mezzo.gateway.replica.cluster_replica import Replica
from mezzo.ids import ConnId, ExecutorId
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.record import replace

from ..world import BIG, SMALL, World, task


class Follower:
    """What a gateway does: a replica fed by one stream at a time, each resumed if that can be."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.replica = Replica()
        self.at: om.Resume | None = None
        self.snapshots = 0
        self._conn: ConnId | None = None
        self._published = 0

    def join(self) -> None:
        self._published = len(self.world.published)
        self.world.snapshots.clear()
        self._conn = self.world.operator(self.at)
        for sequence, event in self.world.snapshots:
            self.snapshots += isinstance(event, om.OperatorSubscribed)
            self._apply(sequence, event)
        self.read()

    def leave(self) -> None:
        """What was published until now has arrived."""
        assert self._conn is not None
        self.read()
        self.world.close(self._conn)
        self._conn = None

    def read(self) -> None:
        if self._conn is not None:
            for sequence, event in self.world.published[self._published :]:
                self._apply(sequence, event)
            self._published = len(self.world.published)

    def _apply(self, sequence: int, event: om.OperatorEvent) -> None:
        self.replica.apply(sequence, self.world.epoch, event)
        self.at = om.Resume(self.world.epoch, sequence)


@pytest.fixture
def follower(world: World) -> Follower:
    follower = Follower(world)
    follower.join()
    return follower


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
    world.ask(om.Teardown(framework.id))
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
    assert of_framework.offers == tuple(framework.offers.values())
    world.published.clear()
    world.advance(1.1)
    assert [event for _, event in world.published] == [
        om.AgentUpdated(view),
        om.FrameworkUpdated(replace(of_framework, offers=())),
    ]
    world.advance(5)
    assert len(world.published) == 2, "nothing changed since"
    assert agent.id == view.agent_info.id


def test_the_master_tells_of_itself(world: World) -> None:
    master = world.ask(om.GetMaster())
    assert master == om.Master(world.core.state.config.info, elected_time=world.now.wall_s)


# ---------------------------------------------------------------------------------- answers


def test_executors_and_offers_are_listed(world: World) -> None:
    agent, framework = world.agent(), world.framework()
    other = world.agent()
    executor = ExecutorInfo(
        ExecutorId("e1"), command=CommandInfo("run"), resources=Resources.of(cpus=0.5, mem=32)
    )
    offer = framework.offer(agent)
    info = task("t1", agent.id, command=None, executor=executor)
    framework.accept([offer], info, refuse_s=3600)
    told = world.ask(om.GetExecutors())
    assert isinstance(told, om.Executors)
    (view,) = told.executors
    assert (view.agent_id, view.executor_info.executor_id) == (agent.id, "e1")
    state = world.ask(om.GetState())
    assert isinstance(state, om.State)
    assert state.get_executors == told
    (of_framework,) = state.get_frameworks.frameworks
    assert of_framework.allocated_resources == SMALL + executor.resources
    offers = world.ask(om.GetOffers())
    assert isinstance(offers, om.OutstandingOffers)
    assert [each.agent_id for each in offers.offers] == [other.id]


def test_an_agent_is_shown_with_what_an_operator_did_to_it(world: World) -> None:
    world.operator()
    agent = world.agent()
    assert world.ask(om.DeactivateAgent(agent.id)) == om.Done()
    (view,) = world.ask(om.GetAgents()).agents  # type: ignore[union-attr]
    assert (view.active, view.deactivated, view.drain_info) == (False, True, None)
    assert world.published[-1][1] == om.AgentUpdated(view)
    assert AgentCapability.AGENT_DRAINING in view.capabilities
    assert world.ask(om.DrainAgent(agent.id, 5.0)) == om.Done()
    (view,) = world.ask(om.GetAgents()).agents  # type: ignore[union-attr]
    assert view.drain_info is not None
    assert view.drain_info.config.max_grace_period == 5.0
    assert view.estimated_drain_start_time == world.now.wall_s


def test_a_framework_is_shown_with_its_constraints(world: World) -> None:
    group = (AttributeConstraint(Predicate.EXISTS, "rack"),)
    constraints = OfferConstraints((RoleConstraints("*", (group,)),))
    framework = world.framework()
    framework.say(sm.Subscribe(framework.info, offer_constraints=constraints))
    (view,) = world.ask(om.GetFrameworks()).frameworks  # type: ignore[union-attr]
    assert view.offer_constraints == constraints


# ---------------------------------------------------------------------------------- going on


def test_who_comes_back_gets_exactly_what_it_missed(world: World, follower: Follower) -> None:
    framework = world.framework()
    follower.leave()
    missed_from = world.core.state.sequence
    framework.disconnect()
    world.agent()
    world.advance(30)
    follower.join()
    assert follower.snapshots == 1, "the first one"
    assert [sequence for sequence, _ in world.snapshots] == list(
        range(missed_from, missed_from + 3)
    )
    kinds = [type(event) for _, event in world.snapshots]
    assert kinds == [om.OperatorHeartbeat, om.FrameworkUpdated, om.AgentAdded]
    world.agent()
    follower.read()
    assert len(follower.replica.view().agents) == 2


def test_who_missed_nothing_gets_a_heartbeat(world: World, follower: Follower) -> None:
    world.agent()
    follower.leave()
    follower.join()
    assert world.snapshots == [(world.core.state.sequence, om.OperatorHeartbeat())]


def test_changes_of_resources_are_not_lost_while_the_only_one_is_away(
    world: World, follower: Follower
) -> None:
    """They are gathered for a second: also while nobody is there to hear of them."""
    world.agent()
    framework = world.framework()
    world.advance(2)
    follower.leave()
    framework.launch("t1")
    world.advance(5)
    follower.join()
    (view,) = follower.replica.view().agents.values()
    assert view.allocated_resources == SMALL
    assert follower.snapshots == 1


def test_who_is_away_for_too_long_starts_anew(world: World, follower: Follower) -> None:
    follower.leave()
    world.advance(61)
    framework = world.framework()
    follower.join()
    assert follower.snapshots == 2
    assert list(follower.replica.view().frameworks) == [framework.id]
    follower.leave()
    world.advance(59)
    follower.join()
    assert follower.snapshots == 2


def test_nothing_is_kept_for_one_who_does_not_come_back(world: World, follower: Follower) -> None:
    follower.leave()
    world.agent()
    world.advance(61)
    assert world.core.state.journal.latest(1) is None
    world.published.clear()
    world.framework().launch("t1")
    world.advance(10)
    assert world.published == []
    assert not world.core.state.changed_agents


def test_who_missed_more_than_is_kept_starts_anew() -> None:
    world = World(operator_event_buffer=3)
    follower = Follower(world)
    follower.join()
    follower.leave()
    for _ in range(3):
        world.agent()
    follower.join()
    assert follower.snapshots == 1
    follower.leave()
    for _ in range(4):
        world.agent()
    follower.join()
    assert follower.snapshots == 2
    assert len(follower.replica.view().agents) == 7


def test_a_new_leader_starts_with_a_snapshot(world: World, follower: Follower) -> None:
    agent = world.agent()
    follower.leave()
    world.restart()
    agent.reregister()
    follower.join()
    assert follower.snapshots == 2
    assert list(follower.replica.view().agents) == [agent.id]


@pytest.mark.parametrize("sequence", [-1, 10_000])
def test_a_number_that_was_never_given_starts_anew(world: World, sequence: int) -> None:
    world.operator()
    world.snapshots.clear()
    world.operator(om.Resume(world.epoch, sequence))
    ((_, event),) = world.snapshots
    assert isinstance(event, om.OperatorSubscribed)


def test_of_too_many_streams_the_oldest_ends() -> None:
    world = World(max_operator_event_stream_subscribers=2)
    first, second, third = (world.operator() for _ in range(3))
    assert list(world.operators) == [second, third]
    assert first not in world.operators
    world.close(second)
    world.operator()
    assert len(world.operators) == 2


@settings(max_examples=150)
@example(choices=[2, 15, 14, 3], buffer=1)  # an update that comes after the end
@given(st.lists(st.integers(0, 16), max_size=25), st.integers(1, 6))
def test_a_follower_knows_what_a_newcomer_is_told(choices: list[int], buffer: int) -> None:
    """Whatever happens and whenever its stream breaks: the same as a snapshot taken now."""
    world = World(operator_event_buffer=buffer)
    follower = Follower(world)
    follower.join()
    away = False
    frameworks, agents = [world.framework()], [world.agent()]
    for number, choice in enumerate(choices):
        framework, agent = frameworks[-1], agents[-1]
        match choice:
            case 0:
                frameworks.append(world.framework())
            case 1:
                agents.append(world.agent())
            case 2 if framework.conn is not None:
                framework.say(sm.Revive())
                for offer in list(framework.offers.values())[:1]:
                    framework.accept([offer], task(f"t{number}", offer.agent_id))
            case 3 if agent.tasks and agent.conn is not None:
                (_, known) = next(iter(agent.tasks.items()))
                agent.update(known, known.framework_id, TaskState.RUNNING)
            case 4:
                world.advance(1.5)
            case 5 if not away:
                follower.leave()
                away = True
            case 6 if away:
                follower.join()
                away = False
            case 7 if len(frameworks) > 1 and framework.conn is not None:
                frameworks.pop().say(sm.Teardown())
            case 8 if agent.conn is not None:
                agent.disconnect()
            case 9 if agent.conn is None:
                agent.reregister()
            case 10:
                world.ask(om.DeactivateAgent(agent.id))
            case 11:
                world.ask(om.DrainAgent(agent.id))
            case 12:
                world.ask(om.ReactivateAgent(agent.id))
            case 13 if agent.conn is None and not away:
                world.advance(100)  # it is unreachable
            case 14 if agent.tasks and agent.conn is not None:
                (_, known) = next(iter(agent.tasks.items()))
                sent = agent.update(known, known.framework_id, TaskState.FAILED, data=b"why")
                for each in frameworks:
                    if each.id == known.framework_id and each.conn is not None:
                        each.acknowledge(sent)
            case 15 if framework.conn is not None:
                framework.disconnect()
            case 16 if framework.conn is None:
                framework.subscribe()
            case _:
                pass
    if away:
        follower.join()
    world.advance(3)
    follower.read()
    newcomer = Follower(world)
    newcomer.join()
    assert follower.replica.view() == newcomer.replica.view()
