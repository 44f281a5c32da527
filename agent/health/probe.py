"""Runs health checks, one at a time each: connects, asks, or runs a command beside the task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from mezzo import probe
from mezzo.cluster.model import HealthCheckType
from mezzo.process.log import get_logger

from ..container import ContainerRuntime, Kind
from ..effects import ProbeHealth
from ..errors import CheckFailed
from ..events import HealthObserved

_OK: Final = range(200, 400)
_AGAIN_S: Final = 1.0  # after this machine lacked something


class Prober:
    """Lives on the event loop. `report` gets one HealthObserved for each `probe`.

    crash: gets what a bug raises.
    """

    def __init__(
        self,
        runtimes: Mapping[Kind, ContainerRuntime],
        report: Callable[[HealthObserved], None],
        crash: Callable[[BaseException], None],
    ) -> None:
        self._runtimes = runtimes
        self._report = report
        self._crash = crash
        self._running: set[asyncio.Task[None]] = set()
        self._log = get_logger("agent")

    def probe(self, order: ProbeHealth) -> None:
        task = asyncio.create_task(self._probe(order))
        self._running.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._crash(error)  # a check that is never answered would be silently off

    async def close(self) -> None:
        """Give up what is under way, unreported."""
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _probe(self, order: ProbeHealth) -> None:
        while True:
            try:
                async with asyncio.timeout(order.check.timeout_seconds):
                    problem = await self._problem(order)
            except TimeoutError:
                problem = f"no answer within {order.check.timeout_seconds:g} s"
            except (OSError, ValueError, OverflowError, CheckFailed) as error:
                if probe.is_ours(error):
                    self._log.warning("health_check.not_made", error=str(error))
                    await asyncio.sleep(max(_AGAIN_S, order.check.interval_seconds))
                    continue
                problem = str(error) or type(error).__name__
            break
        self._report(HealthObserved(order.container_id, problem is None, problem or ""))

    async def _problem(self, order: ProbeHealth) -> str | None:
        """None if the check passes. Raises OSError, CheckFailed."""
        match order.check.type:
            case HealthCheckType.COMMAND:
                command = order.check.command
                assert command is not None
                code = await self._runtimes[order.kind].check(order.container_id, command)
                return None if code == 0 else f"the command exited with status {code}"
            case HealthCheckType.HTTP:
                http = order.check.http
                assert http is not None
                tls = (http.scheme or "http").lower() == "https"
                status = await probe.http_status(
                    order.host, order.port, http.path, tls=tls, user_agent="mezzo-health-check"
                )
                return None if status in _OK else f"HTTP status {status}"
            case HealthCheckType.TCP:
                await probe.connect(order.host, order.port)
                return None
