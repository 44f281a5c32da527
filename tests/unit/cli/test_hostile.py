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

from .fake_server import FakeServer, app, serving, waiting
from .test_task import cluster

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
            "-0",
            "-h",
            "--context",
            "app",
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
    ("--", ANY, ANY, ANY),
    ("app", "--", ANY, ANY),
)


@pytest.fixture(scope="module")
def nobody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Where nothing answers that any command could change."""
    patch = pytest.MonkeyPatch()
    patch.chdir(tmp_path_factory.mktemp("cwd"))
    patch.setattr("mezzo.cli.clients.master_api._LEADER_S", 0.0)
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


def changed(data: st.DataObject, good: Any) -> Any:
    """`good`, but one value in it is another one, or is not there."""
    if isinstance(good, dict) and good and data.draw(st.integers(0, 5)):
        key = data.draw(st.sampled_from(sorted(good)))
        if not data.draw(st.integers(0, 5)):
            return {name: value for name, value in good.items() if name != key}
        return good | {key: changed(data, good[key])}
    if isinstance(good, list) and good and data.draw(st.integers(0, 5)):
        place = data.draw(st.integers(0, len(good) - 1))
        return [*good[:place], changed(data, good[place]), *good[place + 1 :]]
    return data.draw(JSON | st.sampled_from([10**400, -1, 1e300, 2**63, "TASK_NEW", [None], {}]))


WEB = app(
    "/web",
    container={"docker": {"image": "i"}},
    args=["a"],
    env={"A": "1"},
    deployments=[{"id": "d"}],
    tasksRunning=0,
    healthChecks=[{}],
    lastTaskFailure={"timestamp": "t", "state": "TASK_FAILED", "host": "h", "message": "m"},
    tasks=[
        {
            "id": "t",
            "state": "TASK_RUNNING",
            "host": "h",
            "ports": [1],
            "startedAt": "t",
            "healthCheckResults": [{"alive": True}],
        }
    ],
)
GOOD: dict[str, Any] = {
    "GET /v2/apps": {"apps": [WEB]},
    "GET /v2/apps/web": {"app": WEB},
    "POST /v2/apps": {"deployments": [{"id": "d"}]},
    "PUT /v2/apps/web": {"deploymentId": "d"},
    "DELETE /v2/apps/web": {"deploymentId": "d"},
    "POST /v2/apps/web/restart": {"deploymentId": "d"},
    "GET /v2/deployments": [{"id": "other"}],
    "GET /v2/queue": {
        "queue": [
            waiting(
                processedOffersCount=2,
                rejectSummaryLastOffers=[{"reason": "InsufficientCpus", "declined": 2}],
            )
        ]
    },
    "GET /state": cluster(1),
}
ASKING = (
    ("app", "list"),
    ("app", "list", "-o", "json"),
    ("app", "show", "/web"),
    ("app", "add", "app.json", "--timeout", "1"),
    ("app", "scale", "/web", "2", "--timeout", "1"),
    ("app", "update", "/web", "cpus=2", "--timeout", "1"),
    ("app", "remove", "/web", "--timeout", "1"),
    ("app", "restart", "/web", "--timeout", "1"),
    ("node", "list"),
    ("framework", "list"),
    ("task", "list"),
    ("task", "list", "--all"),
    ("task", "logs", "db.1"),
)


@pytest.mark.parametrize("args", ASKING)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_answer_of_another_shape_brings_a_traceback(
    refuser: tuple[FakeServer, dict[str, str]],
    tmp_path_factory: pytest.TempPathFactory,
    args: tuple[str, ...],
    data: st.DataObject,
) -> None:
    server, env = refuser
    route = data.draw(st.sampled_from(sorted(GOOD)))
    page = st.sampled_from([b"<html>Sign in</html>", b"", b"[" * 100_000, b"NaN"])
    answer = st.builds(lambda: json.dumps(changed(data, GOOD[route])).encode()) | page
    server.routes = {each: (200, good) for each, good in GOOD.items()}
    server.routes[route] = 200, data.draw(answer)
    file = tmp_path_factory.getbasetemp() / "app.json"
    file.write_text('{"id": "/web"}')
    words = [str(file) if word == "app.json" else word for word in args]
    check(CliRunner().invoke(cli, words, env=env))


def test_an_answer_of_another_shape_is_told_with_its_place(
    refuser: tuple[FakeServer, dict[str, str]],
) -> None:
    server, env = refuser
    server.routes = {"GET /state": (200, {"slaves": [{"id": 7}]})}
    result = CliRunner().invoke(cli, ["node", "list"], env=env)
    assert result.exit_code == 3
    assert (
        f"what answers at {server.url} is not the gateway: it answers GET /state" in result.stderr
    )
    assert "`$.slaves[0].id`" in result.stderr


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
