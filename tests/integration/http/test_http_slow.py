"""Clients that are slow, many or greedy: who waits for whom, and how much is held for them."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from mezzo.http import limits
from mezzo.http.endless_answer import Stream
from mezzo.http.server import HttpServer
from tests.parts.served_app import (
    BODY_MAX,
    GET,
    WITHIN_S,
    App,
    Client,
    ask,
    eventually,
    post,
    serving,
    short,
)


def test_slow_clients_hold_no_worker(server: HttpServer) -> None:
    slow = [Client(server) for _ in range(200)]
    for number, client in enumerate(slow):
        client.send((b"", GET[:-2], post(b"x" * 1000)[:-1], GET[:1])[number % 4])
    for _ in range(20):
        assert ask(server, GET)[0] == 200
    for client in slow[2::4]:
        assert client.send(b"x").answer()[0] == 200, "and they are served once they are through"
    for client in slow:
        client.__exit__()


def test_a_reader_that_stops_reading_holds_no_worker_and_one_piece(
    server: HttpServer, app: App
) -> None:
    made: list[int] = []

    def long(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        for number in range(1000):
            made.append(number)
            yield b"x" * limits.PIECE_BYTES

    app.routes["/long"] = long
    stuck = [Client(server) for _ in range(20)]
    for client in stuck:
        client.send(GET.replace(b"/echo", b"/long"))
        assert client.head()[0] == 200
    for _ in range(20):
        assert ask(server, GET)[0] == 200
    assert len(made) < 20 * 200, "what the kernel holds, and a piece more"
    for client in stuck[1:]:
        client.__exit__()
    assert sum(map(len, stuck[0].chunks())) == 1000 * limits.PIECE_BYTES
    stuck[0].__exit__()


def test_an_answer_that_has_nothing_to_say_holds_no_worker(server: HttpServer, app: App) -> None:
    go_on, closed = threading.Event(), threading.Event()

    def follow(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        try:
            yield b"first"
            while not go_on.is_set():
                yield b""
            yield b"last"
        finally:
            closed.set()

    app.routes["/follow"] = follow
    followers = [Client(server) for _ in range(20)]
    for client in followers:
        assert client.send(GET.replace(b"/echo", b"/follow")).head()[0] == 200
    assert ask(server, GET)[0] == 200
    followers.pop().__exit__()
    assert closed.wait(WITHIN_S), "a client that has gone is noticed"
    go_on.set()
    for client in followers:
        assert b"".join(client.chunks()) == b"firstlast"
        client.__exit__()


def test_alive_is_answered_while_all_workers_are_busy_and_the_rest_waits_its_turn(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "QUEUE_MAX", 10)
    go_on = threading.Event()

    def busy(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        go_on.wait(WITHIN_S)
        return app.echo(environ, start_response)

    app.routes |= {"/busy": busy, "/urgent": app.echo}
    with serving(app, threads=2) as server:
        clients = [Client(server) for _ in range(20)]
        for client in clients:
            client.send(GET.replace(b"/echo", b"/busy"))
        refused: list[Client] = []
        while len(refused) < 8:  # two are answered, ten wait
            refused = [client for client in clients if client.has_answer()]
        for client in refused:
            status, fields, _ = client.answer()
            assert (status, fields["retry-after"]) == (503, str(limits.RETRY_AFTER_S))
        assert ask(server, GET.replace(b"/echo", b"/urgent"))[0] == 200
        go_on.set()
        for client in clients:
            if client not in refused:
                assert client.answer()[0] == 200
        assert refused[0].send(GET).answer()[0] == 200, "a refusal leaves the connection"
        for client in clients:
            client.__exit__()


def drip(client: Client, data: bytes) -> None:
    for byte in data:
        client.send(bytes([byte]))
        time.sleep(0.02)


def test_a_header_must_come_as_a_whole_in_its_time(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    short(monkeypatch, HEAD_S=0.3)
    with serving(app) as server, Client(server) as client, Client(server) as silent:
        with pytest.raises(ConnectionError):  # each byte in time, all of them not
            drip(client, GET[:-1] + b"X: " + b"x" * 1000)
        assert silent.ended()
        with Client(server) as other:
            assert other.send(GET[:5]).answer()[0] == 408


def test_a_body_must_come_in_its_time_but_a_long_one_has_more(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    short(monkeypatch, BODY_S=2.0, BODY_RATE_BYTES=4_000)
    with serving(app) as server, Client(server) as slow, Client(server) as steady:
        slow.send(post(b"x" * 100)[:-1])
        head, body = post(b"x" * 50_000).split(b"\r\n\r\n")
        steady.send(head + b"\r\n\r\n")
        for start in range(0, len(body), 2_000):  # 20 kB a second: 2.5 s in all
            steady.send(body[start : start + 2_000])
            time.sleep(0.1)
        assert steady.answer()[0] == 200
        assert slow.answer()[0] == 408


def test_an_idle_connection_ends_without_a_word(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    short(monkeypatch, IDLE_S=0.2)
    with serving(app) as server, Client(server) as client:
        assert client.send(GET).answer()[0] == 200
        assert client.ended()


def test_a_client_that_does_not_read_is_cut_off(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    short(monkeypatch, WRITE_S=0.3, WRITE_RATE_BYTES=100_000_000)

    def large(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [b"x" * 20_000_000]

    app.routes["/large"] = large
    with serving(app) as server, Client(server) as client:
        client.send(GET.replace(b"/echo", b"/large"))
        eventually(lambda: app.asked and server.connections == 0, "it is gone")
        body = b""
        with contextlib.suppress(ConnectionError):
            _, _, body = client.answer()
        assert len(body) < 20_000_000


def test_there_is_always_room_for_who_asks(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest idle make room; who waits for an answer or listens to a stream stays."""
    monkeypatch.setattr(limits, "CONNECTIONS_MAX", 50)
    go_on = threading.Event()
    stream = Stream(b"beat", 60.0)

    def busy(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        go_on.wait(WITHIN_S)
        return app.echo(environ, start_response)

    def events(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [])
        return stream

    app.routes |= {"/busy": busy, "/events": events}
    with serving(app) as server, Client(server) as waiting, Client(server) as listening:
        waiting.send(GET.replace(b"/echo", b"/busy"))
        listening.send(GET.replace(b"/echo", b"/events"))
        assert listening.head()[0] == 200
        chunks = listening.chunks()
        assert next(chunks) == b"beat"
        crowd = []
        for _ in range(200):
            crowd.append(Client(server))
            crowd[-1].send(GET[:10])
            if len(crowd) % 20 == 0:
                assert ask(server, GET)[0] == 200
        assert server.connections <= 50
        go_on.set()
        assert waiting.answer()[0] == 200
        stream.push(b"news")
        assert next(chunks) == b"news"
        for client in crowd:
            client.__exit__()


def test_what_is_held_for_clients_is_bounded(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HELD_MAX_BYTES", 10 * BODY_MAX)
    with serving(app) as server:
        hoard = [Client(server) for _ in range(30)]
        for client in hoard:
            client.send(post(b"x" * BODY_MAX)[:-1])
        eventually(lambda: server.held_bytes > 5 * BODY_MAX, "they hold much")
        assert ask(server, post(b"{}"))[0] == 200
        assert server.held_bytes <= 10 * BODY_MAX
        for client in hoard:
            client.__exit__()
        eventually(lambda: server.held_bytes == 0, "nothing is left")


LARGE = 40 * 1024 * 1024  # far more than the kernel keeps for a reader


def large(_: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "application/json")])
    return [b"x" * LARGE]


def test_an_answer_larger_than_what_all_may_hold_gets_out_one_at_a_time(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state of a large cluster, say."""
    monkeypatch.setattr(limits, "HELD_MAX_BYTES", LARGE // 2)
    app.routes["/large"] = large
    want = b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with serving(app) as server, Client(server) as slow, Client(server) as reader:
        slow.send(want)
        eventually(lambda: server.held_bytes > LARGE // 2, "it is not read yet")
        with Client(server) as other:
            held = server.held_bytes
            other.send(post(b"{}")[:-1])
            eventually(lambda: server.held_bytes > held, "a part of it has come")
            other.send(post(b"{}")[-1:])
            assert other.answer()[0] == 200, "that is nobody else's fault"
        status, _, body = reader.send(want).answer()
        assert (status, len(body)) == (200, LARGE)
        assert len(slow.answer()[2]) < LARGE, "whose turn is over"
        eventually(lambda: server.held_bytes == 0, "nothing is left")


@pytest.mark.parametrize("beginning", [b"", GET], ids=["the first request", "the next one"])
def test_headers_without_an_end_count_as_well(
    app: App, monkeypatch: pytest.MonkeyPatch, beginning: bytes
) -> None:
    monkeypatch.setattr(limits, "HELD_MAX_BYTES", 10 * limits.HEAD_MAX_BYTES)
    endless = b"GET /echo HTTP/1.1\r\nHost: localhost\r\nX: ".ljust(limits.HEAD_MAX_BYTES - 1, b"x")
    with serving(app) as server:
        hoard = [Client(server) for _ in range(20)]
        for client in hoard:
            client.send(beginning + endless)
        eventually(lambda: server.held_bytes > 5 * limits.HEAD_MAX_BYTES, "they hold much")
        assert ask(server, GET)[0] == 200
        assert server.held_bytes <= 10 * limits.HEAD_MAX_BYTES
        for client in hoard:
            client.__exit__()
        eventually(lambda: server.held_bytes == 0, "nothing is left")


def test_clients_that_send_many_requests_at_once_delay_nobody_else(app: App) -> None:
    """Not by time, which a busy machine has none of: by who is answered in between."""
    begun: list[str] = []

    def slow(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        begun.append(environ["QUERY_STRING"])
        time.sleep(0.005)
        start_response("200 OK", [])
        return [b""]

    app.routes["/slow"] = slow
    many = b"GET /slow?greedy HTTP/1.1\r\nHost: localhost\r\n\r\n" * 400
    with serving(app, threads=2) as server, contextlib.ExitStack() as clients:
        address = ("127.0.0.1", server.port)
        for _ in range(100):
            greedy = clients.enter_context(socket.create_connection(address, WITHIN_S))
            greedy.sendall(many)
        ends_s = time.monotonic() + WITHIN_S
        while len(begun) < 150:  # the first of each has been answered
            assert time.monotonic() < ends_s
            time.sleep(0.01)
        for number in range(5):
            before = len(begun)
            with socket.create_connection(address, WITHIN_S) as honest:
                honest.sendall(b"GET /slow?honest HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert honest.recv(9) == b"HTTP/1.1 "
            assert begun.count("honest") == number + 1
            assert begun.index("honest", before) - before < 40, "100 are always in the line"
