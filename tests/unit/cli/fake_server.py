"""An HTTP server that plays Marathon, a gateway or an agent, for the CLI's own behaviour."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

Json = Any
Reply = tuple[int, Json] | bytes


@dataclass
class FakeServer:
    """Answers `METHOD /path` (without query) from `routes`, and records what it was asked.

    A route is a reply, or a function of the request's JSON that returns one.
    """

    routes: dict[str, Reply | Callable[[Json], Reply]] = field(default_factory=dict)
    asked: list[tuple[str, Json]] = field(default_factory=list)
    url: str = ""

    def bodies(self, what: str) -> list[Json]:
        return [body for asked, body in self.asked if asked == what]

    def reply(self, method: str, target: str, body: Json) -> Reply:
        self.asked.append((f"{method} {target}", body))
        route = self.routes.get(f"{method} {urlsplit(target).path}", (404, {"message": "no route"}))
        return route(body) if callable(route) else route


@contextmanager
def serving(fake: FakeServer) -> Iterator[FakeServer]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            reply = fake.reply(self.command, self.path, body)
            status, data = (200, reply) if isinstance(reply, bytes) else (reply[0], reply[1])
            self.send_response(status)
            self.end_headers()
            self.wfile.write(data if isinstance(data, bytes) else json.dumps(data).encode())

        do_GET = do_POST = do_PUT = do_DELETE = answer

        def log_message(self, *_: object) -> None:
            """Tests have enough to read."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class FakeMarathon(FakeServer):
    """A Marathon whose deployments take a number of looks, and end as told."""

    def __init__(self) -> None:
        super().__init__()
        self.apps: dict[str, Json] = {}
        self.queue: list[Json] = []
        self.looks = 1  # how often a deployment is still there when asked

    def reply(self, method: str, target: str, body: Json) -> Reply:
        self.asked.append((f"{method} {target}", body))
        path = urlsplit(target).path
        match method, path:
            case "GET", "/v2/deployments":
                self.looks -= 1
                return 200, [{"id": "d1"}] if self.looks >= 0 else []
            case "GET", "/v2/queue":
                return 200, {"queue": self.queue}
            case "GET", "/v2/apps":
                return 200, {"apps": list(self.apps.values())}
            case "POST", "/v2/apps":
                return self._add(body)
        app_id = path.removeprefix("/v2/apps").removesuffix("/restart")
        app = self.apps.get(app_id)
        if app is None:
            return 404, {"message": f"App '{app_id}' does not exist"}
        if method == "GET":
            return 200, {"app": app}
        if app.get("locked") and "force=true" not in target:
            return 409, {
                "message": "App is locked by one or more deployments. "
                "Override with the option '?force=true'.",
                "deployments": [{"id": "d0"}],
            }
        if method == "DELETE":
            del self.apps[app_id]
        elif method == "PUT":
            app.update(body)
            if self.queue == []:
                app["tasksRunning"] = app["instances"]
        return 200, {"version": "2026-01-01T00:00:00.000Z", "deploymentId": "d1"}

    def _add(self, body: Json) -> Reply:
        app_id = "/" + body["id"].strip("/")
        if app_id in self.apps:
            return 409, {"message": f"An app with id [{app_id}] already exists."}
        if body.get("cpus", 1) < 0:
            details = [{"path": "/cpus", "errors": ["must be >= 0"]}]
            return 422, {"message": "Object is not valid", "details": details}
        self.apps[app_id] = app(app_id, **{k: v for k, v in body.items() if k != "id"})
        return 201, self.apps[app_id] | {"deployments": [{"id": "d1"}]}


def app(app_id: str = "/web", **fields: Json) -> Json:
    """As `GET /v2/apps` shows one whose instances all run."""
    instances = fields.get("instances", 1)
    return {
        "id": app_id,
        "cmd": "sleep 60",
        "instances": instances,
        "cpus": 0.1,
        "mem": 32,
        "version": "2026-01-01T00:00:00.000Z",
        "tasksRunning": instances,
        "tasksStaged": 0,
        "tasksHealthy": 0,
        "tasksUnhealthy": 0,
        "deployments": [],
        "tasks": [],
    } | fields


def waiting(app_id: str = "/web", **summary: Json) -> Json:
    """An item of /v2/queue."""
    return {
        "count": 1,
        "delay": {"timeLeftSeconds": 0, "overdue": True},
        "app": {"id": app_id},
        "processedOffersSummary": {"processedOffersCount": 0} | summary,
    }
