"""How many tasks ended how: counted anew from what a leader was told and tells, by Mesos' names.

A task counts as over once, in the state that its end is told in first; an end counts by who says
so and why once for each update of it. What was never launched counts like an end.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from mezzo.cluster.model import TaskStatus
from mezzo.cluster.states import Reason, TaskState
from mezzo.core import Output
from mezzo.ids import FrameworkId, TaskId
from mezzo.master.effects import Publish, ToAgent, ToFramework
from mezzo.master.events import AgentSaid
from mezzo.master.state.master_state import MasterState
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm

Key = tuple[FrameworkId, TaskId]

# The answers to launches that never were tasks.
_NEVER_RAN: Final = (Reason.INVALID_OFFERS, Reason.TASK_INVALID, Reason.TASK_GROUP_INVALID)
ENDS: Final = tuple(f"tasks_{s.removeprefix('TASK_').lower()}" for s in TaskState if s.terminal)
UPDATES: Final = ("valid_status_updates", "invalid_status_updates")


class Tally:
    """Of one leader, since it has published what happens: what it had counted by then counts."""

    def __init__(self, state: MasterState) -> None:
        self.counters: Counter[str] = Counter(state.counters)
        self.by_framework = {f.id: Counter(f.counters) for f in state.frameworks.values()}
        self._live: dict[Key, None] = {}  # tasks that it knows and that are not over
        self._told: dict[Key, bytes | None] = {}  # which update of an end was told last
        for framework in state.frameworks.values():
            for task_id, entry in (*framework.tasks.items(), *framework.unreachable.items()):
                if not entry.state.terminal:
                    self._live[(framework.id, task_id)] = None
                if entry.forwarded is not None and entry.forwarded.state.terminal:
                    self._told[(framework.id, task_id)] = entry.forwarded.uuid

    def note(self, state: MasterState, event: Any, output: Output[Any]) -> None:
        """One step. state: after it."""
        said = event.message if type(event) is AgentSaid else None
        update = said if type(said) is am.StatusUpdate else None
        known = False
        published: dict[Key, None] = {}
        refused: list[tuple[FrameworkId, TaskStatus]] = []
        for effect in output.effects:
            kind = type(effect)
            if kind is Publish:
                told = type(effect.event)
                if told is om.TaskUpdated:
                    known = known or (update is not None and effect.event.status.uuid is not None)
                    published[(effect.event.framework_id, effect.event.status.task_id)] = None
                    self._updated(effect.event)
                elif told is om.TaskAdded:
                    self._added(effect.event)
                elif told is om.AgentRemoved:
                    self.counters["slave_removals"] += 1
            elif kind is ToFramework and type(effect.event) is sm.Update:
                status = effect.event.status
                framework_id = state.framework_of.get(effect.conn)
                if framework_id and status.uuid is None and status.reason in _NEVER_RAN:
                    refused.append((framework_id, status))
        for framework_id, status in refused:
            if (framework_id, status.task_id) not in published:
                self._over(framework_id, status.state)
                self._end(status)
        if update is not None and state.agent_of.get(event.conn) is not None:
            self._came(state, update, output, known=known)

    def _came(
        self, state: MasterState, update: am.StatusUpdate, output: Output[Any], *, known: bool
    ) -> None:
        """Of a framework that is gone nothing is counted."""
        dismissed = any(
            type(effect) is ToAgent and type(effect.message) is am.ShutdownFramework
            for effect in output.effects
        )
        if not dismissed and update.framework_id in state.frameworks:
            self.counters[UPDATES[0] if known else UPDATES[1]] += 1

    def _added(self, event: om.TaskAdded) -> None:
        key = (event.task.framework_id, event.task.task_id)
        if not event.task.state.terminal:
            self._live[key] = None
            return
        self._told.pop(key, None)  # its end is awaited anew
        if key in self._live:
            del self._live[key]
            self._over(key[0], event.task.state)

    def _updated(self, event: om.TaskUpdated) -> None:
        status = event.status
        key = (event.framework_id, status.task_id)
        if event.state.terminal and key in self._live:
            del self._live[key]
            self._over(key[0], event.state)
        if not (status.state.terminal and event.state.terminal):
            return  # LOST is not always the end
        if status.uuid is None or self._told.get(key) != status.uuid:
            self._end(status)
        self._told[key] = status.uuid

    def _over(self, framework_id: FrameworkId, state: TaskState) -> None:
        self.counters[f"tasks_{state.removeprefix('TASK_').lower()}"] += 1
        own = self.by_framework.setdefault(framework_id, Counter())
        own[f"tasks/terminal/{state.lower()}"] += 1

    def _end(self, status: TaskStatus) -> None:
        if status.source is not None and status.reason is not None:
            self.counters[f"{status.state}/{status.source}/{status.reason}".lower()] += 1
