"""What the agent answers over HTTP: state, metrics, and the output of tasks. WSGI, read only.

No Flask here, which the other daemons use: one agent runs on every machine of a cluster, and for
six routes the memory of a web framework is not worth it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, unquote

from mezzo.ids import ContainerId
from mezzo.mesos_json import version_json

from ..container import Kind, Stream
from ..errors import NoLogs
from ..tasks.container_spec import kind_of, sandbox_path
from ..views import AgentView
from .render import shown_state

_JSON: Final = "application/json"
_BYTES: Final = "application/octet-stream"
_OFFSET: Final = re.compile(r"[0-9]{1,18}")  # more is no place in any file


class _NotServed(Exception):
    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class AgentApi:
    """A WSGI application. `view` and `logs` are called in threads. view: a picture of the core.

    logs: of a containerizer, see `ContainerRuntime.logs`.
    """

    def __init__(
        self,
        view: Callable[[], AgentView],
        logs: Callable[[Kind, ContainerId, str, Stream, int, bool], Iterator[bytes]],
    ) -> None:
        self._view = view
        self._logs_of = logs

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        status, kind = HTTPStatus.OK, _JSON
        body: Iterable[bytes]
        try:
            if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
                raise _NotServed(HTTPStatus.METHOD_NOT_ALLOWED, "only GET is possible here")
            kind, body = self._answer(environ["PATH_INFO"], environ.get("QUERY_STRING", ""))
            if environ["REQUEST_METHOD"] == "HEAD":
                body = ()  # nobody waits for output that is followed
        except _NotServed as error:
            status, kind = error.status, _JSON
            body = _json({"message": str(error)})
        start_response(f"{status.value} {status.phrase}", [("Content-Type", kind)])
        return body

    def _answer(self, path: str, query: str) -> tuple[str, Iterator[bytes]]:
        """Content type and body. Raises _NotServed."""
        text = path.encode("latin-1").decode(errors="replace")
        match [unquote(part) for part in text.split("/") if part]:
            case ["health"]:
                return _JSON, iter(())
            case ["version"]:
                return _JSON, _json(version_json())
            case ["state" | "state.json"]:
                return _JSON, _json(shown_state(self._view()))
            case ["metrics"]:
                # Prometheus' client is loaded only where its metrics are asked for.
                from mezzo.process.prometheus import CONTENT_TYPE, exposition

                from .agent_metrics import AgentCollector

                return CONTENT_TYPE, iter((exposition(AgentCollector(self._view())),))
            case ["containers", name, "logs"]:
                return _BYTES, self._logs(name, parse_qs(query))
        raise _NotServed(HTTPStatus.NOT_FOUND, f"there is nothing at {text}")

    def _logs(self, name: str, query: dict[str, list[str]]) -> Iterator[bytes]:
        def argument(key: str, default: str) -> str:
            return query.get(key, [default])[-1]

        stream, offset = argument("stream", "stdout"), argument("offset", "0")
        if stream not in tuple(Stream):
            raise _NotServed(HTTPStatus.BAD_REQUEST, f"stream={stream}: use stdout or stderr")
        if _OFFSET.fullmatch(offset) is None:
            raise _NotServed(HTTPStatus.BAD_REQUEST, f"offset={offset[:20]}: count bytes from 0")
        follow = argument("follow", "false").lower() in ("1", "true", "yes", "")
        found = _find(self._view(), name)
        if found is None:
            raise _NotServed(
                HTTPStatus.NOT_FOUND,
                f"this agent knows no task or container {name}: it never ran here, or its sandbox "
                "was removed",
            )
        kind, container_id, sandbox = found
        try:
            return self._logs_of(kind, container_id, sandbox, Stream(stream), int(offset), follow)
        except NoLogs as error:
            status = HTTPStatus.SERVICE_UNAVAILABLE if error.away else HTTPStatus.FORBIDDEN
            raise _NotServed(status, f"no {stream} of {name}: {error}") from error


def _find(view: AgentView, name: str) -> tuple[Kind, ContainerId, str] | None:
    """Find a task by its id or its container's; of several the one that runs, else the last."""
    for task in view.tasks:
        cid = task.container_id
        if task.live and cid is not None and name in (task.info.task_id, cid):
            info = task.info
            sandbox = sandbox_path(view.config, info.agent_id, task.framework_id, info.task_id, cid)
            return kind_of(info), cid, sandbox
    for remains in reversed(view.remains):
        if name in (remains.task_id, remains.container_id):
            return remains.kind, remains.container_id, remains.sandbox
    return None


def _json(value: object) -> Iterator[bytes]:
    return iter((json.dumps(value).encode(),))
