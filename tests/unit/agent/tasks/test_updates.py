"""Reliable status updates: in order, one in flight, repeated, never lost, never after the end."""

from __future__ import annotations

import itertools

from mezzo.agent import events as e
from mezzo.agent.container import ContainerExited, ContainerStarted
from mezzo.agent.state.agent_task import AgentTask
from mezzo.agent.state.checkpoint import ENDED_MAX, Checkpoint
from mezzo.agent.state.loading import load
from mezzo.agent.state.step import Step
from mezzo.agent.timers import UpdateOverdue
from mezzo.cluster.states import TaskState
from mezzo.core import Instant, TimerFired
from mezzo.ids import FrameworkId, TaskId
from mezzo.messages import agent as am

from ..fakes import F1, World, apply, process_task

S = TaskState


def test_the_next_update_waits_for_the_acknowledgement_of_the_one_before() -> None:
    """Behaviour 55."""
    world = World().register()
    cid = world.run()
    (starting,) = world.updates()
    world.step(ContainerStarted(cid))
    world.step(ContainerExited(cid, exit_code=0))
    assert world.sent() == []
    world.acknowledge(starting)
    (running,) = world.updates()
    assert running.state is S.RUNNING
    world.acknowledge(running)
    assert [status.state for status in world.updates()] == [S.FINISHED]


def test_each_update_tells_the_latest_state_beside_its_own() -> None:
    world = World().register()
    cid = world.start()
    world.step(ContainerExited(cid, exit_code=0))
    world.wait(10)
    (message,) = [m for m in world.sent() if isinstance(m, am.StatusUpdate)]
    assert message.status.state is S.STARTING
    assert message.latest_state is S.FINISHED


def test_an_update_repeats_after_10_20_40_seconds_up_to_10_minutes_with_one_uuid() -> None:
    """Behaviour 55."""
    world = World().register()
    world.run()
    (first,) = world.updates()
    at_s = [world.now_s]
    for _ in range(8):
        key = UpdateOverdue(F1, TaskId("t1"))
        world.now_s = world.timers.pop(key) + 999_000.0
        world.step(TimerFired(key))
        assert world.updates() == [first]
        at_s.append(world.now_s)
    gaps = [b - a for a, b in itertools.pairwise(at_s)]
    assert gaps == [10, 20, 40, 80, 160, 320, 600, 600]


def test_an_update_comes_again_at_once_after_a_new_registration() -> None:
    """Behaviour 44: with the same uuid, also after a crash."""
    world = World().register()
    world.run()
    (first,) = world.updates()
    world.step(e.MasterDown(world.conn))
    assert UpdateOverdue(F1, TaskId("t1")) not in world.timers
    world.connect()
    assert world.updates() == []  # not before the master has agreed
    world.hear(am.AgentReregistered(world.core.view().tasks[0].info.agent_id))
    assert world.updates() == [first]
    again = world.crash().register()
    assert again.updates() == [first]


def test_what_happens_without_a_master_is_told_when_there_is_one() -> None:
    """Behaviour 93."""
    world = World().register()
    cid = world.start()
    world.step(e.MasterDown(world.conn))
    world.step(ContainerExited(cid, exit_code=0))
    assert world.sent() == []
    world.register()
    assert [s.state for s in world.acknowledge_all()] == [S.STARTING, S.RUNNING, S.FINISHED]


def test_an_acknowledgement_with_another_uuid_is_dropped_silently() -> None:
    world = World().register()
    world.start()
    world.hear(am.UpdateAcknowledged(F1, TaskId("t1"), b"x" * 16))
    world.hear(am.UpdateAcknowledged(F1, TaskId("t9"), b"x" * 16))
    assert world.effects == []
    assert world.head() is not None


def test_a_late_or_repeated_acknowledgement_is_dropped_silently() -> None:
    world = World().register()
    world.start()
    starting = world.head()
    assert starting is not None
    world.acknowledge(starting)
    world.acknowledge(starting)
    assert world.effects == []
    running = world.head()
    assert running is not None
    assert running.state is S.RUNNING
    world.acknowledge(running)
    world.acknowledge(running)
    assert world.effects == []


def test_the_acknowledgement_of_the_last_update_forgets_the_task() -> None:
    world = World().register()
    world.step(ContainerExited(world.start(), exit_code=0))
    world.acknowledge_all()
    assert world.state() is None
    kinds = {key.split("/")[0] for key in world.disk}
    assert kinds == {"identity", "obeyed", "ended", "remains"}
    assert not any(isinstance(key, UpdateOverdue) for key in world.timers)


def test_a_timer_on_its_way_when_its_update_was_settled_repeats_nothing() -> None:
    world = World().register()
    world.start()
    world.step(e.MasterDown(world.conn))
    world.step(TimerFired(UpdateOverdue(F1, TaskId("t1"))))
    assert world.effects == []


def test_only_the_last_ended_task_ids_are_remembered_also_by_the_store() -> None:
    disk: dict[str, bytes] = {}
    checkpoint = Checkpoint()
    ids = [TaskId(f"t{number}") for number in range(ENDED_MAX + 5)]
    for task_id in ids:
        task = AgentTask(F1, process_task(task_id))
        step = Step(Instant(0.0, 0.0))
        checkpoint.put_task(step, task)
        checkpoint.forget_task(step, task)
        apply(disk, step.writes)
    assert len(disk) == ENDED_MAX
    for known in (checkpoint, load(disk)):
        remembered = [known.has_ended((F1, task_id)) for task_id in ids]
        assert remembered == [False] * 5 + [True] * ENDED_MAX
        assert not known.has_ended((FrameworkId("F2"), ids[-1]))
