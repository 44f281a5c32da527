"""The server of all ports over real sockets: limits, deadlines, order, and who waits for whom."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from mezzo.http import limits
from mezzo.http.endless_answer import Stream
from mezzo.http.server import HttpServer
from mezzo.http.web_guard import hosts_of_machine

WITHIN_S = 20.0
GET = b"GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n"
BODY_MAX = 100_000
Handler = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class App:
    """Routes by path; `/echo` answers with what it was asked."""

    def __init__(self) -> None:
        self.routes: dict[str, Handler] = {"/echo": self.echo}
        self.asked = 0

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        self.asked += 1
        return self.routes[environ["PATH_INFO"]](environ, start_response)

    @staticmethod
    def echo(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        told = {key: value for key, value in environ.items() if isinstance(value, str)}
        told["body"] = environ["wsgi.input"].read().decode("latin-1")
        return [json.dumps(told).encode()]


@contextlib.contextmanager
def serving(app: Handler, threads: int = 4) -> Iterator[HttpServer]:
    server = HttpServer(
        app,
        ip="127.0.0.1",
        port=0,
        threads=threads,
        hosts=hosts_of_machine(),
        urgent=("/urgent",),
        body_max_bytes=BODY_MAX,
    )
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def server(app: App) -> Iterator[HttpServer]:
    with serving(app) as running:
        yield running


class Client:
    """A socket that reads answers one by one."""

    def __init__(self, server: HttpServer) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=WITHIN_S)
        self._file = self.socket.makefile("rb")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.socket.close()

    def send(self, data: bytes) -> Client:
        self.socket.sendall(data)
        return self

    def has_answer(self) -> bool:
        """Is there something to read, or will be in a moment?"""
        readable, _, _ = select.select([self.socket], [], [], 0.02)
        return bool(readable)

    def head(self) -> tuple[int, dict[str, str]]:
        status = int(self._file.readline().split()[1])
        fields = {}
        while (line := self._file.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            fields[name.lower()] = value.strip()
        return status, fields

    def answer(self, *, of_head: bool = False) -> tuple[int, dict[str, str], bytes]:
        status, fields = self.head()
        if of_head or status in (100, 204):
            return status, fields, b""
        if fields.get("transfer-encoding") == "chunked":
            return status, fields, b"".join(self.chunks())
        return status, fields, self._file.read(int(fields["content-length"]))

    def chunks(self) -> Iterator[bytes]:
        while size := int(self._file.readline(), 16):
            yield self._file.read(size)
            assert self._file.readline() == b"\r\n"
        assert self._file.readline() == b"\r\n"

    def ended(self) -> bool:
        """Is there nothing more to come? Waits for it."""
        try:
            return self._file.read(1) == b""
        except ConnectionError:
            return True


def ask(server: HttpServer, data: bytes) -> tuple[int, dict[str, str], bytes]:
    with Client(server) as client:
        return client.send(data).answer()


def post(body: bytes, *fields: bytes) -> bytes:
    lines = (b"POST /echo HTTP/1.1", b"Host: localhost", b"Content-Type: application/json", *fields)
    return b"\r\n".join((*lines, b"Content-Length: %d" % len(body), b"", body))


def eventually(condition: Callable[[], object], what: str) -> None:
    ends_s = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < ends_s, what
        time.sleep(0.01)


# ---------------------------------------------------------------------------------- requests


def test_a_request_reaches_the_application_as_it_was_sent(server: HttpServer) -> None:
    data = post(b"{}", b"X-Twice: a", b"X-Twice: b", b"X_Under: c", b"Cookie: a", b"Cookie: b")
    status, fields, body = ask(server, data.replace(b"/echo", b"/%65cho?x=%2F&y"))
    env = json.loads(body)
    assert status == 200
    assert fields["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in fields
    assert (env["REQUEST_METHOD"], env["PATH_INFO"], env["QUERY_STRING"]) == (
        "POST",
        "/echo",
        "x=%2F&y",
    )
    assert env["REQUEST_URI"] == "/%65cho?x=%2F&y"
    assert (env["CONTENT_TYPE"], env["CONTENT_LENGTH"], env["body"]) == (
        "application/json",
        "2",
        "{}",
    )
    assert (env["HTTP_X_TWICE"], env["HTTP_COOKIE"]) == ("a,b", "a; b")
    assert "HTTP_X_UNDER" not in env
    assert env["REMOTE_ADDR"] == "127.0.0.1"
    assert env["SERVER_PORT"] == str(server.port)


def test_a_connection_serves_many_requests_and_answers_them_in_order(server: HttpServer) -> None:
    with Client(server) as client:
        numbers = [b"%d" % number for number in range(300)]
        client.send(b"".join(map(post, numbers)))
        assert [json.loads(client.answer()[2])["body"] for _ in numbers] == [
            number.decode() for number in numbers
        ]
        client.send(b"\r\n" + GET)
        assert client.answer()[0] == 200


def test_a_request_may_come_in_any_pieces(server: HttpServer) -> None:
    with Client(server) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in post(b'{"a": 1}') + GET:
            client.send(bytes([byte]))
        assert json.loads(client.answer()[2])["body"] == '{"a": 1}'
        assert client.answer()[0] == 200


@pytest.mark.parametrize(
    ("line", "field", "kept"),
    [
        (b"HTTP/1.1", b"X: y", True),
        (b"HTTP/1.1", b"Connection: close", False),
        (b"HTTP/1.0", b"X: y", False),
        (b"HTTP/1.0", b"Connection: keep-alive", True),
    ],
)
def test_connections_are_kept_or_closed_as_asked(
    server: HttpServer, line: bytes, field: bytes, kept: bool
) -> None:
    with Client(server) as client:
        client.send(b"GET /echo " + line + b"\r\nHost: localhost\r\n" + field + b"\r\n\r\n")
        status, fields, _ = client.answer()
        assert status == 200
        if kept:
            assert client.send(GET).answer()[0] == 200
        else:
            assert fields["connection"] == "close"
            assert client.ended()


def test_head_has_the_fields_of_get_and_no_body(server: HttpServer) -> None:
    with Client(server) as client:
        _, fields, _ = client.send(GET.replace(b"GET", b"HEAD")).answer(of_head=True)
        assert int(fields["content-length"]) > 100
        assert client.send(GET).answer()[0] == 200


def test_options_of_the_server_and_an_absolute_target(server: HttpServer) -> None:
    with Client(server) as client:
        client.send(b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n")
        status, fields, _ = client.answer()
        assert (status, "PATCH" in fields["allow"]) == (204, True)
        client.send(b"GET http://localhost:1/echo?a HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        env = json.loads(client.answer()[2])
        assert (env["REQUEST_URI"], env["HTTP_HOST"]) == ("/echo?a", "localhost:1")


def test_who_expects_to_be_told_is_told_to_go_on_or_refused(server: HttpServer) -> None:
    head, _, _ = post(b"", b"Expect: 100-continue").partition(b"Content-Length")
    with Client(server) as client:
        client.send(head + b"Content-Length: 2\r\n\r\n")
        assert client.head()[0] == 100
        assert client.send(b"{}").answer()[0] == 200
    with Client(server) as client:
        client.send(head + b"Content-Length: %d\r\n\r\n" % (BODY_MAX + 1))
        assert client.answer()[0] == 413
        assert client.ended()


def test_a_client_that_closes_its_side_still_gets_its_answer(server: HttpServer) -> None:
    with Client(server) as client:
        client.send(GET)
        client.socket.shutdown(socket.SHUT_WR)
        assert client.answer()[0] == 200
        assert client.ended()


# ---------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: localhost\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
        (GET.replace(b"\r\n\r\n", b"\r\nX: " + b"x" * 70_000 + b"\r\n\r\n"), 431),
        (GET.replace(b"\r\n\r\n", b"\r\nX: x" * 200 + b"\r\n\r\n"), 431),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (post(b"x" * (BODY_MAX + 1)), 413),
        (post(b"{}").replace(b"Content-Length: 2", b"Content-Length: -2"), 400),
        (post(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + b"ZZ\r\n", 400),
        (post(b"{}", b"Origin: http://evil.example"), 403),
        (post(b"{}").replace(b"application/json", b"text/plain"), 415),
    ],
)
def test_what_is_refused_is_told_and_closed_and_the_application_hears_nothing(
    server: HttpServer, app: App, data: bytes, status: int
) -> None:
    with Client(server) as client:
        told, fields, body = client.send(data).answer()
        assert told == status
        assert json.loads(body)["message"]
        assert fields["connection"] == "close"
        assert client.ended()
    assert app.asked == 0
    assert ask(server, GET)[0] == 200


def test_a_chunked_body_is_counted(server: HttpServer, app: App) -> None:
    head = post(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    chunk = b"2000\r\n" + b"x" * 0x2000 + b"\r\n"
    status, _, body = ask(server, head + chunk * 3 + b"0\r\n\r\n")
    assert (status, len(json.loads(body)["body"])) == (200, 3 * 0x2000)
    assert ask(server, head + chunk * 13)[0] == 413
    assert app.asked == 1


def test_a_bug_of_the_application_is_one_answer(server: HttpServer, app: App) -> None:
    def late(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"x" * limits.PIECE_BYTES
        raise RuntimeError("late")

    def split(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [("X", "a\r\nSet-Cookie: b")])
        return [b""]

    app.routes |= {"/late": late, "/split": split}
    with Client(server) as client:
        client.send(GET.replace(b"/echo", b"/none"))
        assert client.answer()[0] == 500
        client.send(GET.replace(b"/echo", b"/split"))
        status, fields, _ = client.answer()
        assert (status, fields.get("set-cookie")) == (500, None)
        client.send(GET.replace(b"/echo", b"/late"))
        assert client.head()[0] == 200
        with pytest.raises((ValueError, ConnectionError)):  # it does not look like a whole answer
            list(client.chunks())


# ---------------------------------------------------------------------------------- who waits


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


def short(monkeypatch: pytest.MonkeyPatch, **seconds: float) -> None:
    for name, value in {"SWEEP_S": 0.05, **seconds}.items():
        monkeypatch.setattr(limits, name, value)


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


# ---------------------------------------------------------------------------------- streams


def events_app(app: App) -> list[Stream]:
    streams: list[Stream] = []

    def events(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        streams.append(Stream(b"beat", 0.2, lambda: gone.append(1)))
        return streams[-1]

    gone: list[int] = []
    app.routes["/events"] = events
    app.routes["/gone"] = lambda environ, start_response: (
        start_response("200 OK", []),
        [b"%d" % len(gone)],
    )[1]
    return streams


EVENTS = GET.replace(b"/echo", b"/events")


def test_many_streams_need_no_thread_and_hear_all_in_order(server: HttpServer, app: App) -> None:
    streams = events_app(app)
    before = threading.active_count()
    clients = [Client(server).send(EVENTS) for _ in range(300)]
    for client in clients:
        assert client.head()[0] == 200
    assert threading.active_count() <= before + 4
    for number in range(100):
        for stream in streams:
            stream.push(b"<%d>" % number)
    for stream in streams:
        stream.close()
    told = b"".join(b"<%d>" % number for number in range(100))
    for client in clients:
        assert b"".join(client.chunks()).replace(b"beat", b"") == told
        assert client.ended()
        client.__exit__()


def test_a_stream_beats_while_there_is_nothing_and_notices_who_has_gone(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    short(monkeypatch)
    events_app(app)
    with serving(app) as server, Client(server) as client:
        assert client.send(EVENTS).head()[0] == 200
        chunks = client.chunks()
        assert [next(chunks) for _ in range(3)] == [b"beat"] * 3
        client.__exit__()
        eventually(lambda: ask(server, GET.replace(b"/echo", b"/gone"))[2] == b"1", "it is gone")
        assert server.connections <= 1


def test_a_listener_that_has_sent_much_more_is_still_noticed_when_it_goes(
    server: HttpServer, app: App
) -> None:
    events_app(app)
    with Client(server) as client:
        client.send(EVENTS + b"x" * 200_000)
        assert client.head()[0] == 200
    eventually(lambda: ask(server, GET.replace(b"/echo", b"/gone"))[2] == b"1", "it is gone")


def test_a_listener_that_does_not_read_is_cut_off_and_no_other(
    server: HttpServer, app: App
) -> None:
    streams = events_app(app)
    with Client(server) as deaf, Client(server) as listening:
        assert deaf.send(EVENTS).head()[0] == 200
        assert listening.send(EVENTS).head()[0] == 200
        eventually(lambda: len(streams) == 2, "both listen")
        heard = listening.chunks()
        while not streams[0].cut:
            assert next(heard)
            for stream in streams:
                stream.push(b"x" * 10_000)
        assert not streams[1].cut
        streams[1].push(b"last")
        streams[1].close()
        assert b"".join(heard).endswith(b"last")
        with pytest.raises((ConnectionError, ValueError)):
            list(deaf.chunks())


def test_stopping_ends_streams_and_lets_answers_out(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    events_app(app)
    inside = threading.Event()

    def brief(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        inside.set()
        time.sleep(0.2)
        return app.echo(environ, start_response)

    app.routes["/brief"] = brief
    monkeypatch.setattr(limits, "STOP_S", WITHIN_S)
    with serving(app) as server, Client(server) as listening, Client(server) as waiting:
        assert listening.send(EVENTS).head()[0] == 200
        waiting.send(GET.replace(b"/echo", b"/brief"))
        assert inside.wait(WITHIN_S)
        server.stop()
        assert waiting.answer()[0] == 200
        with pytest.raises((ConnectionError, ValueError)):
            list(listening.chunks())
    with pytest.raises(ConnectionError):
        Client(server)


# ---- who does not wait for answers waits for those who do


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
