"""An event loop on virtual time: as much of asyncio's as `mezzo.runtime` uses.

So the simulator runs the real runtime: its inbox, timers, group commit and the order of its effects
are those of production. One loop is one process: it can be stopped for a while as by SIGSTOP, and
killed, after which nothing on it happens.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from math import inf
from types import TracebackType
from typing import Any, Final, cast

from mezzo.core import Instant

from .world import World

# So that no rounding makes a timer fire before its time: it would be set again for no time at all.
_LATE_S: Final = 1e-9


class _Handle:
    """Due at `due_s` of the world, if its machine sleeps no more than the `slept_s` that were known
    when that was reckoned; inf: its clock goes on while the machine sleeps."""

    __slots__ = ("args", "callback", "cancelled", "due_s", "slept_s")

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], due_s: float, slept_s: float
    ) -> None:
        self.callback = callback
        self.args = args
        self.due_s = due_s
        self.slept_s = slept_s
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class VirtualLoop:
    """`rate`: seconds of this process's monotonic clock per second of the world.

    `job(function, answer)` does what production does in a thread, in its own time.
    """

    def __init__(
        self,
        world: World,
        rate: float,
        job: Callable[[Callable[[], object], asyncio.Future[Any]], None],
    ) -> None:
        self._world = world
        self._rate = rate
        self._job = job
        self._killed = False
        self._stopped = False
        self._stops = 0  # counts them
        self._asleep_at_s: float | None = None
        self.slept_s = 0.0  # in all, of the world's time: its monotonic clock stood still
        self._backlog: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()

    # ---- the life of the process

    @property
    def stopped(self) -> bool:
        return self._stopped

    def stop_for(self, for_s: float) -> None:
        """Stop as by SIGSTOP: clocks go on, and calls that were due meanwhile come all at once."""
        if not self._stopped and not self._killed:
            self._stopped = True
            self._stops += 1
            self._world.after(for_s, self.go_on, self._stops)

    def sleep_for(self, for_s: float) -> None:
        """The machine is suspended: the monotonic clock stands still, and so do its timers."""
        if not self._stopped and not self._killed:
            self._asleep_at_s = self._world.now_s
            self.stop_for(for_s)

    def kill(self) -> None:
        self._killed = True
        self._backlog.clear()

    def go_on(self, stop: int | None = None) -> None:
        """Go on after the stop of that number; None: after any."""
        if not self._stopped or stop not in (None, self._stops):
            return
        self._stopped = False
        if self._asleep_at_s is not None:
            self.slept_s += self._world.now_s - self._asleep_at_s
            self._asleep_at_s = None
        backlog, self._backlog = self._backlog, deque()
        for callback, args in backlog:
            self.call_soon(callback, *args)

    def _call(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        if self._killed:
            return
        if self._stopped:
            self._backlog.append((callback, args))
        else:
            callback(*args)

    # ---- what asyncio has

    def call_soon(
        self, callback: Callable[..., object], *args: object, context: object = None
    ) -> None:
        del context
        if not self._killed:
            self._world.soon(self._call, callback, args)

    call_soon_threadsafe = call_soon

    def call_later(self, delay_s: float, callback: Callable[..., object], *args: Any) -> _Handle:
        return self._timer(delay_s, callback, args, self.slept_s)

    def call_later_awake_or_not(self, delay_s: float, callback: Callable[..., object]) -> _Handle:
        """Call by the clock that goes on while the machine sleeps, which asyncio lacks."""
        return self._timer(delay_s, callback, (), inf)

    def _timer(
        self,
        delay_s: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        slept_s: float,
    ) -> _Handle:
        wait_s = max(delay_s, 0.0) / self._rate + _LATE_S
        handle = _Handle(callback, args, self._world.now_s + wait_s, slept_s)
        if not self._killed:
            self._world.after(wait_s, self._due, handle)
        return handle

    def _due(self, handle: _Handle) -> None:
        if not handle.cancelled:
            self._call(self._ring, (handle,))

    def _ring(self, handle: _Handle) -> None:
        if handle.cancelled:
            return
        if handle.slept_s < self.slept_s:  # its clock stood still for so long
            handle.due_s += self.slept_s - handle.slept_s
            handle.slept_s = self.slept_s
            self._world.after(max(0.0, handle.due_s - self._world.now_s), self._due, handle)
        else:
            handle.callback(*handle.args)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self.as_asyncio())

    def run_in_executor(
        self,
        executor: object,
        function: Callable[..., object],
        *args: Any,
    ) -> asyncio.Future[Any]:
        del executor
        future = self.create_future()
        self._job(lambda: function(*args), future)
        return future

    def get_debug(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Called for futures that nobody waits for any more: their process was killed."""

    # ---- being the running loop

    def as_asyncio(self) -> asyncio.AbstractEventLoop:
        return cast(asyncio.AbstractEventLoop, self)

    def running(self) -> AbstractContextManager[None]:
        """Within it `asyncio.get_running_loop` finds this loop."""
        return _Running(self.as_asyncio())


class VirtualClock:
    """See `mezzo.process.clocks.Clock`: one of a virtual process."""

    def __init__(
        self, loop: VirtualLoop, now: Callable[[], Instant], *, counts_sleep: bool
    ) -> None:
        self._loop = loop
        self.now = now
        self._counts_sleep = counts_sleep

    def alarm(self, ring: Callable[[], None]) -> VirtualAlarm:
        loop = self._loop
        later = loop.call_later_awake_or_not if self._counts_sleep else loop.call_later
        return VirtualAlarm(lambda at_s: later(at_s - self.now().mono_s, ring))


class VirtualAlarm:
    def __init__(self, begin: Callable[[float], _Handle]) -> None:
        self._begin = begin
        self._handle: _Handle | None = None

    def set(self, at_s: float) -> None:
        self.close()
        self._handle = self._begin(at_s)

    def close(self) -> None:
        if self._handle is not None:
            self._handle.cancel()


class _Running(AbstractContextManager[None]):
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._before: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> None:
        self._before = asyncio._get_running_loop()
        asyncio._set_running_loop(self._loop)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio._set_running_loop(self._before)
