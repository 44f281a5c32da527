"""The shell around a core, one for all daemons: inbox, timers, group commit.

One thread, that of the event loop, steps the core. Every other thread posts to the inbox. What a
step writes is committed together with what the steps around it write (group commit, in a thread of
its own); the core steps on meanwhile; effects leave in order, each once the writes of its own step
and of all steps before are durable.

A commit that fails ends the run: crash-only, the next leader or the next start recovers. Only a
store that does not answer is asked again, for as long as it takes: nothing that depends on the
commit has left, so waiting loses nothing, while a restart would lose the leader.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Generic, TypeVar

from mezzo.core import CancelTimer, Core, SetTimer, TimerFired, Write, write_bytes
from mezzo.errors import StoreUnavailable
from mezzo.process.clocks import Clock, ProcessClock
from mezzo.process.log import get_logger
from mezzo.store.base import StateStore

E = TypeVar("E")

# One drain steps at most so many events before the loop gets a turn for its streams.
_EVENTS_PER_TURN: Final = 500
_STALE_MIN: Final = 64
_COMMIT_AGAIN_S: Final = 0.5
# A core that can't let anything out still hears and decides, and its decisions wait in memory.
# Beyond this a fresh start is better: a standby takes no streams, so that its peers wait outside.
# Nothing is lost by that, for nobody has seen any of these decisions.
_WAITING_MAX: Final = 200_000
# A core's state is millions of long-lived objects without cycles, and most of what a step makes
# dies with it: looking for cycles as often as Python does by default cost a master of ten thousand
# agents a fifth of its time.
GC_THRESHOLDS: Final = (50_000, 20, 100)


class Runtime(Generic[E]):
    """Runs one core. `post` from any thread; `perform` is called on the loop and must not block.

    `held` (see `hold`) stops everything that leaves: writes and effects wait, the core steps on.
    """

    def __init__(
        self,
        core: Core[E | TimerFired],
        store: StateStore,
        perform: Callable[[Any], None],
        *,
        clock: Clock | None = None,
    ) -> None:
        """`clock`: of the core; by default a `ProcessClock`."""
        clock = clock or ProcessClock()
        self._core = core
        self._store = store
        self._perform = perform
        self._now = clock.now
        self._loop = asyncio.get_running_loop()
        self._inbox: deque[E | TimerFired] = deque()
        self._wake_due = False
        self._timers = _Timers(clock, self.post)
        # Writes of steps whose commit has not been sent, with the number of the last such step.
        self._writes: deque[tuple[int, list[Write]]] = deque()
        self._steps = 0
        self._durable = 0  # all steps up to this one are durable
        self._effects: deque[tuple[int, Any]] = deque()  # (the last writing step before it, effect)
        self._last_write = 0
        self._committing = False
        # A commit that the store did not answer, and that may not be sent again while held.
        self._unsent: tuple[list[Write], int] | None = None
        self._held = False
        self._committer = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self._log = get_logger("runtime")
        self._done: asyncio.Future[None] = self._loop.create_future()

    # ---- for every thread

    def post(self, event: E | TimerFired) -> None:
        """Hand an event to the core. Callable from any thread; never blocks."""
        self._inbox.append(event)
        if not self._wake_due:
            self._wake_due = True
            self._loop.call_soon_threadsafe(self._drain)

    @property
    def held(self) -> bool:
        return self._held

    def hold(self) -> None:
        """Let nothing out from now on: leadership is in doubt. Callable from any thread."""
        self._held = True

    def release(self) -> None:
        """Leadership is confirmed: what was held leaves now. Callable from any thread."""
        self._held = False
        self._loop.call_soon_threadsafe(self._move)

    def stop(self, error: BaseException | None = None) -> None:
        """End `run`, with `error` if one is given. Callable from any thread."""
        self._loop.call_soon_threadsafe(self._finish, error)

    # ---- the loop's side

    async def run(self) -> None:
        """Step until `stop`. Raises the error of a step, an effect or a commit.

        A commit may be under way on return: `StateStore.close` ends or awaits it.
        """
        gc.set_threshold(*GC_THRESHOLDS)
        try:
            await self._done
        finally:
            self._timers.clear()
            # Not waited for: a commit may hang for as long as its store has patience, and the loop
            # is needed. Whoever closes the store ends it.
            self._committer.shutdown(wait=False, cancel_futures=True)

    def _finish(self, error: BaseException | None) -> None:
        if not self._done.done():
            if error is None:
                self._done.set_result(None)
            else:
                self._done.set_exception(error)

    def _drain(self) -> None:
        self._wake_due = False
        inbox = self._inbox
        try:
            for _ in range(min(len(inbox), _EVENTS_PER_TURN)):
                if self._done.done():
                    return
                self._step(inbox.popleft())
            self._move()
        except BaseException as error:
            self._finish(error)
            return
        if inbox and not self._wake_due:
            self._wake_due = True
            self._loop.call_soon(self._drain)

    def _step(self, event: E | TimerFired) -> None:
        output = self._core.step(event, self._now())
        self._steps += 1
        if output.writes:
            self._writes.append((self._steps, output.writes))
            self._last_write = self._steps
        for effect in output.effects:
            self._effects.append((self._last_write, effect))

    def _move(self) -> None:
        """Send what can go: the next commit, and effects whose writes are durable."""
        if self._done.done():
            return
        try:
            effects = self._effects
            # `hold` counts from the next effect on: it may come from another thread, or from what
            # an effect has caused.
            while effects and effects[0][0] <= self._durable and not self._held:
                effect = effects.popleft()[1]
                if isinstance(effect, SetTimer):
                    self._timers.set(effect.key, effect.at_s)
                elif isinstance(effect, CancelTimer):
                    self._timers.cancel(effect.key)
                else:
                    self._perform(effect)
            if self._held:
                return
            if self._unsent is not None:
                (group, upto), self._unsent = self._unsent, None
                self._send(group, upto)
            elif self._writes and not self._committing:
                self._commit()
        except BaseException as error:
            self._finish(error)

    def _commit(self) -> None:
        """Commit as many waiting steps as fit into one transaction, at least one step."""
        group: list[Write] = []
        size = 0
        upto = self._durable
        while self._writes:
            step, writes = self._writes[0]
            size += sum(map(write_bytes, writes))
            if group and size > self._store.max_commit_bytes:
                break
            self._writes.popleft()
            group.extend(writes)
            upto = step
        self._committing = True
        self._send(group, upto)

    def _send(self, group: list[Write], upto: int) -> None:
        if self._done.done():
            return
        if self._held:
            self._unsent = (group, upto)
            return
        future = self._loop.run_in_executor(self._committer, self._store.commit, group)
        future.add_done_callback(lambda done: self._committed(done, group, upto))

    def _committed(self, done: asyncio.Future[None], group: list[Write], upto: int) -> None:
        if done.cancelled():
            return
        error = done.exception()
        if isinstance(error, StoreUnavailable):
            # Whatever becomes of the line about it, the store is asked again.
            self._loop.call_later(_COMMIT_AGAIN_S, self._send, group, upto)
            waiting = len(self._effects) + len(self._inbox)
            if waiting > _WAITING_MAX:
                self._finish(StoreUnavailable(f"{error}; meanwhile {waiting} effects wait"))
            self._log.warning("store.unavailable", error=str(error))
            return
        self._committing = False
        if error is not None:
            self._finish(error)
            return
        self._durable = upto
        self._move()


class _Timers:
    """Keyed timers on one alarm of their clock: setting thousands costs a heap push each."""

    def __init__(self, clock: Clock, post: Callable[[TimerFired], None]) -> None:
        self._now = clock.now
        self._alarm = clock.alarm(self._fire)
        self._post = post
        self._heap: list[tuple[float, int, Hashable]] = []
        self._live: dict[Hashable, int] = {}  # key -> the number of its valid heap entry
        self._numbers = itertools.count()
        self._armed_for_s = float("inf")

    def set(self, key: Hashable, at_s: float) -> None:
        number = next(self._numbers)
        self._live[key] = number
        heapq.heappush(self._heap, (at_s, number, key))
        if len(self._heap) > 2 * len(self._live) + _STALE_MIN:  # mostly replaced or cancelled ones
            self._heap = [entry for entry in self._heap if self._live.get(entry[2]) == entry[1]]
            heapq.heapify(self._heap)
        if at_s < self._armed_for_s:
            self._arm(at_s)

    def cancel(self, key: Hashable) -> None:
        self._live.pop(key, None)

    def clear(self) -> None:
        self._live.clear()
        self._heap.clear()
        self._alarm.close()

    def _arm(self, at_s: float) -> None:
        self._armed_for_s = at_s
        self._alarm.set(at_s)

    def _fire(self) -> None:
        self._armed_for_s = float("inf")
        now_s = self._now().mono_s
        heap = self._heap
        while heap:
            at_s, number, key = heap[0]
            live = self._live.get(key) == number
            if live and at_s > now_s:
                self._arm(at_s)
                return
            heapq.heappop(heap)
            if live:
                del self._live[key]
                self._post(TimerFired(key))
