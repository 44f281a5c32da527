"""A small application behind the server of all ports, and a client that sends bytes."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from mezzo.http import limits
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


def short(monkeypatch: pytest.MonkeyPatch, **seconds: float) -> None:
    for name, value in {"SWEEP_S": 0.05, **seconds}.items():
        monkeypatch.setattr(limits, name, value)
