"""The gateway's HTTP: Mesos' read endpoints, the page and its feed. All read-only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import orjson
from flask import Flask, Response, request
from prometheus_client import Counter
from werkzeug.exceptions import HTTPException

from mezzo.errors import MezzoError, NotForwarded
from mezzo.mesos_json import version_json
from mezzo.process.prometheus import CONTENT_TYPE, REGISTRY, exposition

from .mesos.state_endpoint import state_bytes
from .page import marathon_proxy
from .page.feed import Feed
from .replica.follower import Follower

STATIC: Final = Path(__file__).parent / "page" / "static"

# Everything on the page is its own; values of the cluster can't become code.
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_EVENTS: Final = "text/event-stream"
_KEPT: Final = frozenset({"content-type", "content-encoding", "location"})  # of Marathon's fields
_REQUESTS: Final = Counter(
    "mezzo_gateway_requests",
    "Answers by endpoint and status",
    ["endpoint", "status"],
    registry=REGISTRY,
)


def make_app(follower: Follower, feed: Feed) -> Flask:
    """The WSGI application; its threads only read what `follower` and `feed` hold."""
    app = Flask("mezzo.gateway", static_folder=str(STATIC), static_url_path="/static")
    state = _cached_state(follower)

    @app.get("/")
    def page() -> Response:
        return app.send_static_file("index.html")

    @app.get("/health")
    def health() -> Response:
        """This process works; `/state` tells whether it has a leader (Mesos)."""
        return Response(b"")

    @app.get("/version")
    def version() -> Response:
        return _json(version_json())

    @app.get("/state")
    @app.get("/state.json")
    @app.get("/master/state")
    @app.get("/master/state.json")
    def cluster_state() -> Response:
        return Response(state(), content_type="application/json")

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(exposition(), content_type=CONTENT_TYPE)

    @app.get("/events")
    def events() -> Response:
        headers = {"Cache-Control": "no-store"}
        body = b"" if request.method == "HEAD" else feed.stream()
        if body is None:
            return _problem(503, "the gateway is stopping: ask again in a moment")
        return Response(body, headers=headers, mimetype=_EVENTS, direct_passthrough=True)

    @app.get("/marathon/v2/<path:path>")
    def marathon_api(path: str) -> Response:
        target = request.environ["REQUEST_URI"].removeprefix("/marathon")
        if not marathon_proxy.readable(target):
            return _problem(404, f"/v2/{path} is not served here: ask Marathon itself")
        view, _ = follower.read()
        via = request.headers.get(marathon_proxy.VIA, "")
        reply = marathon_proxy.get(marathon_proxy.marathon_url(view), target, via)
        kept = [each for each in reply.fields if each[0].lower() in _KEPT]
        return Response(reply.body, reply.status, headers=kept)

    _add_endings(app)
    return app


def _add_endings(app: Flask) -> None:
    """What every answer ends as: a problem in words if it is an error, counted, with our fields."""

    @app.errorhandler(NotForwarded)
    def not_forwarded(error: NotForwarded) -> Response:
        return _problem(error.status, str(error))

    @app.errorhandler(MezzoError)
    def unavailable(error: MezzoError) -> Response:
        return _problem(503, str(error))

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        return _problem(error.code or 500, f"{request.path}: {error.description}")

    @app.after_request
    def finish(response: Response) -> Response:
        response.headers.extend(_HEADERS)
        response.headers.setdefault("Cache-Control", "no-cache")
        _REQUESTS.labels(request.endpoint or "unknown", response.status_code).inc()
        return response


def _cached_state(follower: Follower) -> Callable[[], bytes]:
    """`/state` as bytes, made once for each sequence number: scrapers cost next to nothing."""
    made: tuple[tuple[int, int], bytes] | None = None

    def state() -> bytes:
        nonlocal made
        view, master = follower.read()
        at = (view.epoch, view.sequence)
        # Two threads may both make it; what they make is equal.
        if made is None or made[0] != at:
            made = (at, state_bytes(view, master))
        return made[1]

    return state


def _json(body: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, content_type="application/json")


def _problem(status: int, message: str) -> Response:
    return _json({"message": message}, status)
