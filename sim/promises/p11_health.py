"""Promise 11 of health: what comes of it that an instance of Marathon's is ill (spec 8.1, 10).

- Whoever listens is told of each failure that counts, of each change, and of each kill for it.
- Nobody is asked any more who has ended, is out of reach, or was killed for its health.
- An end that nobody ordered, by exit or for ill health, delays the next launch of that definition:
  by its backoff after the first, longer by its factor after each further one, up to its maximum.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from mezzo.marathon.messages import (
    ApiRequest,
    HealthResult,
    MasterEvent,
    Publish,
    ResetDelay,
    ShowDeployment,
    StopHealthChecks,
)
from mezzo.marathon.planner import ActionKind
from mezzo.messages.scheduler import Update

from ..books import UNREACHABLE, Reader, Seen, Step, Term, condition_of
from ..watch import Broken
from .p11_kills import fails_too_often

_TICK_S: Final = 1e-6
_DELAYING: Final = frozenset({"Dropped", "Error", "Failed", "Gone", "Finished"})
_TOLD: Final = (
    "failed_health_check_event",
    "health_status_changed_event",
    "instance_health_changed_event",
    "unhealthy_instance_kill_event",
)


@dataclass(slots=True)
class _Delay:
    """Of one definition: how long it is now, and since which failure, monotonic."""

    seconds: float
    since_s: float
    max_s: float


class HealthHasConsequences(Reader):
    def __init__(self) -> None:
        self._delays: dict[str, tuple[Term, dict[tuple[str, int], _Delay]]] = {}  # by Marathon
        self._ill: Seen | None = None  # of whom this step tells how it is
        self._was: tuple[bool | None, int] = (None, 0)  # healthy, failures that counted

    def before(self, step: Step) -> None:
        self._ill = seen = _whose(step)
        if seen is not None:
            self._was = seen.healthy, sum(check.failures for check in seen.checks)

    def after(self, step: Step) -> None:
        self._launches_wait(step)
        told: Counter[str] = Counter()
        stopped: dict[str, None] = {}
        for effect in step.output.effects:
            if type(effect) is Publish and effect.type in _TOLD:
                told[effect.type] += 1
                _is_so(step, effect, self._ill)
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

    def _is_told(self, step: Step, seen: Seen | None, told: Counter[str]) -> None:
        right: Counter[str] = Counter()
        if seen is not None:
            healthy, failures = self._was
            right[_TOLD[0]] = sum(check.failures for check in seen.checks) > failures
            right[_TOLD[1]] = right[_TOLD[2]] = seen.healthy is not healthy
            right[_TOLD[3]] = _is_killed(step, seen)
        if any(told[name] != right[name] for name in _TOLD):
            who = None if seen is None else seen.record.id
            raise Broken(f"promise 11: of {who} is told {dict(told)}, right were {dict(right)}")

    # ---- backing off

    def _launches_wait(self, step: Step) -> None:
        term, now_s = step.term, step.now.mono_s
        known = self._delays.get(step.marathon.name)
        if known is None or known[0] is not term:
            known = self._delays[step.marathon.name] = term, {}
        delays = known[1]
        for effect in step.output.effects if delays else ():
            if type(effect) is ShowDeployment and effect.view is not None:
                for each in effect.view.plan.steps:
                    for action in each.actions:
                        if action.kind is ActionKind.RESTART:
                            _forget(delays, action.app_id)
        event = step.event
        if isinstance(event, ApiRequest) and isinstance(event.command, ResetDelay):
            _forget(delays, event.command.app_id)
        for seen in step.new:
            delay = delays.get((seen.record.app_id, seen.record.config_ms))
            if delay is None or not term.knows(seen.record.app_id):
                continue
            if now_s < delay.since_s + delay.seconds - _TICK_S:
                raise Broken(
                    f"promise 11: {seen.record.id} is launched {now_s - delay.since_s:.3f} s after "
                    f"a failure, which were to be {delay.seconds:.3f} s"
                )
        failed = _failed(step, self._ill)
        if failed is not None:
            app, record = failed.app, failed.record
            key = (record.app_id, record.config_ms)
            before = delays.get(key)
            if before is None or now_s > before.since_s + before.seconds + before.max_s:
                seconds = app.backoff_s
            else:
                seconds = before.seconds * app.backoff_factor
            most_s = app.max_launch_delay_s
            delays[key] = _Delay(min(seconds, most_s), now_s, most_s)


def _forget(delays: dict[tuple[str, int], _Delay], app_id: str) -> None:
    for key in [key for key in delays if key[0] == app_id]:
        del delays[key]


def _whose(step: Step) -> Seen | None:
    event = step.event
    if isinstance(event, HealthResult):
        return step.term.instances.get(event.instance_id)
    if isinstance(event, MasterEvent) and isinstance(event.event, Update):
        return step.term.by_task(event.event.status.task_id)
    return None


def _failed(step: Step, ill: Seen | None) -> Seen | None:
    """Who has ended, and nobody had ordered it; or is killed for its health."""
    if step.told is not None and step.ends:
        seen, status = step.told
        condition = condition_of(status)
        unhealthy = condition == "Killed" and status.healthy is False
        if not seen.record.doomed and (unhealthy or condition in _DELAYING):
            return seen
    return ill if ill is not None and _is_killed(step, ill) else None


def _is_killed(step: Step, seen: Seen) -> bool:
    """For its health: an upgrade may end one that is ill, too."""
    event = step.event
    return isinstance(event, HealthResult) and seen in step.doomed and fails_too_often(seen, event)


def _is_so(step: Step, event: Publish, seen: Seen | None) -> None:
    fields = event.fields
    if seen is None:
        return
    right: dict[str, object] = {"instanceId": seen.record.id, "appId": seen.record.app_id}
    match event.type:
        case "failed_health_check_event":
            right["taskId"] = seen.record.task_id
        case "health_status_changed_event":
            right["alive"] = seen.healthy is True
        case "instance_health_changed_event":
            right = {"instanceId": seen.record.id, "runSpecId": seen.record.app_id}
            if seen.healthy is not None:
                right["healthy"] = seen.healthy
        case "unhealthy_instance_kill_event":
            right |= {"taskId": seen.record.task_id, "host": seen.record.host}
    for name, value in right.items():
        if fields.get(name) != value:
            raise Broken(f"promise 11: {event} tells {fields.get(name)!r}, it is {value!r}")
