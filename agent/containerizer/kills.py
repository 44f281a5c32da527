"""SIGTERM now, SIGKILL later, for any number of containers and without a waiting thread."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from mezzo.ids import ContainerId


class Kills:
    """Lives on the event loop. `send` must not block; it may be called for what has ended."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        send: Callable[[ContainerId, signal.Signals], None],
    ) -> None:
        self._loop = loop
        self._send = send
        self._due: dict[ContainerId, asyncio.TimerHandle] = {}

    def order(self, container_id: ContainerId, grace_s: float) -> None:
        """Ordered again, the earlier time counts and no second SIGTERM is sent."""
        due_s = self._loop.time() + grace_s
        known = self._due.get(container_id)
        if known is None:
            self._send(container_id, signal.SIGTERM)
        elif known.when() <= due_s:
            return
        else:
            known.cancel()
        self._due[container_id] = self._loop.call_at(
            due_s, self._send, container_id, signal.SIGKILL
        )

    def forget(self, container_id: ContainerId) -> None:
        """It has ended."""
        if (handle := self._due.pop(container_id, None)) is not None:
            handle.cancel()

    def clear(self) -> None:
        for handle in self._due.values():
            handle.cancel()
        self._due.clear()
