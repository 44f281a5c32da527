"""Registration, epochs, pings."""

from __future__ import annotations

import pytest

from mezzo.agent import effects as do
from mezzo.agent import events as e
from mezzo.agent.container import ContainerExited
from mezzo.agent.membership import ASK_AGAIN_MAX_S, ASK_AGAIN_MIN_S, CAPABILITIES
from mezzo.agent.timers import AskAgain, PingOverdue
from mezzo.cluster.model import FrameworkInfo
from mezzo.cluster.states import Reason, TaskState
from mezzo.core import CancelTimer, TimerFired
from mezzo.ids import AgentId, ConnId, ExecutorId, FrameworkId, TaskId
from mezzo.messages import agent as am

from .fakes import CONFIG, F1, FRAMEWORK, S1, World, process_task


def test_a_new_agent_registers_without_an_id_and_keeps_the_one_it_gets() -> None:
    world = World()
    world.connect()
    assert world.sent() == [am.RegisterAgent(CONFIG.info, "1.11.0", "boot1", CAPABILITIES)]
    world.hear(am.AgentRegistered(S1))
    again = world.crash()
    again.connect()
    (message,) = again.sent()
    assert isinstance(message, am.ReregisterAgent)
    assert message.info.id == S1
    assert message.capabilities == CAPABILITIES


def test_an_agent_that_comes_back_tells_of_all_its_tasks_and_their_frameworks() -> None:
    world = World().register()
    world.start(process_task("t1"))
    world.run(process_task("t2"))
    world.step(e.MasterDown(world.conn))
    world.connect()
    (message,) = world.sent()
    assert isinstance(message, am.ReregisterAgent)
    assert message.frameworks == (FRAMEWORK,)
    shown = {task.task_id: task for task in message.tasks}
    assert shown[TaskId("t1")].state is TaskState.RUNNING
    assert shown[TaskId("t1")].status_update_state is TaskState.STARTING  # the one in flight
    assert shown[TaskId("t2")].state is TaskState.STARTING


def test_a_registration_that_is_not_answered_is_repeated_less_and_less_often() -> None:
    world = World()
    world.connect()
    times = []
    start_s = world.now_s
    for _ in range(6):
        (at_s,) = [at for key, at in world.timers.items() if key == AskAgain()]
        world.wait(at_s + 999_000.0 - world.now_s)
        times.append(world.now_s - start_s)
        assert len([m for m in world.sent() if isinstance(m, am.RegisterAgent)]) <= 1
        world.hear(am.Ping(connected=True))  # the stream lives
    gaps = [b - a for a, b in zip([0.0, *times], times, strict=False)]
    assert gaps == [ASK_AGAIN_MIN_S, 10, 20, 40, ASK_AGAIN_MAX_S, ASK_AGAIN_MAX_S]


def test_on_a_new_stream_a_registration_is_repeated_as_soon_as_on_the_first() -> None:
    world = World()
    for _ in range(2):
        world.connect()
        for _ in range(4):
            world.wait(ASK_AGAIN_MIN_S)
            world.hear(am.Ping(connected=True))
    world.connect()
    assert world.timers[AskAgain()] == world.now_s - 999_000.0 + ASK_AGAIN_MIN_S


def test_a_second_answer_to_a_repeated_registration_changes_nothing() -> None:
    world = World().register()
    world.hear(am.AgentRegistered(AgentId("S2")))
    assert world.effects == []
    assert world.core.view().agent_id == S1


def test_a_message_of_an_older_epoch_is_dropped_and_its_stream_left() -> None:
    """Behaviour 62: promise 5; the newest epoch is remembered across a crash."""
    world = World().register()
    world.hear(am.Ping(connected=True), epoch=5)
    again = world.crash()
    again.connect()
    again.hear(am.RunTask(FRAMEWORK, process_task()), epoch=4)
    assert [type(effect) for effect in again.effects] == [
        do.CloseMaster,
        CancelTimer,
        CancelTimer,
    ]
    assert again.state() is None
    again.hear(am.RunTask(FRAMEWORK, process_task()), epoch=5)
    assert again.effects == []  # nothing more is taken from that stream


def test_a_message_of_an_old_stream_is_dropped() -> None:
    world = World().register()
    world.connect()
    world.step(e.MasterSaid(ConnId(1), 1, am.RunTask(FRAMEWORK, process_task())))
    assert world.effects == []
    world.step(e.MasterDown(ConnId(1)))
    assert world.effects == []


def test_pings_are_answered_before_and_after_registration() -> None:
    """Behaviour 52: also while containers are being recovered."""
    world = World()
    world.connect()
    world.hear(am.Ping(connected=True, number=7))
    assert world.sent() == [am.Pong(7)]


def test_a_ping_that_says_disconnected_makes_the_agent_register_again() -> None:
    """Behaviour 95."""
    world = World().register()
    world.start()
    world.hear(am.Ping(connected=False))
    pong, message = world.sent()
    assert pong == am.Pong()
    assert isinstance(message, am.ReregisterAgent)
    world.hear(am.Ping(connected=False))  # asked already
    assert world.sent() == [am.Pong()]
    world.hear(am.AgentReregistered(S1))
    assert [status.state for status in world.updates()] == [TaskState.STARTING]


def test_an_agent_without_pings_looks_for_the_master_anew() -> None:
    world = World().register()
    world.wait(74)
    assert world.effects == []
    world.wait(1)
    (close,) = world.of(do.CloseMaster)
    assert close == do.CloseMaster(world.conn, "no ping for 75 s")
    world.step(e.MasterDown(world.conn))
    assert isinstance(world.connect()[1], do.Send)


@pytest.mark.parametrize("news", ["a ping", "another stream"])
def test_a_timer_that_was_overtaken_by_a_sign_of_life_closes_nothing(news: str) -> None:
    """The agent was frozen, say: both the timer and the news have waited."""
    world = World().register()
    world.now_s += 80
    if news == "a ping":
        world.hear(am.Ping(connected=True))
    else:
        world.step(e.MasterDown(world.conn))
        world.connect()
    world.step(TimerFired(PingOverdue()))
    assert world.of(do.CloseMaster) == []
    world.wait(74)
    assert world.of(do.CloseMaster) == []
    assert [close.conn for close in world.wait(2) if isinstance(close, do.CloseMaster)] == [
        world.conn
    ]


def test_a_task_that_the_master_waits_for_and_that_never_came_is_dropped_reliably() -> None:
    """Behaviours 47 and 96."""
    world = World().register()
    world.start()
    world.step(e.MasterDown(world.conn))
    world.connect()
    known = (am.KnownTask(F1, TaskId("t1")), am.KnownTask(FrameworkId("F9"), TaskId("t9")))
    world.hear(am.AgentReregistered(S1, known))
    states = [(status.task_id, status.state) for status in world.updates()]
    assert states == [("t1", TaskState.STARTING), ("t9", TaskState.DROPPED)]
    dropped = world.updates()[1]
    assert dropped.reason is Reason.AGENT_RESTARTED
    assert dropped.uuid is not None
    world.step(e.MasterDown(world.conn))
    world.register()
    assert dropped in world.updates()
    world.hear(am.UpdateAcknowledged(FrameworkId("F9"), TaskId("t9"), dropped.uuid))
    assert world.state("t9") is None


def test_who_waits_for_an_end_that_was_acknowledged_to_a_deposed_master_is_told() -> None:
    world = World().register()
    cid = world.start()
    world.step(ContainerExited(cid, exit_code=0))
    world.acknowledge_all()
    assert world.state("t1") is None
    world.step(e.MasterDown(world.conn))
    world.connect()
    world.hear(am.AgentReregistered(S1, (am.KnownTask(F1, TaskId("t1")),)))
    told = world.updates()[-1]
    assert (told.task_id, told.state) == ("t1", TaskState.GONE)
    assert told.uuid is not None
    assert "acknowledged" in (told.message or "")


def test_a_framework_that_is_not_partition_aware_hears_lost_instead_of_dropped() -> None:
    world = World().register()
    world.start(framework=FrameworkInfo(user="u", name="f", id=F1, checkpoint=True))
    world.connect()
    world.hear(am.AgentReregistered(S1, (am.KnownTask(F1, TaskId("t9")),)))
    assert world.updates()[-1].state is TaskState.LOST


def test_a_refused_agent_kills_its_tasks_and_exits_when_they_have_ended() -> None:
    world = World().register()
    cid = world.start()
    world.hear(am.ShutdownAgent("marked gone"))
    assert [kill.container_id for kill in world.of(do.KillContainer)] == [cid]
    assert world.of(do.Exit) == []
    world.hear(am.RunTask(FRAMEWORK, process_task("t2")))
    assert world.of(do.LaunchContainer) == []
    assert world.state("t2") is TaskState.DROPPED
    world.step(ContainerExited(cid, signal=15))
    (exit_,) = world.of(do.Exit)
    assert not exit_.wanted
    assert "marked gone" in exit_.message
    assert am.UnregisterAgent() not in world.sent()


def test_an_agent_that_its_operator_takes_away_says_goodbye_last() -> None:
    world = World().register()
    cid = world.start()
    world.step(e.ShutdownRequested())
    world.step(ContainerExited(cid, signal=15))
    assert world.effects[-2:] == [
        do.Send(world.conn, am.UnregisterAgent()),
        do.Exit("shut down by its operator: all tasks have ended", True),
    ]


def test_what_is_for_executors_is_ignored_where_there_are_none() -> None:
    world = World().register()
    world.hear(am.ShutdownExecutor(F1, ExecutorId("x")))
    assert world.effects == []
    world.hear(am.FrameworkMessage(F1, ExecutorId("x"), b"hello"))
    assert world.effects == []


def test_a_framework_that_is_shut_down_is_killed_and_forgotten_without_a_word() -> None:
    """Behaviour 54."""
    world = World().register()
    cid = world.start(process_task("t1"))
    other = world.start(process_task("t2"))
    world.step(ContainerExited(other, exit_code=0))
    world.hear(am.ShutdownFramework(F1))
    assert [kill.container_id for kill in world.of(do.KillContainer)] == [cid]
    assert world.state("t2") is None
    world.step(ContainerExited(cid, signal=15))
    assert world.sent() == []
    assert world.state("t1") is None
    assert not any(key.startswith(("task/", "framework/")) for key in world.disk)


def test_a_task_of_which_only_the_master_knows_is_still_told_of_after_a_restart() -> None:
    """It has no container, and nothing else of its framework is here."""
    world = World().register()
    known = am.KnownTask(FrameworkId("F9"), TaskId("t9"))
    world.hear(am.AgentReregistered(S1, (known,)))
    world = world.crash()
    world.connect()
    world.hear(am.AgentReregistered(S1, ()))
    assert world.core.view().aside == ()
    assert [status.task_id for status in world.updates()] == ["t9"]
