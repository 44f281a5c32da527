"""Tasks: listing and killing them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flask import Response, request

from mezzo.units import shown

from ..commands import Deployed, Killed, KillTasks
from ..model import paths
from ..model.app import App
from ..model.instance import Condition
from ..views import InstanceView
from .errors import Violation, message, wrong_shape
from .leadership import Term, refusal
from .read_model import ReadModel
from .render import task_json
from .route_parts import accepts, answer, body, deployment_answer, flag, text


class TaskRoutes:
    def __init__(self, term: Callable[[], Term]) -> None:
        self._term = term

    def all(self) -> Response:
        model = self._term().model
        if accepts("text/plain"):
            return text(service_port_lines(model))
        wanted = request.args.getlist("status") + request.args.getlist("status[]")
        tasks = [view for view in model.all_tasks() if _has_status(view, wanted)]
        return answer({"tasks": [_json(view, model) for view in tasks]})

    def of_app(self, app_id: str) -> Response:
        model = self._term().model
        if app_id.endswith("/*"):
            group = app_id.removesuffix("/*") or paths.ROOT
            tasks = [v for app in model.apps_below(group) for v in model.tasks(app.app.id)]
        else:
            self._must_exist(app_id)
            tasks = model.tasks(app_id)
        return answer({"tasks": [_json(view, model) for view in tasks]})

    def delete(self, app_id: str, task_id: str | None) -> Response:
        """Kill one task of an app, or all (of one host)."""
        self._must_exist(app_id)
        model = self._term().model
        if task_id is None:
            host = request.args.get("host", "*")
            tasks = [view for view in model.tasks(app_id) if host in ("*", view.host)]
            return self._kill(tasks, lambda tasks: {"tasks": tasks})
        view = model.task(task_id)
        if view is None or view.app_id != app_id:
            raise message(404, f"Task '{task_id}' does not exist")
        return self._kill([view], lambda tasks: {"task": tasks[0]})

    def delete_given(self) -> Response:
        document = body()
        ids = document.get("ids") if isinstance(document, dict) else None
        if not isinstance(ids, list) or not all(isinstance(id_, str) for id_ in ids):
            raise wrong_shape([Violation("/ids", "error.expected.jsarray")])
        for id_ in ids:
            if "." not in id_:
                text = f"Invalid task id {shown(id_)}. Give ids as /v2/tasks lists them."
                raise message(400, text)
        model = self._term().model
        found = {view.task_id: view for view in map(model.task, ids) if view is not None}
        return self._kill(list(found.values()), lambda tasks: {"tasks": tasks})

    def _must_exist(self, app_id: str) -> None:
        if self._term().model.app(app_id) is None:
            raise message(404, f"App '{app_id}' does not exist")

    def _kill(
        self, views: list[InstanceView], shape: Callable[[list[dict[str, Any]]], dict[str, Any]]
    ) -> Response:
        scale, wipe = flag("scale"), flag("wipe")
        if scale and wipe:
            raise message(400, "You cannot use scale and wipe at the same time.")
        model = self._term().model
        # Rendered first: nothing is done that can't be told.
        told = answer(shape([_json(view, model) for view in views]))
        ids = tuple(view.task_id for view in views)
        command = KillTasks(ids, scale, flag("force"))
        result = self._term().ask(command)
        if isinstance(result, Deployed):
            return deployment_answer(result)
        if isinstance(result, Killed):
            return told
        raise refusal(result)


def _json(view: InstanceView, model: ReadModel) -> dict[str, Any]:
    app = model.app(view.app_id)
    return task_json(view, app.app if app is not None else None)


def _has_status(view: InstanceView, wanted: list[str]) -> bool:
    if not wanted:
        return True
    running = view.condition is Condition.RUNNING
    return ("running" in wanted and running) or ("staging" in wanted and view.condition.starting)


def service_port_lines(model: ReadModel) -> str:
    """For simple load balancers: a line per service port with the addresses behind it."""
    lines: list[str] = []
    for view in model.apps():
        running = [v for v in model.tasks(view.app.id) if v.condition is Condition.RUNNING]
        lines += _lines(view.app, running)
    return "".join(lines)


def _lines(app: App, running: Iterable[InstanceView]) -> list[str]:
    name = paths.underscored(app.id)
    if not app.service_ports:
        hosts = sorted(view.host for view in running)
        return ["\t".join([name, " ", *hosts]) + "\t\n"]
    lines = []
    for index, port in enumerate(app.service_ports):
        addresses = sorted(
            f"{view.host}:{view.ports[index] if index < len(view.ports) else 0}" for view in running
        )
        lines.append("\t".join([name, str(port), *addresses]) + "\t\n")
    return lines
