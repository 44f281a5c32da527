"""A fake agent says what a real one says, to whatever it hears, and can be spoilt."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mezzo.agent import effects as do
from mezzo.agent import events as e
from mezzo.agent.container import ContainerExited, ContainerStarted
from mezzo.agent.membership import CAPABILITIES
from mezzo.cluster.model import AgentInfo, Capability, ExecutorInfo, FrameworkInfo, TaskInfo
from mezzo.cluster.operations import Conversion, OperationState, Reserve, Unreserve
from mezzo.cluster.resources import Kind, Reservation, Resources
from mezzo.cluster.states import TaskState
from mezzo.ids import ConnId, ContainerId, ExecutorId, FrameworkId, TaskId
from mezzo.messages import agent as am
from mezzo.record import replace
from mezzo.sim.fakes.fake_agent import FakeAgent, Said, TaskKey

from ..agent.fakes import CONFIG, S1, World, process_task

S = TaskState
INFO = AgentInfo("host", resources=Resources.of(cpus=100, mem=4096))
FRAMEWORKS = tuple(
    FrameworkInfo("root", name, FrameworkId(name), capabilities=(Capability.PARTITION_AWARE,))
    for name in ("f", "g")
)
RESERVED = Resources({Kind("cpus", (Reservation("DYNAMIC", "ads"),)): 1000})
some = st.integers(0, 9)
CONVERSIONS: tuple[Conversion, ...] = (Reserve(RESERVED), Unreserve(RESERVED))


def gist(message: am.AgentMessage) -> Any:
    """Without times, uuids and words."""
    match message:
        case am.StatusUpdate(framework_id, status, latest):
            return (framework_id, status.task_id, status.agent_id, status.state, latest)
        case am.OperationUpdate(operation, status):
            told = (status.state, status.operation_id, status.agent_id, status.converted_resources)
            return (operation.uuid, operation.framework_id, told, status.uuid is None)
        case am.ReregisterAgent():
            tasks = {(t.framework_id, t.task_id, t.state, t.resources) for t in message.tasks}
            operations = {gist(am.OperationUpdate(o, o.latest_status)) for o in message.operations}
            return (message.info, tasks, set(message.frameworks), operations)
        case am.RegisterAgent():
            return message.info
    return message


class Side:
    """One of the two agents, its answers, and what it waits to have acknowledged."""

    def __init__(self) -> None:
        self.updates: dict[TaskKey, bytes] = {}  # the uuid that was told last
        self.outcomes: dict[bytes, bytes] = {}

    def note(self, said: Said) -> list[Any]:
        for message in said:
            match message:
                case am.StatusUpdate(framework_id, status):
                    assert status.uuid is not None
                    self.updates[framework_id, status.task_id] = status.uuid
                case am.OperationUpdate(operation, status) if status.uuid is not None:
                    self.outcomes[operation.uuid] = status.uuid
        return sorted(map(gist, said), key=repr)


class RealSide(Side):
    """The agent's core, with containers that start and end as soon as they are told to."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(config=replace(CONFIG, info=INFO))
        self.containers: dict[TaskId, ContainerId] = {}

    def connects(self) -> list[Any]:
        self.world.step(e.MasterDown(self.world.conn))
        self.world.conn = ConnId(self.world.conn + 1)
        return self.note(self.steps(e.MasterUp(self.world.conn)))

    def hears(self, message: am.MasterMessage) -> list[Any]:
        return self.note(self.steps(e.MasterSaid(self.world.conn, 1, message)))

    def finishes(self, key: TaskKey) -> list[Any]:
        return self.note(self.steps(ContainerExited(self.containers[key[1]], exit_code=0)))

    def steps(self, event: e.AgentEvent) -> list[am.AgentMessage]:
        said: list[am.AgentMessage] = []
        for effect in self.world.step(event):
            match effect:
                case do.Send(_, message):
                    said.append(message)
                case do.LaunchContainer(spec):
                    self.containers[TaskId(spec.task_id)] = spec.container_id
                    said += self.steps(ContainerStarted(spec.container_id))
                case do.KillContainer(container_id):
                    said += self.steps(ContainerExited(container_id, signal=signal.SIGTERM))
        return said


class FakeSide(Side):
    def __init__(self) -> None:
        super().__init__()
        self.agent = FakeAgent(INFO, capabilities=CAPABILITIES, launched=self.launched)

    def launched(self, key: TaskKey, info: TaskInfo) -> Said:
        return [*self.agent.move(key, S.STARTING), *self.agent.move(key, S.RUNNING)]

    def connects(self) -> list[Any]:
        return self.note([self.agent.introduction()])

    def hears(self, message: am.MasterMessage) -> list[Any]:
        return self.note(self.agent.hear(message))

    def finishes(self, key: TaskKey) -> list[Any]:
        return self.note(self.agent.move(key, S.FINISHED))


class TwoAgents(RuleBasedStateMachine):
    """A real agent and a fake one hear the same."""

    def __init__(self) -> None:
        super().__init__()
        self.real, self.fake = RealSide(), FakeSide()
        self.number = 0
        self.ever: list[TaskKey] = []
        self.launches: list[am.RunTask] = []
        assert self.real.connects() == self.fake.connects()
        self.both_hear(am.AgentRegistered(S1))

    def both_hear(self, message: am.MasterMessage) -> None:
        assert self.real.hears(message) == self.fake.hears(message)

    def some_key(self, which: int) -> TaskKey:
        return self.ever[which % len(self.ever)]

    def new_key(self, framework_id: FrameworkId) -> TaskKey:
        self.number += 1
        self.ever.append((framework_id, TaskId(f"t{self.number}")))
        return self.ever[-1]

    @rule(framework=st.sampled_from(FRAMEWORKS), count=st.integers(1, 3))
    def tasks_are_launched(self, framework: FrameworkInfo, count: int) -> None:
        assert framework.id is not None
        for _ in range(count):
            _, task_id = self.new_key(framework.id)
            info = process_task(task_id, resources=Resources.of(cpus=0.1, mem=32))
            self.launches.append(am.RunTask(framework, info, "ads"))
            self.both_hear(self.launches[-1])

    @rule(which=some)
    @precondition(lambda self: self.launches)
    def a_launch_comes_again(self, which: int) -> None:
        order = self.launches[which % len(self.launches)]
        assert order.framework.id is not None
        if (order.framework.id, order.task.task_id) in self.fake.agent.tasks:
            self.both_hear(order)

    @rule(which=some)
    @precondition(lambda self: self.ever)
    def a_task_is_killed(self, which: int) -> None:
        self.both_hear(am.KillTask(*self.some_key(which)))

    @rule(which=some)
    @precondition(lambda self: self.launches)
    def a_task_ends(self, which: int) -> None:
        tasks = self.fake.agent.tasks
        running = [key for key, task in tasks.items() if task.state is S.RUNNING]
        if running:
            key = running[which % len(running)]
            assert self.real.finishes(key) == self.fake.finishes(key)

    @rule(which=some, right=st.booleans())
    @precondition(lambda self: self.fake.updates)
    def an_update_is_acknowledged(self, which: int, right: bool) -> None:
        key = list(self.fake.updates)[which % len(self.fake.updates)]
        wrong = b"x" * 16
        answers = [
            side.hears(am.UpdateAcknowledged(*key, side.updates[key] if right else wrong))
            for side in (self.real, self.fake)
        ]
        assert answers[0] == answers[1]

    @rule(conversion=st.sampled_from(CONVERSIONS), told=st.booleans(), owned=st.booleans())
    def resources_are_converted(self, conversion: Conversion, told: bool, owned: bool) -> None:
        self.number += 1
        wanted = replace(conversion, id=f"o{self.number}" if told else None)
        uuid = self.number.to_bytes(16, "big")
        self.both_hear(am.ApplyOperation(uuid, wanted, FRAMEWORKS[0].id if owned else None))

    @rule(which=some, right=st.booleans())
    @precondition(lambda self: self.fake.outcomes)
    def an_outcome_is_acknowledged(self, which: int, right: bool) -> None:
        uuid = list(self.fake.outcomes)[which % len(self.fake.outcomes)]
        for side in (self.real, self.fake):
            status_uuid = side.outcomes[uuid] if right else b"x" * 16
            assert side.hears(am.OperationAcknowledged(uuid, status_uuid)) == []

    @rule(number=st.integers(0, 2**40), connected=st.booleans())
    def the_master_pings(self, number: int, connected: bool) -> None:
        self.both_hear(am.Ping(connected, number))
        if not connected:
            self.both_hear(am.AgentReregistered(S1))

    @rule(missing=st.integers(0, 2), framework=st.sampled_from(FRAMEWORKS), known=st.booleans())
    def the_stream_breaks(self, missing: int, framework: FrameworkInfo, known: bool) -> None:
        assert framework.id is not None
        assert self.real.connects() == self.fake.connects()
        keys = [self.new_key(framework.id) for _ in range(missing)]
        keys += self.fake.agent.tasks if known else []
        self.both_hear(am.AgentReregistered(S1, tuple(am.KnownTask(*key) for key in keys)))

    @rule(framework=st.sampled_from(FRAMEWORKS))
    def a_framework_is_shut_down(self, framework: FrameworkInfo) -> None:
        assert framework.id is not None
        self.both_hear(am.ShutdownFramework(framework.id))

    @rule()
    def it_is_drained_and_taken_back(self) -> None:
        self.both_hear(am.DrainAgent())
        self.both_hear(am.ReactivateAgent())

    @invariant()
    def both_would_report_the_same(self) -> None:
        real, fake = self.real.world.core.state, self.fake.agent
        tasks = {key: task.state for key, task in real.checkpoint.tasks.items()}
        assert tasks == {key: task.state for key, task in fake.tasks.items()}
        assert real.checkpoint.frameworks == fake.frameworks
        assert set(real.checkpoint.operations) == set(fake.operations)
        assert real.total == fake.info.resources


TwoAgents.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestBothSayTheSame = TwoAgents.TestCase


# ---- what its user may spoil


@pytest.fixture
def agent() -> FakeAgent:
    fake = FakeAgent(INFO)
    fake.hear(am.AgentRegistered(S1))
    return fake


def launch(agent: FakeAgent, task_id: str = "t1") -> TaskKey:
    agent.hear(am.RunTask(FRAMEWORKS[0], process_task(task_id)))
    return (FrameworkId("f"), TaskId(task_id))


def states(said: Said) -> list[TaskState]:
    return [message.status.state for message in said if isinstance(message, am.StatusUpdate)]


def test_what_it_ignores_is_as_if_it_had_never_come(agent: FakeAgent) -> None:
    key = launch(agent)
    agent.ignores |= {am.KillTask, am.Ping}
    assert agent.hear(am.KillTask(*key)) == ()
    assert agent.hear(am.Ping(connected=True)) == ()
    assert agent.tasks[key].state is S.STAGING
    agent.ignores.clear()
    assert states(agent.hear(am.KillTask(*key))) == [S.KILLED]


def test_a_hasty_one_does_not_wait_for_acknowledgements(agent: FakeAgent) -> None:
    key = launch(agent)
    agent.is_hasty = True
    assert states(agent.move(key, S.RUNNING)) == [S.RUNNING]
    assert states(agent.move(key, S.FINISHED)) == [S.FINISHED]
    assert states(list(agent.unheard())) == [S.FINISHED]


def test_each_task_of_a_group_is_launched_with_its_executor() -> None:
    launched: list[TaskId] = []

    def note(key: TaskKey, info: TaskInfo) -> Said:
        launched.append(key[1])
        return ()

    agent = FakeAgent(INFO, launched=note)
    executor = ExecutorInfo(ExecutorId("e"))
    infos = (process_task("t1"), process_task("t2"))
    for _ in range(2):
        agent.hear(am.RunGroup(FRAMEWORKS[0], executor, infos))
    assert launched == ["t1", "t2"]
    assert [task.executor_id for task in agent.tasks.values()] == ["e", "e"]
    assert list(agent.executors.values()) == [executor]


def test_it_can_tell_one_state_while_the_task_is_in_another(agent: FakeAgent) -> None:
    key = launch(agent)
    (update,) = agent.tell(key[0], agent.status(key[1], S.RUNNING), latest=S.FINISHED)
    assert isinstance(update, am.StatusUpdate)
    assert (update.status.state, update.latest_state) == (S.RUNNING, S.FINISHED)


def test_it_can_refuse_an_operation_that_it_could_do(agent: FakeAgent) -> None:
    outcome = agent.outcome(am.ApplyOperation(b"o" * 16, CONVERSIONS[0]), "no")
    assert (outcome.status.state, outcome.status.message) == (OperationState.ERROR, "no")
    assert agent.info.resources == INFO.resources


def test_without_power_it_forgets_all_and_comes_as_another() -> None:
    agent = FakeAgent(INFO)
    before = agent.introduction()
    assert isinstance(before, am.RegisterAgent)
    agent.hear(am.AgentRegistered(S1))
    agent.hear(am.ApplyOperation(b"o" * 16, replace(CONVERSIONS[0], id="o")))
    agent.move(launch(agent), S.RUNNING)
    agent.forget()
    after = agent.introduction()
    assert isinstance(after, am.RegisterAgent)
    assert after.info == before.info
    assert after.boot_id != before.boot_id
    assert not list(agent.unheard())
