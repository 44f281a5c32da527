"""The server of all ports over real sockets: requests, their order, and what is refused."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from mezzo.http import limits
from mezzo.http.server import HttpServer
from tests.parts.served_app import (
    BODY_MAX,
    GET,
    App,
    Client,
    ask,
    post,
)


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
