"""Promise 11, of records of instances that make no sense: they are set aside, what runs runs on.

Only odd apps are damaged in a run, since all others have to reach their targets. So a copy of a
Marathon that begins to lead gets what it has loaded with one record changed, or an app taken away,
and hears of the task that belongs to it. Nobody else hears of that.
"""

from __future__ import annotations

import random
from typing import Any, Final

from mezzo.cluster.model import TaskStatus
from mezzo.cluster.states import TaskState
from mezzo.core import Output
from mezzo.ids import AgentId, ConnId, FrameworkId, IdSource, TaskId
from mezzo.marathon.core import MarathonCore
from mezzo.marathon.effects import Call, ShowAside
from mezzo.marathon.events import LinkUp, MasterEvent, Started
from mezzo.marathon.state.tables import DEPLOYMENTS
from mezzo.messages.scheduler import Acknowledge, Kill, Reconcile, Subscribed, Update

from ...world.watched import Broken
from ...world.world import World
from .marathon_books import Reader, Step

_TIMES: Final = 2  # in one run
_CONN: Final = ConnId(1)
_BROKEN: Final = (b"", b"{", b"[]", b"{}")
_NOBODYS: Final = TaskId("web.instance-00000000-0000-4000-8000-000000000000._app.1")
_UUID: Final = b"0123456789abcdef"


class WhatMakesNoSenseIsLeftAlone(Reader):
    def __init__(self, world: World) -> None:
        self._rng = random.Random(f"records of {world.seed}")
        self._left = _TIMES

    def after(self, step: Step) -> None:
        if type(step.event) is not Started or not self._left or step.term.vague:
            return
        term, rng = step.term, self._rng
        # Of its first step, in which some may have ended: what it began with counts.
        loaded = [v for k, v in step.marathon.loaded.items() if k.startswith("deployment/")]
        plans = {app_id for value in loaded for app_id in DEPLOYMENTS.decode(value).app_ids}
        there = [seen for seen in term.instances.values() if seen.record.app_id not in plans]
        if not there:
            return
        self._left -= 1
        seen = rng.choice(there)
        app_id, key = seen.record.app_id, f"instance/{seen.record.id}"
        stored = dict(step.marathon.loaded)
        if rng.random() < 0.5:
            stored[key] = rng.choice(_BROKEN)
            lost = [key]
        else:  # nothing is left of its app
            heads = (f"app/{app_id}", f"appversion/{app_id}@")
            gone = [each for each in stored if each == heads[0] or each.startswith(heads[1])]
            for each in gone:
                del stored[each]
            lost = [f"instance/{each.record.id}" for each in term.of(app_id)]
        core = MarathonCore(step.marathon.config, stored, IdSource(rng), rng)
        wrong = _wrong(step, core, lost, seen.record.task_id, AgentId(seen.record.agent_id))
        if wrong:
            raise Broken(f"promise 11: if {lost} made no sense, {wrong}")


def _wrong(step: Step, core: MarathonCore, lost: list[str], task_id: TaskId, at: AgentId) -> str:
    begun = core.step(Started(), step.now)
    shown = [e.key for e in begun.effects if type(e) is ShowAside and e.aside is not None]
    if sorted(shown) != sorted(lost):
        return f"it would set aside {shown}"
    if changed := [write.key for write in begun.writes if write.key in lost]:
        return f"it would change {changed}"
    core.step(LinkUp(_CONN), step.now)
    calls = _calls(core.step(_said(Subscribed(FrameworkId("rehearsed"))), step.now))
    asked = [task.task_id for each in calls if type(each) is Reconcile for task in each.tasks]
    if task_id in asked:
        return f"it would ask for {task_id}"
    calls = _calls(core.step(_said(_runs(task_id, at)), step.now))
    if calls != [Acknowledge(at, task_id, _UUID)]:
        return f"it would hear that {task_id} runs, and do {calls}"
    calls = _calls(core.step(_said(_runs(_NOBODYS, at)), step.now))
    if Kill(_NOBODYS, at) not in calls:
        return f"it would let run what is nobody's, and do {calls}"
    return ""


def _said(event: Any) -> MasterEvent:
    return MasterEvent(_CONN, 1, event)


def _runs(task_id: TaskId, agent_id: AgentId) -> Update:
    return Update(TaskStatus(task_id, TaskState.RUNNING, agent_id=agent_id, uuid=_UUID))


def _calls(output: Output[Any]) -> list[Any]:
    return [effect.call for effect in output.effects if type(effect) is Call]
