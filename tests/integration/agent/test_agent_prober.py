"""The agent's health checks against real sockets: what answers is a task, and may be hostile."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import ssl
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from mezzo.agent.container import Kind
from mezzo.agent.effects import ProbeHealth
from mezzo.agent.events import HealthObserved
from mezzo.agent.health import probe
from mezzo.agent.health.probe import Prober
from mezzo.cluster.model import HealthCheck, HealthCheckType, HttpCheck, TcpCheck
from mezzo.ids import ContainerId, FrameworkId, TaskId
from tests.parts.answers import HOSTILE, Handler, answering, self_signed, server


async def observed(check: HealthCheck, port: int, host: str = "127.0.0.1") -> HealthObserved:
    reports: asyncio.Queue[HealthObserved] = asyncio.Queue()
    crashes: list[BaseException] = []
    prober = Prober({}, reports.put_nowait, crashes.append)
    prober.probe(
        ProbeHealth(
            FrameworkId("f"), TaskId("t"), ContainerId("c"), Kind.PROCESS, check, host, port
        )
    )
    try:
        async with asyncio.timeout(20):
            return await reports.get()
    finally:
        await prober.close()
        assert crashes == []


def http(scheme: str = "http", path: str | None = "/", timeout_s: float = 5) -> HealthCheck:
    check = HttpCheck(1, scheme, path)
    return HealthCheck(HealthCheckType.HTTP, http=check, timeout_seconds=timeout_s)


@pytest.mark.parametrize(("status", "passes"), [("200 OK", True), ("399", True), ("404 No", False)])
def test_http_passes_from_200_to_399(status: str, passes: bool) -> None:
    async def run() -> HealthObserved:
        async with server(answering(f"HTTP/1.1 {status}\r\n\r\n".encode())) as port:
            return await observed(http(), port)

    assert asyncio.run(run()).passed is passes


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("handler", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_answer_is_a_failed_check_and_no_more(handler: Handler, scheme: str) -> None:
    async def run() -> HealthObserved:
        async with server(handler) as port:
            return await observed(http(scheme, timeout_s=0.5), port)

    result = asyncio.run(run())
    # 100 Continue is a status that is none from 200 to 399.
    assert (result.passed, bool(result.message)) == (False, True)
    assert len(result.message) < 300


@pytest.mark.parametrize("check", [http(), HealthCheck(HealthCheckType.TCP, tcp=TcpCheck(1))])
@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70_000), ("a" * 70 + ".b", 1), ("", 1)])
def test_an_address_that_is_none_fails_its_check_alone(
    check: HealthCheck, host: str, port: int
) -> None:
    assert asyncio.run(observed(check, port, host)).passed is False


def test_a_peer_that_never_says_goodbye_holds_no_connection(tmp_path: Path) -> None:
    """TLS ends politely: with the peer's consent, or half a minute later."""
    tls = self_signed(tmp_path)
    peers: list[ssl.SSLSocket] = []

    def answer_and_sleep(listening: socket.socket) -> None:
        accepted, _ = listening.accept()
        peers.append(tls.wrap_socket(accepted, server_side=True))
        peers[0].sendall(b"HTTP/1.1 200 OK\r\n")

    async def run(listening: socket.socket) -> HealthObserved:
        answering = asyncio.create_task(asyncio.to_thread(answer_and_sleep, listening))
        result = await observed(http("https"), listening.getsockname()[1])
        await answering
        peers[0].settimeout(5)
        with suppress(ConnectionError):
            while await asyncio.to_thread(socket.socket.recv, peers[0], 4096):
                pass
        return result

    with socket.create_server(("127.0.0.1", 0)) as listening, ExitStack() as closing:
        result = asyncio.run(run(listening))
        for peer in peers:
            closing.callback(peer.close)
    assert result.passed is True


def test_what_the_agent_lacks_fails_no_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without descriptors it would kill tasks that are healthy."""
    monkeypatch.setattr(probe, "_AGAIN_S", 0.05)
    check = HealthCheck(HealthCheckType.TCP, tcp=TcpCheck(1), interval_seconds=0, timeout_seconds=5)

    async def run() -> HealthObserved:
        async with server(answering(b"")) as port:
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            spare = os.open("/dev/null", os.O_RDONLY)
            os.close(spare)
            resource.setrlimit(resource.RLIMIT_NOFILE, (spare, hard))  # the next one fails
            try:
                probing = asyncio.create_task(observed(check, port))
                await asyncio.wait([probing], timeout=0.3)
                assert not probing.done()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            return await probing

    assert asyncio.run(run()).passed is True
