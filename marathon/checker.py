"""Marathon's own health checks, made on the event loop (section 10)."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Final

from .app import HealthProtocol
from .messages import HealthResult, StartHealthCheck

_AT_ONCE: Final = 256
_STATUS_LINE_MAX: Final = 4096


class Checker:
    """Probes what it is told to, each check in its own interval, until told to stop.

    report: called on the loop with each result.
    """

    def __init__(self, report: Callable[[HealthResult], None]) -> None:
        self._report = report
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._tasks: dict[str, dict[int, asyncio.Task[None]]] = {}
        self._tls = ssl.create_default_context()
        # Certificates of apps are often their own; what is asked is whether they answer.
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE

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
        while True:
            async with self._slots:
                alive, cause = await self._probe(order)
            self._report(HealthResult(order.instance_id, order.index, alive, cause))
            await asyncio.sleep(order.check.interval_s)

    async def _probe(self, order: StartHealthCheck) -> tuple[bool | None, str | None]:
        """Alive, dead with the cause, or None: nothing is said."""
        try:
            async with asyncio.timeout(order.check.timeout_s):
                if order.check.protocol is HealthProtocol.TCP:
                    await self._connect(order)
                    return True, None
                return await self._ask(order)
        except TimeoutError:
            return False, f"no answer within {order.check.timeout_s:g} seconds"
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            return False, f"{type(error).__name__}: {error}"

    async def _connect(self, order: StartHealthCheck) -> None:
        _, writer = await asyncio.open_connection(
            order.host, order.port, family=_family(order.check.ip_protocol)
        )
        writer.close()

    async def _ask(self, order: StartHealthCheck) -> tuple[bool | None, str | None]:
        check = order.check
        reader, writer = await asyncio.open_connection(
            order.host,
            order.port,
            ssl=self._tls if check.protocol is HealthProtocol.HTTPS else None,
            family=_family(check.ip_protocol),
            limit=_STATUS_LINE_MAX,
        )
        try:
            path = check.path or "/"
            writer.write(
                f"GET {path} HTTP/1.1\r\nHost: {order.host}:{order.port}\r\nAccept: */*\r\n"
                "User-Agent: mezzo-marathon\r\nConnection: close\r\n\r\n".encode()
            )
            code = _status_code(await reader.readline())
        finally:
            writer.close()
        if 100 <= code < 200 and check.ignore_http_1xx:
            return None, None
        alive = 200 <= code < 400
        return alive, None if alive else f"HTTP status {code}"


def _family(ip_protocol: str) -> int:
    # A host name may have addresses of both kinds; IPv4 is also what "any" should try first.
    return socket.AF_INET6 if ip_protocol == "IPv6" else socket.AF_UNSPEC


def _status_code(line: bytes) -> int:
    """`HTTP/1.1 200 OK` -> 200. Raises ValueError."""
    parts = line.split(None, 2)
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/") or not parts[1].isdigit():
        raise ValueError("the answer is not HTTP")
    return int(parts[1])
