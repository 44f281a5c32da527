"""A peer speaks only for itself: what an agent says counts as far as it is about what it has.

The rule is the same for updates, reports and messages: compare with what that agent has. A claim
that fails is left out alone, the rest of a message counts. A denied claim changes nothing, and is
told: `deny` counts it and has the log name who said what, and the caller answers where the protocol
has an answer.

What the master does not know is no lie: after a failover only the agents know their tasks, and an
end is repeated until it is acknowledged, however long ago the master forgot the task.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Container
from typing import Final, NamedTuple

from mezzo.cluster.amounts import Items, Ranges, Value
from mezzo.cluster.model import ExecutorInfo, Task
from mezzo.cluster.operations import OperationRecord, OperationStatus
from mezzo.cluster.resources import Kind, Resources
from mezzo.cluster.states import Source, TaskState
from mezzo.errors import BadRequest
from mezzo.ids import AgentId, ExecutorId, FrameworkId, TaskId, check_user_id
from mezzo.messages.agent import Pong, StatusUpdate

from .effects import NoteDenied
from .state.agent_entry import AgentEntry
from .state.framework_entry import FrameworkEntry
from .state.master_state import MasterState
from .state.role_names import check_role
from .state.step import Step
from .state.task_entry import TaskEntry

UUID_BYTES: Final = 16
# States that only somebody can tell who has lost sight of an agent, or of a task.
_MASTERS_STATES: Final = frozenset({TaskState.UNREACHABLE, TaskState.UNKNOWN})


def deny(step: Step, peer: AgentEntry | FrameworkEntry, what: str, why: BadRequest) -> None:
    """Count and tell what is left out of what a peer said. One that lies always fills no log."""
    step.count("dropped_messages")
    if step.state.denials.take(1, step.now.mono_s):
        step.do(NoteDenied(name_of(peer), what, str(why)))


def name_of(peer: AgentEntry | FrameworkEntry) -> str:
    if isinstance(peer, AgentEntry):
        return f"agent {peer.id} ({peer.info.hostname})"
    return f"framework {peer.id} ({peer.info.name})"


# ---------------------------------------------------------------------------------- tasks


def check_update(
    framework: FrameworkEntry, agent: AgentEntry, message: StatusUpdate
) -> TaskEntry | None:
    """Is it an update of a task of that agent? Returns the task, if it is known. Raises BadRequest.

    There are very many updates: what need not be asked of a known task is not.
    """
    status = message.status
    if status.agent_id != agent.id and status.agent_id is not None:
        raise BadRequest(_other_agent(status.agent_id))
    uuid = status.uuid
    if uuid is None or len(uuid) != UUID_BYTES:
        raise BadRequest(f"an update needs a uuid of {UUID_BYTES} bytes, to be acknowledged by")
    if status.source is Source.MASTER:
        raise BadRequest("it is made in the master's name")
    if status.state in _MASTERS_STATES or message.latest_state in _MASTERS_STATES:
        raise BadRequest(f"{status.state}, {message.latest_state} is what only a master says")
    entry = agent.tasks.get((framework.id, status.task_id))
    if entry is None:
        check_user_id("task_id", status.task_id)
        _check_owner(framework, agent, status.task_id)
    # A command task may be given an executor of the task's own id, as in Mesos.
    elif status.executor_id not in (None, entry.info.executor_id, status.task_id):
        raise BadRequest(f"the task is not one of executor {status.executor_id}")
    return entry


class _Holder(NamedTuple):
    """entry: of a task that was known before the report, which may end it; None for others."""

    name: str
    entry: TaskEntry | None = None

    @property
    def live(self) -> bool:
        return self.entry is None or self.entry.holds_resources


class Holders:
    """Who has what on an agent of all that only one can have: ports, members of sets, volumes.

    An agent that tells of two with the same is wrong about one. Were both believed, the books would
    not know what is free once one of them ends. A report may name very many: nobody is compared
    with all others.
    """

    def __init__(self, agent: AgentEntry) -> None:
        # Begin and end, in this order; the number keeps holders from being compared.
        self._spans: dict[Kind, list[tuple[int, int, int, _Holder]]] = {}
        self._things: dict[tuple[Kind, str], _Holder] = {}  # members, and what is had whole
        self._number = 0
        for (_, task_id), entry in agent.tasks.items():
            if entry.holds_resources:
                self._add(_Holder(f"task {task_id}", entry), entry.info.resources)
        for (_, executor_id), executor in agent.executors.items():
            self._add(_Holder(f"executor {executor_id}"), executor.info.resources)

    def take(self, name: str, resources: Resources) -> None:
        """Raises BadRequest if somebody has it. A task that the report has ended has nothing."""
        for kind, value in resources.items():
            holder = self._holder(kind, value)
            if holder is not None:
                part = Resources({kind: value})
                raise BadRequest(f"it has {part}, of which {holder.name} has some: only one can")
        self._add(_Holder(name), resources)

    def _holder(self, kind: Kind, value: Value) -> _Holder | None:
        if kind.shared:
            return None
        if isinstance(value, Ranges):
            spans = self._spans.get(kind, [])
            return next((h for pair in value.pairs if (h := _in_the_way(spans, *pair))), None)
        found = (self._things.get((kind, each)) for each in _things(kind, value))
        return next((holder for holder in found if holder is not None and holder.live), None)

    def _add(self, holder: _Holder, resources: Resources) -> None:
        for kind, value in resources.items():
            if kind.shared:
                continue
            if isinstance(value, Ranges):
                for begin, end in value.pairs:
                    self._number += 1
                    insort(self._spans.setdefault(kind, []), (begin, end, self._number, holder))
            for each in _things(kind, value):
                self._things[(kind, each)] = holder


def _things(kind: Kind, value: Value) -> tuple[str, ...]:
    if isinstance(value, Items):
        return value.members
    return ("",) if kind.indivisible else ()


def _in_the_way(spans: list[tuple[int, int, int, _Holder]], begin: int, end: int) -> _Holder | None:
    """The spans of those that live do not overlap, so that they end in the order in which they
    begin. Others are dropped on the way."""
    at = bisect_right(spans, end, key=lambda span: span[0])
    while at > 0:
        at -= 1
        _, last, _, holder = spans[at]
        if not holder.live:
            del spans[at]
        elif last < begin:
            break
        else:
            return holder
    return None


def check_task(
    state: MasterState,
    framework: FrameworkEntry,
    agent: AgentEntry,
    task: Task,
    reported: Container[tuple[FrameworkId, TaskId]],
    holders: Holders,
) -> None:
    """May the agent report the task? `reported`: tasks that it has named in the same report.
    Raises BadRequest."""
    key = (framework.id, task.task_id)
    if key in reported:
        raise BadRequest("it is reported twice")
    _check_agent(agent, task.agent_id)
    if task.state in _MASTERS_STATES:
        raise BadRequest(f"{task.state} is what only a master says")
    if key in agent.tasks:
        return  # of a task that is known, only the state counts
    check_user_id("task_id", task.task_id)
    check_role(task.role)
    state.types.check(task.resources)
    _check_owner(framework, agent, task.task_id)
    if not task.state.terminal:
        holders.take(f"task {task.task_id}", task.resources)


def _check_agent(agent: AgentEntry, named: AgentId | None) -> None:
    if named not in (None, agent.id):
        raise BadRequest(_other_agent(named))


def _other_agent(named: AgentId | None) -> str:
    return f"it names agent {named}: an agent speaks only for itself"


def _check_owner(framework: FrameworkEntry, agent: AgentEntry, task_id: TaskId) -> None:
    entry = framework.tasks.get(task_id) or framework.unreachable.get(task_id)
    known = entry.info if entry is not None else framework.completed.get(task_id)
    if known is not None and known.agent_id != agent.id:
        raise BadRequest(f"the task is one of agent {known.agent_id}: an id is used only once")


# ---------------------------------------------------------------------------------- executors


def check_reported_executor(
    state: MasterState,
    agent: AgentEntry,
    info: ExecutorInfo,
    reported: Container[tuple[FrameworkId, ExecutorId]],
    holders: Holders,
) -> None:
    """`reported`: as for tasks. Raises BadRequest."""
    check_user_id("executor_id", info.executor_id)
    state.types.check(info.resources)
    if (info.framework_id, info.executor_id) in reported:
        raise BadRequest("it is reported twice")
    if (info.framework_id, info.executor_id) not in agent.executors:
        holders.take(f"executor {info.executor_id}", info.resources)


def check_has_executor(
    agent: AgentEntry, framework_id: FrameworkId, executor_id: ExecutorId
) -> None:
    """Raises BadRequest."""
    if (framework_id, executor_id) not in agent.executors:
        raise BadRequest("the agent has no such executor")


# ---------------------------------------------------------------------------------- operations


def check_operation(
    framework: FrameworkEntry | None,
    agent: AgentEntry,
    record: OperationRecord,
    status: OperationStatus,
) -> None:
    """Is it an operation of that agent? `framework`: the one that it names. Raises BadRequest."""
    id_ = record.info.id
    for uuid in (record.uuid, status.uuid):
        if uuid is not None and len(uuid) != UUID_BYTES:
            raise BadRequest(f"a uuid has {len(uuid)} bytes, not {UUID_BYTES}")
    _check_agent(agent, record.agent_id)
    _check_agent(agent, status.agent_id)
    if status.operation_id != id_:
        raise BadRequest(f"its status is that of operation {status.operation_id}, not {id_}")
    if id_ is None and status.uuid is not None:
        raise BadRequest("an operation without an id is one that nobody wants to be told of")
    known = agent.operations.get(record.uuid)
    if known is not None and (known.framework_id, known.info.id) != (record.framework_id, id_):
        raise BadRequest("it is known as that of another framework, or with another id")
    if framework is None or id_ is None:
        return
    check_user_id("the operation's id", id_)
    place = framework.operations.get(id_)
    if place is not None and place != (agent.id, record.uuid):
        raise BadRequest(f"an operation {id_} of the framework is under way at agent {place[0]}")


# ---------------------------------------------------------------------------------- the rest


def check_pong(state: MasterState, pong: Pong) -> None:
    """Raises BadRequest."""
    if pong.number > state.pings.number:
        raise BadRequest(f"it answers ping {pong.number}, and {state.pings.number} was the last")
