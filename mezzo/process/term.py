"""One term of leadership: from standby to the end, the same for every daemon that is elected.

Win the election, open the store's term (which fences every older leader), build the core from what
is stored, run it; hold everything back while leadership is in doubt; end when it is lost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from mezzo.election.base import Confirmed, Doubt, Elected, Election, ElectionEvent, Lost
from mezzo.errors import LeadershipLost, StoreUnavailable
from mezzo.process.log import get_logger
from mezzo.runtime import Runtime
from mezzo.store.base import StateStore

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

_AGAIN_S: Final = 1.0  # between two attempts to open a store that does not answer
_EPOCH_FLOOR_MAX: Final = 2**53  # whatever the clock says: JSON's numbers are exact up to here


async def lead(
    election: Election,
    store: StateStore,
    begin: Callable[[int, Mapping[str, bytes]], Runtime[Any]],
    *,
    name: str,
) -> None:
    """Wait to be elected, then run the core that `begin(epoch, stored)` makes until it stops.

    Raises LeadershipLost, or the run's error (Fenced: another leader has taken over).
    Cancelling it resigns cleanly.
    """
    log = get_logger(name)
    news = _News()
    election.start(news.tell)
    try:
        log.info("standby")
        token = await _elected(news.events)
        epoch, stored = await opened(store, log, token, at_least=epoch_floor(), given_up=news.lost)
        runtime = begin(epoch, stored)
        news.runtime = runtime
        log.info("leading", epoch=epoch, records=len(stored))
        watcher = asyncio.create_task(_watch(news, runtime, log))
        try:
            await runtime.run()
        finally:
            watcher.cancel()
    finally:
        # Together: either may take as long as a server that does not answer.
        await asyncio.gather(asyncio.to_thread(election.stop), asyncio.to_thread(store.close))


def epoch_floor() -> int:
    """Milliseconds since 1970: so an epoch is newer than all before it also where the store that
    counted them was lost, or brought back from a copy (docs/adr/0011-doubt-ends.md)."""
    return max(1, min(int(time.time() * 1000), _EPOCH_FLOOR_MAX))


async def opened(
    store: StateStore,
    log: FilteringBoundLogger,
    token: str | None = None,
    *,
    at_least: int = 1,
    given_up: Callable[[], bool] = lambda: False,
) -> tuple[int, Mapping[str, bytes]]:
    """Open a term and load; a store that does not answer is waited for until `given_up`.

    Returns the epoch and what is stored. Raises Fenced, StoreError, LeadershipLost.
    """
    while not given_up():
        try:
            epoch = await asyncio.to_thread(store.open_term, token, at_least=at_least)
            return epoch, await asyncio.to_thread(store.load)
        except StoreUnavailable as error:
            log.warning("store.unavailable", error=str(error), again_in_s=_AGAIN_S)
            await asyncio.sleep(_AGAIN_S)
    raise LeadershipLost("leadership was lost before the store answered")


class _News:
    """The events of the election, from its thread, for the loop."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[ElectionEvent] = asyncio.Queue()
        self.runtime: Runtime[Any] | None = None
        self.doubts = 0
        self._lost = False
        self._loop = asyncio.get_running_loop()

    def lost(self) -> bool:
        return self._lost

    def tell(self, event: ElectionEvent) -> None:
        if isinstance(event, Doubt):
            self.doubts += 1
            if self.runtime is not None:
                self.runtime.hold()  # at once: the loop may be busy
        elif isinstance(event, Lost):
            self._lost = True
        self._loop.call_soon_threadsafe(self.events.put_nowait, event)


async def _elected(events: asyncio.Queue[ElectionEvent]) -> str | None:
    while True:
        event = await events.get()
        if isinstance(event, Elected):
            return event.token
        if isinstance(event, Lost):
            raise LeadershipLost("the election's session is over")


async def _watch(news: _News, runtime: Runtime[Any], log: FilteringBoundLogger) -> None:
    doubts = 0
    while True:
        match await news.events.get():
            case Doubt():
                doubts += 1
                runtime.hold()
                log.warning("leadership.in_doubt")
            case Confirmed():
                runtime.release()
                if doubts != news.doubts:
                    # The next doubt is on its way here already. What `release` lets go leaves in
                    # a later turn of the loop: nothing has.
                    runtime.hold()
                else:
                    log.info("leadership.confirmed")
            case Lost():
                runtime.stop(LeadershipLost("leadership is lost"))
