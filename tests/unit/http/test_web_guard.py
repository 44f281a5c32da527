"""Who may ask: names of this machine only, and no page of elsewhere through a browser."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzo.http.errors import RequestRefused
from mezzo.http.request import read_head
from mezzo.http.web_guard import READS, Hosts, _own_names, hosts_of_machine, judge

LOCAL = "10.1.2.3"
HOSTS = Hosts(["localhost", "box", "box.example.com", "2001:db8::1", "10.9.9.9"])
OWN = "box:8080"
JSON = {"Content-Type": "application/json"}
# Whatever a page does, its browser says at least one of these, and the page can't forge it.
FOREIGN = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://box:8081"},
    {"Origin": "https://box:8080.evil.example"},
    {"Origin": "http://box:8080@evil.example"},
    {"Origin": "http://box"},
    {"Origin": "file://"},
    {"Origin": "http://"},
    {"Origin": ""},
    {"Origin": "http://[::1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "new-word"},
    {"Referer": "http://evil.example/page"},
    {"Origin": "http://box:8080", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
]


def verdict(
    method: str = "GET",
    fields: dict[str, str] | None = None,
    *,
    host: str = OWN,
    target: str = "/v2/apps",
    body: bool = False,
    hosts: Hosts = HOSTS,
) -> int:
    """0: it may."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in (fields or {}).items()]
    if body:
        lines.append("Content-Length: 2")
    try:
        judge(read_head("\r\n".join(lines).encode()), hosts, LOCAL)
    except RequestRefused as refused:
        return refused.status
    return 0


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 0),
        ("LocalHost:1", 0),
        ("localhost.", 0),
        ("box", 0),
        ("box.example.com:443", 0),
        ("127.0.0.1:8080", 0),
        ("127.8.9.1", 0),
        ("[::1]:8080", 0),
        ("[2001:db8::1]", 0),
        ("[2001:DB8:0::1]:80", 0),
        ("10.1.2.3:8080", 0),
        ("[::ffff:10.1.2.3]", 0),
        ("10.9.9.9", 0),
        ("10.1.2.4", 421),
        ("8.8.8.8", 421),
        ("evil.example", 421),
        ("evil.example:8080", 421),
        ("localhost.evil.example", 421),
        ("box.evil.example", 421),
        ("evil-box", 421),
        ("127.0.0.1.evil.example", 421),
        ("0x7f000001", 421),
    ],
)
def test_a_request_must_be_meant_for_us(host: str, status: int) -> None:
    for method in ("GET", "HEAD", "POST", "OPTIONS", "DELETE"):
        assert verdict(method, host=host) == status
    assert verdict(host=OWN, target=f"http://{host}/x") == status


def test_any_host_may_be_allowed_and_more_names_given() -> None:
    assert verdict(host="evil.example", hosts=Hosts(["*"])) == 0
    assert verdict(host="lb.example.com:9", hosts=hosts_of_machine("LB.example.com")) == 0
    assert verdict(host="marathon.mesos:8080", hosts=hosts_of_machine()) == 0


def test_a_machine_has_the_names_of_its_own_table(tmp_path: Path) -> None:
    own = socket.gethostname().lower()
    table = tmp_path / "hosts"
    table.write_text(
        f"127.0.1.1 {own}.example.com {own} # me\n\n10.0.0.1 other\n10.0.0.2 {own}x {own}y\n"
    )
    assert set(_own_names(table)) == {own, f"{own}.example.com"}
    assert _own_names(tmp_path / "none") == [own]


@pytest.mark.parametrize("signs", FOREIGN)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "post", "X"])
def test_no_page_of_elsewhere_writes(method: str, signs: dict[str, str]) -> None:
    assert verdict(method, signs) == 403
    assert verdict(method, signs | JSON, body=True) == 403


@pytest.mark.parametrize("signs", FOREIGN)
def test_no_page_of_elsewhere_opens_an_event_stream_and_reading_is_left_to_cors(
    signs: dict[str, str],
) -> None:
    assert verdict("GET", signs | {"Accept": "text/event-stream"}) == 403
    assert verdict("GET", signs) == 0


def test_our_own_pages_may_write_json() -> None:
    signs = {
        "Origin": "http://box:8080",
        "Sec-Fetch-Site": "same-origin",
        "Referer": "http://box:8080/",
    }
    assert verdict("POST", signs | JSON, body=True) == 0
    assert verdict("DELETE", signs) == 0
    assert verdict("POST", {"Origin": "http://BOX"} | JSON, host="box:80", body=True) == 0
    assert verdict("POST", {"Origin": "https://box"} | JSON, host="box", body=True) == 0
    assert verdict("POST", signs | {"Content-Type": "text/plain"}, body=True) == 415
    assert verdict("POST", signs, body=True) == 415


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 0),
        ("Application/JSON; charset=utf-8", 0),
        ("application/merge-patch+json", 0),
        ("application/x-www-form-urlencoded", 0),  # curl -d
        ("", 0),
        ("text/plain", 415),
        ("text/plain;charset=UTF-8", 415),
        ("text/plain; application/json", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/octet-stream", 415),
        ("application/jsonp", 415),
        ("application/json, text/plain", 415),
        ("nonsense", 415),
    ],
)
def test_bodies_say_that_they_are_json(kind: str, status: int) -> None:
    fields = {"Content-Type": kind} if kind else {}
    assert verdict("POST", fields, body=True) == status


@pytest.mark.parametrize(
    "sign",
    [{"User-Agent": "Mozilla/5.0 (X11)"}, {"Cookie": "a=b"}, {"Sec-Fetch-Mode": "no-cors"}],
)
def test_only_who_is_no_browser_may_leave_the_type_out(sign: dict[str, str]) -> None:
    assert verdict("POST", sign, body=True) == 415
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert verdict("POST", sign | form, body=True) == 415
    assert verdict("POST", sign | JSON, body=True) == 0


@given(
    method=st.from_regex(r"[A-Z]{1,8}", fullmatch=True),
    signs=st.sampled_from(FOREIGN),
    more=st.dictionaries(
        st.sampled_from(["Accept", "Content-Type", "User-Agent", "X-Requested-With", "Cookie"]),
        st.sampled_from(["application/json", "text/plain", "curl/8", "*/*", "XMLHttpRequest"]),
    ),
    body=st.booleans(),
)
def test_no_combination_lets_a_foreign_page_write(
    method: str, signs: dict[str, str], more: dict[str, str], body: bool
) -> None:
    assert (verdict(method, signs | more, body=body) == 0) == (method in READS)
