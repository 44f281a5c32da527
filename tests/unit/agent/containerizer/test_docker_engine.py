"""Connections to a Docker engine are kept, and what happens to them is told or made good."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mezzo.agent.containerizer.docker.engine import Engine
from mezzo.agent.containerizer.docker.errors import EngineUnanswered

_ANSWER = b'{"ApiVersion": "1.44"}'


@dataclass
class Listener:
    """Answers one sort of JSON to everything. ends_after: so many answers, then it hangs up.

    mute: it takes the request that has this in its path, says `last`, and hangs up.
    """

    path: Path
    ends_after: int = 1_000
    mute: str = "nothing"
    last: bytes = b""
    connections: int = 0
    asked: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def serve(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                self.connections += 1
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as requests:
            for _ in range(self.ends_after):
                line = requests.readline().decode()
                size = 0
                while head := requests.readline().strip():
                    if head.lower().startswith(b"content-length:"):
                        size = int(head.partition(b":")[2])
                if not line:
                    return
                self.bodies.append(requests.read(size))
                self.asked.append(line.split(" ")[1])
                if self.mute in line:
                    connection.sendall(self.last)
                    return
                head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                head += b"Content-Length: %d\r\n\r\n" % len(_ANSWER)
                connection.sendall(head + _ANSWER)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Listener]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        found = Listener(tmp_path / "s")
        threading.Thread(target=found.serve, args=(listener,), daemon=True).start()
        yield found
        listener.shutdown(socket.SHUT_RDWR)


def test_requests_for_different_containers_share_a_connection(engine: Listener) -> None:
    asking = Engine(f"unix://{engine.path}")
    for number in range(20):
        asking.call(lambda api, name=f"c{number}": api.inspect_container(name))
    asking.close()
    assert engine.connections <= 2  # another one tells the version
    assert len(engine.asked) == 21


def test_a_connection_that_the_engine_has_ended_meanwhile_is_made_anew(engine: Listener) -> None:
    engine.ends_after = 1
    asking = Engine(f"unix://{engine.path}")
    for _ in range(5):
        asking.call(lambda api: api.inspect_container("c"))
    asking.close()
    assert len(engine.asked) == 6


@pytest.mark.parametrize(
    "last",
    [
        b"",
        b"HTTP/1.1 20",
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nlong\r\n",
        b"HTTP/1.1 204 No Content\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    ],
)
def test_a_request_that_dies_on_a_kept_connection_is_unanswered_and_not_repeated(
    engine: Listener, last: bytes
) -> None:
    engine.mute, engine.last = "/start", last
    asking = Engine(f"unix://{engine.path}")
    asking.call(lambda api: api.inspect_container("c"))
    with pytest.raises(EngineUnanswered):
        asking.ask(lambda api: api.start("c"))
    asking.call(lambda api: api.inspect_container("c"))
    asking.close()
    assert sum("/start" in path for path in engine.asked) == 1


def test_no_proxy_and_no_netrc_of_the_environment_is_read(
    engine: Listener, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine localhost login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    asking = Engine(f"unix://{engine.path}")
    asking.call(lambda api: api.inspect_container("c"))
    asking.close()
    assert len(engine.asked) == 2


def test_an_answer_that_comes_too_late_is_not_taken_for_that_to_the_next_request(
    engine: Listener,
) -> None:
    """Two answers to one request: what follows would be one off."""
    engine.mute = "/start"
    engine.last = b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 404 Not Found\r\n\r\n"
    asking = Engine(f"unix://{engine.path}")
    asking.ask(lambda api: api.start("c"))
    assert asking.call(lambda api: api.inspect_container("c")) == {"ApiVersion": "1.44"}
    asking.close()


@pytest.mark.parametrize(
    ("given", "body"), [({"data": '{"a": 1}'}, b'{"a": 1}'), ({"json": {"a": 1}}, b'{"a": 1}')]
)
def test_a_body_arrives_however_it_is_given(
    engine: Listener, given: dict[str, object], body: bytes
) -> None:
    asking = Engine(f"unix://{engine.path}")
    asking.call(lambda api: api.post(f"{api.base_url}/v1.44/containers/create", **given))
    asking.close()
    assert engine.bodies[-1] == body
