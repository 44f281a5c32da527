"""Promise 11, Marathon asks for offers while something waits for them, and only then (spec 8.1).

- Nothing waits: no offers are wanted, at once. Something waits that no delay holds: offers are
  asked for again, soon.
- After a failure an app waits: so long as its definition says, longer with each, no less and no
  more. What is seen of a delay is so.
- What nobody can use is declined until the next delay is over; what could be used but for the
  launch tokens, for no time. No more is launched than there are tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from mezzo.core import Instant, TimerFired
from mezzo.ids import ConnId
from mezzo.marathon.commands import Done, QueueRead, ResetDelay
from mezzo.marathon.effects import Call, Publish, Reply
from mezzo.marathon.events import ApiRequest, LinkUp, MasterEvent, Started
from mezzo.marathon.model.app import App
from mezzo.marathon.news import AppTerminated, DeploymentStepBegan
from mezzo.marathon.timers import BackoffSweepDue, TokensRefilled
from mezzo.messages.scheduler import (
    Decline,
    Offers,
    Revive,
    Subscribe,
    Subscribed,
    Suppress,
    Update,
)

from ...world.watched import Broken
from .marathon_books import STARTING, Reader, Seen, Step, condition_of
from .p11_shown import missing

_DELAYING: Final = frozenset({"Dropped", "Error", "Failed", "Gone", "Finished"})
# What a step does leaves once its writes are durable, and those of before: a slow store.
_LATE_S: Final = 15.0
_GAP_S: Final = 0.099  # between revives that nothing has answered, whatever is new
_NEAR_S: Final = 1e-6
_Key = tuple[str, int]


@dataclass(slots=True)
class _Delay:
    """Monotonic seconds. reference_s: what it counts from."""

    delay_s: float
    reference_s: float
    max_s: float

    @property
    def end_s(self) -> float:
        return self.reference_s + self.delay_s


@dataclass(slots=True)
class _Waits:
    """An app that waits. since_s: what has grown of it since then nobody was asked for; None: of
    all that it waits for somebody was."""

    app: App
    count: int
    since_s: float | None


@dataclass(slots=True)
class _Queue:
    """One term. tokens: at least so many are left; leaked: and perhaps so many more."""

    tokens: int
    leaked: int = 0
    holders: dict[str, None] = field(default_factory=dict)
    delays: dict[_Key, _Delay] = field(default_factory=dict)
    waiting: dict[str, _Waits] = field(default_factory=dict)
    conn: ConnId | None = None  # on which it is subscribed
    since_s: float = 0.0  # and since when; or since when it is sure again that it leads
    suppressed: bool = False
    revived_s: float = float("-inf")
    asked_s: float = float("-inf")  # by a revive, or by a subscription
    answered: bool = True

    def until_s(self, app: App, now: Instant) -> float | None:
        delay = self.delays.get((app.id, app.last_config_change_ms))
        return delay.end_s if delay is not None and delay.end_s > now.mono_s else None

    def free(self, now: Instant) -> list[_Waits]:
        """Those that no delay holds."""
        return [each for each in self.waiting.values() if self.until_s(each.app, now) is None]


class OffersAreWanted(Reader):
    def __init__(self) -> None:
        self._queues: dict[str, _Queue] = {}
        self._was: str | None = None  # the condition of who is told of, before that

    def before(self, step: Step) -> None:
        event = step.event
        self._was = None
        if isinstance(event, MasterEvent) and isinstance(event.event, Update):
            seen = step.term.by_task(event.event.status.task_id)
            self._was = None if seen is None else seen.condition

    def after(self, step: Step) -> None:
        term, event, name = step.term, step.event, step.marathon.name
        if isinstance(event, Started):
            self._queues[name] = _Queue(term.config.launch_tokens)
        queue = self._queues[name]
        if isinstance(event, MasterEvent) and isinstance(event.event, Offers) and term.hears(event):
            queue.answered = True
            _answers(step, queue)
        _ends(step, queue)
        if step.told is not None and not step.ends:
            self._goes_on(step, queue, step.told[0])
        _connects(step, queue)
        _renew(step, queue)
        _asks(step, queue)
        if not (term.vague or step.hurried):
            _is_asked_for(step, queue)
        for effect in step.output.effects:
            if isinstance(effect, Reply) and isinstance(effect.result, QueueRead):
                for item in effect.result.items:
                    _delay_is_so(step, queue, item.app, item.delay_left_s)

    def _goes_on(self, step: Step, queue: _Queue, seen: Seen) -> None:
        """Who comes up is no failure: the delay counts from now."""
        comes = seen.condition in STARTING
        if comes or (seen.running and self._was in STARTING):
            delay = queue.delays.get((seen.app.id, seen.app.last_config_change_ms))
            if delay is not None:
                delay.reference_s = step.now.mono_s
        if seen.running:
            _token_back(step, queue, seen)


# ---------------------------------------------------------------------------------- delays, tokens


def _token_back(step: Step, queue: _Queue, seen: Seen, *, surely: bool = True) -> None:
    if seen.record.id in queue.holders:
        del queue.holders[seen.record.id]
        if surely:
            queue.tokens = min(queue.tokens + 1, step.term.config.launch_tokens)
        else:
            queue.leaked += 1


def _ends(step: Step, queue: _Queue) -> None:
    now_s = step.now.mono_s
    if step.told is not None and step.ends:
        seen, status = step.told
        condition = condition_of(status)
        unhealthy = condition == "Killed" and status.healthy is False
        if not seen.record.doomed and (unhealthy or condition in _DELAYING):
            _delayed(queue, seen.app, now_s)
    failure = step.term.failures
    if isinstance(step.event, TimerFired):
        if type(step.event.key) is TokensRefilled:
            queue.tokens, queue.leaked = step.term.config.launch_tokens, 0
        elif type(step.event.key) is BackoffSweepDue:
            quiet = [k for k, d in queue.delays.items() if now_s > d.end_s + d.max_s]
            for key in quiet:
                del queue.delays[key]
    for seen in step.doomed:  # its own checks have failed too often
        last = failure.get(seen.record.app_id)
        if last is not None and last.unhealthy and last.task_id == seen.record.task_id:
            _delayed(queue, seen.app, now_s)
    for seen in step.gone:
        _token_back(step, queue, seen, surely=step.ends)
    for seen in step.new:
        queue.holders[seen.record.id] = None
    reset: list[str] = []
    for effect in step.output.effects:
        if isinstance(effect, Publish) and isinstance(effect.news, AppTerminated):
            reset.append(effect.news.app_id)
        elif isinstance(effect, Publish) and isinstance(effect.news, DeploymentStepBegan):
            reset += [
                action.app_id
                for action in effect.news.step.actions
                if action.kind.value == "RestartApplication"
            ]
        elif isinstance(effect, Reply) and isinstance(step.event, ApiRequest):
            asked = step.event.command
            if isinstance(asked, ResetDelay):
                waits = queue.waiting.get(asked.app_id)
                unsure = step.term.vague or step.term.in_small_steps
                if isinstance(effect.result, Done) is (waits is None) and not unsure:
                    raise Broken(f"promise 11: {asked} is answered {effect.result}: {waits}")
                if waits is not None:
                    waits.since_s = now_s
                if isinstance(effect.result, Done):
                    reset.append(asked.app_id)
    for app_id in reset:
        for key in [key for key in queue.delays if key[0] == app_id]:
            del queue.delays[key]


def _delayed(queue: _Queue, app: App, now_s: float) -> None:
    key = (app.id, app.last_config_change_ms)
    have = queue.delays.get(key)
    delay_s = app.backoff_s if have is None else have.delay_s * app.backoff_factor
    queue.delays[key] = _Delay(min(delay_s, app.max_launch_delay_s), now_s, app.max_launch_delay_s)


def _delay_is_so(step: Step, queue: _Queue, app: App, left_s: float) -> None:
    until_s = queue.until_s(app, step.now)
    right_s = 0.0 if until_s is None else until_s - step.now.mono_s
    if abs(left_s - right_s) > _NEAR_S:
        raise Broken(f"promise 11: {app.id} is shown to wait for {left_s} s, right is {right_s}")


# ---------------------------------------------------------------------------------- offers


def _answers(step: Step, queue: _Queue) -> None:
    """Before this step the queue was as it is still in `queue`."""
    term, now = step.term, step.now
    for seen in step.new:
        if (until_s := queue.until_s(seen.app, now)) is not None:
            left_s = until_s - now.mono_s
            raise Broken(f"promise 11: {seen.record.id} is launched {left_s} s too early")
    tokens, count = queue.tokens, len(step.new)
    most = tokens + queue.leaked
    if count > most:
        raise Broken(f"promise 11: {count} are launched with {tokens} tokens")
    held = [each for each in queue.waiting.values() if queue.until_s(each.app, now) is not None]
    free = len(queue.waiting) - len(held)
    ends = [(queue.until_s(each.app, now) or now.mono_s) - now.mono_s for each in held]
    right_s = min([term.config.decline_offer_s, *ends])
    queue.tokens = max(0, tokens - count)
    queue.leaked = max(0, queue.leaked - max(0, count - tokens))
    if term.vague:
        return
    for effect in step.output.effects:
        if not isinstance(effect, Call) or not isinstance(effect.call, Decline):
            continue
        filters = effect.call.filters
        refuse_s = -1.0 if filters is None else filters.refuse_seconds
        if refuse_s == 0.0 and tokens <= count and free:
            continue  # none is left
        if refuse_s == 0.0 and step.output.writes and term.in_small_steps:
            continue  # nor is there room to store more
        if abs(refuse_s - right_s) > _NEAR_S or (most == 0 and free):
            raise Broken(
                f"promise 11: offers are declined for {refuse_s} s, right were {right_s}, or none "
                f"without tokens: {tokens} are left, {free} wait"
            )


def _connects(step: Step, queue: _Queue) -> None:
    event, term = step.event, step.term
    if isinstance(event, LinkUp) or queue.conn != term.conn:
        queue.conn = None
    if isinstance(event, MasterEvent) and isinstance(event.event, Subscribed) and term.hears(event):
        queue.conn, queue.since_s = event.conn, step.now.mono_s
    for effect in step.output.effects:
        if isinstance(effect, Call) and isinstance(effect.call, Subscribe):
            queue.suppressed = bool(effect.call.suppressed_roles)
            queue.revived_s, queue.answered = float("-inf"), True
            queue.asked_s = step.now.mono_s
            if not queue.suppressed:  # with it no filter is left
                for each in queue.waiting.values():
                    each.since_s = None


def _renew(step: Step, queue: _Queue) -> None:
    """What waits now, of what this step has touched."""
    term, now_s = step.term, step.now.mono_s
    for app_id in step.touched:
        app = term.wanted(app_id)
        count = missing(term, app) if app is not None and term.knows(app_id) else 0
        if app is None or count == 0:
            queue.waiting.pop(app_id, None)
            continue
        before = queue.waiting.get(app_id)
        grown = (
            before is None
            or count > before.count
            or before.app.last_config_change_ms != app.last_config_change_ms
        )
        since_s = now_s if grown or before is None else before.since_s
        queue.waiting[app_id] = _Waits(app, count, since_s)


def _asks(step: Step, queue: _Queue) -> None:
    now_s = step.now.mono_s
    for effect in step.output.effects:
        if not isinstance(effect, Call):
            continue
        if isinstance(effect.call, Suppress):
            queue.suppressed = True
        elif isinstance(effect.call, Revive):
            queue.suppressed = False
            # In the middle of many orders it knows already what ends in the next step.
            if not (step.term.vague or step.hurried or queue.free(step.now)):
                raise Broken("promise 11: offers are asked for, and nothing can use them now")
            if not queue.answered and now_s - queue.revived_s < _GAP_S:
                raise Broken("promise 11: offers are asked for again and again")
            queue.revived_s = queue.asked_s = now_s
            queue.answered = False
            for each in queue.free(step.now):
                each.since_s = None


def _is_asked_for(step: Step, queue: _Queue) -> None:
    process = step.marathon.process
    if queue.conn is None:
        return
    if process.in_doubt:
        queue.since_s = step.now.mono_s
    if not queue.waiting:
        if not queue.suppressed:
            raise Broken("promise 11: nothing waits for offers, and they are wanted")
        return
    within_s = step.term.config.min_revive_offers_s + _LATE_S
    for each in queue.waiting.values():
        delay = queue.delays.get((each.app.id, each.app.last_config_change_ms))
        if each.since_s is None and (delay is None or delay.end_s <= queue.asked_s):
            continue
        begins = (each.since_s or 0.0, queue.since_s, 0.0 if delay is None else delay.end_s)
        late_s = step.now.mono_s - max(begins)
        if within_s < late_s and within_s < process.awake_for_s:
            raise Broken(f"promise 11: {each.app.id} waits for {late_s} s, nobody asks for offers")
