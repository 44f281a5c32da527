"""A peer speaks only for itself: what it says of others counts for nothing, and is told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mezzo.cluster.amounts import Items
from mezzo.cluster.model import (
    AgentInfo,
    Attribute,
    Capability,
    CommandInfo,
    ExecutorInfo,
    FrameworkInfo,
    Label,
    MachineId,
    Task,
    TaskInfo,
    TaskStatus,
    Unavailability,
)
from mezzo.cluster.operations import OperationRecord, OperationState, OperationStatus, Reserve
from mezzo.cluster.resources import Disk, Kind, Reservation, Resources
from mezzo.cluster.states import Source, TaskState
from mezzo.ids import AgentId, ExecutorId, FrameworkId, TaskId
from mezzo.master.events import AgentSaid
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.record import replace
from mezzo.wire import operator as operator_wire

from ..world import BIG, SMALL, Agent, Framework, World, task

S = TaskState
VOLUME = Kind("disk", (Reservation("DYNAMIC", "*"),), Disk(None, "v", None, "data"))


class Liar:
    """An agent that has offers like others, beside an honest one with a task that runs."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.framework = world.framework()
        self.honest = world.agent()
        self.task = self.framework.launch("t", agent=self.honest)
        self.honest.update(self.task, self.framework.id, S.RUNNING)
        self.agent = world.agent()
        self.framework.inbox.clear()
        self.agent.inbox.clear()
        self.honest.inbox.clear()

    def update(self, **change: Any) -> am.StatusUpdate:
        """Of the honest agent's task, in the liar's name unless changed."""
        status = TaskStatus(
            self.task.task_id, S.FINISHED, agent_id=self.agent.id, uuid=self.world.uuid()
        )
        return am.StatusUpdate(self.framework.id, replace(status, **change), S.FINISHED)

    @property
    def state_of_task(self) -> TaskState:
        return self.world.core.state.frameworks[self.framework.id].tasks[self.task.task_id].state

    @property
    def dropped(self) -> int:
        return self.world.core.state.counters.get("dropped_messages", 0)


@pytest.fixture
def liar(world: World) -> Liar:
    return Liar(world)


# ---------------------------------------------------------------------------------- updates


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


# ---------------------------------------------------------------------------------- reports


def test_a_report_that_names_another_agent_kills_no_leader(liar: Liar) -> None:
    """Neither as it comes nor when the task ends: once a KeyError did."""
    foreign = Task("x", TaskId("x"), liar.framework.id, liar.honest.id, S.RUNNING, resources=SMALL)
    nowhere = replace(foreign, task_id=TaskId("y"), agent_id=AgentId("nowhere"))
    liar.agent.reregister(foreign, nowhere)
    assert [kill.task_id for kill in liar.agent.heard(am.KillTask)] == ["x", "y"]
    assert len(liar.world.denied) == 2
    assert not liar.world.core.state.agents[liar.agent.id].tasks
    liar.agent.update(nowhere, liar.framework.id, S.FINISHED)
    liar.agent.reregister(replace(nowhere, state=S.FINISHED))
    assert set(liar.world.core.state.frameworks[liar.framework.id].tasks) == {"t"}


def test_a_task_that_waits_for_its_agent_can_be_claimed_by_no_other(liar: Liar) -> None:
    liar.honest.ignores.add(am.Ping)
    liar.honest.disconnect()
    liar.world.advance(100.0)
    stolen = Task("t", TaskId("t"), liar.framework.id, liar.agent.id, S.RUNNING, resources=SMALL)
    liar.agent.reregister(stolen)
    assert liar.agent.heard(am.KillTask)
    liar.honest.reregister()
    assert liar.state_of_task is S.RUNNING
    assert not liar.honest.heard(am.KillTask)
    entry = liar.world.core.state.frameworks[liar.framework.id].tasks[TaskId("t")]
    assert entry.info.agent_id == liar.honest.id


def test_a_task_that_is_reported_twice_counts_once(liar: Liar) -> None:
    mine = Task("a", TaskId("a"), liar.framework.id, liar.agent.id, S.RUNNING, resources=SMALL)
    liar.agent.reregister(mine, replace(mine, resources=BIG, state=S.FINISHED))
    entry = liar.world.core.state.agents[liar.agent.id].tasks[(liar.framework.id, mine.task_id)]
    assert (entry.state, entry.info.resources) == (S.RUNNING, SMALL)
    assert not liar.agent.heard(am.KillTask)
    assert "reported twice" in liar.world.denied[0]


@pytest.mark.parametrize(
    "change",
    [
        {"task_id": TaskId("a/b")},
        {"task_id": TaskId("")},
        {"role": "a//b"},
        {"role": "."},
        {"state": S.UNKNOWN},
        {"state": S.UNREACHABLE},
        {"resources": Resources({Kind("cpus"): Items.of(["a"])})},
    ],
)
def test_a_task_that_no_agent_could_have_is_left_out_alone(
    liar: Liar, change: dict[str, Any]
) -> None:
    mine = Task("a", TaskId("a"), liar.framework.id, liar.agent.id, S.RUNNING, resources=SMALL)
    bad = replace(mine, **{"task_id": TaskId("bad"), **change})
    liar.agent.reregister(mine, bad)
    assert list(liar.world.core.state.agents[liar.agent.id].tasks) == [(liar.framework.id, "a")]
    assert len(liar.world.denied) == 1
    assert liar.agent.heard(am.AgentReregistered)


ONLY_ONE_HAS: list[Resources] = [
    Resources.of(ports=[(31000, 31003)]),
    Resources({Kind("seats"): Items.of("ab")}),
    Resources({VOLUME: 64_000}),
]


@pytest.mark.parametrize("theirs", ONLY_ONE_HAS, ids=str)
@pytest.mark.parametrize("back", ["the same stream", "a new stream", "a new leader"])
def test_what_only_one_can_have_is_no_second_tasks(
    liar: Liar, theirs: Resources, back: str
) -> None:
    """Nobody could tell afterwards what is free: the books of the leader would break."""
    first = Task("a", TaskId("a"), liar.framework.id, liar.agent.id, S.RUNNING, resources=theirs)
    second = replace(first, task_id=TaskId("b"), resources=theirs + SMALL)
    third = replace(first, task_id=TaskId("c"), resources=SMALL)
    if back == "a new leader":
        liar.world.restart()
    elif back == "a new stream":
        liar.agent.disconnect()
    liar.agent.reregister(first, second, third)
    agent = liar.world.core.state.agents[liar.agent.id]
    assert [task_id for _, task_id in agent.tasks] == ["a", "c"]
    assert "task b of framework" in liar.world.denied[0]
    assert "task a has some" in liar.world.denied[0]
    assert am.KillTask(liar.framework.id, TaskId("b")) in liar.agent.heard(am.KillTask)
    for state in (S.FINISHED, S.RUNNING):
        liar.agent.reregister(*(replace(each, state=state) for each in (first, second, third)))


@pytest.mark.parametrize("theirs", ONLY_ONE_HAS, ids=str)
def test_what_only_one_can_have_is_no_executors_either(liar: Liar, theirs: Resources) -> None:
    mine = Task("a", TaskId("a"), liar.framework.id, liar.agent.id, S.RUNNING, resources=theirs)
    for name in ("e", "f"):
        info = ExecutorInfo(
            ExecutorId(name), liar.framework.id, command=CommandInfo("x"), resources=theirs
        )
        liar.agent.executors[(liar.framework.id, info.executor_id)] = info
    liar.agent.reregister(mine)
    assert not liar.world.core.state.agents[liar.agent.id].executors
    assert len(liar.world.denied) == 2
    liar.agent.reregister(replace(mine, state=S.FINISHED))
    assert list(liar.world.core.state.agents[liar.agent.id].executors) == [(liar.framework.id, "e")]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 6), st.booleans()), max_size=12))
def test_of_reported_ports_each_is_had_once(spans: list[tuple[int, int, bool]]) -> None:
    """As if each were compared with all before it."""
    world = World()
    framework, agent = world.framework(), world.agent()
    had: list[set[int]] = []
    tasks, right = [], []
    for number, (begin, length, ended) in enumerate(spans):
        ports = {*range(begin, begin + length + 1)}
        resources = Resources.of(cpus=0.01, ports=[(begin, begin + length)])
        state = S.FINISHED if ended else S.RUNNING
        id_ = TaskId(f"t{number}")
        tasks.append(Task("t", id_, framework.id, agent.id, state, resources=resources))
        if not ended and not any(ports & each for each in had):
            had.append(ports)
            right.append(id_)
    agent.reregister(*tasks)
    entries = world.core.state.agents[agent.id].tasks
    assert [id_ for (_, id_), entry in entries.items() if entry.holds_resources] == right


def test_a_shared_volume_may_be_many_tasks(liar: Liar) -> None:
    shared = Resources({VOLUME._replace(shared=True): 64_000})
    tasks = [
        Task(name, TaskId(name), liar.framework.id, liar.agent.id, S.RUNNING, resources=shared)
        for name in "abc"
    ]
    liar.agent.reregister(*tasks)
    assert len(liar.world.core.state.agents[liar.agent.id].tasks) == 3
    assert not liar.world.denied


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"roles": ("a", "a"), "capabilities": (Capability.MULTI_ROLE,)},
        {"role": "../x"},
        {"failover_timeout": 1e300},
        {"failover_timeout": float("nan")},
        {"webui_url": "x" * 100_000},
    ],
)
def test_a_framework_that_could_not_be_is_not_made_by_a_report(
    liar: Liar, change: dict[str, Any]
) -> None:
    id_ = FrameworkId("phantom")
    before = dict(liar.world.stored)
    liar.agent.frameworks[id_] = replace(FrameworkInfo("root", "phantom", id=id_), **change)
    liar.agent.reregister(Task("p", TaskId("p"), id_, liar.agent.id, S.RUNNING, resources=SMALL))
    assert id_ not in liar.world.core.state.frameworks
    assert liar.world.stored == before
    assert liar.agent.heard(am.ShutdownFramework) == [am.ShutdownFramework(id_)]
    assert liar.agent.heard(am.AgentReregistered)
    assert "framework phantom in its report" in liar.world.denied[0]


def test_an_executor_of_a_framework_without_roles_is_taken_over(world: World) -> None:
    """It may be in none at the moment; what runs is charged to somebody."""
    agent = world.agent()
    framework = world.framework(roles=(), capabilities=(Capability.MULTI_ROLE,))
    executor = ExecutorInfo(ExecutorId("e"), framework.id, command=CommandInfo("x"))
    agent.executors[(framework.id, executor.executor_id)] = executor
    agent.reregister()
    assert list(world.core.state.agents[agent.id].executors) == [(framework.id, "e")]


# ---------------------------------------------------------------------------------- resources


def test_amounts_of_one_name_have_one_type_in_the_whole_cluster(world: World) -> None:
    """They are added up for whoever is offered both."""
    framework = world.framework()
    world.agent(BIG + Resources.parse("disks:3"))
    other = world.agent(BIG + Resources.parse("disks:{a,b}"))
    assert "disks is a set, and a number elsewhere" in world.ignored[0]
    assert not other.heard(am.AgentRegistered)
    assert not other.heard(am.ShutdownAgent), "its tasks go on: that can be put right"
    assert framework.held
    assert isinstance(world.ask(om.GetState()), om.State)


def test_the_usual_resources_are_of_the_usual_types(world: World) -> None:
    bad = world.agent(Resources({Kind("cpus"): Items.of(["a"])}))
    assert "cpus is a set" in world.ignored[0]
    assert not bad.heard(am.AgentRegistered)
    assert world.stored == {}


def test_an_agent_can_not_change_the_type_of_what_it_has(world: World) -> None:
    agent = world.agent(BIG + Resources.parse("disks:3"))
    agent.ignores.add(am.Ping)
    agent.disconnect()
    world.advance(100.0)
    agent.info = replace(agent.info, resources=BIG + Resources.parse("disks:{a}"))
    agent.reregister()
    assert "one type per name" in world.ignored[0]
    assert not agent.heard(am.AgentReregistered)


# ---------------------------------------------------------------------------------- executors


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


def test_an_executor_that_is_reported_twice_counts_once(liar: Liar) -> None:
    info = ExecutorInfo(ExecutorId("e"), liar.framework.id, resources=SMALL)
    report = replace(liar.agent.report(), executors=(info, replace(info, resources=BIG)))
    liar.agent.connect()
    liar.agent.say(report)
    (entry,) = liar.world.core.state.agents[liar.agent.id].executors.values()
    assert entry.info == info
    assert len(liar.world.denied) == 1


# ---------------------------------------------------------------------------------- operations


def _reservation(world: World) -> tuple[Framework, Agent, OperationRecord]:
    """An operation `o` that the honest agent is slow to do."""
    framework = world.framework(role="ads")
    honest = world.agent()
    honest.ignores.add(am.ApplyOperation)
    cpus = Resources({Kind("cpus", (Reservation("DYNAMIC", "ads"),)): 1000})
    framework.operate(Reserve(cpus, id="o"))
    (record,) = world.core.state.agents[honest.id].operations.values()
    return framework, honest, record


def test_an_operation_of_another_agent_can_not_be_answered(world: World) -> None:
    framework, honest, record = _reservation(world)
    liar = world.agent()
    for uuid in (record.uuid, world.uuid()):
        status = OperationStatus(OperationState.FAILED, "o", agent_id=liar.id, uuid=world.uuid())
        liar.say(am.OperationUpdate(replace(record, uuid=uuid, agent_id=liar.id), status))
    assert not framework.heard(sm.UpdateOperationStatus)
    assert world.core.state.agents[honest.id].operations == {record.uuid: record}
    assert len(liar.heard(am.OperationAcknowledged)) == 2
    assert all("under way at agent" in each for each in world.denied)


def test_a_report_takes_no_operation_from_another_agent(world: World) -> None:
    framework, honest, record = _reservation(world)
    liar = world.agent()
    mine = replace(
        record,
        uuid=world.uuid(),
        agent_id=liar.id,
        latest_status=replace(record.latest_status, agent_id=liar.id),
    )
    liar.operations = {mine.uuid: mine}
    liar.reregister()
    assert world.core.state.agents[liar.id].operations == {}
    assert world.core.state.frameworks[framework.id].operations == {"o": (honest.id, record.uuid)}


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


def test_an_operation_that_is_reported_twice_counts_once(world: World) -> None:
    framework = world.framework()
    agent = world.agent()
    cpus = Resources({Kind("cpus", (Reservation("DYNAMIC", "ads"),)): 1000})
    for _ in range(2):
        status = OperationStatus(OperationState.FAILED, "o", uuid=world.uuid())
        record = OperationRecord(world.uuid(), Reserve(cpus, id="o"), status, framework.id)
        agent.operations[record.uuid] = record
    agent.reregister()
    assert len(world.core.state.agents[agent.id].operations) == 1
    assert "reported twice" in world.denied[0]


# ---------------------------------------------------------------------------------- identity


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


# ---------------------------------------------------------------------------------- frameworks


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


def test_who_lies_all_the_time_fills_no_log(liar: Liar) -> None:
    for _ in range(1000):
        liar.agent.say(liar.update())
    assert len(liar.world.denied) == 21
    assert liar.dropped == 1000
    liar.world.advance(5.0)
    liar.agent.say(liar.update())
    assert len(liar.world.denied) == 22


# ---------------------------------------------------------------------------------- texts

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
