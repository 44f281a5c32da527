"""Inverse offers: who is asked to give back what is on machines that will be away, and when."""

from __future__ import annotations

from typing import Any

import pytest

from mezzo.cluster.model import Address, CommandInfo, ExecutorInfo, ExecutorType, InverseOffer, Url
from mezzo.cluster.resources import Resources
from mezzo.cluster.states import TaskState
from mezzo.ids import ExecutorId, OfferId
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.record import replace

from ..planned import LATER, SOON, accept, asked, decline, plan, rescinded, status, window
from ..world import Agent, Framework, World, task

# ---- asking


def test_whoever_uses_a_machine_is_asked_to_give_it_back(world: World) -> None:
    """Behaviour 98."""
    agent, other = world.agent(hostname="a"), world.agent(hostname="b")
    worker, idle = world.framework(), world.framework()
    worker.launch("t1", agent=agent)
    worker.decline(3600)
    world.advance(1)  # what `worker` left goes to `idle`, but for the tasks of `worker`
    idle.decline(3600)
    plan(world, window("a"))
    (offer,) = asked(worker)
    url = Url("http", Address(5051, "a"), "/slave(1)")
    assert offer == InverseOffer(offer.id, worker.id, SOON, agent.id, Resources(), url)
    assert asked(idle) == []
    assert other.id not in {each.agent_id for each in asked(worker)}


def test_holding_an_offer_is_use(world: World) -> None:
    """Behaviour 98."""
    plan(world, window("a"))
    agent, framework = world.agent(hostname="a"), world.framework()
    (offer,) = asked(framework)
    assert offer.agent_id == agent.id
    framework.decline(3600)
    assert rescinded(framework) == [offer.id]


def test_an_executor_without_tasks_is_use(world: World) -> None:
    agent, framework = world.agent(hostname="a"), world.framework()
    executor = ExecutorInfo(ExecutorId("e"), framework.id, ExecutorType.CUSTOM, CommandInfo("x"))
    info = task("t1", agent.id, executor=executor, command=None)
    framework.accept([framework.offer()], info)
    framework.say(sm.Suppress())
    running = agent.update(info, framework.id, TaskState.RUNNING, executor_id=ExecutorId("e"))
    framework.acknowledge(running)
    framework.acknowledge(agent.update(info, framework.id, TaskState.FINISHED))
    plan(world, window("a"))
    (offer,) = asked(framework)
    agent.say(am.ExecutorExited(framework.id, ExecutorId("e"), 0))
    assert rescinded(framework) == [offer.id]


def test_a_new_leader_asks_for_an_executor_that_its_agent_brings(world: World) -> None:
    agent, framework = world.agent(hostname="a"), world.framework()
    executor = ExecutorInfo(ExecutorId("e"), framework.id, ExecutorType.CUSTOM, CommandInfo("x"))
    plan(world, window("a"))
    world.restart()
    framework.inbox.clear()
    framework.subscribe("*")
    agent.executors[(framework.id, executor.executor_id)] = executor
    agent.frameworks = {framework.id: framework.info}
    agent.reregister()
    assert [offer.agent_id for offer in asked(framework)] == [agent.id]


def test_one_event_asks_for_all_agents_of_all_windows(world: World) -> None:
    agents = [world.agent(hostname=hostname) for hostname in "abc"]
    framework = world.framework()
    for number, agent in enumerate(agents):
        framework.launch(f"t{number}", agent=agent)
    plan(world, window("a", "b"), window("c", when=LATER))
    (event,) = framework.heard(sm.InverseOffers)
    found = {offer.agent_id: offer.unavailability for offer in event.inverse_offers}
    assert found == {agents[0].id: SOON, agents[1].id: SOON, agents[2].id: LATER}


def test_who_has_tasks_and_offers_there_is_asked_once(world: World) -> None:
    agent, framework = world.agent(hostname="a"), world.framework()
    for number in range(2):
        framework.launch(f"t{number}", agent=agent)
        framework.say(sm.Revive())
    plan(world, window("a"))
    (offer,) = asked(framework)
    framework.launch("t3")
    assert (asked(framework), rescinded(framework)) == ([], [])
    assert offer.id in world.core.state.inverse_offers


def test_the_last_task_that_ends_rescinds_it(world: World) -> None:
    """Behaviour 98."""
    agent, framework = world.agent(hostname="a"), world.framework()
    one = framework.launch("t1")
    framework.say(sm.Revive())
    two = framework.launch("t2")
    framework.say(sm.Suppress())
    plan(world, window("a"))
    (offer,) = asked(framework)
    agent.update(one, framework.id, TaskState.FINISHED)
    assert rescinded(framework) == []
    agent.update(two, framework.id, TaskState.KILLED)
    assert rescinded(framework) == [offer.id]


def test_it_is_rescinded_when_its_agent_is_lost(world: World) -> None:
    agent, framework = world.agent(hostname="a"), world.framework()
    framework.launch("t1")
    plan(world, window("a"))
    (offer,) = asked(framework)
    agent.ignores.add(am.Ping)
    world.advance(100)
    assert rescinded(framework) == [offer.id]
    agent.ignores.discard(am.Ping)
    agent.reregister()
    (again,) = asked(framework)
    assert again.agent_id == agent.id


def test_another_window_asks_anew_and_the_same_one_does_not(world: World) -> None:
    """Behaviour 98."""
    world.agent(hostname="a")
    framework = world.framework()
    framework.launch("t1")
    plan(world, window("a"))
    (first,) = asked(framework)
    plan(world, window("a"), window("b"))
    assert (asked(framework), rescinded(framework)) == ([], [])
    plan(world, window("a", when=LATER))
    (second,) = asked(framework)
    assert (rescinded(framework), second.unavailability) == ([first.id], LATER)
    plan(world)
    assert (asked(framework), rescinded(framework)) == ([], [second.id])


def test_a_framework_that_comes_back_is_asked_again(world: World) -> None:
    world.agent(hostname="a")
    framework = world.framework()
    framework.launch("t1")
    plan(world, window("a"))
    (first,) = asked(framework)
    framework.disconnect()
    assert not world.core.state.inverse_offers
    framework.subscribe("*")  # suppressed: for its task alone
    (second,) = asked(framework)
    assert (second.id != first.id, second.agent_id) == (True, first.agent_id)
    assert rescinded(framework) == []
    framework.say(sm.Teardown())
    assert not world.core.state.inverse_offers


def test_operators_see_inverse_offers(world: World) -> None:
    world.agent(hostname="a")
    framework = world.framework()
    framework.launch("t1")
    plan(world, window("a"))
    (offer,) = asked(framework)
    offers = world.ask(om.GetOffers())
    assert isinstance(offers, om.OutstandingOffers)
    assert offers.inverse_offers == (offer,)
    (view,) = world.ask(om.GetFrameworks()).frameworks  # type: ignore[union-attr]
    assert view.inverse_offers == (offer,)


# ---- answers


@pytest.fixture
def user(world: World) -> Framework:
    """It has a task on host `a`, which will be away."""
    world.agent(hostname="a")
    framework = world.framework()
    framework.launch("t1")
    plan(world, window("a"))
    return framework


def statuses(world: World) -> list[om.InverseOfferStatus]:
    (machine,) = status(world).draining_machines
    return list(machine.statuses)


@pytest.mark.parametrize(("say", "answer"), [(decline, "DECLINE"), (accept, "ACCEPT")])
def test_no_answer_is_asked_for_again_before_its_filter_ends(
    world: World, user: Framework, say: Any, answer: str
) -> None:
    """Behaviour 101."""
    (offer,) = asked(user)
    assert statuses(world) == []
    say(user, offer, 600.0)
    told = om.InverseOfferStatus(answer, user.id, world.now.wall_s)
    assert statuses(world) == [told]
    world.advance(599)
    user.say(sm.Decline(()))
    assert (asked(user), rescinded(user)) == ([], [])
    world.advance(1)
    (again,) = asked(user)
    assert (again.id != offer.id, again.unavailability) == (True, SOON)
    assert statuses(world) == [told], "the last answer stands until there is another"
    accept(user, again)
    assert statuses(world) == [om.InverseOfferStatus("ACCEPT", user.id, world.now.wall_s)]


def test_who_has_left_is_not_asked_when_its_filter_ends(world: World, user: Framework) -> None:
    """Behaviour 101."""
    (offer,) = asked(user)
    accept(user, offer, 600.0)
    (agent,) = (peer for peer in world.peers.values() if isinstance(peer, Agent))
    agent.update(task("t1", agent.id), user.id, TaskState.FINISHED)
    user.decline(3600)
    world.advance(700)
    assert asked(user) == []


def test_a_filter_of_no_time_still_lasts_a_moment(world: World, user: Framework) -> None:
    (offer,) = asked(user)
    decline(user, offer, 0.0)
    assert asked(user) == []
    world.advance(1)
    assert len(asked(user)) == 1


def test_revive_asks_again_at_once(world: World, user: Framework) -> None:
    (offer,) = asked(user)
    decline(user, offer, 3600.0)
    user.say(sm.Revive())
    assert len(asked(user)) == 1
    assert [each.status for each in statuses(world)] == ["DECLINE"]
    world.advance(4000)
    assert (asked(user), rescinded(user)) == ([], [])


def test_another_window_makes_old_answers_void(world: World, user: Framework) -> None:
    """Behaviour 101."""
    (offer,) = asked(user)
    decline(user, offer, 3600.0)
    plan(world, window("a", when=LATER))
    assert [each.unavailability for each in asked(user)] == [LATER]
    assert statuses(world) == []


def test_answers_to_what_was_rescinded_or_is_anothers_are_ignored(
    world: World, user: Framework
) -> None:
    (offer,) = asked(user)
    other = world.framework()
    decline(other, offer)
    decline(user, replace(offer, id=OfferId("unknown")))
    assert statuses(world) == []
    plan(world, window("a", when=LATER))
    decline(user, offer)
    assert statuses(world) == []
    assert len(world.core.state.framework_of) == 2, "nobody was sent away for it"


def test_the_answer_of_a_framework_that_has_ended_is_not_shown(
    world: World, user: Framework
) -> None:
    (offer,) = asked(user)
    decline(user, offer)
    user.say(sm.Teardown())
    assert statuses(world) == []
