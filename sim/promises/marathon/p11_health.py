"""Promise 11 of health: the consequences of an instance's illness (spec 8.1, 10).

- Whoever listens is told of each failure that counts, of each change, and of each kill for it.
- Nobody is asked any more who has ended, is out of reach, or was killed for its health.

That a kill for ill health delays the next launch is looked at by `p11_offers`.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from mezzo.marathon.api.event_json import event_of
from mezzo.marathon.effects import Publish, StopHealthChecks
from mezzo.marathon.events import HealthResult, MasterEvent
from mezzo.marathon.news import (
    HealthCheckFailed,
    HealthStatusChanged,
    InstanceHealthChanged,
    News,
    UnhealthyInstanceKilled,
)
from mezzo.messages.scheduler import Update

from ...world.watched import Broken
from .marathon_books import UNREACHABLE, Reader, Seen, Step
from .p11_kills import fails_too_often

_TOLD: Final = (
    HealthCheckFailed,
    HealthStatusChanged,
    InstanceHealthChanged,
    UnhealthyInstanceKilled,
)


class HealthHasConsequences(Reader):
    def __init__(self) -> None:
        self._ill: Seen | None = None  # of whom this step tells how it is
        self._was: tuple[bool | None, int] = (None, 0)  # healthy, failures that counted

    def before(self, step: Step) -> None:
        self._ill = seen = _whose(step)
        if seen is not None:
            self._was = seen.healthy, sum(check.failures for check in seen.checks)

    def after(self, step: Step) -> None:
        told: Counter[type] = Counter()
        stopped: dict[str, None] = {}
        for effect in step.output.effects:
            if type(effect) is Publish and isinstance(effect.news, _TOLD):
                told[type(effect.news)] += 1
                _is_so(step, effect.news, self._ill)
            elif type(effect) is StopHealthChecks:
                stopped[effect.instance_id] = None
        seen = self._ill
        if told or (seen is not None and seen.checks):
            self._is_told(step, seen, told)
        for over in (*step.gone, *([seen] if seen is not None and _is_killed(step, seen) else [])):
            if over.checking and over.record.id not in stopped:
                raise Broken(f"promise 11: {over.record.id} is over, and asked how it is")
        away = seen is not None and seen.condition == UNREACHABLE and seen not in step.gone
        if seen is not None and away and seen.checking:
            raise Broken(f"promise 11: {seen.record.id} is away, and asked how it is")

    def _is_told(self, step: Step, seen: Seen | None, told: Counter[type]) -> None:
        right: Counter[type] = Counter()
        if seen is not None:
            healthy, failures = self._was
            right[_TOLD[0]] = sum(check.failures for check in seen.checks) > failures
            right[_TOLD[1]] = right[_TOLD[2]] = seen.healthy is not healthy
            right[_TOLD[3]] = _is_killed(step, seen)
        if any(told[name] != right[name] for name in _TOLD):
            who = None if seen is None else seen.record.id
            raise Broken(f"promise 11: of {who} is told {dict(told)}, right were {dict(right)}")


def _whose(step: Step) -> Seen | None:
    event = step.event
    if isinstance(event, HealthResult):
        return step.term.instances.get(event.instance_id)
    if isinstance(event, MasterEvent) and isinstance(event.event, Update):
        return step.term.by_task(event.event.status.task_id)
    return None


def _is_killed(step: Step, seen: Seen) -> bool:
    """For its health: an upgrade may end one that is ill, too."""
    event = step.event
    return isinstance(event, HealthResult) and seen in step.doomed and fails_too_often(seen, event)


def _is_so(step: Step, news: News, seen: Seen | None) -> None:
    if seen is None:
        return
    right: dict[str, object] = {"instanceId": seen.record.id, "appId": seen.record.app_id}
    match news:
        case HealthCheckFailed():
            right["taskId"] = seen.record.task_id
        case HealthStatusChanged():
            right["alive"] = seen.healthy is True
        case InstanceHealthChanged():
            right = {"instanceId": seen.record.id, "runSpecId": seen.record.app_id}
            if seen.healthy is not None:
                right["healthy"] = seen.healthy
        case UnhealthyInstanceKilled():
            right |= {"taskId": seen.record.task_id, "host": seen.record.host}
    fields = event_of(news).fields()
    for name, value in right.items():
        if fields.get(name) != value:
            raise Broken(f"promise 11: {news} tells {fields.get(name)!r}, it is {value!r}")
