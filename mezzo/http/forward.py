"""A request is handed on to another server as it came, and its answer back.

The target is never decoded and encoded again: `%2F`, `%00`, blanks and letters of any language
arrive as the client has sent them. Fields of one connection stay on it (RFC 9110, 7.6.1).
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mezzo.errors import NotForwarded

Fields = list[tuple[str, str]]

_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
        "expect",
        "host",
    }
)
# Judged here (`mezzo.http.web_guard`); the next server would compare them with a name of its own.
_BROWSER: Final = frozenset({"origin", "referer"})
_PIECE_BYTES: Final = 256 * 1024
# Longer chains of proxies go in a circle that none of them recognizes, or are made up.
HOPS_MAX: Final = 8


@dataclass(frozen=True, slots=True)
class Patience:
    connect_s: float
    answer_s: float  # for the answer as a whole
    answer_max_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    fields: Fields
    body: bytes


def end_to_end(fields: Iterable[tuple[str, str]]) -> Fields:
    """The fields without those of one connection."""
    fields = list(fields)
    named = {
        word.strip().lower()
        for name, value in fields
        if name.lower() == "connection"
        for word in value.split(",")
    }
    return [each for each in fields if each[0].lower() not in _HOP | named]


def for_the_next(fields: Iterable[tuple[str, str]]) -> Fields:
    """The fields to hand on of a request that was judged here."""
    return [
        each
        for each in end_to_end(fields)
        if each[0].lower() not in _BROWSER and not each[0].lower().startswith("sec-fetch-")
    ]


def next_via(via: str, own_name: str) -> str:
    """The field that names all proxies on the way. Raises NotForwarded: with 502 if we were on it
    before, as Marathon does; with 400 if it is too long, which is the client's fault."""
    entries = [entry.strip() for entry in via.split(",") if entry.strip()]
    me = f"1.1 {own_name}"
    if me in entries:
        raise NotForwarded(502, "Detected proxying loop.")
    if len(entries) >= HOPS_MAX:
        raise NotForwarded(
            400, f"the request names {len(entries)} proxies on its way: the most are {HOPS_MAX - 1}"
        )
    return ", ".join((*entries, me))


def exchange(
    host: str,
    port: int,
    method: str,
    target: str,
    fields: Fields,
    body: bytes,
    patience: Patience,
) -> Reply:
    """One request, one answer; redirects are the client's affair. Raises NotForwarded."""
    ends_s = time.monotonic() + patience.connect_s + patience.answer_s
    connection = http.client.HTTPConnection(host, port, timeout=patience.connect_s)
    try:
        connection.connect()
        connection.sock.settimeout(patience.answer_s)
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in fields:
            connection.putheader(name, value.encode("latin-1", "replace"))
        if body or method in ("POST", "PUT", "PATCH"):
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        reply = connection.getresponse()
        return Reply(
            reply.status, end_to_end(reply.getheaders()), _body_of(reply, ends_s, patience)
        )
    except ConnectionRefusedError:
        raise NotForwarded(502, f"nobody listens at {host}:{port}", refused=True) from None
    except TimeoutError:
        raise NotForwarded(504, f"{host}:{port} did not answer in time") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        why = str(error) or type(error).__name__
        raise NotForwarded(502, f"the answer of {host}:{port} got lost: {why}") from error
    finally:
        connection.close()


def _body_of(reply: http.client.HTTPResponse, ends_s: float, patience: Patience) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while piece := reply.read1(_PIECE_BYTES):
        pieces.append(piece)
        size += len(piece)
        if size > patience.answer_max_bytes:
            raise http.client.HTTPException(
                f"it has more than {patience.answer_max_bytes} bytes, which is the most"
            )
        if time.monotonic() > ends_s:
            raise TimeoutError
    if reply.length:
        raise http.client.IncompleteRead(b"", reply.length)
    return b"".join(pieces)
