"""Marathon's own health checks against real sockets (section 10)."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from pathlib import Path

import pytest

from mezzo.marathon.effects import StartHealthCheck
from mezzo.marathon.events import HealthResult
from mezzo.marathon.health.probe import Checker
from mezzo.marathon.model.app import HealthCheck, HealthProtocol
from tests.parts.answers import HOSTILE, Handler, answering, self_signed, server, silent


async def probe(port: int, check: HealthCheck) -> HealthResult:
    """The first result of a check."""
    results: asyncio.Queue[HealthResult] = asyncio.Queue()
    checker = Checker(results.put_nowait)
    checker.start(StartHealthCheck("i", 0, check, "127.0.0.1", port, "/a"))
    try:
        async with asyncio.timeout(20):
            return await results.get()
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
            checker.start(StartHealthCheck("i", 0, check, "127.0.0.1", port, "/a"))
            for _ in range(3):
                async with asyncio.timeout(20):
                    await results.get()
            checker.stop("i")
            while not results.empty():
                results.get_nowait()
            await asyncio.sleep(0.1)
            return results.qsize()

    assert asyncio.run(run()) == 0


# ---- answers that mean harm


@pytest.mark.parametrize("protocol", [HealthProtocol.HTTP, HealthProtocol.HTTPS])
@pytest.mark.parametrize("handler", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_answer_is_a_failed_check_and_no_more(
    handler: Handler, protocol: HealthProtocol
) -> None:
    check = HealthCheck(protocol, "/", timeout_s=0.5)

    async def run() -> HealthResult:
        async with server(handler) as port:
            return await probe(port, check)

    result = asyncio.run(run())
    assert result.alive is False
    assert result.cause
    assert len(result.cause) < 300


def test_a_port_that_is_none_fails_its_check_alone() -> None:
    assert asyncio.run(probe(70_000, HTTP)).alive is False


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/a b", b"GET /a%20b HTTP/1.1\r\n"),
        ("/\r\nX: y\r\n", b"GET /%0D%0AX:%20y%0D%0A HTTP/1.1\r\n"),
        ("/ä?q=%20&r=1", b"GET /%C3%A4?q=%20&r=1 HTTP/1.1\r\n"),
        ("no-slash", b"GET /no-slash HTTP/1.1\r\n"),
    ],
)
def test_no_path_ends_the_line_that_it_is_in(path: str, line: bytes) -> None:
    asked: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        writer.close()

    async def run() -> HealthResult:
        async with server(handle) as port:
            return await probe(port, HealthCheck(HealthProtocol.HTTP, path, timeout_s=5))

    assert asyncio.run(run()).alive is True
    assert asked == [line]


def test_a_peer_that_never_says_goodbye_holds_no_connection(tmp_path: Path) -> None:
    """TLS ends politely: with the peer's consent, or half a minute later."""
    tls = self_signed(tmp_path)
    check = HealthCheck(HealthProtocol.HTTPS, "/", timeout_s=5)
    listening = socket.create_server(("127.0.0.1", 0))
    peers: list[ssl.SSLSocket] = []

    def answer_and_sleep() -> None:
        accepted, _ = listening.accept()
        peers.append(tls.wrap_socket(accepted, server_side=True))
        peers[0].sendall(b"HTTP/1.1 200 OK\r\n")

    async def run() -> HealthResult:
        answering = asyncio.create_task(asyncio.to_thread(answer_and_sleep))
        result = await probe(listening.getsockname()[1], check)
        await answering
        # The connection is over at once: nothing but its end is left to be read.
        peers[0].settimeout(5)
        with suppress(ConnectionError):
            while await asyncio.to_thread(socket.socket.recv, peers[0], 4096):
                pass
        return result

    try:
        assert asyncio.run(run()).alive is True
    finally:
        listening.close()
        for peer in peers:
            peer.close()


# ---- everybody has a part of the slots


async def first_result(checker_results: asyncio.Queue[HealthResult], app: str) -> HealthResult:
    async with asyncio.timeout(20):
        while True:
            result = await checker_results.get()
            if result.instance_id.startswith(app):
                return result


def test_hanging_checks_of_one_app_delay_no_other() -> None:
    """A thousand of them, and as many that come after; the other app has one slot at least."""
    hangs = HealthCheck(HealthProtocol.HTTP, "/", timeout_s=1000)
    most = 0

    async def run() -> list[HealthResult]:
        results: asyncio.Queue[HealthResult] = asyncio.Queue()
        checker = Checker(results.put_nowait, at_once=8)
        open_now = 0

        async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal open_now, most
            open_now += 1
            most = max(most, open_now)
            await reader.read()
            await reader.read()
            open_now -= 1
            writer.close()

        async with (
            server(hang) as bad,
            server(answering(b"HTTP/1.1 200 OK\r\n\r\n")) as good,
        ):
            for number in range(1000):
                order = StartHealthCheck(f"bad{number}", 0, hangs, "127.0.0.1", bad, "/bad")
                checker.start(order)
            await asyncio.sleep(0.2)
            first = StartHealthCheck("good", 0, HTTP, "127.0.0.1", good, "/good")
            checker.start(first)
            found = [await first_result(results, "good")]
            for number in range(1000):
                order = StartHealthCheck(f"bad{number}", 1, hangs, "127.0.0.1", bad, "/bad")
                checker.start(order)
            late = StartHealthCheck("late", 0, HTTP, "127.0.0.1", good, "/late")
            checker.start(late)
            found.append(await first_result(results, "late"))
            checker.close()
            return found

    assert [result.alive for result in asyncio.run(run())] == [True, True]
    assert most <= 8


def test_a_slot_that_a_stopped_check_waited_for_or_had_is_free_again() -> None:
    async def run() -> HealthResult:
        results: asyncio.Queue[HealthResult] = asyncio.Queue()
        checker = Checker(results.put_nowait, at_once=1)
        hangs = HealthCheck(HealthProtocol.HTTP, "/", timeout_s=1000)
        async with (
            server(silent) as bad,
            server(answering(b"HTTP/1.1 200 OK\r\n\r\n")) as good,
        ):
            for number in range(5):
                checker.start(StartHealthCheck(f"b{number}", 0, hangs, "127.0.0.1", bad, "/a"))
            checker.start(StartHealthCheck("good", 0, HTTP, "127.0.0.1", good, "/a"))
            await asyncio.sleep(0.1)
            assert results.empty()
            for number in (3, 0, 1, 4, 2):
                checker.stop(f"b{number}")
            found = await first_result(results, "good")
            checker.close()
            return found

    assert asyncio.run(run()).alive is True
