"""A read replica of the cluster's state: the snapshot of an operator event stream, kept up to date.

Pure. Records are immutable, so a view is a shallow copy, and what changed between two views is what
is not the same object any more.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice
from typing import Final

from mezzo.cluster.description import remembered, status_history
from mezzo.cluster.model import AgentInfo, Task, TaskStatus
from mezzo.cluster.states import TaskState
from mezzo.ids import AgentId, FrameworkId, TaskId
from mezzo.messages.operator import (
    AgentAdded,
    AgentRemoved,
    AgentUpdated,
    AgentView,
    FrameworkAdded,
    FrameworkRemoved,
    FrameworkUpdated,
    FrameworkView,
    OperatorEvent,
    OperatorHeartbeat,
    OperatorSubscribed,
    Resume,
    State,
    TaskAdded,
    TaskUpdated,
)
from mezzo.record import Record, replace

from ..errors import StreamGap

TaskKey = tuple[FrameworkId, TaskId]

# Mesos' defaults: max_completed_tasks_per_framework, max_completed_frameworks.
COMPLETED_TASKS_MAX: Final = 1000
COMPLETED_FRAMEWORKS_MAX: Final = 50


class View(Record):
    """The cluster at one sequence number. Nobody changes the maps of a view.

    tasks: all that are not over, unreachable ones included. completed_tasks: oldest first.
    """

    epoch: int
    sequence: int
    agents: dict[AgentId, AgentView]
    recovered_agents: dict[AgentId, AgentInfo]
    frameworks: dict[FrameworkId, FrameworkView]
    completed_frameworks: dict[FrameworkId, FrameworkView]
    tasks: dict[TaskKey, Task]
    completed_tasks: dict[TaskKey, Task]


class _Tasks:
    """Tasks in the order in which they came, `most` of each framework: its oldest makes room.

    The cost of a change does not depend on how many there are.
    """

    def __init__(self, most: int | None = None) -> None:
        self.all: dict[TaskKey, Task] = {}
        self._most = most
        self._of: dict[FrameworkId, OrderedDict[TaskId, None]] = {}

    def put(self, task: Task) -> None:
        """Add or replace a task, which keeps its place."""
        mine = self._of.setdefault(task.framework_id, OrderedDict())
        if task.task_id not in mine:
            if len(mine) == self._most:
                oldest, _ = mine.popitem(last=False)
                del self.all[(task.framework_id, oldest)]
            mine[task.task_id] = None
        self.all[_key(task)] = task

    def drop(self, key: TaskKey) -> None:
        """Remove a task. No error if it is not there."""
        if self.all.pop(key, None) is not None:
            mine = self._of[key[0]]
            del mine[key[1]]
            if not mine:
                del self._of[key[0]]

    def drop_all_of(self, framework_id: FrameworkId) -> None:
        for task_id in self._of.pop(framework_id, ()):
            del self.all[(framework_id, task_id)]


class Replica:
    """Apply every event of one stream, in order. After `StreamGap`, apply a fresh stream."""

    def __init__(self) -> None:
        self._epoch = 0
        self._sequence = -1
        self._agents: dict[AgentId, AgentView] = {}
        self._recovered: dict[AgentId, AgentInfo] = {}
        self._frameworks: dict[FrameworkId, FrameworkView] = {}
        self._completed_frameworks: dict[FrameworkId, FrameworkView] = {}
        self._tasks = _Tasks()
        self._completed = _Tasks(COMPLETED_TASKS_MAX)

    def view(self) -> View:
        """The cluster as known now."""
        return View(
            self._epoch,
            self._sequence,
            dict(self._agents),
            dict(self._recovered),
            dict(self._frameworks),
            dict(self._completed_frameworks),
            dict(self._tasks.all),
            dict(self._completed.all),
        )

    @property
    def position(self) -> Resume | None:
        """The position from which a broken stream can go on; None: nothing was applied yet."""
        return None if self._sequence < 0 else Resume(self._epoch, self._sequence)

    def apply(self, sequence: int, epoch: int, event: OperatorEvent) -> None:
        """Take over one event.

        A snapshot starts anew; every other event must carry the next number, save a heartbeat,
        which repeats the last one. Raises StreamGap otherwise, and for an epoch older than one that
        was seen (a deposed leader still talking); nothing has changed then.
        """
        if epoch < self._epoch:
            raise StreamGap(
                f"epoch {epoch} is over, epoch {self._epoch} has been seen: that master is deposed "
                "(if the cluster was made anew, restart the gateway)"
            )
        if isinstance(event, OperatorSubscribed):
            self._epoch, self._sequence = epoch, sequence
            self._start(event.get_state)
            return
        last = sequence if isinstance(event, OperatorHeartbeat) else sequence - 1
        if epoch != self._epoch or last != self._sequence:
            raise StreamGap(
                f"event {sequence} of epoch {epoch} does not follow "
                f"{self._sequence} of epoch {self._epoch}"
            )
        self._sequence = sequence
        self._change(event)

    def _start(self, state: State) -> None:
        agents, frameworks, tasks = state.get_agents, state.get_frameworks, state.get_tasks
        self._agents = {view.agent_info.id: view for view in agents.agents if view.agent_info.id}
        self._recovered = {info.id: info for info in agents.recovered_agents if info.id}
        self._frameworks = _by_id(frameworks.frameworks)
        self._completed_frameworks = _by_id(frameworks.completed_frameworks)
        self._tasks = _Tasks()
        self._completed = _Tasks(COMPLETED_TASKS_MAX)
        # Ended tasks that are not acknowledged are among the tasks: the latest ends.
        for task in (*tasks.completed_tasks, *tasks.tasks, *tasks.unreachable_tasks):
            self._put(task)
        self._forget_surplus()

    def _change(self, event: OperatorEvent) -> None:
        match event:
            case AgentAdded(agent=agent) | AgentUpdated(agent=agent):
                if agent.agent_info.id is not None:
                    self._agents[agent.agent_info.id] = agent
                    self._recovered.pop(agent.agent_info.id, None)
            case AgentRemoved(agent_id=agent_id):
                self._agents.pop(agent_id, None)
                self._recovered.pop(agent_id, None)
            case FrameworkAdded(framework=framework) | FrameworkUpdated(framework=framework):
                if framework.framework_info.id is not None:
                    self._frameworks[framework.framework_info.id] = framework
            case FrameworkRemoved(framework_info=info):
                if info.id is not None:
                    self._remove_framework(info.id)
            case TaskAdded(task=task):
                self._put(task)
            case TaskUpdated(framework_id=framework_id, status=status, state=state):
                task_or_none = self._find((framework_id, status.task_id))
                if task_or_none is not None:
                    self._put(updated(task_or_none, status, state))
            case _:  # a heartbeat
                pass

    def _find(self, key: TaskKey) -> Task | None:
        return self._tasks.all.get(key) or self._completed.all.get(key)

    def _put(self, task: Task) -> None:
        if task.state.terminal:
            self._tasks.drop(_key(task))
            self._completed.put(remembered(task))
        else:
            self._completed.drop(_key(task))  # it was thought to be lost
            self._tasks.put(task)

    def _remove_framework(self, framework_id: FrameworkId) -> None:
        framework = self._frameworks.pop(framework_id, None)
        if framework is None:
            return
        done = replace(framework, active=False, connected=False)
        self._completed_frameworks[framework_id] = done
        self._tasks.drop_all_of(framework_id)
        self._forget_surplus()

    def _forget_surplus(self) -> None:
        """Forget the oldest of too many completed frameworks, with all that was known of them."""
        surplus = len(self._completed_frameworks) - COMPLETED_FRAMEWORKS_MAX
        for framework_id in list(islice(self._completed_frameworks, max(0, surplus))):
            del self._completed_frameworks[framework_id]
            self._completed.drop_all_of(framework_id)


def updated(task: Task, status: TaskStatus, state: TaskState) -> Task:
    """`task` after one update."""
    seen = replace(task, state=state, statuses=status_history(task.statuses, status))
    told = task.status_update_state
    if told is not None and told.terminal and not status.state.terminal:
        return seen  # one that came late: what is awaited is the end's acknowledgement
    return replace(seen, status_update_state=status.state, status_update_uuid=status.uuid)


def _key(task: Task) -> TaskKey:
    return task.framework_id, task.task_id


def _by_id(frameworks: tuple[FrameworkView, ...]) -> dict[FrameworkId, FrameworkView]:
    return {view.framework_info.id: view for view in frameworks if view.framework_info.id}
