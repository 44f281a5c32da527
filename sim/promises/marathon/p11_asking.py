"""Promise 11, of what Marathon can't know without asking: it asks, and asks again.

- At once on each subscription and from time to time it asks for all that it has, and for what else
  there is; for what is not answered again after 10 s, then after twice as long each time, at most a
  minute.
- When an agent is lost it asks for what it thinks runs there.
- What is none of its own it has killed, unless its own record of it can't be read.
- What is done every so often (spec, timers) is done again.
"""

from __future__ import annotations

from typing import Any, Final

from mezzo.core import SetTimer, TimerFired
from mezzo.ids import AgentId, TaskId
from mezzo.marathon.config import MarathonConfig
from mezzo.marathon.effects import Call, ShowAside
from mezzo.marathon.events import LinkDown, LinkUp, MasterEvent, Started
from mezzo.marathon.timers import (
    AskAgainDue,
    ExpungeDue,
    MarathonTimer,
    OverdueCheckDue,
    ReconcileDue,
    ScaleCheckDue,
)
from mezzo.messages.scheduler import Failure, Kill, Reconcile, Subscribed, Update

from ...world.watched import Broken
from .marathon_books import ENDS, INACTIVE, UNREACHABLE, Reader, Step, condition_of

_AGAIN_MIN_S: Final = 10.0
_AGAIN_MAX_S: Final = 60.0
_NEAR_S: Final = 1e-3


class _Open:
    """What one life of a Marathon waits to hear of. after_s: how long it waits this time.

    subscribed: the stream on which it is. aside: keys of records that can't be read.
    """

    def __init__(self, config: MarathonConfig) -> None:
        self.after_s = _AGAIN_MIN_S
        self.unanswered: dict[TaskId, AgentId] = {}
        self.subscribed = False
        self.aside: dict[str, None] = {}
        self.every_s: dict[type[MarathonTimer], float] = {
            OverdueCheckDue: 5.0,
            ExpungeDue: config.task_lost_expunge_interval_s,
            ReconcileDue: config.reconciliation_interval_s,
            ScaleCheckDue: config.scale_apps_interval_s,
        }


class QuestionsAreAsked(Reader):
    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}

    def after(self, step: Step) -> None:
        event, name = step.event, step.marathon.name
        kind = type(event)
        if kind is Started:
            self._open[name] = _Open(step.term.config)
        open_ = self._open[name]
        for effect in step.output.effects:
            if type(effect) is ShowAside and effect.aside is not None:
                open_.aside[effect.aside.key] = None
        if kind is LinkUp or kind is LinkDown:
            open_.subscribed = False
        elif kind is TimerFired:
            self._fired(step, open_, event.key)
        elif kind is MasterEvent and step.term.hears(event):
            said = type(event.event)
            if said is Subscribed:
                open_.subscribed = True
                _asks_for_all(step, open_)
            elif said is Update:
                _hears(step, open_, event.event)
            elif said is Failure and event.event.executor_id is None:
                _asks(step, _on(step, event.event.agent_id), "an agent is lost")

    def _fired(self, step: Step, open_: _Open, key: Any) -> None:
        every_s = open_.every_s.get(type(key))
        if every_s is not None:
            _waits(step, key, every_s)
        if type(key) is ReconcileDue and open_.subscribed:
            _asks_for_all(step, open_)
        elif type(key) is AskAgainDue and open_.subscribed:
            there = {seen.record.task_id for seen in step.term.instances.values()}
            asked = {id_: at for id_, at in open_.unanswered.items() if id_ in there}
            _asks(step, asked, "not all were answered")
            if asked:
                open_.after_s = min(open_.after_s * 2, _AGAIN_MAX_S)
                _waits(step, AskAgainDue(), open_.after_s)


def _asks_for_all(step: Step, open_: _Open) -> None:
    everything = {s.record.task_id: s.record.agent_id for s in step.term.instances.values()}
    _asks(step, everything, "it is subscribed")
    if Reconcile() not in _questions(step):
        raise Broken("promise 11: it does not ask what else there is")
    open_.unanswered, open_.after_s = everything, _AGAIN_MIN_S
    _waits(step, AskAgainDue(), _AGAIN_MIN_S)


def _on(step: Step, agent_id: AgentId) -> dict[TaskId, AgentId]:
    return {
        seen.record.task_id: agent_id
        for seen in step.term.instances.values()
        if seen.record.agent_id == agent_id and seen.condition not in (UNREACHABLE, INACTIVE)
    }


def _questions(step: Step) -> list[Reconcile]:
    return [
        effect.call
        for effect in step.output.effects
        if type(effect) is Call and type(effect.call) is Reconcile
    ]


def _asks(step: Step, right: dict[TaskId, AgentId], why: str) -> None:
    asked = {task.task_id: task.agent_id for each in _questions(step) for task in each.tasks}
    if asked != right and not step.term.vague:
        raise Broken(f"promise 11: {why}, and it asks for {asked}, right were {right}")


def _waits(step: Step, key: MarathonTimer, right_s: float) -> None:
    for effect in step.output.effects:
        if type(effect) is SetTimer and effect.key == key:
            left_s = effect.at_s - step.now.mono_s
            if abs(left_s - right_s) > _NEAR_S:
                raise Broken(f"promise 11: {key} is next in {left_s} s, right were {right_s}")
            return
    raise Broken(f"promise 11: {key} is done once, and never again")


def _hears(step: Step, open_: _Open, update: Update) -> None:
    status = update.status
    at = open_.unanswered.get(status.task_id)
    if at is not None and status.agent_id in (None, at):
        del open_.unanswered[status.task_id]
    if step.told is not None or step.gone or step.term.by_task(status.task_id) is not None:
        return
    condition = condition_of(status)
    if condition in ENDS or condition == UNREACHABLE:
        return
    key = f"instance/{status.task_id.rpartition('._app.')[0] or status.task_id}"
    kills = Kill(status.task_id, status.agent_id)
    killed = any(type(e) is Call and e.call == kills for e in step.output.effects)
    if killed and key in open_.aside:
        raise Broken(f"promise 11: {status.task_id} is killed, whose record can't be read")
    if not killed and key not in open_.aside and not step.term.vague:
        raise Broken(f"promise 11: {status.task_id} is not known, and not killed")
