"""Bytes to a request, strictly by RFC 9112: what is not exactly its grammar is refused.

Where two readers of the same bytes could disagree (two lengths, a length beside chunks, folded
lines, bare line feeds, blanks before a colon), an attacker hides a second request in the first.
There is no lenient way here. Pure: no clock, no I/O.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from mezzo.units import shown

from .errors import RequestRefused
from .limits import CHUNK_LINE_MAX_BYTES, CHUNKS_MAX, FIELDS_MAX, TRAILERS_MAX_BYTES

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE: Final = re.compile(rb"(%s) ([!-~]+) HTTP/1\.([01])" % _TOKEN)
_FIELD: Final = re.compile(rb"(%s):([^\x00-\x08\x0a-\x1f\x7f]*)" % _TOKEN)
_PATH: Final = re.compile(r"/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*")
_ABSOLUTE: Final = re.compile(r"https?://([^/?#]*)(.*)", re.IGNORECASE)
_AUTHORITY: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._\-]+)(?::[0-9]{0,5})?")
_LENGTH: Final = re.compile(r"[0-9]{1,19}")
_QUOTED: Final = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t -~\x80-\xff])*"'
_CHUNK: Final = re.compile(
    rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[ \t]*%s(?:[ \t]*=[ \t]*(?:%s|%s))?)*"
    % (_TOKEN, _TOKEN, _QUOTED)
)
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")
_END: Final = b"\r\n"


@dataclass(frozen=True, slots=True)
class Head:
    """A request without its body.

    target: as it came. path: its path, still encoded, `*` for the server as a whole. host: whom it
    is meant for, without the port; None only in HTTP/1.0. authority: the same with the port.
    fields: names in lower case, in the order in which they came. body_bytes: 0 also for a body in
    chunks.
    """

    method: str
    target: str
    path: str
    query: str
    http11: bool
    authority: str | None
    host: str | None
    fields: tuple[tuple[str, str], ...]
    body_bytes: int
    chunked: bool
    keep_alive: bool
    expects_continue: bool

    def field(self, name: str) -> str | None:
        """All values of a field, joined by commas."""
        values = [value for key, value in self.fields if key == name]
        return ", ".join(values) if values else None

    @property
    def has_body(self) -> bool:
        return self.chunked or self.body_bytes > 0


def has_bare_line_feed(data: bytes | bytearray, start: int) -> bool:
    return _BARE_LF.search(data, start) is not None


def read_head(raw: bytes) -> Head:
    """raw: up to and without the empty line. Raises RequestRefused."""
    first, *lines = raw.split(_END)
    line = _REQUEST_LINE.fullmatch(first)
    if line is None:
        raise RequestRefused(
            400, f"{_shown(first)} is no request line: METHOD /target HTTP/1.1, in printable ASCII"
        )
    if len(lines) > FIELDS_MAX:
        raise RequestRefused(
            431, f"the request has {len(lines)} header fields: at most {FIELDS_MAX}"
        )
    fields = tuple(map(_read_field, lines))
    method, target = line[1].decode(), line[2].decode()
    http11 = line[3] == b"1"
    authority, path, query = _read_target(method, target)
    named = _named(fields, http11)
    authority = named if authority is None else authority
    length, chunked = _framing(fields, http11)
    return Head(
        method,
        target,
        path,
        query,
        http11,
        authority,
        None if authority is None else host_of(authority),
        fields,
        length,
        chunked,
        _keeps_alive(fields, http11),
        _expects_continue(fields, http11),
    )


def _read_field(line: bytes) -> tuple[str, str]:
    field = _FIELD.fullmatch(line)
    if field is None:
        raise RequestRefused(400, f"{_shown(line)} is no header field: Name: value, in one line")
    return field[1].decode().lower(), field[2].decode("latin-1").strip(" \t")


def _read_target(method: str, target: str) -> tuple[str | None, str, str]:
    """Authority (None: as the field Host says), path, query."""
    if target == "*" and method == "OPTIONS":
        return None, "*", ""
    authority, rest = None, target
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is not None:
        authority, rest = absolute[1], absolute[2]
        if not rest.startswith("/"):
            rest = f"/{rest}"
    path, _, query = rest.partition("?")
    if "#" in query or _PATH.fullmatch(path) is None or method == "CONNECT":
        raise RequestRefused(
            400,
            f"{shown(target)} is no target: a path that begins with /, what is not a letter, a "
            "digit or one of -._~!$&'()*+,;=:@ encoded as %XX",
        )
    return authority, path, query


def _named(fields: tuple[tuple[str, str], ...], http11: bool) -> str | None:
    hosts = [value for name, value in fields if name == "host"]
    if len(hosts) > 1:
        raise RequestRefused(400, "the request has more than one Host field: send one")
    if not hosts and http11:
        raise RequestRefused(400, "the request has no Host field: HTTP/1.1 needs one")
    return hosts[0] if hosts else None


def host_of(authority: str) -> str:
    """The host of an authority, in lower case, without port and brackets. Raises RequestRefused."""
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise RequestRefused(
            400, f"{shown(authority)} is no host: a name or an address, and a port"
        )
    return match[1].lower().strip("[]").rstrip(".")


def _framing(fields: tuple[tuple[str, str], ...], http11: bool) -> tuple[int, bool]:
    """How long the body is, or whether it comes in chunks (section 6.3)."""
    lengths = [value for name, value in fields if name == "content-length"]
    encodings = [value for name, value in fields if name == "transfer-encoding"]
    if lengths and encodings:
        raise RequestRefused(
            400, "the request has both Content-Length and Transfer-Encoding: send one"
        )
    if encodings:
        if not http11 or len(encodings) > 1 or encodings[0].lower() != "chunked":
            raise RequestRefused(
                400, f"Transfer-Encoding: {shown(encodings[0])}: only chunked is known"
            )
        return 0, True
    if not lengths:
        return 0, False
    if len(lengths) > 1 or _LENGTH.fullmatch(lengths[0]) is None:
        raise RequestRefused(
            400, f"Content-Length: {shown(', '.join(lengths))}: send one, a number in digits"
        )
    return int(lengths[0]), False


def _keeps_alive(fields: tuple[tuple[str, str], ...], http11: bool) -> bool:
    words = {
        word.strip().lower()
        for name, value in fields
        if name == "connection"
        for word in value.split(",")
    }
    return "close" not in words and (http11 or "keep-alive" in words)


def _expects_continue(fields: tuple[tuple[str, str], ...], http11: bool) -> bool:
    expected = [value for name, value in fields if name == "expect"]
    if not expected or not http11:
        return False
    if [value.lower() for value in expected] != ["100-continue"]:
        raise RequestRefused(417, f"Expect: {shown(expected[0])}: only 100-continue is known")
    return True


def _shown(line: bytes) -> str:
    return shown(line.decode("latin-1"))


class _Where(Enum):
    """What the next bytes of a body are."""

    DATA = auto()
    SIZE = auto()  # the line before a chunk
    BORDER = auto()  # the line after it, which is empty
    TRAILERS = auto()
    END = auto()


class Body:
    """Collects one body. `feed` it what comes until it is `whole`; then it has its `data`."""

    __slots__ = ("_chunked", "_chunks", "_left", "_max", "_trailer_bytes", "_where", "data")

    def __init__(self, head: Head, most_bytes: int) -> None:
        """Raises RequestRefused (413) if the head already tells that it is too long."""
        self.data = bytearray()
        self._max = most_bytes
        self._chunked = head.chunked
        self._left = head.body_bytes  # of the body or of this chunk
        self._where = _Where.SIZE if head.chunked else _Where.DATA
        self._chunks = self._trailer_bytes = 0
        self._check(head.body_bytes)
        if not head.has_body:
            self._where = _Where.END

    @property
    def whole(self) -> bool:
        return self._where is _Where.END

    def feed(self, buffer: bytearray) -> None:
        """Take from the front of `buffer` what belongs to the body. Raises RequestRefused."""
        start = 0
        while self._where is not _Where.END:
            if self._where is _Where.DATA:
                taken = min(self._left, len(buffer) - start)
                self.data += memoryview(buffer)[start : start + taken]
                start += taken
                self._left -= taken
                if self._left:
                    break
                self._where = _Where.BORDER if self._chunked else _Where.END
                continue
            most = TRAILERS_MAX_BYTES if self._where is _Where.TRAILERS else CHUNK_LINE_MAX_BYTES
            end = buffer.find(_END, start, start + most)
            if end < 0:
                if len(buffer) - start >= most or has_bare_line_feed(buffer, start):
                    raise RequestRefused(400, "a line between the chunks of the body is malformed")
                break
            self._line(bytes(buffer[start:end]))
            start = end + len(_END)
        del buffer[:start]

    def _line(self, line: bytes) -> None:
        if self._where is _Where.BORDER:
            if line:
                raise RequestRefused(400, "a chunk of the body is longer than its size says")
            self._where = _Where.SIZE
        elif self._where is _Where.SIZE:
            size = _CHUNK.fullmatch(line)
            if size is None:
                raise RequestRefused(
                    400, f"{_shown(line)} is no size of a chunk: hexadecimal digits"
                )
            self._chunks += 1
            if self._chunks > CHUNKS_MAX:
                raise RequestRefused(
                    413, f"the body has more than {CHUNKS_MAX} chunks: send larger ones"
                )
            self._left = int(size[1], 16)
            self._check(len(self.data) + self._left)
            self._where = _Where.DATA if self._left else _Where.TRAILERS
        elif line:
            # Read for its form, and let go: nothing here has a use for trailers.
            _read_field(line)
            self._trailer_bytes += len(line)
            if self._trailer_bytes > TRAILERS_MAX_BYTES:
                raise RequestRefused(431, f"the trailers have more than {TRAILERS_MAX_BYTES} bytes")
        else:
            self._where = _Where.END

    def _check(self, size_bytes: int) -> None:
        if size_bytes > self._max:
            raise RequestRefused(
                413, f"the body has more than {self._max} bytes, which is the most"
            )
