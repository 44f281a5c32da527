"""Runs health checks, one at a time each: connects, asks, or runs a command beside the task."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import Final

from mezzo.model import HealthCheck, HealthCheckType

from .containerizer.base import CheckFailed, ContainerRuntime, Kind
from .events import HealthObserved, ProbeHealth

_STATUS_LINE_MAX_BYTES: Final = 8192
_OK: Final = range(200, 400)


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
        try:
            async with asyncio.timeout(order.check.timeout_seconds):
                problem = await self._problem(order)
        except TimeoutError:
            problem = f"no answer within {order.check.timeout_seconds:g} s"
        except (OSError, CheckFailed) as error:
            problem = str(error)
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
                status = await http_status(order.check, order.host, order.port)
                return None if status in _OK else f"HTTP status {status}"
            case HealthCheckType.TCP:
                _, writer = await asyncio.open_connection(order.host, order.port)
                writer.close()
                return None


async def http_status(check: HealthCheck, host: str, port: int) -> int:
    """The status of a GET. No redirect is followed, no certificate is looked at.

    Raises OSError, also when the answer is no HTTP.
    """
    http = check.http
    assert http is not None
    tls = _unchecked_tls() if (http.scheme or "http").lower() == "https" else None
    path = http.path or "/"
    if not path.startswith("/"):
        path = f"/{path}"
    # Only the status counts: reading a line by hand keeps hundreds of checks on one thread.
    reader, writer = await asyncio.open_connection(
        host, port, ssl=tls, limit=_STATUS_LINE_MAX_BYTES
    )
    try:
        request = (
            f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: mezzo-health-check\r\n"
            "Accept: */*\r\nConnection: close\r\n\r\n"
        )
        writer.write(request.encode())
        try:
            line = await reader.readline()
        except ValueError as error:  # longer than the limit
            raise OSError("the answer is no HTTP") from error
        version, _, rest = line.partition(b" ")
        status = rest[:3]
        if not version.startswith(b"HTTP/") or not status.isdigit():
            raise OSError("the answer is no HTTP" if line else "the connection was closed")
        return int(status)
    finally:
        writer.close()


def _unchecked_tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
