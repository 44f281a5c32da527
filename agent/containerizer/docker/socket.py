"""Short requests of the SDK over an engine's socket, without what requests does for the web.

Cookies, redirects, proxies, passwords, hooks: an engine at a socket has none of them, and to look
for each takes several times the CPU that the request itself does.
"""

from __future__ import annotations

import contextlib
import select
import socket
from collections import deque
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from typing import Final
from urllib.parse import urlencode

import requests

_HOST: Final = "localhost"  # a request has to name one


class _Connection(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__(_HOST)
        self._path = path

    def connect(self) -> None:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.settimeout(self.timeout)
            made.connect(self._path)
        except BaseException:
            made.close()
            raise
        self.sock = made

    def waits(self) -> bool:
        """Is the connection open, and the other side neither closed it nor speaks unasked?"""
        if self.sock is None:
            return False
        readable = select.poll()
        readable.register(self.sock, select.POLLIN)
        return not readable.poll(0)


class EngineSocket:
    """Keeps up to `kept` connections open. For any number of threads."""

    def __init__(self, path: str, kept: int) -> None:
        self._path = path
        self._kept = kept
        self._idle: deque[_Connection] = deque()

    def request(
        self,
        method: str,
        url: str,
        *,
        data: str | bytes | None,
        params: Mapping[str, object] | None,
        headers: Mapping[str, str] | None,
        timeout_s: float,
    ) -> requests.Response:
        """url: path and query. timeout_s: of silence. A request is sent once, whatever happens.

        Raises OSError (those of requests are such, too) if no answer came.
        """
        given = {name: value for name, value in (params or {}).items() if value is not None}
        if given:
            url = f"{url}{'&' if '?' in url else '?'}{urlencode(given, doseq=True)}"
        connection = self._connection(timeout_s)
        try:
            body = data.encode() if isinstance(data, str) else data
            connection.request(method, url, body, dict(headers or {}))
            answer = connection.getresponse()
            response = requests.Response()
            response._content = answer.read()  # as all adapters do
            response.status_code, response.reason = answer.status, answer.reason
            response.headers.update(answer.headers.items())
            response.url = f"http://{_HOST}{url}"
        except HTTPException as error:
            connection.close()
            raise requests.ConnectionError(f"{error!r} instead of an answer") from error
        except BaseException:
            connection.close()
            raise
        if connection.sock is not None and len(self._idle) < self._kept:
            self._idle.append(connection)
        else:
            connection.close()
        return response

    def _connection(self, timeout_s: float) -> _Connection:
        with contextlib.suppress(IndexError):
            while True:
                idle = self._idle.pop()
                if idle.waits():
                    idle.sock.settimeout(timeout_s)
                    return idle
                idle.close()
        made = _Connection(self._path)
        made.timeout = timeout_s
        return made

    def close(self) -> None:
        """Close idle connections. Those in use are closed by their user, or with the process."""
        with contextlib.suppress(IndexError):
            while True:
                self._idle.pop().close()
