"""An agent that runs nothing: it hears and says what a real one does, and is cheap by the thousand.

    say(agent.introduction())          on each new stream: registers, or reports what it has
    say(*agent.hear(message, now_s))   whatever the master says: what it answers
    say(*agent.move(key, state, now_s))   its user has decided how a task fares

What it keeps of a real agent: its id over lost streams, tasks that run on meanwhile, updates one
after another, each once the last is acknowledged, launches that count once, reservations and
volumes, ends when it is told to kill, to drain or to forget a framework.
What it lacks: containers, checkpoints (a crash is a loss of power), health checks, leases, and
time: who uses it starts and ends tasks, and repeats what nobody has acknowledged (`unheard`).

It does no I/O, reads no clock and draws nothing. What a message does to it is a row of `_HEARD` at
the end, which knows all that masters say: a new message is a row and its handler, here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias

from mezzo import MESOS_VERSION
from mezzo.cluster.conversions import convert, exchange
from mezzo.cluster.description import task_of
from mezzo.cluster.model import (
    AgentCapability,
    AgentInfo,
    ExecutorInfo,
    FrameworkInfo,
    Task,
    TaskInfo,
    TaskStatus,
)
from mezzo.cluster.operations import OperationRecord, OperationState, OperationStatus
from mezzo.cluster.resources import Resources
from mezzo.cluster.states import Source, TaskState
from mezzo.errors import BadRequest
from mezzo.handlers import Handlers, on
from mezzo.ids import AgentId, ExecutorId, FrameworkId, TaskId
from mezzo.messages import agent as m
from mezzo.record import replace

TaskKey: TypeAlias = tuple[FrameworkId, TaskId]
Said: TypeAlias = Sequence[m.AgentMessage]

CAPABILITIES: Final = tuple(AgentCapability)
_NOTHING: Final[Said] = ()


def _runs_nothing(key: TaskKey, info: TaskInfo) -> Said:
    return _NOTHING


def _counted() -> Callable[[], bytes]:
    """Uuids, each 16 bytes: 1, 2, 3, ..."""
    numbers = itertools.count(1)
    return lambda: next(numbers).to_bytes(16, "big")


class FakeAgent:
    """What it knows may be read and spoilt by who uses it.

    info: as it is now: with its id once it has one, with the resources that operations have left.
    tasks: what it has not forgotten, and so reports. pending: of each task the statuses that are
    not acknowledged; the first is under way. operations: by uuid, whose outcome is not
    acknowledged. ignores: messages of these types are as if they had never come. is_hasty: it says
    each update at once, and those of the same task before it no more.
    """

    def __init__(
        self,
        info: AgentInfo,
        *,
        version: str = MESOS_VERSION,
        capabilities: tuple[AgentCapability, ...] = CAPABILITIES,
        launched: Callable[[TaskKey, TaskInfo], Said] = _runs_nothing,
        uuids: Callable[[], bytes] | None = None,
        ignores: Iterable[type[m.MasterMessage]] = (),
        is_hasty: bool = False,
    ) -> None:
        """launched: is told of each new task, once, and returns what to say of it at once.
        uuids: 16 bytes for each update and outcome; counted unless given."""
        self.info = info
        self.version = version
        self.boot_id = "boot-1"
        self.capabilities = capabilities
        self.tasks: dict[TaskKey, Task] = {}
        self.frameworks: dict[FrameworkId, FrameworkInfo] = {}
        self.executors: dict[tuple[FrameworkId, ExecutorId], ExecutorInfo] = {}
        self.operations: dict[bytes, OperationRecord] = {}
        self.pending: dict[TaskKey, list[TaskStatus]] = {}
        self.ignores: set[type[m.MasterMessage]] = set(ignores)
        self.is_hasty = is_hasty
        self.uuid = uuids or _counted()
        self._at_first = info
        self._boots = 1
        self._launched = launched

    @property
    def id(self) -> AgentId:
        """Only once it is registered."""
        assert self.info.id is not None
        return self.info.id

    def hear(self, message: m.MasterMessage, now_s: float | None = None) -> Said:
        """What it answers. now_s: seconds since 1970, for the statuses in it."""
        if type(message) in self.ignores:
            return _NOTHING
        return _HEARD.handle(self, now_s, message)

    def forget(self) -> None:
        """Power is lost, and with it all that it knew: it comes back as a new agent."""
        self.info = replace(self._at_first, id=None)
        self._boots += 1
        self.boot_id = f"boot-{self._boots}"
        for known in (self.tasks, self.frameworks, self.executors, self.operations, self.pending):
            known.clear()

    # ---- who it is

    def introduction(self) -> m.AgentMessage:
        """The first word on a new stream."""
        return self.registration() if self.info.id is None else self.report()

    def registration(self) -> m.RegisterAgent:
        return m.RegisterAgent(self.info, self.version, self.boot_id, self.capabilities)

    def report(self) -> m.ReregisterAgent:
        return m.ReregisterAgent(
            self.info,
            self.version,
            self.boot_id,
            tuple(self.tasks.values()),
            tuple(self.frameworks.values()),
            tuple(self.executors.values()),
            tuple(self.operations.values()),
            self.capabilities,
        )

    def _pinged(self, now_s: float | None, ping: m.Ping) -> Said:
        pong = m.Pong(ping.number)
        return (pong,) if ping.connected else (pong, self.introduction())

    def _registered(self, now_s: float | None, message: m.AgentRegistered) -> Said:
        self.info = replace(self.info, id=message.agent_id)
        return _NOTHING

    def _reregistered(self, now_s: float | None, message: m.AgentReregistered) -> Said:
        """Welcome back: whatever nobody has acknowledged is said again."""
        said = list(self.unheard())
        for known in message.reconcile:
            key = (known.framework_id, known.task_id)
            if key not in self.tasks:  # the launch never arrived
                self.tasks[key] = Task(
                    "", key[1], self.id, framework_id=key[0], state=TaskState.STAGING
                )
                said += self.move(key, TaskState.DROPPED, now_s)
        return said

    # ---- tasks

    def _run_task(self, now_s: float | None, order: m.RunTask) -> Said:
        return self._launch(order.framework, order.task, order.role)

    def _run_group(self, now_s: float | None, order: m.RunGroup) -> Said:
        said: list[m.AgentMessage] = []
        for info in order.tasks:
            task = replace(info, executor=order.executor)
            said += self._launch(order.framework, task, order.role)
        return said

    def _launch(self, framework: FrameworkInfo, info: TaskInfo, role: str) -> Said:
        assert framework.id is not None
        key = (framework.id, info.task_id)
        if key in self.tasks:
            return _NOTHING  # told again
        self.frameworks[framework.id] = framework
        if info.executor is not None:
            self.executors[(framework.id, info.executor.executor_id)] = info.executor
        self.tasks[key] = task_of(info, framework.id, role)
        return self._launched(key, info)

    def move(self, key: TaskKey, state: TaskState, now_s: float | None = None) -> Said:
        """A task is in another state now. Nothing if it is not there, or has ended."""
        task = self.tasks.get(key)
        if task is None or task.state.terminal:
            return _NOTHING
        return self.tell(key[0], self.status(key[1], state, now_s))

    def status(
        self, task_id: TaskId, state: TaskState, now_s: float | None = None, **more: Any
    ) -> TaskStatus:
        """One to `tell`, with a uuid of its own."""
        more.setdefault("source", Source.EXECUTOR)
        more.setdefault("agent_id", self.info.id)
        return TaskStatus(task_id, state, timestamp=now_s, uuid=self.uuid(), **more)

    def tell(
        self, framework_id: FrameworkId, status: TaskStatus, latest: TaskState | None = None
    ) -> Said:
        """Reliably: now, or when those of this task before it are acknowledged. latest: the state
        that the task is in meanwhile, unless it is the one that is told."""
        key = (framework_id, status.task_id)
        task = self.tasks.get(key)
        if task is not None:
            self.tasks[key] = replace(task, state=latest or status.state)
        waiting = self.pending.setdefault(key, [])
        if self.is_hasty:
            waiting.clear()
        waiting.append(status)
        return (self._update(key),) if len(waiting) == 1 else _NOTHING

    def under_way(self, key: TaskKey) -> m.StatusUpdate | None:
        """The update of the task that is to be acknowledged first."""
        return self._update(key) if key in self.pending else None

    def _update(self, key: TaskKey) -> m.StatusUpdate:
        status, task = self.pending[key][0], self.tasks.get(key)
        return m.StatusUpdate(key[0], status, status.state if task is None else task.state)

    def unheard(self) -> Iterable[m.AgentMessage]:
        """What is to be said until it is acknowledged: of each task an update, and outcomes."""
        yield from map(self._update, list(self.pending))
        for record in list(self.operations.values()):
            yield m.OperationUpdate(record, record.latest_status)

    def _acknowledged(self, now_s: float | None, message: m.UpdateAcknowledged) -> Said:
        key = (message.framework_id, message.task_id)
        waiting = self.pending.get(key)
        if waiting is None or waiting[0].uuid != message.uuid:
            return _NOTHING  # a late one
        acknowledged = waiting.pop(0)
        if waiting:
            return (self._update(key),)
        del self.pending[key]
        if acknowledged.state.terminal:
            self._forget_task(key)
        return _NOTHING

    def _forget_task(self, key: TaskKey) -> None:
        """And its framework with its last task."""
        self.tasks.pop(key, None)
        if not any(other[0] == key[0] for other in itertools.chain(self.tasks, self.executors)):
            self.frameworks.pop(key[0], None)

    def _kill(self, now_s: float | None, message: m.KillTask) -> Said:
        return self.move((message.framework_id, message.task_id), TaskState.KILLED, now_s)

    def _drain(self, now_s: float | None, message: m.DrainAgent) -> Said:
        return [s for key in list(self.tasks) for s in self.move(key, TaskState.KILLED, now_s)]

    def _forget_framework(self, now_s: float | None, message: m.ShutdownFramework) -> Said:
        gone = message.framework_id
        self.frameworks.pop(gone, None)
        self.tasks = {key: task for key, task in self.tasks.items() if key[0] != gone}
        self.pending = {key: told for key, told in self.pending.items() if key[0] != gone}
        self.executors = {key: info for key, info in self.executors.items() if key[0] != gone}
        self.operations = {
            uuid: record for uuid, record in self.operations.items() if record.framework_id != gone
        }
        return _NOTHING

    # ---- operations

    def _apply(self, now_s: float | None, order: m.ApplyOperation) -> Said:
        return (self.outcome(order),)

    def outcome(self, order: m.ApplyOperation, refusal: str | None = None) -> m.OperationUpdate:
        """It does what it is told to, or not, and so it says. refusal: why not, though it could."""
        converted = Resources()
        if refusal is None:
            try:
                resources = convert(self.info.resources, order.conversion)
            except BadRequest as error:
                refusal = str(error)
            else:
                self.info = replace(self.info, resources=resources)
                converted = exchange(order.conversion).after
        state = OperationState.FINISHED if refusal is None else OperationState.ERROR
        id_ = order.conversion.id
        uuid = None if id_ is None else self.uuid()
        status = OperationStatus(state, id_, refusal, self.info.id, converted, uuid)
        record = OperationRecord(
            order.uuid, order.conversion, status, order.framework_id, self.info.id, (status,)
        )
        if id_ is not None:
            self.operations[order.uuid] = record
        return m.OperationUpdate(record, status)

    def _outcome_acknowledged(self, now_s: float | None, message: m.OperationAcknowledged) -> Said:
        record = self.operations.get(message.uuid)
        if record is not None and record.latest_status.uuid == message.status_uuid:
            del self.operations[message.uuid]
        return _NOTHING

    def _unmoved(self, now_s: float | None) -> Said:
        """It has no executors that could hear or end, and takes tasks also while it is drained. Who
        uses it ends it (`forget`)."""
        return _NOTHING


_HEARD: Final = Handlers(
    m.MASTER_MESSAGES,
    on(m.Ping, FakeAgent._pinged),
    on(m.AgentRegistered, FakeAgent._registered),
    on(m.AgentReregistered, FakeAgent._reregistered),
    on(m.RunTask, FakeAgent._run_task),
    on(m.RunGroup, FakeAgent._run_group),
    on(m.UpdateAcknowledged, FakeAgent._acknowledged),
    on(m.KillTask, FakeAgent._kill),
    on(m.DrainAgent, FakeAgent._drain),
    on(m.ShutdownFramework, FakeAgent._forget_framework),
    on(m.ApplyOperation, FakeAgent._apply),
    on(m.OperationAcknowledged, FakeAgent._outcome_acknowledged),
    others=FakeAgent._unmoved,
)
