"""Promise 11, nothing is ended that nobody wanted ended.

For each instance that Marathon gives up or has killed there is one of these reasons, in that step:
its end was told; somebody asked for it; its app is gone; there are more than wanted, and it comes
before those that stay; an upgrade replaces it, and enough healthy ones are left; its health check
has failed often enough; it does not come up; it has been unreachable for too long.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from mezzo.core import TimerFired
from mezzo.marathon.commands import KillTasks
from mezzo.marathon.effects import Call
from mezzo.marathon.events import ApiRequest, HealthResult, MasterEvent
from mezzo.marathon.model.app import App, KillSelection, Operator
from mezzo.marathon.timers import ExpungeDue, OverdueCheckDue
from mezzo.messages.scheduler import Kill, Update

from ...world.watched import Broken
from .marathon_books import STARTING, UNREACHABLE, Reader, Seen, Step, given_up
from .p11_launches import value_at


class KillsAreAsAsked(Reader):
    def after(self, step: Step) -> None:
        if isinstance(step.event, TimerFired) and type(step.event.key) is ExpungeDue:
            _count_anew(step)
        if step.doomed or step.gone:
            asked = asked_for(step)
            by_app: dict[str, list[Seen]] = {}
            for seen in (*step.doomed, *step.gone):
                if seen.record.id not in asked and not _has_ended(step, seen):
                    by_app.setdefault(seen.record.app_id, []).append(seen)
            for app_id, ended in by_app.items():
                _reason(step, app_id, ended)
        if step.output.effects:
            self._calls(step)
        if isinstance(step.event, HealthResult):
            _the_unhealthy_end(step, step.event)

    def _calls(self, step: Step) -> None:
        """A task that is told to end is one that has to, or none of ours."""
        for effect in step.output.effects:
            if not isinstance(effect, Call) or not isinstance(effect.call, Kill):
                continue
            call = effect.call
            seen = step.term.by_task(call.task_id)
            if seen is not None and seen.record.agent_id != call.agent_id:
                raise Broken(f"promise 11: {call.task_id} is killed on {call.agent_id}")
            if seen is None and _unknown(step) != call.task_id:
                raise Broken(f"promise 11: {call.task_id} is killed, which nobody speaks of")
            if effect.conn != step.term.conn:
                raise Broken(f"promise 11: {call.task_id} is killed on a stream that is over")


def _count_anew(step: Step) -> None:
    """The clock was set back, or is another machine's: what lies in its future begins now."""
    for seen in (*step.term.instances.values(), *step.gone):
        if seen.unreachable_since_s is not None:
            seen.unreachable_since_s = min(seen.unreachable_since_s, step.now.wall_s)


def _unknown(step: Step) -> str | None:
    event = step.event
    told = isinstance(event, MasterEvent) and isinstance(event.event, Update)
    return event.event.status.task_id if told else None


def asked_for(step: Step) -> dict[str, None]:
    event = step.event
    if not isinstance(event, ApiRequest) or not isinstance(event.command, KillTasks):
        return {}
    return {task_id.rpartition("._app.")[0]: None for task_id in event.command.task_ids}


def _has_ended(step: Step, seen: Seen) -> bool:
    return step.ends and step.told is not None and step.told[0] is seen


def _reason(step: Step, app_id: str, ended: list[Seen]) -> None:
    term, event, now = step.term, step.event, step.now
    app = term.wanted(app_id)
    if app is None or not term.knows(app_id):
        return  # all of it goes
    left = [seen for seen in ended if not of_its_own(step, seen)]
    if not left:
        return
    there = term.of(app_id)
    old = [seen for seen in left if seen.record.config_ms != app.last_config_change_ms]
    if term.restarts(app_id):
        if old:
            _enough_stay(step, app, there, old)
            left = [seen for seen in left if seen not in old]
        there = [s for s in there if s.record.config_ms == app.last_config_change_ms]
    if not left:
        return
    active = [seen for seen in there if not seen.record.doomed]  # or given up, at this moment
    if len(active) < app.instances and not step.hurried:
        who = ", ".join(seen.record.id for seen in left)
        raise Broken(
            f"promise 11: at {type(event).__name__} {who} of {app_id} end, for which there is no "
            f"reason: {len(active)} are left, wanted are {app.instances}"
        )
    fields = [each.field for each in app.constraints if each.operator is Operator.GROUP_BY]
    stay = [seen for seen in active if given_up(seen, now) is False]
    if step.hurried:
        return
    if not fields:
        _in_order(app, left, stay)
    elif not any(given_up(seen, now) for seen in (*active, *left)):
        _from_the_fullest(app, fields, left, stay)


def of_its_own(step: Step, seen: Seen) -> bool:
    """Does it end for its own sake, whatever the others are?"""
    now, config = step.now, step.term.config
    due = type(step.event.key) if isinstance(step.event, TimerFired) else None
    if due is OverdueCheckDue and seen.condition in STARTING:
        limit_s = min(config.task_launch_timeout_s, config.task_launch_confirm_timeout_s)
        return not now.is_within_s(seen.record.staged_s, limit_s)
    if isinstance(step.event, HealthResult) and step.event.instance_id == seen.record.id:
        return fails_too_often(seen, step.event)
    if seen.condition != UNREACHABLE:
        return False
    if seen.record.doomed:
        return True  # nobody can tell
    if due is ExpungeDue and seen.app.unreachable is not None:
        since, after_s = seen.unreachable_since_s, seen.app.unreachable.expunge_after_s
        return since is not None and now.wall_s - since >= after_s
    return False


def _the_unhealthy_end(step: Step, result: HealthResult) -> None:
    """Instances end whose check has failed so often (spec 10); for others see `_reason`."""
    seen = step.term.instances.get(result.instance_id)
    if seen is not None and fails_too_often(seen, result) and not seen.record.doomed:
        raise Broken(f"promise 11: {result.instance_id} lives on, and its checks fail")


def fails_too_often(seen: Seen, result: HealthResult) -> bool:
    most = seen.app.health_checks[result.index].max_consecutive_failures
    failed = seen.checks[result.index].failures
    return result.alive is False and seen.running and 0 < most <= failed


def _enough_stay(step: Step, app: App, there: list[Seen], old: list[Seen]) -> None:
    """While an app is upgraded, it has never fewer healthy instances than it may."""
    served = [seen for seen in old if _served(seen) and seen.record.id not in step.term.heard_late]
    if not served or any(seen.unsure for seen in (*there, *old)):
        return
    ready = sum(seen.ready for seen in there)
    if step.hurried:
        # What another step has left to be done came before what is told or asked for in this one.
        ended = [seen for seen in step.gone if _has_ended(step, seen)]
        asked = [seen for seen in there if seen.record.id in asked_for(step) and not seen.ready]
        ready += sum(seen.record.app_id == app.id and _served(seen) for seen in (*ended, *asked))
    least = math.ceil(app.instances * app.upgrade_strategy.minimum_health_capacity)
    if ready < least:
        raise Broken(
            f"promise 11: an upgrade of {app.id} ends {len(served)} that serve and leaves {ready}, "
            f"at least {least} are to be healthy"
        )


def _served(seen: Seen) -> bool:
    """Also one that is to end by now."""
    return seen.condition == "Running" and (not seen.checks or seen.healthy is True)


def _in_order(app: App, ended: list[Seen], stay: list[Seen]) -> None:
    """Spec 8.2: unreachable ones, then those that only start, then running ones by their age."""
    last = max(ended, key=lambda seen: kill_rank(app, seen))
    first = min(stay, key=lambda seen: kill_rank(app, seen), default=last)
    if kill_rank(app, first) < kill_rank(app, last):
        raise Broken(
            f"promise 11: of {app.id} {last.record.id} ends ({last.condition}) before "
            f"{first.record.id} ({first.condition}), with {app.kill_selection.value}"
        )


def _from_the_fullest(app: App, fields: list[str], ended: list[Seen], stay: list[Seen]) -> None:
    """Spec 8.2 with GROUP_BY: each comes from the group that is the fullest then, by the first of
    these fields, else by the next; of those the first in the order above."""
    groups = {s.record.id: tuple(value_at(f, s) for f in fields) for s in (*ended, *stay)}
    left = [*ended, *stay]
    right: list[tuple[tuple[str | None, ...], tuple[int, float]]] = []
    for _ in ended:
        sizes = [Counter(groups[seen.record.id][at] for seen in left) for at in range(len(fields))]

        def place(seen: Seen, sizes: list[Counter[str | None]] = sizes) -> Any:
            group = groups[seen.record.id]
            full = tuple(-size[value] for size, value in zip(sizes, group, strict=True))
            return full, kill_rank(app, seen)

        first = min(left, key=place)
        left.remove(first)
        right.append((groups[first.record.id], kill_rank(app, first)))
    were = [(groups[seen.record.id], kill_rank(app, seen)) for seen in ended]
    if Counter(were) != Counter(right):
        raise Broken(f"promise 11: of {app.id} end {were}, by {fields} right were {right}")


def kill_rank(app: App, seen: Seen) -> tuple[int, float]:
    """The rank of an instance: the lowest goes first (spec 8.2)."""
    ranks = {UNREACHABLE: 0, "Provisioned": 1, "Staging": 1, "Starting": 2}
    began = seen.record.staged_s if seen.started_s is None else seen.started_s
    youngest = app.kill_selection is KillSelection.YOUNGEST_FIRST
    return ranks.get(seen.condition, 3), -began if youngest else began
