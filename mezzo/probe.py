"""One look at a task from outside: does its port take a connection, what HTTP status comes?

For the health checks of agents and of Marathon. The task that answers may be hostile: one line of
bounded length is read, nothing is waited for at the end, and anything else is an error that the
caller shows. The caller bounds the time.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import socket
import ssl
from typing import Final
from urllib.parse import quote

from mezzo.errors import NotHttp

_STATUS_LINE_MAX_BYTES: Final = 4096
# Of a path, what may stand in a request as it is.
_PATH_SAFE: Final = "/?#[]@!$&'()*+,;=:%~-._|"
_OURS: Final = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL}
)


def is_ours(error: BaseException) -> bool:
    """Did this machine lack something? That says nothing about the task."""
    return isinstance(error, OSError) and error.errno in _OURS


async def connect(host: str, port: int, family: int = socket.AF_UNSPEC) -> None:
    """Return once the port has taken a connection.

    Raises OSError, and ValueError or OverflowError for what can be no address.
    """
    _, writer = await asyncio.open_connection(host, port, family=family)
    writer.transport.abort()


async def http_status(
    host: str,
    port: int,
    path: str | None,
    *,
    tls: bool = False,
    family: int = socket.AF_UNSPEC,
    user_agent: str,
) -> int:
    """The status of a GET. No redirect is followed, no certificate is looked at.

    Raises as `connect`, and NotHttp.
    """
    # Only the status counts: reading a line by hand keeps hundreds of checks on one thread.
    reader, writer = await asyncio.open_connection(
        host,
        port,
        ssl=_unchecked_tls() if tls else None,
        family=family,
        limit=_STATUS_LINE_MAX_BYTES,
    )
    try:
        writer.write(_request(host, port, path or "", user_agent))
        try:
            line = await reader.readline()
        except ValueError:  # longer than the limit
            raise NotHttp("the answer is not HTTP") from None
    finally:
        # A polite end would wait for the peer's: half a minute with TLS, for each probe.
        writer.transport.abort()
    return _status_code(line)


def _request(host: str, port: int, path: str, user_agent: str) -> bytes:
    """A path is whatever a user wrote, so nothing of it may end its line."""
    path = quote("/" + path.removeprefix("/"), safe=_PATH_SAFE)
    host = quote(f"[{host}]" if ":" in host else host, safe="[]:")
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: */*\r\n"
        f"User-Agent: {user_agent}\r\nConnection: close\r\n\r\n"
    ).encode()


def _status_code(line: bytes) -> int:
    """`HTTP/1.1 200 OK` -> 200. Raises NotHttp."""
    parts = line.split(None, 2)
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/") or not parts[1].isdigit():
        raise NotHttp("the answer is not HTTP" if line else "the connection was closed")
    return int(parts[1][:4])


@functools.cache  # it reads the certificates of all authorities
def _unchecked_tls() -> ssl.SSLContext:
    """Certificates of tasks are often their own; the question is whether the tasks answer."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
