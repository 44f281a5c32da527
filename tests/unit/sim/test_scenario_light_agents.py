"""Light agents keep the protocol: what a real agent promises its master, they promise."""

from __future__ import annotations

from typing import Any, TypeVar

import pytest

from mezzo.cluster.model import AgentInfo, CommandInfo, FrameworkInfo, TaskInfo
from mezzo.cluster.resources import Resources
from mezzo.cluster.states import TaskState
from mezzo.ids import AgentId, FrameworkId, TaskId
from mezzo.messages.agent import (
    AgentRegistered,
    AgentReregistered,
    KillTask,
    KnownTask,
    Ping,
    Pong,
    RegisterAgent,
    ReregisterAgent,
    RunTask,
    ShutdownFramework,
    StatusUpdate,
    UnregisterAgent,
    UpdateAcknowledged,
)
from mezzo.sim.daemons.masters import FromAgent, ToClient
from mezzo.sim.scenario.light_agents import LightAgent
from mezzo.sim.world.network import Network, Stream
from mezzo.sim.world.world import World

F = FrameworkId("f")
AGENT = AgentId("s1")
M = TypeVar("M")


class Master:
    """The other end: it notes what it hears and says what a test tells it to."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.stream: Stream | None = None

    def accept(self, stream: Stream) -> bool:
        self.stream = stream
        stream.server.on_message = self._hear
        return True

    def _hear(self, message: FromAgent) -> None:
        self.heard.append(message.message)

    def say(self, message: Any, epoch: int = 1) -> None:
        assert self.stream is not None
        self.stream.server.send(ToClient(epoch, message))

    def all(self, kind: type[M]) -> list[M]:
        return [message for message in self.heard if isinstance(message, kind)]


class Stage:
    """A light agent, registered."""

    def __init__(self) -> None:
        self.world = World(1)
        self.master = Master()
        info = AgentInfo("light-0", resources=Resources.of(cpus=4, mem=1024))
        self.agent = LightAgent(Network(self.world), info, {"m": self.master}.get)
        self.agent.start()
        self.agent.client.leader_is("m")
        self.wait(1)
        self.tell(AgentRegistered(AGENT))

    def wait(self, seconds: float) -> None:
        self.world.run(self.world.now_s + seconds)

    def tell(self, message: Any, *, epoch: int = 1, then_s: float = 1.0) -> None:
        self.master.say(message, epoch)
        self.wait(then_s)

    def launch(self, name: str, line: str = "serve", *, epoch: int = 1) -> None:
        task = TaskInfo(
            TaskId(name), TaskId(name), AGENT, Resources.of(cpus=1), command=CommandInfo(line)
        )
        self.tell(RunTask(FrameworkInfo("root", "f", id=F), task), epoch=epoch)

    def acknowledge(self, update: StatusUpdate) -> None:
        assert update.status.uuid is not None
        self.tell(UpdateAcknowledged(F, update.status.task_id, update.status.uuid))

    @property
    def updates(self) -> list[StatusUpdate]:
        return self.master.all(StatusUpdate)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_it_registers_with_what_it_has(stage: Stage) -> None:
    assert [each.info for each in stage.master.all(RegisterAgent)] == [stage.agent.info]


def test_a_launch_that_comes_twice_runs_once(stage: Stage) -> None:
    stage.launch("t1")
    stage.launch("t1")
    assert [each.status.state for each in stage.updates] == [TaskState.RUNNING]


def test_updates_come_in_order_each_once_the_last_is_acknowledged(stage: Stage) -> None:
    stage.launch("t1", "sleep 2")
    stage.wait(5)
    assert {each.status.state for each in stage.updates} == {TaskState.RUNNING}
    stage.acknowledge(stage.updates[-1])
    assert stage.updates[-1].status.state is TaskState.FINISHED
    assert stage.updates[-1].latest_state is TaskState.FINISHED


def test_an_update_is_repeated_until_it_is_acknowledged(stage: Stage) -> None:
    stage.launch("t1")
    stage.wait(100)
    sent = stage.updates
    assert len(sent) > 2
    assert len({each.status.uuid for each in sent}) == 1
    stage.acknowledge(sent[-1])
    stage.wait(1000)
    assert len(stage.updates) == len(sent)


def test_a_wrong_acknowledgement_changes_nothing(stage: Stage) -> None:
    stage.launch("t1", "sleep 1")
    stage.wait(5)
    stage.tell(UpdateAcknowledged(F, TaskId("t1"), b"x" * 16))
    assert {each.status.state for each in stage.updates} == {TaskState.RUNNING}


def test_a_kill_ends_a_task(stage: Stage) -> None:
    stage.launch("t1")
    stage.acknowledge(stage.updates[-1])
    stage.tell(KillTask(F, TaskId("t1")))
    assert stage.updates[-1].status.state is TaskState.KILLED


def test_a_deposed_master_is_not_obeyed(stage: Stage) -> None:
    stage.launch("t1", epoch=2)
    stage.tell(KillTask(F, TaskId("t1")), epoch=1)
    stage.launch("t2", epoch=1)
    assert [each.status.state for each in stage.updates] == [TaskState.RUNNING]


def test_a_lost_stream_costs_neither_its_id_nor_its_tasks(stage: Stage) -> None:
    stage.launch("t1")
    stage.agent.client.close()
    stage.wait(10)
    back = stage.master.all(ReregisterAgent)[-1]
    assert back.info.id == AGENT
    assert [(task.task_id, task.state) for task in back.tasks] == [("t1", TaskState.RUNNING)]
    assert [info.id for info in back.frameworks] == [F]


def test_of_a_launch_that_never_came_it_says_so(stage: Stage) -> None:
    stage.launch("t1")
    stage.acknowledge(stage.updates[-1])
    known = (KnownTask(F, TaskId("t1")), KnownTask(F, TaskId("t2")))
    stage.tell(AgentReregistered(AGENT, known))
    last = stage.updates[-1].status
    assert (last.task_id, last.state) == ("t2", TaskState.DROPPED)
    assert [each.status.task_id for each in stage.updates].count(TaskId("t1")) == 1


def test_it_answers_pings_and_comes_again_if_it_is_taken_for_lost(stage: Stage) -> None:
    stage.tell(Ping(connected=True, number=7))
    assert stage.master.all(Pong) == [Pong(7)]
    stage.tell(Ping(connected=False, number=8), then_s=10)
    assert stage.master.all(ReregisterAgent)[-1].info.id == AGENT


def test_without_power_it_forgets_everything(stage: Stage) -> None:
    stage.launch("t1", "sleep 5")
    before = stage.master.all(RegisterAgent)[-1]
    stage.agent.lose_power(20)
    stage.wait(60)
    after = stage.master.all(RegisterAgent)[-1]
    assert after.info == before.info
    assert after.boot_id != before.boot_id
    assert {each.status.state for each in stage.updates} == {TaskState.RUNNING}


def test_a_framework_that_is_shut_down_has_no_tasks_left(stage: Stage) -> None:
    stage.launch("t1")
    stage.tell(ShutdownFramework(F))
    stage.agent.client.close()
    stage.wait(10)
    assert stage.master.all(ReregisterAgent)[-1].tasks == ()


def test_who_leaves_says_so_and_stays_away(stage: Stage) -> None:
    stage.agent.leave()
    stage.wait(60)
    assert stage.master.all(UnregisterAgent) == [UnregisterAgent()]
    assert len(stage.master.all(RegisterAgent)) == 1
    assert not stage.agent.up
