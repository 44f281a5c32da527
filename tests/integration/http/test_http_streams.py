"""Answers without an end, over real sockets."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from mezzo.http import limits
from mezzo.http.endless_answer import Stream
from mezzo.http.server import HttpServer
from tests.parts.served_app import (
    GET,
    WITHIN_S,
    App,
    Client,
    ask,
    eventually,
    serving,
    short,
)


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
