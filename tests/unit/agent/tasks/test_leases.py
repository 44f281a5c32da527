"""How long a unique task runs on when no master is heard to have heard of its agent."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzo.agent import effects as do
from mezzo.agent import events as e
from mezzo.agent.container import ContainerAbsent, ContainerExited, ContainerStarted, Kind
from mezzo.agent.state.agent_state import AgentState
from mezzo.agent.state.loading import load
from mezzo.agent.state.step import Step
from mezzo.agent.tasks import unique_leases
from mezzo.agent.timers import LeaseDue
from mezzo.cluster.model import KillPolicy, TaskInfo
from mezzo.cluster.states import Reason, Source, TaskState
from mezzo.core import Instant, TimerFired
from mezzo.ids import ContainerId, IdSource, TaskId
from mezzo.messages import agent as am

from ..fakes import CONFIG, F1, FRAMEWORK, S1, World, docker_task, process_task

S = TaskState
LEASE_S = 60.0


@pytest.fixture
def world() -> World:
    return World().register()


def unique(task_id: str = "t1", **fields: object) -> TaskInfo:
    return process_task(task_id, **({"unique_lease": LEASE_S} | fields))


def ping(world: World, number: int, heard: int, *, connected: bool = True) -> None:
    world.hear(am.Ping(connected, number, heard))


def kills(effects: list[do.AgentEffect]) -> list[do.KillContainer]:
    return [effect for effect in effects if isinstance(effect, do.KillContainer)]


def end(world: World, cid: ContainerId) -> tuple[TaskState, Reason | None]:
    """The process has ended; what its framework hears."""
    world.step(ContainerExited(cid, signal=9))
    world.register()
    status = world.acknowledge_all()[-1]
    return status.state, status.reason


def test_without_pings_a_unique_task_is_killed_in_time_for_its_lease(world: World) -> None:
    """SIGTERM with the task's own grace, so that SIGKILL comes when the lease is over."""
    cid = world.start(unique())
    world.step(e.MasterDown(world.conn))
    assert kills(world.wait(LEASE_S - 3.1)) == []
    assert kills(world.wait(0.2)) == [do.KillContainer(cid, Kind.PROCESS, 3.0)]
    world.step(ContainerExited(cid, exit_code=0))
    world.register()
    *_, killing, killed = world.acknowledge_all()
    assert killing.state is S.KILLING
    assert (killed.state, killed.source) == (S.KILLED, Source.AGENT)
    assert killing.reason is killed.reason is Reason.MASTER_DISCONNECTED
    assert "unique_lease of 60 s" in (killed.message or "")


def test_the_same_proof_is_stored_once_for_all_who_begin_on_it(world: World) -> None:
    ping(world, 1, 0)
    ping(world, 2, 1)
    world.run(unique("t1"))
    stored = world.disk["proof/agent"]
    del world.disk["proof/agent"]
    world.run(unique("t2"))
    assert "proof/agent" not in world.disk
    world.wait(5)
    ping(world, 3, 2)
    ping(world, 4, 3)
    assert world.disk["proof/agent"] != stored


def test_other_tasks_run_on_without_a_master(world: World) -> None:
    world.start(process_task())
    world.step(e.MasterDown(world.conn))
    assert kills(world.wait(86400)) == []
    assert not [effect for effect in world.effects if isinstance(effect, do.RenewLease)]
    assert "proof/agent" not in world.disk


def test_a_lease_counts_from_the_sending_of_the_newest_pong_that_is_known_to_be_heard(
    world: World,
) -> None:
    world.start(unique(kill_policy=KillPolicy(0)))
    world.wait(10)
    ping(world, 1, 0)
    world.wait(15)
    ping(world, 2, 1)  # the first pong, of 15 s ago, has arrived
    world.wait(15)
    ping(world, 3, 1)  # the second one has not
    assert kills(world.wait(LEASE_S - 30 - 0.1)) == []
    assert len(kills(world.wait(0.2))) == 1


def test_what_proves_nothing_renews_nothing(world: World) -> None:
    """A ping of a master that does not count, thinks us gone, or has heard of what we never said;

    and of repeated pings the first answer counts.
    """
    world.start(unique(kill_policy=KillPolicy(0)))
    ping(world, 1, 0)
    world.wait(30)
    ping(world, 0, 0)
    ping(world, 0, 0)
    ping(world, 1, 9)
    ping(world, 1, 1)
    world.hear(am.AgentRegistered(world.core.view().tasks[0].info.agent_id))
    assert kills(world.wait(LEASE_S - 30 - 0.1)) == []
    assert len(kills(world.wait(0.2))) == 1


def test_pongs_of_an_old_stream_prove_nothing_on_the_next(world: World) -> None:
    """Another master may be at its end, and count as the last one did."""
    world.start(unique(kill_policy=KillPolicy(0)))
    world.wait(20)
    ping(world, 1, 0)
    world.connect()
    ping(world, 2, 1)
    assert kills(world.wait(LEASE_S - 20 - 0.1)) == []
    assert len(kills(world.wait(0.2))) == 1


def test_a_registration_renews_from_the_moment_it_was_first_asked_for(world: World) -> None:
    world.start(unique(kill_policy=KillPolicy(0)))
    world.step(e.MasterDown(world.conn))
    world.wait(20)
    world.connect()
    world.wait(10)  # asked again meanwhile
    world.hear(am.AgentReregistered(world.core.view().tasks[0].info.agent_id))
    assert kills(world.wait(LEASE_S - 10 - 0.1)) == []
    assert len(kills(world.wait(0.2))) == 1


def test_a_late_answer_to_a_repeated_question_is_none_to_a_later_one(world: World) -> None:
    """Asked at 20 and 25 s, answered at 26; asked anew at 36, and then the second answer comes."""
    world.start(unique(kill_policy=KillPolicy(0)))
    world.step(e.MasterDown(world.conn))
    world.wait(20)
    world.connect()
    world.wait(6)
    world.hear(am.AgentReregistered(S1))
    world.wait(10)
    ping(world, 0, 0, connected=False)
    world.hear(am.AgentReregistered(S1))
    assert kills(world.wait(20 + LEASE_S - 36 - 0.1)) == []
    assert len(kills(world.wait(0.2))) == 1


def test_a_ping_that_says_disconnected_renews_nothing(world: World) -> None:
    world.start(unique(kill_policy=KillPolicy(0)))
    world.wait(10)
    ping(world, 1, 0)
    world.wait(30)
    ping(world, 2, 1, connected=False)
    assert len(kills(world.wait(20.1))) == 1


def test_the_grace_before_the_end_of_a_lease_is_a_quarter_of_it_at_most(world: World) -> None:
    cid = world.start(unique(kill_policy=KillPolicy(600)))
    world.step(e.MasterDown(world.conn))
    assert kills(world.wait(44.9)) == []
    assert kills(world.wait(0.2)) == [do.KillContainer(cid, Kind.PROCESS, 15.0)]


def test_a_kill_with_more_grace_than_the_lease_allows_is_hurried(world: World) -> None:
    """And stays what it was: the framework's own."""
    cid = world.start(unique())
    world.hear(am.KillTask(F1, TaskId("t1"), KillPolicy(600)))
    world.step(e.MasterDown(world.conn))
    assert kills(world.wait(57.1)) == [do.KillContainer(cid, Kind.PROCESS, 3.0)]
    assert end(world, cid) == (S.KILLED, None)


def test_a_unique_task_that_is_only_starting_is_given_up_too(world: World) -> None:
    cid = world.run(docker_task(unique_lease=LEASE_S))
    world.step(e.MasterDown(world.conn))
    assert [order.container_id for order in kills(world.wait(LEASE_S))] == [cid]
    assert end(world, cid) == (S.KILLED, Reason.MASTER_DISCONNECTED)


def test_a_wall_clock_that_is_set_back_prolongs_no_lease(world: World) -> None:
    """The lease ends while the container is being launched, and then that has started after all."""
    cid = world.run(unique())
    world.step(e.MasterDown(world.conn))
    world.wait(LEASE_S + 1)
    an_hour_ago = Instant(world.now_s - 3600, world.now_s - 999_000.0)
    effects = world.core.step(ContainerStarted(cid), an_hour_ago).effects
    assert [kill.grace_s for kill in kills(effects)] == [0.0]


def test_a_launch_that_comes_when_its_lease_is_over_is_dropped(world: World) -> None:
    """It waited for an agent that was frozen; by now the task may run elsewhere."""
    world.now_s += LEASE_S
    world.hear(am.RunTask(FRAMEWORK, unique()))
    assert world.of(do.LaunchContainer) == []
    (dropped,) = world.updates()
    assert (dropped.state, dropped.reason) == (S.DROPPED, Reason.MASTER_DISCONNECTED)


def test_a_lease_that_fires_for_an_ended_task_does_nothing(world: World) -> None:
    cid = world.start(unique())
    world.step(ContainerExited(cid, exit_code=0))
    assert LeaseDue(cid) not in world.timers
    world.step(TimerFired(LeaseDue(cid)))
    assert world.effects == []


# ---- restarts and keepers


def test_a_unique_task_survives_a_restart_that_is_short_enough(world: World) -> None:
    cid = world.start(unique())
    world.now_s += 40
    again = world.crash()
    again.step(ContainerStarted(cid))
    assert kills(again.effects) == []
    again.register()
    assert kills(again.wait(50)) == []


def test_after_a_restart_the_old_lease_runs_on_until_a_master_answers(world: World) -> None:
    cid = world.start(unique(kill_policy=KillPolicy(0)))
    world.now_s += 40
    again = world.crash()
    again.step(ContainerStarted(cid))
    assert kills(again.wait(19.9)) == []
    assert len(kills(again.wait(0.2))) == 1


def test_a_lease_that_was_over_before_the_restart_decides_whatever_is_found(world: World) -> None:
    """Its keeper has killed it, say."""
    cid = world.start(unique())
    world.acknowledge_all()
    world.now_s += 300
    for found in (ContainerExited(cid, signal=9), ContainerAbsent(cid), ContainerStarted(cid)):
        again = world.crash()
        again.step(found)
        if isinstance(found, ContainerStarted):
            assert kills(again.effects) == [do.KillContainer(cid, Kind.PROCESS, 0.0)]
            again.step(ContainerExited(cid, signal=9))
        again.register()
        status = again.acknowledge_all()[-1]
        assert (status.state, status.reason) == (S.KILLED, Reason.MASTER_DISCONNECTED)


def test_without_a_clock_that_outlives_the_agent_a_lease_ends_with_it() -> None:
    world = World(clock=False).register()
    cid = world.start(unique())
    again = world.crash(clock=False)
    again.step(ContainerStarted(cid))
    assert kills(again.effects) == [do.KillContainer(cid, Kind.PROCESS, 0.0)]


def test_a_proof_is_of_the_machines_clock_which_is_not_that_of_the_process(world: World) -> None:
    world.run(unique())
    proven_s = world.now_s - 990_000.0  # seconds since the boot
    step = Step(Instant(wall_s=5.0, mono_s=7.0))
    state = AgentState(CONFIG, IdSource(random.Random(1)), load(world.disk), "boot1")
    unique_leases.recall(state, step, proven_s + 20)
    assert unique_leases.over_at_s(state, unique()) == 7.0 - 20 + LEASE_S
    state = AgentState(CONFIG, IdSource(random.Random(1)), load({}), "boot1")
    unique_leases.recall(state, step, proven_s + 20)
    assert unique_leases.over_at_s(state, unique()) == float("-inf")


def test_keepers_are_told_before_the_launch_and_of_every_renewal(world: World) -> None:
    up_s = world.now_s - 990_000.0
    world.hear(am.RunTask(FRAMEWORK, unique()))
    kinds = [type(effect) for effect in world.effects]
    assert kinds.index(do.RenewLease) < kinds.index(do.LaunchContainer)
    assert world.of(do.RenewLease) == [do.RenewLease(Kind.PROCESS, up_s)]
    assert world.launched().lease_s == LEASE_S
    world.hear(am.RunTask(FRAMEWORK, docker_task("t2", unique_lease=LEASE_S)))
    world.wait(10)
    ping(world, 1, 0)
    assert world.of(do.RenewLease) == []
    ping(world, 2, 1)
    renewed = [do.RenewLease(kind, up_s + 10) for kind in (Kind.PROCESS, Kind.DOCKER)]
    assert world.of(do.RenewLease) == renewed


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ping", "lost ping", "restart", "disconnect"]),
            st.floats(0.1, 30, allow_nan=False),
        ),
        max_size=30,
    )
)
def test_no_unique_task_outlives_its_lease_and_none_dies_before_it_must(
    story: list[tuple[str, float]],
) -> None:
    """The master's clock is kept beside: what it has heard, and when."""
    world = World().register()
    heard_at_s = world.now_s  # of the newest message that the agent knows to have arrived
    cid = world.start(unique(kill_policy=KillPolicy(5)))
    number = heard = 0
    sent: dict[int, float] = {}
    for what, wait_s in story:
        killed = kills(world.wait(wait_s))
        if killed:
            # Not before the last 5 s, and all over at the end.
            assert world.now_s >= heard_at_s + LEASE_S - 5 - 0.01
            assert killed[0].grace_s <= heard_at_s + LEASE_S - world.now_s + wait_s + 0.01
            return
        assert world.now_s <= heard_at_s + LEASE_S - 5 + 0.01
        if what in ("ping", "lost ping"):
            number += 1
            ping(world, number, heard)
            heard_at_s = max(heard_at_s, sent.get(heard, 0.0))
            sent[number] = world.now_s
            if what == "ping":
                heard = number
        elif what == "restart":
            world = world.crash().register()
            world.step(ContainerStarted(cid))
        else:
            world.register()
        if what in ("restart", "disconnect"):
            heard_at_s, number, heard = world.now_s, 0, 0
            sent.clear()
