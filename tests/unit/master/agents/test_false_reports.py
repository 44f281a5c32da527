"""What an agent reports when it comes back is believed only of itself, and once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzo.cluster.amounts import Items
from mezzo.cluster.model import (
    Capability,
    CommandInfo,
    ExecutorInfo,
    FrameworkInfo,
    Task,
)
from mezzo.cluster.operations import OperationRecord, OperationState, OperationStatus, Reserve
from mezzo.cluster.resources import Disk, Kind, Reservation, Resources
from mezzo.cluster.states import TaskState
from mezzo.ids import AgentId, ExecutorId, FrameworkId, TaskId
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.record import replace

from ..liar import Liar, reservation_under_way
from ..world import BIG, SMALL, World

S = TaskState
VOLUME = Kind("disk", (Reservation("DYNAMIC", "*"),), Disk(None, "v", None, "data"))


def test_a_report_that_names_another_agent_kills_no_leader(liar: Liar) -> None:
    """Neither as it comes nor when the task ends: once a KeyError did."""
    foreign = Task(
        "x",
        TaskId("x"),
        liar.honest.id,
        framework_id=liar.framework.id,
        state=S.RUNNING,
        resources=SMALL,
    )
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
    stolen = Task(
        "t",
        TaskId("t"),
        liar.agent.id,
        framework_id=liar.framework.id,
        state=S.RUNNING,
        resources=SMALL,
    )
    liar.agent.reregister(stolen)
    assert liar.agent.heard(am.KillTask)
    liar.honest.reregister()
    assert liar.state_of_task is S.RUNNING
    assert not liar.honest.heard(am.KillTask)
    entry = liar.world.core.state.frameworks[liar.framework.id].tasks[TaskId("t")]
    assert entry.info.agent_id == liar.honest.id


def test_a_task_that_is_reported_twice_counts_once(liar: Liar) -> None:
    mine = Task(
        "a",
        TaskId("a"),
        liar.agent.id,
        framework_id=liar.framework.id,
        state=S.RUNNING,
        resources=SMALL,
    )
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
    mine = Task(
        "a",
        TaskId("a"),
        liar.agent.id,
        framework_id=liar.framework.id,
        state=S.RUNNING,
        resources=SMALL,
    )
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
    first = Task(
        "a",
        TaskId("a"),
        liar.agent.id,
        framework_id=liar.framework.id,
        state=S.RUNNING,
        resources=theirs,
    )
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
    mine = Task(
        "a",
        TaskId("a"),
        liar.agent.id,
        framework_id=liar.framework.id,
        state=S.RUNNING,
        resources=theirs,
    )
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
        tasks.append(
            Task("t", id_, agent.id, framework_id=framework.id, state=state, resources=resources)
        )
        if not ended and not any(ports & each for each in had):
            had.append(ports)
            right.append(id_)
    agent.reregister(*tasks)
    entries = world.core.state.agents[agent.id].tasks
    assert [id_ for (_, id_), entry in entries.items() if entry.holds_resources] == right


def test_a_shared_volume_may_be_many_tasks(liar: Liar) -> None:
    shared = Resources({VOLUME._replace(shared=True): 64_000})
    tasks = [
        Task(
            name,
            TaskId(name),
            liar.agent.id,
            framework_id=liar.framework.id,
            state=S.RUNNING,
            resources=shared,
        )
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
    liar.agent.reregister(
        Task("p", TaskId("p"), liar.agent.id, framework_id=id_, state=S.RUNNING, resources=SMALL)
    )
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


def test_an_executor_that_is_reported_twice_counts_once(liar: Liar) -> None:
    info = ExecutorInfo(ExecutorId("e"), liar.framework.id, resources=SMALL)
    report = replace(liar.agent.report(), executors=(info, replace(info, resources=BIG)))
    liar.agent.connect()
    liar.agent.say(report)
    (entry,) = liar.world.core.state.agents[liar.agent.id].executors.values()
    assert entry.info == info
    assert len(liar.world.denied) == 1


def test_a_report_takes_no_operation_from_another_agent(world: World) -> None:
    framework, honest, record = reservation_under_way(world)
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
