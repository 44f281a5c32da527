"""Both sides of a lease, the real ones, over slow and broken ways: nobody is told that a unique
task is out of reach while it may still run."""

from __future__ import annotations

import random
from collections import deque
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mezzo import MESOS_VERSION
from mezzo.agent.config import AgentConfig
from mezzo.agent.container import Kind
from mezzo.agent.state.agent_state import AgentState
from mezzo.agent.state.checkpoint import Checkpoint
from mezzo.agent.state.step import Step
from mezzo.agent.tasks import unique_leases
from mezzo.cluster.model import AgentInfo, TaskInfo
from mezzo.cluster.states import TaskState
from mezzo.core import Instant
from mezzo.ids import IdSource
from mezzo.master.events import AgentSaid
from mezzo.messages import agent as am

from ..world import BIG, Agent, Framework, World, task

PACES = (1 / 1.01, 0.999, 1.0, 1.01)  # of the agent's clock; the first is the slowest allowed
DELAYS_S = (0.0, 0.1, 2.0, 14.0, 40.0)
LEASE_S = 60.0
KILL_S = 4.9  # how long the task takes to die


class Way:
    """Messages take `delay_s`, in order; none that is sent while it is `cut` arrives."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.delay_s = 0.0
        self.cut = False
        self.sent: deque[tuple[float, Any]] = deque()  # with the time of arrival

    def put(self, message: Any) -> None:
        if not self.cut:
            at_s = self.world.now.mono_s + self.delay_s
            self.sent.append((max(at_s, self.sent[-1][0]) if self.sent else at_s, message))

    def take(self) -> list[Any]:
        arrived = []
        while self.sent and self.sent[0][0] <= self.world.now.mono_s:
            arrived.append(self.sent.popleft()[1])
        return arrived


class LeasedAgent(Agent):
    """Its clock has a pace of its own. `runs`: the unique task, perhaps."""

    def __init__(self, world: World, pace: float) -> None:
        info = AgentInfo("host", resources=BIG)
        super().__init__(world, info)
        self.pace = pace
        self.come, self.go = Way(world), Way(world)
        config = AgentConfig(info, MESOS_VERSION, "127.0.0.1", "/w", (Kind.PROCESS,))
        self.state = AgentState(config, IdSource(random.Random(1)), Checkpoint(), "boot-1")
        unique_leases.recall(self.state, self.step(), 1000.0)
        self.runs: TaskInfo | None = None

    @property
    def clock(self) -> Instant:
        mono_s = 5000 + self.world.now.mono_s * self.pace
        return Instant(mono_s, mono_s)

    def step(self) -> Step:
        return Step(self.clock)

    def connect(self) -> None:
        """What is on its way on the old stream is lost."""
        self.disconnect()
        self.come.sent.clear()
        self.go.sent.clear()
        super().connect()
        unique_leases.new_stream(self.state)
        unique_leases.asked(self.state, self.step())

    def say(self, message: am.AgentMessage) -> None:
        self.go.put((self.conn, message))

    def receive(self, message: Any) -> None:
        self.come.put((self.conn, message))

    def turn(self) -> None:
        """What has arrived, on both sides."""
        for conn, message in self.come.take():
            if conn == self.conn:
                self._hear(message)
        for conn, message in self.go.take():
            if conn == self.conn:
                self.world.feed(AgentSaid(conn, message))
        over_s = unique_leases.over_at_s(self.state, self.runs) if self.runs is not None else 0.0
        if self.clock.mono_s >= over_s + KILL_S:
            self.runs = None

    def _hear(self, message: Any) -> None:
        match message:
            case am.Ping(number=number):
                self.say(am.Pong(number))
                unique_leases.pinged(self.state, self.step(), message)
            case am.AgentRegistered() | am.AgentReregistered():
                super().receive(message)
                unique_leases.registered(self.state, self.step())
            case am.RunTask(task=info) if self.clock.mono_s < unique_leases.over_at_s(
                self.state, info
            ):
                super().receive(message)
                self.runs = info
            case _:
                super().receive(message)


class LeaseMachine(RuleBasedStateMachine):
    world: World
    agent: LeasedAgent
    framework: Framework
    replaced = False

    @initialize(pace=st.sampled_from(PACES), limited=st.booleans(), after_s=st.integers(0, 40))
    def a_unique_task_is_launched(self, pace: float, limited: bool, after_s: int) -> None:
        self.world = World(
            max_agent_ping_timeouts=2,
            agent_reregister_timeout_s=100.0,
            agent_removal_interval_s=50.0 if limited else None,
        )
        self.agent = LeasedAgent(self.world, pace)
        self.agent.register()
        self.agent.turn()
        self.agent.turn()
        self.framework = self.world.framework(failover_timeout=1e6)
        self.time_passes(after_s)
        offer = self.framework.offer()
        info = task("unique", self.agent.id, unique_lease=LEASE_S)
        self.framework.accept([offer], info, refuse_s=1e6)

    @rule(seconds=st.sampled_from([1, 5, 16, 40, 80]))
    def time_passes(self, seconds: int) -> None:
        for _ in range(seconds):
            self.world.advance(1.0)
            self.agent.turn()
            self.nobody_is_told_too_early()

    @rule(there=st.sampled_from(DELAYS_S), back=st.sampled_from(DELAYS_S))
    def ways_become_slow_or_fast(self, there: float, back: float) -> None:
        self.agent.come.delay_s, self.agent.go.delay_s = there, back

    @rule(there=st.booleans(), back=st.booleans())
    def ways_break_or_heal(self, there: bool, back: bool) -> None:
        self.agent.come.cut, self.agent.go.cut = there, back

    @rule()
    def the_agent_connects_again(self) -> None:
        self.agent.reregister()

    @rule()
    def its_stream_ends(self) -> None:
        self.agent.disconnect()

    @rule()
    def the_master_fails_over(self) -> None:
        self.world.restart()
        self.framework.subscribe()

    @rule()
    @precondition(lambda self: not self.replaced)
    def another_agent_takes_its_address(self) -> None:
        self.replaced = True
        self.world.agent(hostname="host")

    @invariant()
    def nobody_is_told_too_early(self) -> None:
        told = self.framework.updates()
        told += self.framework.reconcile(("unique", self.agent.id))
        if self.agent.runs is not None:
            assert {status.state for status in told} <= {TaskState.STAGING}


class TestLeases(LeaseMachine.TestCase):  # type: ignore[misc, name-defined]
    settings = settings(
        max_examples=60,
        stateful_step_count=20,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
