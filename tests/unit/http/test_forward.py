"""A request that is handed on: as it came, without what belongs to one connection, and bounded."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from mezzo.errors import NotForwarded
from mezzo.http.forward import HOPS_MAX, Patience, exchange, for_the_next, next_via

PATIENCE = Patience(connect_s=1.0, answer_s=0.5, answer_max_bytes=1000)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\n\r\nok"


@contextmanager
def upstream(
    reply: bytes, then: Callable[[socket.socket], object] | None = None
) -> Iterator[tuple[int, list[bytes]]]:
    """A server that says one thing; its port, and what it was asked."""
    asked: list[bytes] = []

    def serve() -> None:
        client, _ = listener.accept()
        with client:
            asked.append(client.recv(65536))
            client.sendall(reply)
            if then is not None:
                then(client)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], asked
        thread.join(10)


@pytest.mark.parametrize(
    "target", ["/a%2Fb", "/%C3%A4", "/a%20b", "/%00", "/a?x=%26&y", "//x/../y", "/%zz", "/"]
)
def test_a_target_goes_on_as_it_came(target: str) -> None:
    with upstream(OK) as (port, asked):
        reply = exchange("127.0.0.1", port, "GET", target, [("A", "b\xe4")], b"", PATIENCE)
    assert asked[0].startswith(f"GET {target} HTTP/1.1\r\n".encode())
    assert b"\r\nA: b\xe4\r\n" in asked[0]
    assert (reply.status, reply.fields, reply.body) == (200, [("X", "y")], b"ok")


def test_a_body_goes_on_with_its_length() -> None:
    with upstream(OK) as (port, asked):
        exchange("127.0.0.1", port, "POST", "/", [], b"{}", PATIENCE)
    assert asked[0].endswith(b"\r\n\r\n{}") or asked[0].endswith(b"\r\n\r\n")
    assert b"Content-Length: 2\r\n" in asked[0]


def test_what_belongs_to_a_connection_or_a_browser_stays() -> None:
    fields = [
        *(("Host", "h"), ("Connection", "X-Private, close"), ("X-Private", "1"), ("TE", "x")),
        *(("Transfer-Encoding", "chunked"), ("Upgrade", "h2c"), ("Keep-Alive", "1")),
        *(("Origin", "http://h"), ("Referer", "http://h/"), ("Sec-Fetch-Site", "same-origin")),
        *(("Accept", "a"), ("X-Public", "2"), ("Content-Type", "application/json")),
    ]
    assert for_the_next(fields) == [
        ("Accept", "a"),
        ("X-Public", "2"),
        ("Content-Type", "application/json"),
    ]


def test_loops_are_noticed() -> None:
    assert next_via("", "a:1") == "1.1 a:1"
    assert next_via("1.1 b:1", "a:1") == "1.1 b:1, 1.1 a:1"
    long = ", ".join([*["1.1 x"] * HOPS_MAX, "1.1 a:1"])
    for via in ("1.1 a:1", "1.1 b:1,1.1 a:1 , 1.1 c:1", long):
        with pytest.raises(NotForwarded) as error:
            next_via(via, "a:1")
        assert (error.value.status, str(error.value)) == (502, "Detected proxying loop.")


@pytest.mark.parametrize("hops", [HOPS_MAX, HOPS_MAX + 1, 5000])
def test_a_way_that_is_too_long_is_the_clients_fault(hops: int) -> None:
    with pytest.raises(NotForwarded, match=f"names {hops} proxies on its way") as error:
        next_via(", ".join(["1.1 x"] * hops), "a:1")
    assert error.value.status == 400
    assert next_via(", ".join(["1.1 x"] * (HOPS_MAX - 1)), "a:1").endswith("1.1 a:1")


def status_of(port: int, target: str = "/") -> tuple[int, str]:
    with pytest.raises(NotForwarded) as error:
        exchange("127.0.0.1", port, "GET", target, [], b"", PATIENCE)
    return error.value.status, str(error.value)


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nab",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2000,
    ],
)
def test_an_answer_that_is_none_is_told_as_502(reply: bytes) -> None:
    with upstream(reply) as (port, _):
        status, text = status_of(port)
    assert status == 502
    assert f"127.0.0.1:{port}" in text


def test_nobody_there_is_502_and_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(NotForwarded) as error:
        exchange("127.0.0.1", port, "GET", "/", [], b"", PATIENCE)
    assert (error.value.status, error.value.refused) == (502, True)


def test_who_does_not_answer_in_time_is_504() -> None:
    with upstream(b"HTTP/1.1 200 OK\r\n", lambda client: client.recv(1)) as (port, _):
        assert status_of(port)[0] == 504


def test_an_answer_must_come_as_a_whole_in_its_time() -> None:
    over = threading.Event()

    def drip(client: socket.socket) -> None:
        try:
            while not over.wait(0.05):
                client.sendall(b"x")
        except OSError:
            pass  # the other side has had enough

    began_s = time.monotonic()
    with upstream(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", drip) as (port, _):
        assert status_of(port)[0] == 504
        over.set()
    assert time.monotonic() - began_s < 10, "long before 900 bytes are through"
