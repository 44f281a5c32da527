"""A standby hands every request on to the leader, and its answer back (section 1)."""

from __future__ import annotations

import threading
from typing import Final
from urllib.parse import urlsplit

from flask import Response, redirect, request

from mezzo.errors import NotForwarded
from mezzo.http.forward import Patience, exchange, for_the_next, next_via

from .errors import message
from .leadership import Node

_PATIENCE: Final = Patience(connect_s=5.0, answer_s=10.0)
_AT_ONCE: Final = 64
_VIA: Final = "X-Marathon-Via"
_FORWARDED_FOR: Final = "X-Forwarded-For"


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
        if not self._slots.acquire(blocking=False):
            raise message(503, "Too many requests wait for the leader: retry later.")
        try:
            return self._forward(leader)
        except NotForwarded as error:
            text = "Connection to leader refused." if error.refused else str(error)
            raise message(error.status, text) from error
        finally:
            self._slots.release()

    def _redirected(self, leader: str) -> Response:
        response = redirect(f"http://{leader}{_target()}", 302)
        assert isinstance(response, Response)
        return response

    def _forward(self, leader: str) -> Response:
        came = list(request.headers.items())
        via = next_via(request.headers.get(_VIA, ""), self._node.address)
        others = (request.headers.get(_FORWARDED_FOR), request.remote_addr)
        fields = [each for each in for_the_next(came) if each[0] not in (_VIA, _FORWARDED_FOR)]
        fields += [(_VIA, via), (_FORWARDED_FOR, ", ".join(filter(None, others)))]
        url = urlsplit(f"//{leader}")
        host, port = url.hostname or "", url.port or 80
        body = request.get_data()
        reply = exchange(host, port, request.method, _target(), fields, body, _PATIENCE)
        return Response(reply.body, reply.status, headers=reply.fields)


def _target() -> str:
    """Path and query as they came, still encoded."""
    target = request.environ["REQUEST_URI"]
    assert isinstance(target, str)
    return target
