"""Arguments and answers as nobody would write them: no traceback, no control of a terminal."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any
from unittest.mock import ANY

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mezzo.cli.main import cli

from .fake_server import FakeServer, app, serving

# As argv has it: what is no UTF-8 comes as lone surrogates, and there is no NUL.
WORDS = st.one_of(
    st.text(st.characters(exclude_characters="\0"), max_size=40),
    st.binary(max_size=12).map(
        lambda raw: raw.replace(b"\0", b"").decode(errors="surrogateescape")
    ),
    st.sampled_from(
        [
            "\x1b]0;t\x07",
            "a\nmezzo: fine",
            "\u202eabc",
            "/../..",
            "%2F",
            "a" * 5000,
            "-1",
            "--",
            "=",
            "",
        ]
    ),
)
SHAPES: tuple[tuple[Any, ...], ...] = (
    ("app", "show", ANY),
    ("app", "scale", ANY, ANY),
    ("app", "update", ANY, ANY),
    ("app", "remove", ANY),
    ("app", "add", ANY),
    ("task", "logs", ANY),
    ("agent", "drain", ANY, "--max-grace-period", ANY),
    ("agent", "gone", "--yes", ANY),
    ("framework", "teardown", "--yes", ANY),
    ("explain", "--framework", ANY, "--agent", ANY, "--role", ANY),
    ("quota", "set", ANY, "--limit", ANY, "--guarantee", ANY),
    ("quota", "remove", ANY),
    ("weight", "set", ANY, ANY),
    ("maintenance", "plan", ANY, "--in", ANY, "--for", ANY),
    ("maintenance", "set", ANY),
    ("--context", ANY, "app", "list"),
    ("context", "use", ANY),
    ("app", "list", "--marathon", ANY),
    ("node", "list", "--gateway", ANY),
    ("role", "list", "--master", ANY),
    ("up", "--set", ANY, "--agents", "0"),
    ("up", "--mesos-user", ANY, "--task-ports", ANY, "--agents", "0"),
    ("up", "--demo", ANY, "--agents", "0"),
    ("agent", "--domain", ANY, "--gc-delay", ANY),
    ("master", "--agent-removal-rate-limit", ANY, "--recovery-agent-removal-limit", ANY),
    ("relay", "--listen", ANY, "--master", ANY),
    (ANY, ANY),
)


@pytest.fixture(scope="module")
def nobody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Where nothing answers that any command could change."""
    patch = pytest.MonkeyPatch()
    patch.chdir(tmp_path_factory.mktemp("cwd"))
    patch.setattr("mezzo.cli.operator._LEADER_S", 0.0)
    refused = 404, {"message": "\x1b[2Jno\nmezzo: fine"}
    with serving(FakeServer({"GET /state": refused})) as server:
        yield {"MEZZO_MARATHON": server.url, "MEZZO_GATEWAY": server.url, "MEZZO_MASTER": "h:1"}
    patch.undo()


@pytest.fixture(scope="module")
def refuser() -> Iterator[tuple[FakeServer, dict[str, str]]]:
    with serving(FakeServer()) as server:
        yield server, {"MEZZO_MARATHON": server.url, "MEZZO_GATEWAY": server.url}


def check(result: Result) -> None:
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert result.exit_code in (0, 1, 2, 3)
    assert not set(result.output) & set("\x1b\x07\u202e")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(data=st.data())
def test_no_argument_brings_a_traceback(
    nobody: dict[str, str],
    data: st.DataObject,
) -> None:
    shape = data.draw(st.sampled_from(SHAPES))
    args = [data.draw(WORDS) if part is ANY else part for part in shape]
    check(CliRunner().invoke(cli, args, env=nobody | {"XDG_STATE_HOME": "/nowhere"}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
REFUSALS = st.fixed_dictionaries(
    {}, optional={"message": JSON, "details": JSON, "deployments": JSON, "errors": JSON}
)


@settings(max_examples=200)
@given(
    status=st.sampled_from([400, 404, 409, 418, 422, 500, 503]),
    body=st.one_of(
        st.binary(max_size=30),
        st.just(b"[" * 100_000),
        (REFUSALS | JSON).map(lambda each: json.dumps(each).encode()),
    ),
)
def test_no_refusal_brings_a_traceback(
    refuser: tuple[FakeServer, dict[str, str]], status: int, body: bytes
) -> None:
    server, env = refuser
    found = 200, {"app": app("/web")}
    server.routes = {
        "GET /v2/apps/web": found,
        "PUT /v2/apps/web": (status, body),
        "GET /v2/apps": (status, body),
        "GET /state": (status, body),
    }
    for args in (("app", "list"), ("app", "scale", "/web", "2"), ("task", "list")):
        result = CliRunner().invoke(cli, args, env=env)
        check(result)
        assert result.exit_code in (1, 3)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"hello\r\n\r\n",
        b"HTTP/1.1 999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200,
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\n\r\n\xff\xfe",
    ],
)
def test_what_does_not_speak_http_is_told(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"127.0.0.1:{listener.getsockname()[1]}"
        result = CliRunner().invoke(cli, ["app", "list", "--marathon", url])
        thread.join()
    check(result)
    assert result.exit_code == 3
    assert f"at http://{url}" in result.stderr
