"""A peer speaks only for itself: what it says of others counts for nothing, and is told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzo.cluster.model import (
    AgentInfo,
    Attribute,
    CommandInfo,
    ExecutorInfo,
    FrameworkInfo,
    Label,
)
from mezzo.cluster.operations import OperationRecord, OperationState, OperationStatus, Reserve
from mezzo.cluster.resources import Kind, Reservation, Resources
from mezzo.cluster.states import Source, TaskState
from mezzo.ids import AgentId, ExecutorId, FrameworkId, TaskId
from mezzo.master.events import AgentSaid
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.record import replace
from mezzo.wire import operator as operator_wire

from ..liar import Liar, reservation_under_way
from ..world import BIG, Agent, Framework, World, task

S = TaskState


def test_an_update_of_another_agents_task_reaches_nobody(liar: Liar) -> None:
    liar.agent.say(liar.update())
    assert liar.framework.updates() == []
    assert liar.state_of_task is S.RUNNING
    assert "the task is one of agent" in liar.world.denied[0]
    assert f"agent {liar.agent.id}" in liar.world.denied[0]
    assert liar.dropped == 1
    assert liar.world.core.state.counters["invalid_status_updates"] == 1


def test_who_is_denied_an_update_need_not_repeat_it(liar: Liar) -> None:
    """An honest agent may have a task whose id was given again while it was away."""
    update = liar.update()
    liar.agent.say(update)
    (order,) = liar.agent.heard(am.UpdateAcknowledged)
    assert order == am.UpdateAcknowledged(
        liar.framework.id, liar.task.task_id, update.status.uuid or b""
    )
    assert not liar.honest.heard(am.UpdateAcknowledged)


def test_an_update_in_another_agents_name_reaches_nobody(liar: Liar) -> None:
    liar.agent.say(liar.update(agent_id=liar.honest.id))
    liar.agent.say(liar.update(task_id=TaskId("new"), agent_id=liar.honest.id))
    assert liar.framework.updates() == []
    assert liar.state_of_task is S.RUNNING


def test_an_update_of_a_task_that_waits_for_its_agent_reaches_nobody(liar: Liar) -> None:
    liar.honest.ignores.add(am.Ping)
    liar.honest.disconnect()
    liar.world.advance(100.0)
    liar.framework.updates()
    liar.agent.say(liar.update())
    assert liar.framework.updates() == []


def test_an_update_of_a_task_that_ended_elsewhere_reaches_nobody(liar: Liar) -> None:
    liar.framework.acknowledge(liar.honest.update(liar.task, liar.framework.id, S.FINISHED))
    liar.framework.updates()
    liar.agent.say(liar.update(state=S.RUNNING))
    assert liar.framework.updates() == []


def test_an_end_that_the_master_has_forgotten_is_still_told(liar: Liar) -> None:
    """Its acknowledgement was lost: the agent repeats it for as long as it takes."""
    liar.agent.say(liar.update(task_id=TaskId("long ago")))
    assert [status.task_id for status in liar.framework.updates()] == ["long ago"]
    assert liar.world.denied == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"uuid": None}, "uuid"),
        ({"uuid": b"short"}, "uuid"),
        ({"source": Source.MASTER}, "in the master's name"),
        ({"state": S.UNREACHABLE}, "only a master"),
        ({"state": S.UNKNOWN}, "only a master"),
        ({"executor_id": ExecutorId("other")}, "executor other"),
    ],
)
def test_an_update_that_no_agent_makes_reaches_nobody(
    world: World, liar: Liar, change: dict[str, Any], why: str
) -> None:
    """Also of a task of its own."""
    mine = liar.framework.launch("mine", agent=liar.agent)
    liar.agent.say(liar.update(**{"task_id": mine.task_id, **change}))
    assert liar.framework.updates() == []
    assert why in world.denied[0]


def test_an_executor_that_the_agent_has_not_says_nothing(liar: Liar) -> None:
    executor = ExecutorInfo(ExecutorId("e"), command=CommandInfo("x"))
    offer = liar.framework.offer(liar.agent)
    info = replace(task("u", liar.agent.id), command=None, executor=executor)
    liar.framework.accept([offer], info)
    liar.honest.say(am.ExecutorMessage(liar.framework.id, executor.executor_id, b"x"))
    liar.honest.say(am.ExecutorExited(liar.framework.id, executor.executor_id, 1))
    assert not liar.framework.heard(sm.Message)
    assert not liar.framework.heard(sm.Failure)
    assert (liar.framework.id, "e") in liar.world.core.state.agents[liar.agent.id].executors
    assert len(liar.world.denied) == 2


def test_an_operation_of_another_agent_can_not_be_answered(world: World) -> None:
    framework, honest, record = reservation_under_way(world)
    liar = world.agent()
    for uuid in (record.uuid, world.uuid()):
        status = OperationStatus(OperationState.FAILED, "o", agent_id=liar.id, uuid=world.uuid())
        liar.say(am.OperationUpdate(replace(record, uuid=uuid, agent_id=liar.id), status))
    assert not framework.heard(sm.UpdateOperationStatus)
    assert world.core.state.agents[honest.id].operations == {record.uuid: record}
    assert len(liar.heard(am.OperationAcknowledged)) == 2
    assert all("under way at agent" in each for each in world.denied)


def test_nobody_is_told_of_an_operation_that_has_no_id(world: World) -> None:
    framework, agent = world.framework(), world.agent()
    cpus = Resources({Kind("cpus", (Reservation("DYNAMIC", "ads"),)): 1000})
    status = OperationStatus(OperationState.FINISHED, uuid=world.uuid())
    record = OperationRecord(world.uuid(), Reserve(cpus), status, framework.id)
    agent.say(am.OperationUpdate(record, status))
    assert not framework.heard(sm.UpdateOperationStatus)
    assert world.core.state.agents[agent.id].operations == {}
    assert len(agent.heard(am.OperationAcknowledged)) == 1
    assert "without an id" in world.denied[0]


def test_a_pong_of_a_ping_that_nobody_sent_renews_no_lease(world: World) -> None:
    agent = world.agent()
    agent.say(am.Pong(1_000_000))
    assert world.core.state.agents[agent.id].heard == 0
    assert "answers ping 1000000" in world.denied[0]


def test_the_address_of_an_agent_that_answers_can_not_be_taken(world: World) -> None:
    honest = world.agent()
    world.advance(20.0)
    other = Agent(world, AgentInfo(honest.info.hostname, resources=BIG))
    other.register()
    assert world.core.state.agents[honest.id].connected
    assert not other.heard(am.AgentRegistered)
    assert f"agent {honest.id} is connected at" in world.ignored[0]
    honest.disconnect()
    other.register()
    assert other.heard(am.AgentRegistered)


def test_ids_that_peers_brought_are_given_to_nobody_else(world: World) -> None:
    """Of an earlier store that is lost; or guessed."""
    old = Agent(world, AgentInfo("old", resources=BIG, id=AgentId("m1-S0")))
    old.reregister()
    mine = Framework(world, FrameworkInfo("root", "guesser", id=FrameworkId("m1-0000")))
    mine.subscribe()
    assert world.agent().id == "m1-S1"
    assert world.framework().id == "m1-0001"
    assert world.core.state.agents[old.id].connected
    assert world.core.state.frameworks[mine.id].info.name == "guesser"


def test_a_relays_streams_are_agents_of_their_own(liar: Liar) -> None:
    """Whoever carries it, a message is of the agent that registered on its stream."""
    relayed = liar.world.open(liar.agent)
    liar.world.feed(AgentSaid(relayed, liar.update()))
    liar.world.feed(AgentSaid(relayed, liar.agent.report()))
    assert liar.framework.updates() == []
    liar.world.feed(AgentSaid(relayed, replace(liar.honest.report(), tasks=())))
    assert liar.agent.heard(am.ShutdownAgent)
    assert liar.state_of_task is S.RUNNING


def test_who_lies_all_the_time_fills_no_log(liar: Liar) -> None:
    for _ in range(1000):
        liar.agent.say(liar.update())
    assert len(liar.world.denied) == 21
    assert liar.dropped == 1000
    liar.world.advance(5.0)
    liar.agent.say(liar.update())
    assert len(liar.world.denied) == 22


texts = st.text(min_size=1, max_size=40) | st.sampled_from(
    ["\x00", "a\nb", '"quoted"', "__proto__", "{x=1}", "x" * 60_000, "/", "\u202e", "\U0001f980"]
)


hostnames = st.from_regex(r"[A-Za-z0-9._:-]{1,253}", fullmatch=True)


@settings(max_examples=60, deadline=None)
@given(name=texts, hostname=hostnames, attribute=texts, label=texts)
def test_whatever_peers_are_called_all_of_it_works(
    name: str, hostname: str, attribute: str, label: str
) -> None:
    """They are stored and loaded, explained, counted and shown."""
    world = World()
    framework = world.framework(name, labels=(Label(label[:2000], label[:2000]),))
    about = (Attribute(attribute[:9000], text=attribute[:9000]),)
    agent = world.agent(hostname=hostname, attributes=about)
    world.restart()
    assert world.set_aside == {}
    framework.subscribe()
    agent.reregister()
    assert framework.offers
    answer = world.ask(om.Explain(framework=name, agent=agent.info.hostname))
    assert isinstance(answer, om.Explanations)
    missing = world.ask(om.Explain(framework=name + "x"))
    assert isinstance(missing, om.Refused)
    metrics = world.ask(om.GetMetrics())
    assert isinstance(metrics, om.Metrics)
    for metric in metrics.metrics:
        assert len(metric.name) < 2000
        assert metric.name.isprintable()
    for kind in (om.GetMetrics, om.GetState, om.GetRoles):
        response = world.ask(kind())
        again = operator_wire.response_from_wire(operator_wire.response_to_wire(response, 1))
        assert again == (1, response)
