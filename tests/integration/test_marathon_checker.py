"""Marathon's own health checks against real sockets (section 10)."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mezzo.marathon.app import HealthCheck, HealthProtocol
from mezzo.marathon.checker import Checker
from mezzo.marathon.messages import HealthResult, StartHealthCheck

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answering(data: bytes) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(data)
        await writer.drain()
        writer.close()

    return handle


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


@asynccontextmanager
async def server(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    async with await asyncio.start_server(handler, "127.0.0.1", 0, ssl=tls) as listening:
        yield listening.sockets[0].getsockname()[1]


async def probe(port: int, check: HealthCheck) -> HealthResult:
    """The first result of a check."""
    results: asyncio.Queue[HealthResult] = asyncio.Queue()
    checker = Checker(results.put_nowait)
    checker.start(StartHealthCheck("i", 0, check, "127.0.0.1", port))
    try:
        return await asyncio.wait_for(results.get(), 20)
    finally:
        checker.close()


HTTP = HealthCheck(HealthProtocol.HTTP, "/health", timeout_s=5)


@pytest.mark.parametrize(
    ("status", "alive"),
    [("200 OK", True), ("302 Found", True), ("399 X", True), ("404 No", False), ("500 No", False)],
)
def test_http_is_alive_from_200_to_399(status: str, alive: bool) -> None:
    """Behaviour 66; redirects are not followed."""

    async def run() -> HealthResult:
        headers = "Location: http://127.0.0.1:1/\r\n" if alive else ""
        async with server(answering(f"HTTP/1.1 {status}\r\n{headers}\r\n".encode())) as port:
            return await probe(port, HTTP)

    result = asyncio.run(run())
    assert result.alive is alive
    assert (result.cause is None) is alive


def test_the_path_is_asked_for() -> None:
    asked: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        writer.close()

    async def run() -> HealthResult:
        async with server(handle) as port:
            return await probe(port, HTTP)

    assert asyncio.run(run()).alive
    assert asked[0].startswith(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1:")


@pytest.mark.parametrize(("ignored", "alive"), [(True, None), (False, False)])
def test_a_1xx_says_nothing_when_it_is_to_be_ignored(ignored: bool, alive: bool | None) -> None:
    """Behaviour 71."""
    check = HealthCheck(HealthProtocol.HTTP, "/", timeout_s=5, ignore_http_1xx=ignored)

    async def run() -> HealthResult:
        async with server(answering(b"HTTP/1.1 100 Continue\r\n\r\n")) as port:
            return await probe(port, check)

    assert asyncio.run(run()).alive is alive


def test_what_is_not_http_is_dead() -> None:
    async def run() -> HealthResult:
        async with server(answering(b"SSH-2.0\r\n")) as port:
            return await probe(port, HTTP)

    result = asyncio.run(run())
    assert result.alive is False
    assert "not HTTP" in (result.cause or "")


def test_silence_is_dead_after_the_timeout() -> None:
    check = HealthCheck(HealthProtocol.HTTP, "/", timeout_s=0.1)

    async def run() -> HealthResult:
        async with server(silent) as port:
            return await probe(port, check)

    result = asyncio.run(run())
    assert (result.alive, result.cause) == (False, "no answer within 0.1 seconds")


def test_tcp_is_alive_if_it_connects() -> None:
    """Behaviour 69."""
    check = HealthCheck(HealthProtocol.TCP, timeout_s=5)

    async def run() -> tuple[HealthResult, HealthResult]:
        async with server(silent) as port:
            there = await probe(port, check)
        return there, await probe(port, check)

    there, gone = asyncio.run(run())
    assert there.alive is True
    assert gone.alive is False


def self_signed(directory: Path) -> ssl.SSLContext:
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=somebody-else"
    subprocess.run(
        [*command.split(), "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def test_https_takes_any_certificate(tmp_path: Path) -> None:
    """Behaviour 69."""
    check = HealthCheck(HealthProtocol.HTTPS, "/", timeout_s=5)
    tls = self_signed(tmp_path)

    async def run() -> HealthResult:
        async with server(answering(b"HTTP/1.1 200 OK\r\n\r\n"), tls) as port:
            return await probe(port, check)

    assert asyncio.run(run()).alive is True


def test_a_check_is_repeated_until_it_is_stopped() -> None:
    check = HealthCheck(HealthProtocol.TCP, interval_s=0.01, timeout_s=5)

    async def run() -> int:
        results: asyncio.Queue[HealthResult] = asyncio.Queue()
        checker = Checker(results.put_nowait)
        async with server(silent) as port:
            checker.start(StartHealthCheck("i", 0, check, "127.0.0.1", port))
            for _ in range(3):
                await asyncio.wait_for(results.get(), 20)
            checker.stop("i")
            while not results.empty():
                results.get_nowait()
            await asyncio.sleep(0.1)
            return results.qsize()

    assert asyncio.run(run()) == 0
