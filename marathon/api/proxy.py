"""A standby hands every request on to the leader, and its answer back (section 1)."""

from __future__ import annotations

import http.client
import threading
from typing import Final

from flask import Response, redirect, request

from .errors import message
from .node import Node

_CONNECT_S: Final = 5.0
_READ_S: Final = 10.0
_AT_ONCE: Final = 64
_VIA: Final = "X-Marathon-Via"
# They belong to one connection, not to the message.
_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
        "host",
    }
)


class Proxy:
    def __init__(self, node: Node) -> None:
        self._node = node
        self._slots = threading.BoundedSemaphore(_AT_ONCE)

    def to_leader(self) -> Response | None:
        """The leader's answer; None if we lead and the request is ours."""
        leader = self._node.wait_for_leader()
        if leader is None:
            raise message(502, "Could not determine the current leader")
        if leader == self._node.address:
            return None
        if request.path.startswith("/v2/events"):
            return self._redirected(leader)
        via = request.headers.get(_VIA, "")
        me = f"1.1 {self._node.address}"
        if me in (entry.strip() for entry in via.split(",")):
            raise message(502, "Detected proxying loop.")
        if not self._slots.acquire(blocking=False):
            raise message(503, "Too many requests wait for the leader: retry later.")
        try:
            return self._forward(leader, f"{via}, {me}" if via else me)
        finally:
            self._slots.release()

    def _redirected(self, leader: str) -> Response:
        query = request.query_string.decode()
        location = f"http://{leader}{request.path}" + (f"?{query}" if query else "")
        response = redirect(location, 302)
        assert isinstance(response, Response)
        return response

    def _forward(self, leader: str, via: str) -> Response:
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP}
        headers[_VIA] = via
        headers["X-Forwarded-For"] = ", ".join(
            filter(None, (request.headers.get("X-Forwarded-For"), request.remote_addr))
        )
        connection = http.client.HTTPConnection(leader, timeout=_CONNECT_S)
        try:
            connection.connect()
            connection.sock.settimeout(_READ_S)
            query = request.query_string.decode()
            path = request.path + (f"?{query}" if query else "")
            connection.request(request.method, path, request.get_data(), headers)
            reply = connection.getresponse()
            data = reply.read()
        except ConnectionRefusedError:
            raise message(502, "Connection to leader refused.") from None
        except TimeoutError:
            raise message(504, "The leader did not answer in time.") from None
        except (OSError, http.client.HTTPException) as error:
            raise message(502, f"The leader's answer got lost: {error}") from error
        finally:
            connection.close()
        kept = [(k, v) for k, v in reply.getheaders() if k.lower() not in _HOP]
        return Response(data, reply.status, headers=kept)
