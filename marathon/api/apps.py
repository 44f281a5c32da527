"""/v2/apps: what users write, and what they read of it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final

import orjson
from flask import Response, request
from werkzeug.exceptions import MethodNotAllowed

from mezzo.core import REQUEST_BYTES_MAX
from mezzo.record import replace

from ..commands import (
    AlreadyExists,
    ChangeApps,
    DeleteApp,
    Deployed,
    Origin,
    RestartApp,
    Stale,
    Target,
)
from ..model import paths
from ..model.app import App
from ..model.timestamps import format_ms, parse_ms
from ..views import AppView
from .app_definition import AppDocument, changed_app, new_app
from .appinfo import ALWAYS, SINGLE, app_info, embeds
from .errors import ApiError, Violation, message, not_valid, wrong_shape
from .leadership import REPLY_TIMEOUT_S, Node, Term, refusal
from .read_model import ReadModel
from .render import app_json
from .route_parts import answer, body, deployment_answer, deployment_header, flag
from .selector import parse_selector
from .tasks import TaskRoutes
from .warnings import hint_unknown

# The state store takes no more in one change: the smallest app there is has 1,000 bytes in it.
_APPS_MAX: Final = REQUEST_BYTES_MAX // 1000
# The id is lazy: what follows it are the words that can't end one.
_PATH: Final = re.compile(
    r"(?s)(?P<id>.+?)(?:/(?P<sub>restart|tasks|versions)(?:/(?P<rest>[^/]+))?)?"
)


class AppRoutes:
    def __init__(self, node: Node, term: Callable[[], Term]) -> None:
        self._node = node
        self._term = term
        self._tasks = TaskRoutes(term)

    # ---- /v2/apps

    def collection(self) -> Response:
        match request.method:
            case "GET" | "HEAD":
                return self._list()
            case "POST":
                return self._create()
            case _:
                return self._change_many(create=request.method == "PUT")

    def _list(self) -> Response:
        model, args = self._term().model, request.args
        views = model.apps()
        if cmd := args.get("cmd"):
            views = [view for view in views if cmd.lower() in (view.app.cmd or "").lower()]
        if part := args.get("id"):
            views = [view for view in views if part.lower() in view.app.id.lower()]
        if label := args.get("label"):
            selected = parse_selector(label)
            views = [view for view in views if selected(view.app.labels)]
        parts = embeds(args.getlist("embed")) | ALWAYS
        return answer({"apps": [app_info(view, model, parts) for view in views]})

    def _create(self) -> Response:
        term = self._term()
        document = AppDocument(body())
        hint_unknown([document])
        app = new_app(document, self._node.rules)
        command = ChangeApps((Target(_told(app), None),), _origin(), flag("force"))
        deployed = term.do(command, Deployed)
        (created,) = deployed.apps
        zero = dict.fromkeys(("tasksStaged", "tasksRunning", "tasksHealthy", "tasksUnhealthy"), 0)
        return answer(
            app_json(created) | zero | {"deployments": [{"id": deployed.deployment_id}]},
            201,
            self._location(created.id) | deployment_header(deployed),
        )

    def _change_many(self, *, create: bool) -> Response:
        sent = body()
        if not isinstance(sent, list):
            raise wrong_shape([Violation("/", "error.expected.jsarray")])
        if len(sent) > _APPS_MAX:
            text = f"at most {_APPS_MAX} apps can be changed at once, not {len(sent)}"
            raise not_valid([Violation("/", text)])
        ids = [_id_of(index, document) for index, document in enumerate(sent)]
        if len(ids) != len(set(ids)):
            raise not_valid([Violation("/", "each app may be given only once")])
        documents = list(map(AppDocument, sent))
        hint_unknown(documents, in_list=True)
        pairs = dict(zip(ids, documents, strict=True))
        return deployment_answer(self._change(pairs, create=create, in_list=True))

    # ---- /v2/apps/{id}...

    def item(self, path: str) -> Response:
        app_id, sub, rest = self._meant(path)
        match request.method, sub:
            case (("GET" | "HEAD"), None):
                return self._read(app_id)
            case (("PUT" | "PATCH"), None):
                return self._put(app_id, create=request.method == "PUT")
            case "DELETE", None:
                command = DeleteApp(app_id, flag("force", default=True))
                return deployment_answer(self._term().do(command, Deployed))
            case "POST", "restart" if rest is None:
                command_ = RestartApp(app_id, flag("force"))
                return deployment_answer(self._term().do(command_, Deployed))
            case (("GET" | "HEAD"), "tasks") if rest is None:
                return self._tasks.of_app(app_id)
            case "DELETE", "tasks":
                return self._tasks.delete(app_id, rest)
            case (("GET" | "HEAD"), "versions"):
                return self._versions(app_id) if rest is None else self._version(app_id, rest)
        raise MethodNotAllowed

    def _meant(self, path: str) -> tuple[str, str | None, str | None]:
        """The id of an app, which of its parts, and which one of these.

        An app may have one of the words within its id (`/a/versions/b`), and is meant itself where
        there is one; and always by who writes it, since nobody writes a part.
        """
        found = _PATH.fullmatch(path)
        assert found is not None  # the route takes no empty path
        whole, model = paths.absolute(f"/{path}"), self._term().model
        if found["rest"] not in (None, ".", "..") and (
            request.method in ("PUT", "PATCH") or model.app(whole) or model.aside_app(whole)
        ):
            return whole, None, None
        return paths.absolute(f"/{found['id']}"), found["sub"], found["rest"]

    def _read(self, app_id: str) -> Response:
        model = self._term().model
        parts = embeds(request.args.getlist("embed")) | SINGLE
        if app_id.endswith("/*"):
            views = model.apps_below(app_id.removesuffix("/*") or paths.ROOT)
            return answer({"*": [app_info(view, model, parts) for view in views]})
        return answer({"app": app_info(self._view(app_id), model, parts)})

    def _view(self, app_id: str) -> AppView:
        model = self._term().model
        view = model.app(app_id)
        if view is None:
            raise message(404, f"App '{app_id}' does not exist{_aside(model, app_id)}")
        return view

    def _versions(self, app_id: str) -> Response:
        versions = [app.version_ms for app in self._view(app_id).versions]
        return answer({"versions": [format_ms(version) for version in sorted(versions)[::-1]]})

    def _version(self, app_id: str, version: str) -> Response:
        return answer(app_json(_old(self._view(app_id), version)))

    def _put(self, app_id: str, *, create: bool) -> Response:
        existed = self._term().model.app(app_id) is not None
        document = AppDocument(body())
        hint_unknown([document])
        deployed = self._change({app_id: document}, create=create)
        headers = {} if existed else self._location(app_id)
        return deployment_answer(deployed, 200 if existed else 201, headers)

    # ---- changing

    def _change(
        self, documents: dict[str, AppDocument], *, create: bool, in_list: bool = False
    ) -> Deployed:
        """Change apps in one deployment. Threads that change the same app take turns, each from the
        outcome of the one before. Other changes of an app (a restart, a kill that scales) may come
        between our read and our write: then we begin again, as long as a client would wait.
        """
        term, force = self._term(), flag("force")
        until_s = time.monotonic() + REPLY_TIMEOUT_S
        with term.turns.of(documents):
            while True:
                targets = tuple(
                    self._target(app_id, document, index if in_list else None, create=create)
                    for index, (app_id, document) in enumerate(documents.items())
                )
                result = term.ask(ChangeApps(targets, _origin(), force))
                if isinstance(result, Deployed):
                    return result
                again = isinstance(result, Stale | AlreadyExists)
                if not again or time.monotonic() > until_s:
                    raise refusal(result)

    def _target(
        self, app_id: str, document: AppDocument, index: int | None, *, create: bool
    ) -> Target:
        """index: of the document in the request's list."""
        try:
            target = self._target_of(app_id, document, create=create)
        except ApiError as error:
            raise (error if index is None else error.below(f"/({index})")) from None
        _told(target.app)
        return target

    def _target_of(self, app_id: str, document: AppDocument, *, create: bool) -> Target:
        rules = self._node.rules
        view = self._term().model.app(app_id)
        if view is None:
            if not create:
                raise message(404, f"App '{app_id}' does not exist")
            return Target(new_app(document, rules, app_id=app_id), None)
        before = view.app
        if not flag("partialUpdate", default=True):
            return Target(new_app(document, rules, app_id=app_id), before.version_ms)
        sent = document.json if isinstance(document.json, dict) else {}
        if (version := sent.get("version")) is not None:
            if any(sent[key] is not None for key in set(sent) - {"version", "id"}):
                text = "The 'version' field may only be combined with the 'id' field."
                raise not_valid([Violation("/", text)])
            if not isinstance(version, str):
                raise wrong_shape([Violation("/version", "error.expected.jsstring")])
            old = _old(view, version)
            return Target(replace(old, role=before.role), before.version_ms)
        return Target(changed_app(document, before, rules), before.version_ms)

    def _location(self, app_id: str) -> dict[str, str]:
        return {"Location": f"http://{self._node.address}/v2/apps{app_id}"}


def _aside(model: ReadModel, app_id: str) -> str:
    aside = model.aside_app(app_id)
    if aside is None:
        return ""
    return (
        f": its stored definition can't be read ({aside.reason}). Its tasks go on. PUT the app "
        "anew, or DELETE it with its tasks"
    )


def _old(view: AppView, version: str) -> App:
    wanted = parse_ms(version)
    old = next((app for app in view.versions if app.version_ms == wanted), None)
    if old is None:
        raise message(404, f"App '{view.app.id}' does not exist in version {version}")
    return old


def _told(app: App) -> App:
    """The same. What could not be told afterwards is not done: it fails here, and is a bug."""
    orjson.dumps(app_json(app))
    return app


def _id_of(index: int, document: object) -> str:
    if not isinstance(document, dict):
        raise wrong_shape([Violation(f"/({index})", "error.expected.jsobject")])
    app_id = document.get("id")
    if app_id is None:
        raise wrong_shape([Violation(f"/({index})/id", "error.path.missing")])
    if not isinstance(app_id, str):
        raise wrong_shape([Violation(f"/({index})/id", "error.expected.jsstring")])
    return paths.absolute(app_id)


def _origin() -> Origin:
    return Origin(request.remote_addr or "unknown", request.path)
