"""The API as a Flask application: routes, headers, errors. Only the leader answers by itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from mezzo.http.wsgi import WsgiApp
from mezzo.process.log import get_logger

from .apps import AppRoutes
from .errors import ApiError, message
from .leadership import Node, Term
from .route_parts import HEADERS, answer, compressed
from .system import SystemRoutes
from .tasks import TaskRoutes
from .to_leader import Proxy
from .warnings import warned

_SLASHES: Final = re.compile("(?:/|%2[Ff])+")
_PROXIED: Final = "mezzo.proxied"  # in the request's environment: the answer is another's


def make_api(node: Node) -> WsgiApp:
    app = Flask(__name__, static_folder=None)

    def term() -> Term:
        if node.term is None:
            raise message(503, "This Marathon leads no longer: retry.")
        return node.term

    _add_routes(app, node, term)
    _add_frame(app, node)
    return _TidyPaths(app)


def _add_routes(app: Flask, node: Node, term: Callable[[], Term]) -> None:
    apps, tasks, system = AppRoutes(node, term), TaskRoutes(term), SystemRoutes(node, term)
    get, delete = ["GET"], ["DELETE"]
    for path, view, methods in (
        ("/v2/apps", apps.collection, ["GET", "POST", "PUT", "PATCH"]),
        ("/v2/apps/<path:path>", apps.item, ["GET", "POST", "PUT", "PATCH", "DELETE"]),
        ("/v2/tasks", tasks.all, get),
        ("/v2/tasks/delete", tasks.delete_given, ["POST"]),
        ("/v2/deployments", system.deployments, get),
        ("/v2/deployments/<deployment_id>", system.cancel, delete),
        ("/v2/queue", system.queue, get),
        ("/v2/queue/<path:app_id>/delay", system.reset_delay, delete),
        ("/v2/quarantine", system.quarantine, ["GET", "DELETE"]),
        ("/v2/info", system.info, get),
        ("/v2/leader", system.leader, ["GET", "DELETE"]),
        ("/v2/events", system.events, get),
        ("/ping", system.ping, get),
        ("/metrics", system.metrics, get),
        ("/metrics/prometheus", system.prometheus, get),
    ):
        app.add_url_rule(path, endpoint=path, view_func=view, methods=methods)


def _add_frame(app: Flask, node: Node) -> None:
    proxy = Proxy(node)
    log = get_logger("marathon.http")

    @app.before_request
    def _standby() -> Response | None:
        if node.term is not None:
            return None
        response = proxy.to_leader()
        if response is not None:
            request.environ[_PROXIED] = True
        return response

    @app.errorhandler(ApiError)
    def _refused(error: ApiError) -> Response:
        return answer(error.body, error.status)

    @app.errorhandler(HTTPException)
    def _no_route(error: HTTPException) -> Response:
        status = error.code or 500
        text = "URI not found" if status == 404 else error.description or error.name
        response = answer({"message": text}, status)
        for name, value in error.get_headers():
            if name == "Allow":
                response.headers[name] = value
        return response

    @app.errorhandler(Exception)
    def _bug(error: Exception) -> Response:
        log.error("request.failed", path=request.path, exc_info=error)
        return answer({"message": f"internal error: {type(error).__name__}"}, 500)

    @app.after_request
    def _finish(response: Response) -> Response:
        if _PROXIED in request.environ:
            return response
        response.headers.update(HEADERS)
        warned(response)
        if (term := node.term) is not None:
            response.headers["X-Marathon-Leader"] = f"http://{node.address}"
            term.metrics.count(f"marathon.http.responses.{response.status_code // 100}xx.counter")
        return compressed(response)


class _TidyPaths:
    """Clients send `//` before ids, slashes at the end, and ids encoded as one part of the path
    (`%2Fshop%2Fweb`, which the server leaves as it is): all mean what they mean without."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        path = _SLASHES.sub("/", environ.get("PATH_INFO", "/"))
        environ["PATH_INFO"] = path.rstrip("/") or "/"
        return self._app.wsgi_app(environ, start_response)
