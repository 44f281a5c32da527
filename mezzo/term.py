"""One term of leadership: from standby to the end, the same for every daemon that is elected.

Win the election, open the store's term (which fences every older leader), build the core from what
is stored, run it; hold everything back while leadership is in doubt; end when it is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from mezzo.election.base import Confirmed, Doubt, Elected, Election, ElectionEvent, Lost
from mezzo.errors import MezzoError
from mezzo.log import get_logger
from mezzo.runtime import Runtime
from mezzo.store.base import StateStore


class LeadershipLost(MezzoError):
    """The term is over: end this process (`mezzo.daemon.restart_self`)."""


async def lead(
    election: Election,
    store: StateStore,
    begin: Callable[[int, Mapping[str, bytes]], Runtime[Any]],
    *,
    name: str,
) -> None:
    """Wait to be elected, then run what `begin(epoch, stored)` makes until it stops.

    Raises LeadershipLost, or what the run raised (Fenced: another leader has taken over).
    Cancelling it resigns cleanly.
    """
    loop = asyncio.get_running_loop()
    log = get_logger(name)
    events: asyncio.Queue[ElectionEvent] = asyncio.Queue()

    runtime: Runtime[Any] | None = None

    def on_event(event: ElectionEvent) -> None:  # from the election's thread
        if isinstance(event, Doubt) and runtime is not None:
            runtime.hold()  # at once: the loop may be busy
        loop.call_soon_threadsafe(events.put_nowait, event)

    election.start(on_event)
    try:
        log.info("standby")
        token = await _elected(events)
        epoch = await asyncio.to_thread(store.open_term, token)
        stored = await asyncio.to_thread(store.load)
        runtime = begin(epoch, stored)
        log.info("leading", epoch=epoch, records=len(stored))
        watcher = asyncio.create_task(_watch(events, runtime, log))
        try:
            await runtime.run()
        finally:
            watcher.cancel()
    finally:
        await asyncio.to_thread(election.stop)
        await asyncio.to_thread(store.close)


async def _elected(events: asyncio.Queue[ElectionEvent]) -> str | None:
    while True:
        event = await events.get()
        if isinstance(event, Elected):
            return event.token
        if isinstance(event, Lost):
            raise LeadershipLost("the election's session is over")


async def _watch(
    events: asyncio.Queue[ElectionEvent],
    runtime: Runtime[Any],
    log: Any,  # noqa: ANN401
) -> None:
    while True:
        match await events.get():
            case Doubt():
                log.warning("leadership.in_doubt")
                runtime.hold()
            case Confirmed() if events.empty():  # else the news is not the newest
                log.info("leadership.confirmed")
                runtime.release()
            case Lost():
                runtime.stop(LeadershipLost("leadership is lost"))
