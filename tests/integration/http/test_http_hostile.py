"""Promise 10 at the three HTTP ports of a real cluster: hostile bytes, slow clients, web pages."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.parts.marathon_cluster import wait_for
from tests.parts.whole_cluster import WITHIN_S, Cluster

STATUS: Final = re.compile(rb"(?:^|\r\n\r\n|\})HTTP/1\.1 ([0-9]{3}) ")


# ---------------------------------------------------------------------------------- any bytes

TARGETS: Final = [
    *("/", "*", "/ping", "/health", "/state", "/state.json", "/master/state", "/metrics"),
    *("/version", "/v2/apps", "/v2/apps/x", "/v2/apps/x/tasks", "/v2/apps/x/versions/y"),
    *("/v2/apps/x/restart?force=true", "/v2/tasks", "/v2/tasks/delete?scale=true", "/v2/queue"),
    *("/v2/queue/x/delay", "/v2/deployments", "/v2/deployments/x", "/v2/info"),
    *("/v2/events?event_type=x", "/marathon/v2/apps/x", "/marathon/v2/queue", "/events"),
    *("/static/app.js", "/static/../app.py", "/containers/x/logs?offset=1&follow=true"),
    "/metrics/prometheus",
]
BITS: Final = [
    *("%00", "%ff", "%2F", "%2e%2e", "..", "//", "%20", "%C3%A4", "%zz", "%", "?", "&", "=", "\\"),
    *("\xc3\xa4", "\xff", "#", ";", " ", "\t", "\r\n", "\n", "\0", "*", ":", "[", "{", "'", '"'),
    *("999999999999999999999", "-1", "null", "x" * 3000),
]
METHODS: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"]
FIELDS: Final = [
    *(
        "Host: x",
        "Host : x",
        "Host:",
        "Accept: text/event-stream",
        "Accept: \xff",
        "Accept: */*;q=x",
    ),
    *(
        "Content-Type: text/plain",
        "Content-Type: application/json; charset=\0",
        "Content-Length: -5",
    ),
    *("Content-Length: 5", "Content-Length: 99999999999999999999", "Transfer-Encoding: chunked"),
    *("Transfer-Encoding: gzip", "Expect: 100-continue", "Expect: x", "Origin: null", "Via: 1.1 x"),
    *("Connection: close, host", "Connection: \xff", "Upgrade: h2c", "X: a\r\n folded", ": x", "X"),
    *("Accept-Encoding: gzip", "Accept-Encoding: \xff", "Range: bytes=0-1,5-", "Range: bytes=-"),
    *("If-Modified-Since: never", "If-None-Match: *", "X-Marathon-Via: 1.1 x", "Cookie: \x7f"),
    *("X-Forwarded-For: \xe4", "Authorization: Basic \xff", "Date: x" * 500),
]
VALUES: Final = [
    *("1e999", "-1", "1e308", "9223372036854775808", "1.5", "true", "null", '"x"', "[]", "{}"),
    *(
        '"\\ud800"',
        '"\\u0000"',
        "NaN",
        "Infinity",
        "[" * 70 + "]" * 70,
        '{"a":' * 70 + "1" + "}" * 70,
    ),
    *('"' + "y" * 300 + '"', '[{"x":null}]', '"\xff"', "1" * 5000),
]
KEYS: Final = [
    *(
        "id",
        "cmd",
        "cpus",
        "mem",
        "instances",
        "constraints",
        "labels",
        "env",
        "container",
        "ports",
    ),
    *("portDefinitions", "healthChecks", "upgradeStrategy", "backoffSeconds", "ids", "args", "x"),
    *("version", "user", "networks", "unreachableStrategy", "taskKillGracePeriodSeconds"),
]
honest_fields = st.just("Host: localhost\r\nContent-Type: application/json")


@st.composite
def targets(draw: st.DrawFn) -> str:
    target = draw(st.sampled_from(TARGETS))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(target)))
        target = target[:at] + draw(st.sampled_from(BITS)) + target[at:]
    return target


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    members = draw(st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=3))
    text = "{" + ",".join(f'"{key}":{value}' for key, value in members.items()) + "}"
    form = draw(st.sampled_from(["{}", "[{}]", "{}x", "{}{}", '{{"apps":[{}]}}', "{:.20}"]))
    return str(form.format(text, text)).encode("latin-1")


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    fields = draw(st.one_of(honest_fields, st.just("Host: localhost"), st.just("")))
    more = draw(st.lists(st.sampled_from(FIELDS), max_size=2))
    body = draw(st.one_of(st.just(b""), documents(), st.binary(max_size=30)))
    length = [f"Content-Length: {len(body)}"] if body and draw(st.booleans()) else []
    version = draw(
        st.sampled_from(["HTTP/1.1"] * 8 + ["HTTP/1.0", "HTTP/2.0", "HTTP/1.1 ", "http"])
    )
    line = f"{draw(st.sampled_from(METHODS))} {draw(targets())} {version}"
    head = "\r\n".join([line, *filter(None, [fields]), *more, *length, "", ""])
    return head.encode("latin-1") + body


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = draw(requests())
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        end = at + draw(st.integers(0, 5))
        data = (
            data[:at]
            + draw(st.one_of(st.binary(max_size=3), st.just(data[at:end] * 2)))
            + data[end:]
        )
    return data


@settings(
    max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.one_of(requests(), mutated()))
def test_no_bytes_are_answered_with_an_error_of_ours(cluster: Cluster, data: bytes) -> None:
    for port in cluster.ports:
        answers = port.raw(data)
        codes = [int(code) for code in STATUS.findall(answers)]
        assert codes or not answers, (port.name, data, answers[:300])
        assert all(100 <= code < 500 for code in codes), (port.name, data, answers[:300])


def test_after_all_that_everybody_is_still_there(cluster: Cluster) -> None:
    assert all(port.is_well() for port in cluster.ports)
    for app_id in cluster.app_ids():
        status, _, body = cluster.marathon.ask("DELETE", f"/v2/apps{app_id}?force=true")
        assert status == 200, body


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n" * 1000,
        b"\0" * 100_000,
        b"\x16\x03\x01\x00\xff" + b"\x01" * 255,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /" + b"%00" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /" + b"/" * 60_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b" " * 60_000 + b"\0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 64_000_000,
        b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 10_000,
        b"POST /v2/apps HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n[\r\n" * 100_000,
        b"POST /v2/apps HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 500000000\r\n\r\n" + b"[" * 1_000_000,
    ],
    ids=range(12),
)
def test_large_and_strange_beginnings_are_survived(cluster: Cluster, data: bytes) -> None:
    for port in cluster.ports:
        answers = port.raw(data)
        assert all(int(code) < 500 for code in STATUS.findall(answers))
        assert port.is_well()


# ---------------------------------------------------------------------------------- slow clients


def test_slow_clients_cost_nobody_else_an_answer(cluster: Cluster) -> None:
    """500 on each port: no byte, half a header, half a body, an answer that is not read."""
    json_type = b"Content-Type: application/json\r\n"
    begun = [
        b"",
        b"GET / HTTP/1.1\r\nHost: loc",
        b"POST /v2/apps HTTP/1.1\r\nHost: localhost\r\n"
        + json_type
        + b"Content-Length: 9\r\n\r\n{",
        b"GET /state HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50,
        b"POST / HTTP/1.1\r\nHost: localhost\r\n"
        + json_type
        + b"Transfer-Encoding: chunked\r\n\r\n5\r\n",
    ]
    for port in cluster.ports:
        with contextlib.ExitStack() as slow:
            for number in range(500):
                client = socket.create_connection(("127.0.0.1", port.number), timeout=WITHIN_S)
                slow.enter_context(client).sendall(begun[number % len(begun)])
            with ThreadPoolExecutor(10) as pool:
                well = list(pool.map(lambda _, port=port: port.is_well(), range(200)))  # type: ignore[misc]
            assert well == [True] * 200


# ---------------------------------------------------------------------------------- event streams


def events(stream: http.client.HTTPResponse) -> Iterator[Any]:
    for line in stream:
        if line.startswith(b"data: "):
            yield json.loads(line[6:])


def test_a_new_event_stream_hears_of_itself_first_and_many_are_served(cluster: Cluster) -> None:
    with contextlib.ExitStack() as open_:
        streams = []
        for _ in range(100):
            connection = http.client.HTTPConnection(
                "127.0.0.1", cluster.marathon.number, timeout=WITHIN_S
            )
            open_.enter_context(contextlib.closing(connection))
            connection.request("GET", "/v2/events", headers={"Accept": "text/event-stream"})
            streams.append(events(open_.enter_context(connection.getresponse())))
        for stream in streams:
            first = next(stream)
            assert (first["eventType"], first["remoteAddress"]) == (
                "event_stream_attached",
                "127.0.0.1",
            )
        app = json.dumps({"id": "/told", "cmd": "sleep 9", "instances": 0}).encode()
        fields = {"Content-Type": "application/json"}
        assert cluster.marathon.ask("POST", "/v2/apps", fields, app)[0] == 201
        for stream in streams:
            assert any(event["eventType"] == "api_post_event" for event in stream)
    cluster.marathon.ask("DELETE", "/v2/apps/told?force=true")


# ---------------------------------------------------------------------------------- proxies


@pytest.mark.parametrize(
    "part",
    [
        "%C3%A4",
        "a%20b",
        "x%2Fy",
        "%2Fx",
        "%00",
        "%FF",
        "a+b",
        "%25",
        "%3F",
        "x;y",
        "..",
        "%2e%2e/x",
    ],
)
def test_the_gateway_hands_a_path_on_as_it_came(cluster: Cluster, part: str) -> None:
    """What Marathon makes of it is what the gateway answers: nothing is decoded on the way."""
    direct = cluster.marathon.ask("GET", f"/v2/apps/{part}?embed=%2F")
    through = cluster.gateway.ask("GET", f"/marathon/v2/apps/{part}?embed=%2F")
    assert through[0] == direct[0] < 500
    assert through[2] == direct[2]


# ---------------------------------------------------------------------------------- web pages

APP: Final = json.dumps({"id": "/evil", "cmd": "touch /tmp/evil", "cpus": 0.01, "mem": 8}).encode()


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "evil.example:8080", "Content-Type": "application/json"}, 421),
        ({"Origin": "http://evil.example", "Content-Type": "application/json"}, 403),
        ({"Origin": "null", "Content-Type": "text/plain"}, 403),
        ({"Origin": "http://127.0.0.1:1", "Content-Type": "application/json"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Content-Type": "application/json"}, 403),
        ({"Referer": "http://evil.example/", "Content-Type": "application/json"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "multipart/form-data; boundary=x"}, 415),
        ({"User-Agent": "Mozilla/5.0", "Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"User-Agent": "Mozilla/5.0"}, 415),
    ],
)
def test_what_a_foreign_page_can_send_changes_nothing(
    cluster: Cluster, fields: dict[str, str], status: int
) -> None:
    for port in cluster.ports:
        for method, target in (
            ("POST", "/v2/apps"),
            ("PUT", "/v2/apps/evil"),
            ("PATCH", "/v2/apps"),
        ):
            told, _, body = port.ask(method, target, fields, APP)
            assert told == status
            assert json.loads(body)["message"]
    assert cluster.app_ids() == []


def test_a_name_of_elsewhere_reads_nothing(cluster: Cluster) -> None:
    for port in cluster.ports:
        for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example"):
            status, _, body = port.ask("GET", port.honest, {"Host": host})
            assert status == 421
            assert b"--http-allowed-hosts" in body
        for host in ("localhost", f"127.0.0.1:{port.number}", "[::1]:1", socket.gethostname()):
            assert port.ask("GET", port.honest, {"Host": host})[0] == 200


def test_answers_open_nothing_to_foreign_pages(cluster: Cluster) -> None:
    foreign = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    for port in cluster.ports:
        for method, target in (("GET", port.honest), ("OPTIONS", "/v2/apps"), ("GET", "/nothing")):
            _, fields, _ = port.ask(method, target, foreign)
            assert [name for name in fields if name.startswith("access-control-")] == []
            assert fields["x-content-type-options"] == "nosniff"


def test_reading_changes_nothing(cluster: Cluster) -> None:
    """What a foreign page can make a browser ask for without our leave (docs/security.md, 4)."""
    app = json.dumps({"id": "/x", "cmd": "sleep 9", "instances": 0}).encode()
    fields = {"Content-Type": "application/json"}
    assert cluster.marathon.ask("PUT", "/v2/apps/x?force=true", fields, app)[0] in (200, 201)
    wait_for(lambda: cluster.marathon.ask("GET", "/v2/deployments")[2] == b"[]", "quiet")
    shown = [cluster.marathon.ask("GET", path)[2] for path in ("/v2/apps", "/v2/info")]
    assert json.loads(shown[0])["apps"]
    targets = [*TARGETS, "/v2/leader", "/v2/leader?force=true", "/v2/apps?force=true&_method=PUT"]
    for port in cluster.ports:
        for target in targets:
            for method in ("HEAD", "OPTIONS", "GET"):
                if (method, target) != ("GET", "/events"):  # that one has no end
                    line = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n"
                    port.raw(f"{line}X-HTTP-Method-Override: DELETE\r\n\r\n".encode())
    assert [cluster.marathon.ask("GET", path)[2] for path in ("/v2/apps", "/v2/info")] == shown
    assert cluster.marathon.ask("GET", "/v2/deployments")[2] == b"[]"
    assert cluster.marathon.ask("DELETE", "/v2/apps/x?force=true")[0] == 200


def test_clients_that_are_no_browsers_work_as_before(cluster: Cluster) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}  # as curl -d says
    for number, fields in enumerate((form, {}, {"Content-Type": "application/json"})):
        app = json.dumps({"id": f"/kept{number}", "cmd": "sleep 9", "instances": 0}).encode()
        assert cluster.marathon.ask("POST", "/v2/apps", fields, app)[0] == 201
        assert cluster.marathon.ask("PUT", f"/v2/apps/kept{number}", fields, b'{"mem":9}')[0] == 200
    for app_id in cluster.app_ids():
        assert cluster.marathon.ask("DELETE", f"/v2/apps{app_id}?force=true")[0] == 200
    wait_for(lambda: cluster.app_ids() == [], "end of the apps")
