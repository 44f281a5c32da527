"""Any order of events, with crashes after any prefix of the writes, keeps the agent's promises.

The machine plays everything around the core: the master, the framework that acknowledges, and the
containers, which live on whatever happens to the agent.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from mezzo.agent import effects as do
from mezzo.agent import events as e
from mezzo.agent.container import ContainerAbsent, ContainerExited, ContainerStarted
from mezzo.agent.core import AgentCore
from mezzo.agent.timers import AskAgain, OperationOverdue, UpdateOverdue
from mezzo.cluster.model import TaskStatus
from mezzo.cluster.operations import OperationState, OperationStatus, Reserve
from mezzo.cluster.resources import Kind, Reservation, Resources
from mezzo.cluster.states import TaskState, may_move
from mezzo.core import CancelTimer, Instant, SetTimer, TimerFired, Write
from mezzo.ids import ConnId, ContainerId, IdSource, TaskId
from mezzo.messages import agent as am

from .fakes import CONFIG, F1, FRAMEWORK, S1, apply, process_task

TASKS = [TaskId(f"t{number}") for number in range(4)]
RESERVED = Kind("cpus", (Reservation("DYNAMIC", "role"),))


@dataclass
class Container:
    task_id: TaskId
    running: bool = True
    exit_code: int | None = None


class AgentMachine(RuleBasedStateMachine):
    """Effects leave only when the writes of their step are durable, as the shell has it."""

    def __init__(self) -> None:
        super().__init__()
        self.disk: dict[str, bytes] = {}
        self.waiting: list[tuple[list[Write], list[do.AgentEffect]]] = []
        self.containers: dict[ContainerId, Container] = {}
        self.launches: list[tuple[TaskId, ContainerId]] = []
        self.timers: dict[object, float] = {}
        self.in_flight: dict[TaskId, TaskStatus] = {}
        self.heard: dict[TaskId, list[TaskStatus]] = {}  # first hearings, in order
        self.acknowledged: set[bytes] = set()
        self.asked: set[TaskId] = set()
        self.outcomes: dict[bytes, OperationStatus] = {}  # of conversions, as the master heard them
        self.conns = 0
        self.conn: ConnId | None = None
        self.lives = 0
        self.now_s = 1_000_000.0
        self.boot()

    def boot(self) -> None:
        self.lives += 1
        self.waiting.clear()
        self.timers.clear()
        self.conn = None
        self.core = AgentCore(CONFIG, self.disk, IdSource(random.Random(self.lives)))
        self.step(e.Started("boot"))

    def step(self, event: e.AgentEvent) -> None:
        out = self.core.step(event, Instant(self.now_s, self.now_s))
        self.waiting.append((out.writes, out.effects))

    def settle(self) -> None:
        """Make everything durable and perform what follows from it, to the end."""
        while self.waiting:
            self.make_durable()

    def make_durable(self) -> None:
        writes, effects = self.waiting.pop(0)
        apply(self.disk, writes)
        for effect in effects:
            self.perform(effect)

    # ---- the world's side of the effects

    def perform(self, effect: do.AgentEffect) -> None:
        match effect:
            case do.Send(conn, message) if conn == self.conn:
                self.master_hears(message)
            case do.LaunchContainer(spec):
                known = self.containers.get(spec.container_id)
                if known is None:
                    self.launches.append((spec.task_id, spec.container_id))
                    self.containers[spec.container_id] = Container(spec.task_id)
                self.step(ContainerStarted(spec.container_id))
            case do.RecoverContainers(specs):
                for spec in specs:
                    self.step(self.found(spec.container_id))
            case do.KillContainer(container_id):
                container = self.containers.get(container_id)
                if container is not None and container.running:
                    container.running, container.exit_code = False, 143
                    self.step(ContainerExited(container_id, exit_code=143))
            case SetTimer(key, at_s):
                self.timers[key] = at_s
            case CancelTimer(key):
                self.timers.pop(key, None)
            case do.CloseMaster() | do.Exit():
                raise AssertionError(f"nothing here asks for {effect}")
            case _:
                pass

    def found(self, cid: ContainerId) -> ContainerStarted | ContainerExited | ContainerAbsent:
        container = self.containers.get(cid)
        if container is None:
            return ContainerAbsent(cid)
        if container.running:
            return ContainerStarted(cid)
        return ContainerExited(cid, exit_code=container.exit_code)

    def master_hears(self, message: am.AgentMessage) -> None:
        assert self.conn is not None
        match message:
            case am.RegisterAgent():
                self.say(am.AgentRegistered(S1))
            case am.ReregisterAgent(tasks=tasks):
                listed = {task.task_id for task in tasks}
                for task_id in self.asked - listed:
                    # Only a task whose end was acknowledged, or whose launch did not arrive.
                    ended = [s for s in self.heard.get(task_id, []) if s.state.terminal]
                    started = any(task_id == launched for launched, _ in self.launches)
                    assert ended or not started
                self.say(am.AgentReregistered(S1))
            case am.StatusUpdate(status=status, latest_state=latest):
                self.update_arrives(status, latest)
            case am.OperationUpdate(operation=operation, status=outcome):
                assert self.outcomes.setdefault(operation.uuid, outcome) == outcome
            case _:
                pass

    def update_arrives(self, status: TaskStatus, latest: TaskState) -> None:
        assert status.uuid is not None
        heard = self.heard.setdefault(status.task_id, [])
        if status.uuid in {known.uuid for known in heard}:
            assert heard[-1] == status  # in order: an older one never comes again
        else:
            assert all(known.uuid in self.acknowledged for known in heard)  # one in flight
            before = heard[-1].state if heard else TaskState.STAGING
            assert may_move(before, status.state)
            heard.append(status)
        if status.uuid not in self.acknowledged or not status.state.terminal:
            assert latest == status.state or may_move(status.state, latest) or not latest.terminal
        self.in_flight[status.task_id] = status

    def say(self, message: am.MasterMessage) -> None:
        if self.conn is not None:
            self.step(e.MasterSaid(self.conn, 1, message))

    # ---- rules

    @rule()
    def connect(self) -> None:
        if self.conn is not None:
            self.step(e.MasterDown(self.conn))
        self.conns += 1
        self.conn = ConnId(self.conns)
        self.step(e.MasterUp(self.conn))
        self.settle()

    @precondition(lambda self: self.conn is not None)
    @rule()
    def disconnect(self) -> None:
        assert self.conn is not None
        self.step(e.MasterDown(self.conn))
        self.conn = None

    @rule(task_id=st.sampled_from(TASKS))
    def launch(self, task_id: TaskId) -> None:
        """Of a task that may be known, running or long over."""
        if not self.core.view().registered:
            self.connect()
        self.asked.add(task_id)
        self.say(am.RunTask(FRAMEWORK, process_task(task_id)))

    @rule(task_id=st.sampled_from(TASKS))
    def kill(self, task_id: TaskId) -> None:
        self.say(am.KillTask(F1, task_id))

    @rule(task_id=st.sampled_from(TASKS), late=st.booleans())
    def acknowledge(self, task_id: TaskId, late: bool) -> None:
        """The update in flight, or once more one that was acknowledged long ago."""
        heard = self.heard.get(task_id)
        if not heard or self.conn is None:
            return
        if not late:
            self.acknowledge_head(task_id)
        elif len(heard) > 1:
            assert heard[0].uuid is not None
            self.say(am.UpdateAcknowledged(F1, task_id, heard[0].uuid))

    @rule(number=st.integers(0, 5))
    def reserve(self, number: int) -> None:
        """A tenth of a cpu; perhaps once more, and perhaps after it was acknowledged."""
        reserved = Resources({RESERVED: 100})
        self.say(am.ApplyOperation(bytes(15) + bytes([number]), Reserve(reserved, id="o"), F1))

    @rule(index=st.integers(0, 9))
    def acknowledge_operation(self, index: int) -> None:
        if self.outcomes:
            uuid = list(self.outcomes)[index % len(self.outcomes)]
            status_uuid = self.outcomes[uuid].uuid
            assert status_uuid is not None
            self.say(am.OperationAcknowledged(uuid, status_uuid))

    @rule(index=st.integers(0, 9), exit_code=st.sampled_from([0, 1]))
    def exit(self, index: int, exit_code: int) -> None:
        running = [cid for cid, container in self.containers.items() if container.running]
        if running:
            cid = running[index % len(running)]
            self.containers[cid].running = False
            self.containers[cid].exit_code = exit_code
            self.step(ContainerExited(cid, exit_code=exit_code))

    @rule(index=st.integers(0, 9))
    def report_again(self, index: int) -> None:
        """The containerizer may repeat itself."""
        if self.containers:
            cid = list(self.containers)[index % len(self.containers)]
            if not self.containers[cid].running:
                self.step(ContainerExited(cid, exit_code=self.containers[cid].exit_code))

    @rule(index=st.integers(0, 9))
    def time_passes(self, index: int) -> None:
        due = sorted(
            (at_s, str(key), key)
            for key, at_s in self.timers.items()
            if isinstance(key, UpdateOverdue | OperationOverdue | AskAgain)
        )
        if due:
            at_s, _, key = due[index % len(due)]
            del self.timers[key]
            self.now_s = max(self.now_s, at_s)
            self.step(TimerFired(key))

    @rule()
    def commit_one(self) -> None:
        if self.waiting:
            self.make_durable()

    @rule(task_id=st.sampled_from(TASKS))
    def run_to_the_end(self, task_id: TaskId) -> None:
        """What mostly happens: launched, ended, every update acknowledged."""
        self.launch(task_id)
        self.settle()
        for cid, container in list(self.containers.items()):
            if container.task_id == task_id and container.running:
                container.running, container.exit_code = False, 0
                self.step(ContainerExited(cid, exit_code=0))
        for _ in range(4):
            self.settle()
            self.acknowledge_head(task_id)

    @rule()
    def commit_all(self) -> None:
        self.settle()

    @rule(durable=st.integers(0, 3))
    def crash(self, durable: int) -> None:
        """What is not durable never was, and nobody has seen anything of it."""
        for _ in range(min(durable, len(self.waiting))):
            self.make_durable()
        self.boot()
        self.connect()

    # ---- promises

    @invariant()
    def no_task_runs_twice(self) -> None:
        """Promise 2."""
        launched = [task_id for task_id, _ in self.launches]
        assert len(launched) == len(set(launched))

    @invariant()
    def nothing_is_told_after_the_end(self) -> None:
        """Promise 4: each terminal state once, and last."""
        for heard in self.heard.values():
            assert [s.state.terminal for s in heard[:-1]] == [False] * (len(heard) - 1)

    def teardown(self) -> None:
        """No update is lost: with time and a master, every ended task has told its end."""
        self.connect()
        for _ in range(10):
            for task_id in TASKS:
                self.acknowledge_head(task_id)
            self.settle()
        for task_id, cid in self.launches:
            states = [status.state for status in self.heard[task_id]]
            if self.containers[cid].running:
                assert not states[-1].terminal
            else:
                assert states[-1].terminal
        assert all(task.live for task in self.core.view().tasks)
        # Each conversion that was told is done, once; and none that was not.
        done = [o for o in self.outcomes.values() if o.state is OperationState.FINISHED]
        assert (self.core.view().resources.get(RESERVED) or 0) == 100 * len(done)

    def acknowledge_head(self, task_id: TaskId) -> None:
        heard = self.heard.get(task_id)
        if heard and heard[-1].uuid is not None:
            self.acknowledged.add(heard[-1].uuid)
            self.say(am.UpdateAcknowledged(F1, task_id, heard[-1].uuid))


TestAgentMachine = AgentMachine.TestCase
TestAgentMachine.settings = settings(max_examples=100, stateful_step_count=60, deadline=None)
