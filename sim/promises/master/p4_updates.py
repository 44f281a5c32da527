"""Promise 4 on its way: framework and operators hear of a task what its agent says.

Nothing of an update is changed but its state, for those who don't know the word. A question after a
task is answered by the last status told, with health and addresses, which only its agent knows.
"""

from __future__ import annotations

from typing import Any, Final

from mezzo.cluster.model import TaskStatus
from mezzo.cluster.states import Reason, TaskState
from mezzo.core import Output
from mezzo.ids import AgentId, FrameworkId, TaskId
from mezzo.master.core import MasterCore
from mezzo.master.effects import Publish, ToFramework
from mezzo.master.events import AgentSaid
from mezzo.messages import agent as am
from mezzo.messages import operator as om
from mezzo.messages import scheduler as sm
from mezzo.record import replace

from ...daemons.masters import VirtualMaster
from ...watch import Watch
from ...world.watched import Broken
from ..terms import Terms

Key = tuple[FrameworkId, TaskId]
_LOST: Final = (TaskState.UNREACHABLE, TaskState.LOST)
_BACK: Final = (Reason.RECONCILIATION, Reason.AGENT_REREGISTERED)


class _Term:
    """told: what each framework was told last of a task. brought: what agents reported of it."""

    def __init__(self, core: MasterCore) -> None:
        self.core = core
        self.told: dict[Key, TaskStatus] = {}
        self.brought: dict[Key, tuple[TaskStatus, ...]] = {}


_UUID_BYTES: Final = 16


class UpdatesArePassedOn(Watch):
    def __init__(self) -> None:
        self._terms = Terms(_Term)

    def master_stepped(self, master: VirtualMaster, event: Any, output: Output[Any]) -> None:
        term = self._terms.of(master)
        message = event.message if type(event) is AgentSaid else None
        update = message if type(message) is am.StatusUpdate else None
        if type(message) is am.ReregisterAgent:
            for task in message.tasks:
                key = (task.framework_id, task.task_id)
                framework = term.core.state.frameworks.get(key[0])
                again = key in term.brought
                # A later report brings another state alone, as an update of its own tells more.
                term.brought[key] = () if again else task.statuses
                if framework is None or framework.conn is None:
                    # Whether it counts as told is not to be seen.
                    term.brought[key] = ()
                    term.told.pop(key, None)
        for effect in output.effects:
            if type(effect) is ToFramework and type(effect.event) is sm.Update:
                framework_id = term.core.state.framework_of.get(effect.conn)
                if framework_id is not None:
                    _hears(term, framework_id, effect.event.status, update, master.name)
            elif type(effect) is Publish and type(effect.event) is om.TaskUpdated:
                status = effect.event.status
                if status.uuid is None:  # in the master's name, also while its framework is away
                    term.told[(effect.event.framework_id, status.task_id)] = status
                elif update is not None:
                    _is_whole(update, status, f"operators of {master.name}")
        if update is not None:
            _is_heard(term, event, update, output)


def _hears(
    term: _Term,
    framework_id: FrameworkId,
    status: TaskStatus,
    update: am.StatusUpdate | None,
    master: str,
) -> None:
    key = (framework_id, status.task_id)
    if status.uuid is not None and update is not None:
        _is_whole(update, status, f"{framework_id} of {master}")
    elif status.reason in _BACK and _knows(term, key, status):
        _is_last(term, key, status)
    # What a master says in its own name may be the last that it knows of the task.
    own = status.uuid is None and update is None
    if status.reason is not Reason.RECONCILIATION and (own or _knows(term, key, status)):
        _notes(term, key, status)


def _knows(term: _Term, key: Key, status: TaskStatus) -> bool:
    """The master knows the task; of an unknown one it passes on what any agent says."""
    framework = term.core.state.frameworks[key[0]]
    entry = framework.tasks.get(key[1]) or framework.unreachable.get(key[1])
    return entry is not None and entry.info.agent_id == status.agent_id


def _notes(term: _Term, key: Key, status: TaskStatus) -> None:
    """It was told, or would have been. An older one may come late, after the end."""
    before = term.told.get(key)
    if status.state.terminal or before is None or not before.state.terminal or not status.uuid:
        term.told[key] = status


def _is_whole(update: am.StatusUpdate, status: TaskStatus, who: str) -> None:
    said = update.status
    right = replace(said, state=status.state, agent_id=status.agent_id)
    if status != right or status.state not in (said.state, TaskState.LOST):
        raise Broken(f"promise 4: {who} are told {status}, said was {said}")
    if status.agent_id is None or said.agent_id not in (None, status.agent_id):
        raise Broken(f"promise 4: {who} are told of a task on {status.agent_id}: {said}")


def _is_last(term: _Term, key: Key, status: TaskStatus) -> None:
    """An answer, or that an agent is back. It has no uuid, and what is known of the task."""
    told, brought = term.told.get(key), term.brought.get(key)
    if status.uuid is not None or status.data is not None:
        raise Broken(f"promise 4: {status} is no update of an agent")
    if status.reason is Reason.AGENT_REREGISTERED or told is None:
        if not brought or status.state in _LOST:
            return  # that was told while nobody was there to hear it
        last = brought[-1]
        if last.agent_id not in (None, status.agent_id):
            return  # that was another task of this id
        health = last.healthy if last.state is status.state else None
        where = next((s.container_status for s in brought[::-1] if s.container_status), None)
    elif told.state is status.state:
        health, where = told.healthy, told.container_status
    else:
        return  # it was forgotten meanwhile, or is told in another word
    if (status.healthy, status.container_status) != (health, where):
        raise Broken(
            f"promise 4: {key} is told as {status}; known are {health}, {where} of {told} {brought}"
        )


def _is_heard(term: _Term, event: AgentSaid, update: am.StatusUpdate, output: Output[Any]) -> None:
    """The framework hears of a task that the master knows, if it is there."""
    state, status = term.core.state, update.status
    agent_id: AgentId | None = state.agent_of.get(event.conn)
    framework = state.frameworks.get(update.framework_id)
    agent = None if agent_id is None else state.agents.get(agent_id)
    if agent is None or framework is None or _denied(output):
        return
    key = (framework.id, status.task_id)
    if key not in agent.tasks or status.agent_id not in (None, agent_id):
        return
    if status.uuid is None or len(status.uuid) != _UUID_BYTES:
        return  # it is none, and there is nothing by which that could be answered
    if framework.conn is None or framework.admission is not None:
        _notes(term, key, status)
        return
    for effect in output.effects:
        if type(effect) is ToFramework and effect.conn == framework.conn:
            told = effect.event
            if type(told) is sm.Update and told.status.uuid == status.uuid:
                return
    raise Broken(f"promise 4: {framework.id} does not hear of {status}")


def _denied(output: Output[Any]) -> bool:
    return any(
        type(getattr(effect, "message", None)) is am.UpdateAcknowledged for effect in output.effects
    )
