"""SIGTERM now, SIGKILL later, for any number of containers and without a waiting thread."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from mezzo.ids import ContainerId


class Kills:
    """Lives on the event loop. `send` must not block; its container may have ended already."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        send: Callable[[ContainerId, signal.Signals], None],
    ) -> None:
        self._loop = loop
        self._send = send
        # When, on the loop's clock, beside its handle: uvloop's tells none of what is due at once.
        self._due: dict[ContainerId, tuple[float, asyncio.Handle]] = {}

    def order(self, container_id: ContainerId, grace_s: float) -> None:
        """Kill a container. Ordered again, the earlier time counts, without another SIGTERM."""
        due_s = self._loop.time() + grace_s
        known = self._due.get(container_id)
        if known is None:
            self._send(container_id, signal.SIGTERM)
        else:
            known_s, handle = known
            if known_s <= due_s:
                return
            handle.cancel()
        handle = self._loop.call_at(due_s, self._send, container_id, signal.SIGKILL)
        self._due[container_id] = (due_s, handle)

    def is_overdue(self, container_id: ContainerId) -> bool:
        """Whether SIGKILL was sent to a container that is not known yet to have ended."""
        known = self._due.get(container_id)
        return known is not None and known[0] <= self._loop.time()

    def forget(self, container_id: ContainerId) -> None:
        """The container has ended."""
        if (known := self._due.pop(container_id, None)) is not None:
            known[1].cancel()

    def clear(self) -> None:
        for _, handle in self._due.values():
            handle.cancel()
        self._due.clear()
