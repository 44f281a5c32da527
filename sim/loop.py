"""An event loop on virtual time: as much of asyncio's as `mezzo.runtime` uses.

So the simulator runs the real runtime: its inbox, timers, group commit and the order of its effects
are those of production. One loop is one process: it can be stopped for a while as by SIGSTOP, and
killed, after which nothing that it was to do happens.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Final, cast

from .world import World

# So that no rounding makes a timer fire before its time: it would be set again for no time at all.
_LATE_S: Final = 1e-9


class _Handle:
    __slots__ = ("args", "callback", "cancelled")

    def __init__(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.callback = callback
        self.args = args
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
        self._backlog: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()

    # ---- the life of the process

    def stop_for(self, for_s: float) -> None:
        if not self._stopped and not self._killed:
            self._stopped = True
            self._world.after(for_s, self._go_on)

    def kill(self) -> None:
        self._killed = True
        self._backlog.clear()

    def _go_on(self) -> None:
        self._stopped = False
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

    def call_later(self, delay_s: float, callback: Callable[..., object], *args: Any) -> _Handle:  # noqa: ANN401
        handle = _Handle(callback, args)
        if not self._killed:
            self._world.after(max(delay_s, 0.0) / self._rate + _LATE_S, self._due, handle)
        return handle

    def _due(self, handle: _Handle) -> None:
        if not handle.cancelled:
            self._call(handle.callback, handle.args)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self.as_asyncio())

    def run_in_executor(
        self,
        executor: object,
        function: Callable[..., object],
        *args: Any,  # noqa: ANN401
    ) -> asyncio.Future[Any]:
        del executor
        future = self.create_future()
        self._job(lambda: function(*args), future)
        return future

    def get_debug(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Of futures that nobody waits for any more: their process was killed."""

    # ---- being the running loop

    def as_asyncio(self) -> asyncio.AbstractEventLoop:
        return cast(asyncio.AbstractEventLoop, self)

    def running(self) -> AbstractContextManager[None]:
        """Within it `asyncio.get_running_loop` finds this loop."""
        return _Running(self.as_asyncio())


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
