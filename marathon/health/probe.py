"""Marathon's own health checks, made on the event loop (section 10).

The task that answers may be hostile (mezzo.probe). A probe lasts no longer than the check's
timeout, anything that comes is that check's result, and an app whose probes hang uses up its own
part of the slots and nobody else's.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from mezzo import probe
from mezzo.process.log import get_logger

from ..effects import StartHealthCheck
from ..events import HealthResult
from ..model.app import HealthProtocol

# Probes at a time, of all apps. With more apps than that each may still make one.
_AT_ONCE: Final = 256
_INTERVAL_MIN_S: Final = 0.01

Verdict = tuple[bool | None, str | None]  # as in HealthResult: alive, cause


class Checker:
    """Makes the checks that it is told to, each in its own interval, until told to stop.

    report: called on the loop with each result.
    """

    def __init__(self, report: Callable[[HealthResult], None], at_once: int = _AT_ONCE) -> None:
        self._report = report
        self._slots = _Slots(at_once)
        self._tasks: dict[str, dict[int, asyncio.Task[None]]] = {}
        self._log = get_logger("marathon")

    def start(self, order: StartHealthCheck) -> None:
        checks = self._tasks.setdefault(order.instance_id, {})
        if (old := checks.get(order.index)) is not None:
            old.cancel()
        checks[order.index] = asyncio.create_task(self._keep_checking(order))

    def stop(self, instance_id: str) -> None:
        for task in self._tasks.pop(instance_id, {}).values():
            task.cancel()

    def close(self) -> None:
        for instance_id in list(self._tasks):
            self.stop(instance_id)

    async def _keep_checking(self, order: StartHealthCheck) -> None:
        share = self._slots.join(order.app_id)
        try:
            while True:
                await share.acquire()
                try:
                    alive, cause = await self._probe(order)
                finally:
                    share.release()
                self._report(HealthResult(order.instance_id, order.index, alive, cause))
                await asyncio.sleep(max(order.check.interval_s, _INTERVAL_MIN_S))
        finally:
            self._slots.leave(order.app_id)

    async def _probe(self, order: StartHealthCheck) -> Verdict:
        try:
            async with asyncio.timeout(order.check.timeout_s):
                if order.check.protocol is HealthProtocol.TCP:
                    return await self._connect(order)
                return await self._ask(order)
        except TimeoutError:
            return False, f"no answer within {order.check.timeout_s:g} seconds"
        except Exception as error:  # noqa: BLE001 - whatever an answer raises, the check goes on
            return self._failed(order, error)

    def _failed(self, order: StartHealthCheck, error: Exception) -> Verdict:
        if probe.is_ours(error):
            self._log.warning("health_check.not_made", app=order.app_id, error=str(error))
            return None, None
        return False, f"{type(error).__name__}: {error}"

    async def _connect(self, order: StartHealthCheck) -> Verdict:
        await probe.connect(order.host, order.port, _family(order.check.ip_protocol))
        return True, None

    async def _ask(self, order: StartHealthCheck) -> Verdict:
        check = order.check
        code = await probe.http_status(
            order.host,
            order.port,
            check.path,
            tls=check.protocol is HealthProtocol.HTTPS,
            family=_family(check.ip_protocol),
            user_agent="mezzo-marathon",
        )
        if 100 <= code < 200 and check.ignore_http_1xx:
            return None, None
        alive = 200 <= code < 400
        return alive, None if alive else f"HTTP status {code}"


# ---------------------------------------------------------------------------------- slots


@dataclass(slots=True)
class _Share:
    """One app's part of the slots. Its probes wait in order, and only for each other."""

    slots: _Slots
    checks: int = 0
    busy: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)

    async def acquire(self) -> None:
        if self.busy < self.slots.each:
            self.busy += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        try:
            await turn  # the one that released has counted us
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release()
            raise

    def release(self) -> None:
        self.busy -= 1
        while self.waiting and self.busy < self.slots.each:
            turn = self.waiting.popleft()
            if not turn.done():  # else cancelled
                self.busy += 1
                turn.set_result(None)


class _Slots:
    """Divides the slots equally among the apps that have checks: an app whose probes hang, however
    many, delays none of another.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._shares: dict[str, _Share] = {}
        self.each = total  # slots of one app

    def join(self, app_id: str) -> _Share:
        """The app has one more check."""
        share = self._shares.get(app_id)
        if share is None:
            share = self._shares[app_id] = _Share(self)
            self._divide()
        share.checks += 1
        return share

    def leave(self, app_id: str) -> None:
        share = self._shares[app_id]
        share.checks -= 1
        if share.checks == 0:
            del self._shares[app_id]
            self._divide()

    def _divide(self) -> None:
        self.each = max(1, self._total // max(1, len(self._shares)))


def _family(ip_protocol: str) -> int:
    # A host name may have addresses of both kinds; IPv4 is also what "any" should try first.
    return socket.AF_INET6 if ip_protocol == "IPv6" else socket.AF_UNSPEC
