"""What becomes of instances: ends, kills, agents that vanish, overdue starts (7.2, 8.2, 8.3)."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from mezzo.cluster.model import ContainerStatus, IpAddress, NetworkInfo, TaskStatus
from mezzo.cluster.states import Reason, TaskState
from mezzo.ids import ConnId, TaskId
from mezzo.marathon.api.event_json import event_of
from mezzo.marathon.api.render import task_json
from mezzo.marathon.commands import Deployed, Killed, KillTasks
from mezzo.marathon.config import MarathonConfig
from mezzo.marathon.effects import Call, UpdateDenied
from mezzo.marathon.events import LinkUp, MasterEvent
from mezzo.marathon.model.app import KillSelection, UnreachableStrategy
from mezzo.marathon.news import StatusUpdated
from mezzo.messages import scheduler as m

from ..apps import app
from ..world import World


def lose(world: World, *task_ids: TaskId) -> None:
    for task_id in task_ids:
        world.update(task_id, TaskState.UNREACHABLE)


# ---------------------------------------------------------------------------------- ends


@pytest.mark.parametrize(
    "state",
    [
        TaskState.FAILED,
        TaskState.FINISHED,
        TaskState.KILLED,
        TaskState.ERROR,
        TaskState.GONE,
        TaskState.GONE_BY_OPERATOR,
        TaskState.DROPPED,
    ],
)
def test_an_ended_instance_is_replaced_by_one_with_a_new_id(state: TaskState) -> None:
    """Behaviour 79 with it."""
    world = World.of("a")
    world.deploy(app("/a"))
    (old,) = world.running("/a")
    world.update(old, state)
    world.advance(5)
    (new,) = world.running("/a")
    assert new != old
    assert len([key for key in world.store if key.startswith("instance/")]) == 1


def test_an_end_is_acknowledged_after_its_record_is_deleted() -> None:
    world = World.of("a")
    world.deploy(app("/a"))
    (task_id,) = world.running("/a")
    status = TaskStatus(task_id, TaskState.FAILED, agent_id=world.agents[0].id, uuid=b"u" * 16)
    assert world.conn is not None
    event = MasterEvent(world.conn, world.epoch, m.Update(status))
    output = world.core.step(event, world.now)
    instance_id = task_id.removesuffix("._app.1")
    assert [write.key for write in output.writes] == [f"instance/{instance_id}"]
    acks = [
        effect.call
        for effect in output.effects
        if isinstance(effect, Call) and isinstance(effect.call, m.Acknowledge)
    ]
    assert acks == [m.Acknowledge(world.agents[0].id, task_id, b"u" * 16)]


def test_every_reliable_update_is_acknowledged_and_no_other() -> None:
    world = World.of("a", auto_run=False)
    world.put(app("/a"))
    world.run()
    (task_id,) = world.running("/a")
    world.update(task_id, TaskState.STARTING)
    world.update(task_id, TaskState.RUNNING)
    world.say(m.Update(TaskStatus(task_id, TaskState.RUNNING, reason=Reason.RECONCILIATION)))
    world.update(TaskId("nobody.knows"), TaskState.FAILED)
    assert [ack.task_id for ack in world.acks] == [task_id, task_id, "nobody.knows"]


def test_the_last_failure_of_an_app_is_told() -> None:
    world = World.of("a")
    world.deploy(app("/a"))
    (task_id,) = world.running("/a")
    world.update(task_id, TaskState.FAILED, message="Command exited with status 1")
    failure = world.shown_apps["/a"].last_failure
    assert failure is not None
    assert (failure.task_id, failure.state) == (task_id, TaskState.FAILED)
    assert failure.message == "Command exited with status 1"


def test_an_unknown_task_that_runs_is_killed() -> None:
    """Behaviour 120."""
    world = World.of("a", auto_kill=False)
    world.update(TaskId("a.instance-x._app.1"), TaskState.RUNNING)
    assert [kill.task_id for kill in world.called(m.Kill)] == ["a.instance-x._app.1"]


def test_an_unknown_task_that_nobody_reaches_is_left_alone() -> None:
    world = World.of("a")
    world.update(TaskId("a.instance-x._app.1"), TaskState.UNREACHABLE)
    assert world.called(m.Kill) == []


# ---------------------------------------------------------------------------------- kills


def test_a_killed_task_is_replaced_at_once() -> None:
    """Behaviour 80."""
    world = World.of("a", auto_kill=False)
    world.deploy(app("/a", 2))
    victim, other = world.running("/a")
    assert world.ask(KillTasks((victim,))) == Killed((victim,))
    world.advance(1)
    assert len(world.running("/a")) == 3  # the victim is still ending
    world.update(victim, TaskState.KILLED)
    world.advance(5)
    assert other in world.running("/a")
    assert len(world.running("/a")) == 2
    assert world.shown_apps["/a"].app.instances == 2


def test_a_kill_with_scale_lowers_the_target_once_per_task() -> None:
    """Behaviours 80, 82."""
    world = World.of("a", auto_kill=False)
    world.deploy(app("/a", 4))
    victim = world.running("/a")[0]
    assert isinstance(world.ask(KillTasks((victim,), scale=True)), Deployed)
    assert world.shown_apps["/a"].app.instances == 3
    world.ask(KillTasks((victim,), scale=True, force=True))
    assert world.shown_apps["/a"].app.instances == 3
    world.update(victim, TaskState.KILLED)
    world.advance(1)
    assert len(world.running("/a")) == 3
    assert world.shown_deployments == {}


def test_unknown_ids_are_skipped() -> None:
    """Behaviour 81."""
    world = World.of("a")
    world.deploy(app("/a", 2))
    victim = world.running("/a")[0]
    assert world.ask(KillTasks((TaskId("x.y"), victim))) == Killed((victim,))


def test_scaling_by_unknown_tasks_starts_no_deployment() -> None:
    world = World.of("a")
    world.deploy(app("/a"))
    before, events = dict(world.store), len(world.events)
    assert world.ask(KillTasks((TaskId("x.y"),), scale=True)) == Killed(())
    assert (world.store, len(world.events)) == (before, events)


def test_kills_are_repeated_until_the_end_is_reported() -> None:
    world = World.of("a", auto_kill=False)
    world.deploy(app("/a"))
    (victim,) = world.running("/a")
    world.ask(KillTasks((victim,)))
    for count in (1, 2, 3):
        assert [kill.task_id for kill in world.called(m.Kill)] == [victim] * count
        world.advance(30)
    world.update(victim, TaskState.KILLED)
    told = len(world.called(m.Kill))
    world.advance(100)
    assert len(world.called(m.Kill)) == told


def test_no_more_kills_than_the_limit_are_in_flight() -> None:
    """Behaviour 130."""
    world = World.of("a", auto_kill=False, config=MarathonConfig(kills_at_once=3))
    world.deploy(app("/a", 8))
    world.put(app("/a", 0))
    assert len(world.called(m.Kill)) == 3
    first = world.called(m.Kill)[0].task_id
    world.update(first, TaskState.KILLED)
    assert len(world.called(m.Kill)) == 4


def test_a_kill_survives_the_leader_and_the_connection() -> None:
    world = World.of("a", auto_kill=False)
    world.deploy(app("/a"))
    (victim,) = world.running("/a")
    world.ask(KillTasks((victim,)))
    world.disconnect()
    world.connect()
    assert len(world.called(m.Kill)) == 2
    world.restart()
    assert [kill.task_id for kill in world.called(m.Kill)] == [victim]


@pytest.mark.parametrize("selection", list(KillSelection))
def test_kill_selection_decides_by_age(selection: KillSelection) -> None:
    """Behaviour 84."""
    world = World.of("a")
    for n in (1, 2, 3):
        world.deploy(app("/a", n, kill_selection=selection))
        world.advance(1)
    tasks = world.running("/a")
    world.deploy(app("/a", 1, kill_selection=selection))
    youngest_first = selection is KillSelection.YOUNGEST_FIRST
    assert world.running("/a") == [tasks[0] if youngest_first else tasks[-1]]


def test_those_that_do_not_run_yet_go_first() -> None:
    world = World.of("a")
    world.deploy(app("/a", 2))
    running = world.running("/a")
    world.auto_run = False
    world.put(app("/a", 3))
    world.run()
    world.put(app("/a", 2), force=True)
    world.run()
    assert world.running("/a") == running


# ---------------------------------------------------------------------------------- unreachable


def test_a_lost_instance_is_replaced_at_once_and_the_surplus_killed_when_it_is_back() -> None:
    """Behaviour 76."""
    world = World.of("a", "b")
    world.deploy(app("/a", 2))
    lost = world.running("/a")[1]
    world.advance(1)
    lose(world, lost)
    world.advance(1)
    assert len(world.launched_ever) == 3
    world.update(lost, TaskState.RUNNING)
    world.run()
    assert len(world.running("/a")) == 2
    assert world.launched_ever[2] not in world.running("/a")  # the youngest


def test_a_lost_instance_is_replaced_only_after_its_time_and_forgotten_later() -> None:
    """Behaviour 77."""
    world = World.of("a")
    world.deploy(app("/a", unreachable=UnreachableStrategy(300, 1000)))
    (lost,) = world.running("/a")
    lose(world, lost)
    world.advance(299)
    assert len(world.launched_ever) == 1
    world.advance(2)
    assert len(world.launched_ever) == 2
    assert lost.removesuffix("._app.1") in world.shown_instances
    world.advance(750)
    assert lost.removesuffix("._app.1") not in world.shown_instances
    world.update(lost, TaskState.RUNNING)  # too late
    assert world.called(m.Kill)[-1].task_id == lost


def test_a_lost_instance_whose_strategy_is_disabled_is_waited_for() -> None:
    """Behaviour 78."""
    world = World.of("a")
    world.deploy(app("/a", unreachable=None))
    (lost,) = world.running("/a")
    lose(world, lost)
    world.advance(100_000)
    assert len(world.launched_ever) == 1
    world.update(lost, TaskState.RUNNING)
    assert world.shown_instances[lost.removesuffix("._app.1")].state == TaskState.RUNNING


def test_killing_an_unreachable_instance_gives_it_up_and_it_dies_when_it_is_back() -> None:
    world = World.of("a")
    world.deploy(app("/a", unreachable=None))
    (lost,) = world.running("/a")
    lose(world, lost)
    world.put(app("/a", 0, unreachable=None))
    assert world.shown_instances == {}
    assert world.shown_deployments == {}
    world.update(lost, TaskState.RUNNING)
    assert world.called(m.Kill)[-1].task_id == lost


def test_an_instance_lost_while_it_is_killed_is_given_up() -> None:
    world = World.of("a", auto_kill=False)
    world.deploy(app("/a"))
    (victim,) = world.running("/a")
    world.put(app("/a", 0))
    lose(world, victim)
    assert world.shown_instances == {}
    assert world.shown_deployments == {}


@pytest.mark.parametrize(
    ("reason", "condition"),
    [
        (Reason.AGENT_DISCONNECTED, "UnreachableInactive"),
        (Reason.RECONCILIATION, "UnreachableInactive"),
        (Reason.EXECUTOR_TERMINATED, None),
    ],
)
def test_what_lost_means_depends_on_the_reason(reason: Reason, condition: str | None) -> None:
    """Section 7.2."""
    world = World.of("a")
    world.deploy(app("/a"))
    (lost,) = world.running("/a")
    world.update(lost, TaskState.LOST, reason=reason)
    view = world.shown_instances.get(lost.removesuffix("._app.1"))
    assert (view.condition.value if view else None) == condition


# ---------------------------------------------------------------------------------- overdue


def test_a_launch_that_nobody_confirms_is_killed_and_started_again() -> None:
    """Behaviour 88."""
    world = World.of("a", auto_run=False)
    world.put(app("/a"))
    world.run()
    (first,) = world.running("/a")
    world.advance(299)
    assert world.running("/a") == [first]
    world.advance(20)
    assert first not in world.running("/a")
    assert len(world.running("/a")) == 1


@pytest.mark.parametrize("years", [-30, 30])
def test_a_clock_that_was_set_does_not_keep_a_launch_waiting_for_years(years: int) -> None:
    world = World.of("a", auto_run=False)
    world.put(app("/a"))
    world.run()
    (first,) = world.running("/a")
    world.wall_s += years * 365 * 86400.0
    world.advance(320)
    assert first not in world.running("/a")


# ---------------------------------------------------------------------------------- the master


def test_a_deposed_master_is_not_listened_to() -> None:
    """Promise 5."""
    world = World.of("a")
    world.deploy(app("/a"))
    (task_id,) = world.running("/a")
    world.disconnect()
    world.connect(epoch=7)
    world.epoch = 6
    world.update(task_id, TaskState.FAILED)
    assert task_id.removesuffix("._app.1") in world.shown_instances


def test_what_comes_from_an_old_connection_is_dropped() -> None:
    world = World.of("a")
    world.put(app("/a"))
    old = world_offers(world)
    world.disconnect()
    world.connect()
    launched = len(world.launched_ever)
    world.step(old)
    assert len(world.launched_ever) == launched


def world_offers(world: World) -> Any:
    assert world.conn is not None
    offers = m.Offers((world.make_offer(world.agents[0]),))
    return MasterEvent(world.conn, world.epoch, offers)


def test_the_framework_id_is_stored_and_used_again() -> None:
    world = World.of("a")
    assert "framework/id" in world.store
    world.restart()
    subscribe = world.calls[0]
    assert isinstance(subscribe, m.Subscribe)
    assert subscribe.framework_info.id == "F-0000"
    assert subscribe.framework_info.failover_timeout == 604800
    assert subscribe.framework_info.checkpoint


def test_a_removed_framework_is_forgotten_and_the_process_ends() -> None:
    world = World.of("a")
    world.say(m.Error("Framework has been removed"))
    assert world.aborted == "Framework has been removed"
    assert "framework/id" not in world.store


def test_a_framework_that_was_failed_over_is_its_successors() -> None:
    """Deposed, whatever the election says: the process stands by, and the id stays."""
    world = World.of("a")
    world.say(m.Error("Framework failed over"))
    assert world.stands_by
    assert world.aborted is None
    assert "framework/id" in world.store


def test_a_launch_that_never_left_is_replaced_after_reconciliation() -> None:
    """The process died between the write and the ACCEPT: the master says it is gone."""
    world = World.of("a")
    world.put(app("/a"))
    instances = [
        write
        for write in world.core.step(world_offers(world), world.now).writes
        if write.key.startswith("instance/")
    ]
    assert len(instances) == 1
    world.store[instances[0].key] = instances[0].value  # type: ignore[union-attr]
    world.restart()
    world.advance(10)
    assert len(world.running("/a")) == 1
    assert len(world.launched_ever) == 1
    assert world.shown_deployments == {}


def test_what_the_master_can_t_speak_of_yet_is_asked_for_again_and_again() -> None:
    """Its agent was not back when the new leader subscribed: nobody would ask for ten minutes."""
    world = World.of("a")
    world.put(app("/a"))
    (instance,) = (
        write
        for write in world.core.step(world_offers(world), world.now).writes
        if write.key.startswith("instance/")
    )
    world.store[instance.key] = instance.value  # type: ignore[union-attr]
    world.mute = True
    world.restart()
    asked = []
    for second in range(200):
        world.calls.clear()
        world.advance(1)
        asked += [second for call in world.calls if isinstance(call, m.Reconcile) and call.tasks]
    gaps = [after - before for before, after in itertools.pairwise(asked)]
    assert gaps[-3:] == [20, 40, 60]
    world.mute = False
    world.advance(70)
    assert len(world.running("/a")) == 1
    world.calls.clear()
    world.advance(200)
    assert not [call for call in world.calls if isinstance(call, m.Reconcile)]


def test_what_ran_on_an_agent_that_is_given_up_is_asked_for() -> None:
    """A master that has never seen the agent knows of no task there, and can tell of none."""
    world = World.of("a", "b")
    world.deploy(app("/a", 2))
    agent = world.tasks[world.running("/a")[0]].agent.id
    world.calls.clear()
    expected = [id_ for id_, task in world.tasks.items() if task.agent.id == agent]
    world.say(m.Failure(agent))
    (asked,) = (call for call in world.calls if isinstance(call, m.Reconcile))
    assert [task.task_id for task in asked.tasks] == expected
    lose(world, *expected)
    world.calls.clear()
    world.say(m.Failure(agent))
    assert not [call for call in world.calls if isinstance(call, m.Reconcile)]


def test_a_new_leader_kills_no_surplus_before_it_has_heard_of_everyone() -> None:
    """A lost instance and its replacement: which of them is too much the master has to say."""
    world = World.of("a")
    world.deploy(app("/a", 2))
    lost = world.running("/a")[0]
    world.advance(1)
    lose(world, lost)
    world.advance(1)
    alive = world.running("/a")[1:]
    world.conn = None
    world._boot()
    world.advance(20)  # the first check of all targets, without a master
    world.connect()
    world.advance(1)
    assert world.called(m.Kill) == []
    assert world.running("/a")[1:] == alive


def test_an_old_status_does_not_set_an_instance_back() -> None:
    """It would be killed as one that takes too long to start."""
    world = World.of("a")
    world.deploy(app("/a"))
    (task_id,) = world.running("/a")
    world.update(task_id, TaskState.STARTING)
    assert world.running("/a") == [task_id]
    world.advance(3600)
    assert world.running("/a") == [task_id]


def test_who_was_deposed_in_its_sleep_takes_nothing_over() -> None:
    """Promise 5, seeds 821, 986 and 1526: its subscription waits for a commit that is fenced."""
    world = World.of("a")
    world.put(app("/a"))
    world.disconnect()
    output = world.core.step(LinkUp(ConnId(99)), world.now)
    assert [type(e.call) for e in output.effects if isinstance(e, Call)] == [m.Subscribe]
    assert output.writes, "without a write it would leave at once"


# ---------------------------------------------------------------------------------- addresses


@pytest.mark.parametrize("ip", [None, "10.0.0.7"])
def test_an_event_tells_the_addresses_that_the_api_tells(ip: str | None) -> None:
    """Those of the status, or without any, on the host's network, that of the host."""
    world = World.of("a")
    world.deploy(app("/a"))
    (task_id,) = world.running("/a")
    info = () if ip is None else (NetworkInfo((IpAddress(ip),)),)
    world.update(task_id, TaskState.KILLING, container_status=ContainerStatus(None, info))
    (view,) = [v for v in world.shown_instances.values() if v.task_id == task_id]
    (*_, told) = [event_of(n).fields() for n in world.news(StatusUpdated) if n.task_id == task_id]
    expected = [{"ipAddress": ip or "a", "protocol": "IPv4"}]
    assert told["ipAddresses"] == expected
    assert task_json(view, app("/a"))["ipAddresses"] == expected


def test_an_agent_that_has_not_the_task_tells_nothing_of_it() -> None:
    """After a failover the master may not know yet whose it is: we do."""
    world = World.of("a", "b")
    world.deploy(app("/a"))
    (task_id,) = world.running("/a")
    other = next(each.id for each in world.agents if each.id != world.tasks[task_id].agent.id)
    status = TaskStatus(task_id, TaskState.FINISHED, agent_id=other, uuid=b"u" * 16)
    effects = world.say(m.Update(status))
    assert UpdateDenied(task_id, other, TaskState.FINISHED) in effects
    assert world.acks[-1] == m.Acknowledge(other, task_id, b"u" * 16)
    assert [view.state for view in world.shown_instances.values()] == [TaskState.RUNNING]
