"""A request to a WSGI application, and its answer back, a piece at a time.

All of it runs in workers. A long answer holds none between its pieces: the next one is made once
the client has read the last, so a slow reader costs memory for one piece and nothing else.
"""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from mezzo.process.log import get_logger

from .endless_answer import Stream
from .limits import PIECE_BYTES
from .request import Head

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Fields = list[tuple[str, str]]

# CR and LF would begin another field, or another answer.
_FIELD: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_REASONS: Final = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Peer:
    """Both ends of a connection."""

    ip: str
    port: int
    local_ip: str
    local_port: int


@dataclass(frozen=True, slots=True)
class Whole:
    status: int
    fields: Fields
    body: bytes


@dataclass(frozen=True, slots=True)
class Begun:
    """An answer that has begun: its first piece; the others come from `rest`."""

    status: int
    fields: Fields
    piece: Piece
    rest: Rest


@dataclass(frozen=True, slots=True)
class Pushed:
    status: int
    fields: Fields
    stream: Stream


Answer = Whole | Begun | Pushed


@dataclass(frozen=True, slots=True)
class Piece:
    """data: what there is now. last: there is no more. Neither: there is nothing yet."""

    data: bytes
    last: bool = False


class Rest:
    """The rest of an application's answer. For one worker at a time."""

    def __init__(self, body: Iterable[bytes]) -> None:
        self._body = body
        self._chunks: Iterator[bytes] = iter(body)

    def piece(self) -> Piece:
        """The next piece: to `PIECE_BYTES`, to the end, or to an empty chunk: "nothing now"."""
        data: list[bytes] = []
        size = 0
        for chunk in self._chunks:
            if not chunk:
                return Piece(b"".join(data))
            data.append(chunk)
            size += len(chunk)
            if size >= PIECE_BYTES:
                return Piece(b"".join(data))
        return Piece(b"".join(data), last=True)

    def close(self) -> None:
        close = getattr(self._body, "close", None)
        if close is not None:
            close()


def ask(app: WsgiApp, head: Head, body: bytes, peer: Peer) -> Answer:
    """Ask the application. Never raises: its exceptions are logged, and answered with 500."""
    begun: list[tuple[int, Fields]] = []

    def start_response(status: str, fields: Fields, exc_info: object = None) -> None:
        del exc_info
        begun[:] = [(int(status[:3]), _checked(fields))]

    try:
        answer = app(environ(head, body, peer), start_response)
        if isinstance(answer, Stream):
            return Pushed(*begun[0], answer)
        if isinstance(answer, (list, tuple)):
            return Whole(*begun[0], b"".join(answer))
        rest = Rest(answer)
        try:
            piece = rest.piece()
        except BaseException:
            rest.close()
            raise
        if piece.last:
            rest.close()
            return Whole(*begun[0], piece.data)
        return Begun(*begun[0], piece, rest)
    except Exception as error:  # noqa: BLE001 - one request's bug is that request's
        get_logger("http").error("request.failed", path=head.path, exc_info=error)
        return problem(500, f"internal error: {type(error).__name__}")


def problem(status: int, text: str, *fields: tuple[str, str]) -> Whole:
    body = json.dumps({"message": text}).encode()
    return Whole(status, [("Content-Type", "application/json"), *fields], body)


def reason(status: int) -> str:
    return _REASONS.get(status, "Unknown")


def _checked(fields: Fields) -> Fields:
    for name, value in fields:
        if _FIELD.fullmatch(name) is None or _FIELD.fullmatch(value) is None:
            raise ValueError(f"the header field {name!r} has a control character")
    return fields


def environ(head: Head, body: bytes, peer: Peer) -> dict[str, Any]:
    """The environ of PEP 3333; besides REQUEST_URI, the target as it came, for proxies."""
    env: dict[str, Any] = {
        "REQUEST_METHOD": head.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(head.path).decode("latin-1"),
        "QUERY_STRING": head.query,
        "REQUEST_URI": f"{head.path}?{head.query}" if head.query else head.path,
        "SERVER_NAME": peer.local_ip,
        "SERVER_PORT": str(peer.local_port),
        "SERVER_PROTOCOL": "HTTP/1.1" if head.http11 else "HTTP/1.0",
        "REMOTE_ADDR": peer.ip,
        "REMOTE_PORT": str(peer.port),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    if body or head.has_body:
        env["CONTENT_LENGTH"] = str(len(body))
    for name, value in head.fields:
        if "_" in name or name in _FRAMING:
            continue  # `x_a` would pass for `x-a`
        key = _key(name)
        known = env.get(key)
        env[key] = value if known is None else f"{known}{'; ' if name == 'cookie' else ','}{value}"
    if head.authority is not None:
        env["HTTP_HOST"] = head.authority
    return env


# The body has been read: how it came is no longer of interest.
_FRAMING: Final = frozenset({"content-length", "transfer-encoding", "expect", "host"})


def _key(name: str) -> str:
    if name == "content-type":
        return "CONTENT_TYPE"
    return f"HTTP_{name.upper().replace('-', '_')}"
