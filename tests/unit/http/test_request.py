"""Bytes to requests: what RFC 9112 does not allow is refused, the rest is read as by h11."""

from __future__ import annotations

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mezzo.http import limits
from mezzo.http.errors import RequestRefused
from mezzo.http.request import Body, Head, read_head

HOST = b"Host: h:8080"


def head_of(*lines: bytes) -> Head:
    return read_head(b"\r\n".join(lines))


def refused(*lines: bytes) -> RequestRefused:
    with pytest.raises(RequestRefused) as error:
        head_of(*lines)
    return error.value


def test_a_request_is_read_with_its_target_as_it_came() -> None:
    head = head_of(b"GET /v2/apps/%2Fa%20b?x=%zz&y={} HTTP/1.1", HOST, b"Accept:  a,\tb \t", b"X: ")
    assert (head.method, head.path, head.query) == ("GET", "/v2/apps/%2Fa%20b", "x=%zz&y={}")
    assert (head.authority, head.host, head.http11, head.keep_alive) == ("h:8080", "h", True, True)
    assert head.fields == (("host", "h:8080"), ("accept", "a,\tb"), ("x", ""))
    assert not head.has_body


@pytest.mark.parametrize(
    ("target", "authority", "path"),
    [
        (b"http://Other:1/x", "Other:1", "/x"),
        (b"HTTP://other", "other", "/"),
        (b"https://other?q", "other", "/"),
    ],
)
def test_the_host_of_an_absolute_target_counts(target: bytes, authority: str, path: str) -> None:
    head = head_of(b"GET " + target + b" HTTP/1.1", HOST)
    assert (head.authority, head.host, head.path) == (authority, "other", path)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"GET",
        b"GET /",
        b"GET  / HTTP/1.1",
        b"GET / HTTP/1.1 ",
        b" GET / HTTP/1.1",
        b"GET\t/\tHTTP/1.1",
        b"GET  HTTP/1.1",
        b"G(T / HTTP/1.1",
        b"GET / HTTP/1.2",
        b"GET / HTTP/2.0",
        b"PRI * HTTP/2.0",
        b"GET / http/1.1",
        b"GET x HTTP/1.1",
        b"GET * HTTP/1.1",
        b"GET h:80 HTTP/1.1",
        b"CONNECT h:80 HTTP/1.1",
        b"CONNECT /x HTTP/1.1",
        b"GET /\xc3\xa4 HTTP/1.1",
        b"GET /a#b HTTP/1.1",
        b"GET /?a#b HTTP/1.1",
        b"GET /%zz HTTP/1.1",
        b"GET /%2 HTTP/1.1",
        b"GET /a\\b HTTP/1.1",
        b"GET /a\0b HTTP/1.1",
        b"GET ftp://h/ HTTP/1.1",
        b"GET http://u@h/ HTTP/1.1",
        b"GET http:///x HTTP/1.1",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_a_malformed_request_line_is_refused(line: bytes) -> None:
    assert refused(line, HOST).status == 400


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b"Accept: x"],
        [HOST, HOST],
        [b"Host : h"],
        [b"Host: a b"],
        [b"Host: a,b"],
        [b"Host: u@h"],
        [b"Host: h:x"],
        [b"Host: "],
        [b"Host: [::1"],
        [HOST, b"X : y"],
        [HOST, b" X: y"],
        [HOST, b"X: y", b" folded"],
        [HOST, b"\tfolded"],
        [HOST, b"X: a\0b"],
        [HOST, b"X: a\rb"],
        [HOST, b"X: a\nb"],
        [HOST, b"X: a\x7fb"],
        [HOST, b"X"],
        [HOST, b": y"],
        [HOST, b"X\xc3\xa4: y"],
        [HOST, b"Content-Length: -5"],
        [HOST, b"Content-Length: +5"],
        [HOST, b"Content-Length: 5, 5"],
        [HOST, b"Content-Length: 0x5"],
        [HOST, b"Content-Length: 5.0"],
        [HOST, b"Content-Length: "],
        [HOST, b"Content-Length: 1_0"],
        [HOST, b"Content-Length: \xb2"],
        [HOST, b"Content-Length: 12345678901234567890"],
        [HOST, b"Content-Length: 5", b"Content-Length: 5"],
        [HOST, b"Content-Length: 5", b"Transfer-Encoding: chunked"],
        [HOST, b"Transfer-Encoding: gzip, chunked"],
        [HOST, b"Transfer-Encoding: identity"],
        [HOST, b"Transfer-Encoding: xchunked"],
        [HOST, b"Transfer-Encoding: "],
        [HOST, b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
    ],
)
def test_malformed_fields_are_refused(lines: list[bytes]) -> None:
    assert refused(b"POST / HTTP/1.1", *lines).status == 400


def test_old_http_needs_no_host_and_knows_no_chunks() -> None:
    head = head_of(b"GET / HTTP/1.0")
    assert (head.host, head.http11, head.keep_alive) == (None, False, False)
    assert head_of(b"GET / HTTP/1.0", b"Connection: Keep-Alive").keep_alive
    assert refused(b"POST / HTTP/1.0", b"Transfer-Encoding: chunked").status == 400


@pytest.mark.parametrize("value", [b"close", b"x, Close", b"keep-alive, close"])
def test_who_says_close_is_closed(value: bytes) -> None:
    assert not head_of(b"GET / HTTP/1.1", HOST, b"Connection: " + value).keep_alive


def test_too_many_fields_and_unknown_expectations_have_their_status() -> None:
    more = [b"X: y"] * limits.FIELDS_MAX
    assert refused(b"GET / HTTP/1.1", HOST, *more).status == 431
    assert head_of(b"GET / HTTP/1.1", HOST, *more[1:]).host == "h"
    assert refused(b"POST / HTTP/1.1", HOST, b"Expect: tea").status == 417
    assert head_of(b"POST / HTTP/1.1", HOST, b"Expect: 100-Continue").expects_continue


# ---------------------------------------------------------------------------------- bodies

CHUNKED = head_of(b"POST / HTTP/1.1", HOST, b"Transfer-Encoding: Chunked")


def read_body(head: Head, *parts: bytes, most: int = 1000) -> tuple[bytes, bytes]:
    """The body, and what came behind it."""
    body, buffer = Body(head, most), bytearray()
    for part in parts:
        buffer += part
        body.feed(buffer)
    assert body.whole
    return bytes(body.data), bytes(buffer)


def with_length(length: int) -> Head:
    return head_of(b"POST / HTTP/1.1", HOST, b"Content-Length: %d" % length)


def test_a_body_ends_where_its_length_says() -> None:
    assert read_body(with_length(5), b"ab", b"cdeGET /") == (b"abcde", b"GET /")
    assert read_body(with_length(0), b"GET /") == (b"", b"GET /")
    with pytest.raises(RequestRefused) as error:
        Body(with_length(1001), 1000)
    assert error.value.status == 413


def test_chunks_are_joined_and_extensions_and_trailers_let_go() -> None:
    data = b'3\r\nabc\r\n002;a=b ; c="\\"x;" ;d\r\nde\r\n0\r\nX: y\r\nZ: \r\n\r\nGET /'
    assert read_body(CHUNKED, data) == (b"abcde", b"GET /")
    assert read_body(CHUNKED, *(bytes([each]) for each in data)) == (b"abcde", b"GET /")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"ZZ\r\n", 400),
        (b"\r\n", 400),
        (b" 3\r\nabc\r\n", 400),
        (b"3 \r\nabc\r\n", 400),
        (b"+3\r\nabc\r\n", 400),
        (b"-3\r\nabc\r\n", 400),
        (b"0x3\r\nabc\r\n", 400),
        (b"3_0\r\n", 400),
        (b"3\nabc\r\n0\r\n\r\n", 400),
        (b"3\r\nabcd\r\n", 400),
        (b"3\r\nabc0\r\n\r\n", 400),
        (b"3;\r\nabc\r\n", 400),
        (b"3;=x\r\nabc\r\n", 400),
        (b'3;a="x\r\nabc\r\n', 400),
        (b"3;a\0=b\r\nabc\r\n", 400),
        (b"0\r\nX : y\r\n\r\n", 400),
        (b"0\r\n folded\r\n\r\n", 400),
        (b"0\r\nX: y\n\r\n", 400),
        (b"1" * 2000, 400),
        (b"11111111111111111\r\n", 400),
        (b"3e9\r\n", 413),
        (b"ffffffffffffffff\r\n", 413),
        (b"0\r\n" + b"X: y\r\n" * 5000 + b"\r\n", 431),
    ],
)
def test_malformed_chunks_are_refused(data: bytes, status: int) -> None:
    for parts in ([data], [bytes([each]) for each in data]):
        with pytest.raises(RequestRefused) as error:
            read_body(CHUNKED, *parts)
        assert error.value.status == status


def test_a_body_of_crumbs_is_refused() -> None:
    with pytest.raises(RequestRefused) as error:
        read_body(CHUNKED, b"1\r\nx\r\n" * (limits.CHUNKS_MAX + 1), most=10**6)
    assert error.value.status == 413


# ------------------------------------------------------------------------- against another reader

VALID = [
    b"GET /v2/apps?embed=x HTTP/1.1\r\nHost: localhost:8080\r\nAccept: */*\r\n\r\n",
    b"POST /v2/apps HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\nConnection: close\r\n\r\n"
    b"0123456789",
    b"PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;a=b\r\nabcde\r\n0\r\nT: x\r\n\r\n",
    b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
]
PIECES = [
    *(b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b",", b";", b"\0", b"\xff", b"0", b"-1"),
    *(b"Host: x", b"Content-Length: 3", b"Content-Length: 10", b"Transfer-Encoding: chunked"),
    *(b"Transfer-Encoding: gzip", b"HTTP/1.1", b"HTTP/1.0", b"GET ", b"/", b"%2F", b"%"),
    *(b"chunked", b"\r\n\r\n"),
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = draw(st.sampled_from(VALID))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        data = (
            data[:start] + draw(st.sampled_from([b"", *PIECES, data[start:end] * 2])) + data[end:]
        )
    return data


def ours(data: bytes) -> tuple[str, str, dict[bytes, bytes], bytes] | None:
    raw, blank, rest = data.partition(b"\r\n\r\n")
    if not blank:
        return None
    try:
        head = read_head(raw)
        body, buffer = Body(head, 10**6), bytearray(rest)
        body.feed(buffer)
    except RequestRefused:
        return None
    if not body.whole:
        return None
    fields = {name.encode(): value.encode("latin-1") for name, value in head.fields}
    return head.method, head.target, fields, bytes(body.data)


def theirs(data: bytes) -> tuple[str, str, dict[bytes, bytes], bytes] | None:
    connection = h11.Connection(h11.SERVER)
    head, body = None, b""
    try:
        connection.receive_data(data)
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            else:
                return None
    except h11.RemoteProtocolError:
        return None
    assert head is not None
    return head.method.decode(), head.target.decode(), dict(head.headers), body


@given(mutated())
@example(VALID[0])
@example(VALID[1])
@example(VALID[2])
@example(VALID[3])
def test_what_is_taken_is_read_as_others_read_it(data: bytes) -> None:
    """Two readings of the same bytes are how requests are smuggled: ours are a subset of h11's."""
    mine = ours(data)
    if mine is not None:
        assert theirs(data) == mine


@pytest.mark.parametrize("data", VALID)
def test_what_is_valid_is_taken(data: bytes) -> None:
    assert ours(data) == theirs(data)
    assert ours(data) is not None
