"""Threads for what blocks. Results return to the event loop; a bug in a thread ends the agent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec

P = ParamSpec("P")


class Workers:
    """A bounded pool. `crash` gets every exception that a job lets out: crash-only, no job may."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        name: str,
        threads: int,
        crash: Callable[[BaseException], None],
    ) -> None:
        self._loop = loop
        self._crash = crash
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)

    def run(self, job: Callable[P, None], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Do a job in a thread of the pool, as soon as one is free."""
        self._pool.submit(job, *args, **kwargs).add_done_callback(self._done)

    def tell(self, callback: Callable[P, None], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """From a job: have a function called on the loop. Without effect once the loop is over."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(lambda: callback(*args, **kwargs))

    def close(self) -> None:
        """Start no further job. Jobs under way end by themselves."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _done(self, job: Future[None]) -> None:
        error = None if job.cancelled() else job.exception()
        if error is not None:
            self._crash(error)
