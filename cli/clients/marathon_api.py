"""Marathon for the command line: apps, and waiting until a deployment is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final
from urllib.parse import quote

from mezzo.json_types import Json

from ..words.errors import Failed, HttpError, Wrong
from ..words.progress import live_line
from .answers import App, Apps, AppTask, Changed, Created, Failure, OneApp, Queue, QueueItem, Ref
from .json_http import Server
from .why_waiting import why_waiting

_POLL_S: Final = 0.2

Say = Callable[[str], None]


def app_id(text: str) -> str:
    """`web`, `/web` and `//web/` are one app: `/web`. Raises Wrong for the root."""
    parts = [part for part in text.split("/") if part]
    if not parts:
        raise Wrong(f"{text!r} names no app: give its id, e.g. /web")
    return "/" + "/".join(parts)


class Marathon:
    def __init__(self, url: str) -> None:
        self.server = Server("Marathon", url, option="--marathon")

    # ---- reading

    def apps(self) -> list[App]:
        found = self.server.get("/v2/apps?embed=apps.counts&embed=apps.deployments", Apps)
        return sorted(found["apps"], key=lambda app: app["id"])

    def app(self, which: str) -> App:
        """One app with its tasks. Raises Failed if there is none."""
        found = self.find(which)
        if found is None:
            raise Failed(f"there is no app {which} at {self.server.url}: see `mezzo app list`")
        return found

    def find(self, which: str) -> App | None:
        try:
            found = self.server.get(f"/v2/apps{quote(which)}", OneApp)["app"]
        except HttpError as error:
            if error.status == 404:
                return None
            raise
        return found

    def queue(self) -> dict[str, QueueItem]:
        """Apps that wait to be launched, by id."""
        items = self.server.get("/v2/queue", Queue)["queue"]
        return {item["app"]["id"]: item for item in items if "app" in item}

    # ---- changing: each returns the id of the deployment that it started, if one was needed

    def add(self, definition: Json) -> str | None:
        try:
            created = self.server.call("POST", "/v2/apps", Created, definition)
        except HttpError as error:
            if error.status == 409 and "already exists" in str(error.body):
                raise Failed(
                    f"{error.message.rstrip('.')}: change it with `mezzo app update`, or "
                    "remove it first"
                ) from None
            raise
        deployments = created.get("deployments")
        return deployments[0]["id"] if deployments else None

    def update(self, which: str, changes: Json, *, force: bool) -> str | None:
        self.app(which)  # PUT would create it
        return self._change("PUT", which, changes, force=force)

    def remove(self, which: str) -> str | None:
        """Remove an app, whatever else is going on with it: that is the API's own default here."""
        self.app(which)
        return self._change("DELETE", which, None, force=True)

    def restart(self, which: str, *, force: bool) -> str | None:
        self.app(which)
        return self._change("POST", f"{which}/restart", None, force=force)

    def _change(self, method: str, path: str, body: Json | None, *, force: bool) -> str | None:
        query = f"?force={str(force).lower()}"
        try:
            answer = self.server.call(method, f"/v2/apps{quote(path)}{query}", Changed, body)
        except HttpError as error:
            if error.status == 409:
                raise Failed(
                    f"{_holders(error.body)} is not done with the app: wait for it, or cancel it "
                    "with --force"
                ) from None
            raise
        return answer.get("deploymentId")

    # ---- waiting

    def wait(self, deployment: str | None, which: str, timeout_s: float) -> None:
        """Wait until a deployment is over, with a live line. Raises Failed: too long, or undone."""
        if deployment is None:
            return
        with live_line() as say:
            self.wait_quietly(deployment, which, timeout_s, say)

    def wait_quietly(self, deployment: str, which: str, timeout_s: float, say: Say) -> None:
        """The same, with the caller's own line."""
        deadline = time.monotonic() + timeout_s
        while True:
            going = [each["id"] for each in self.server.get("/v2/deployments", list[Ref])]
            progress = self.progress(which)
            say(progress)
            if deployment not in going:
                break
            if time.monotonic() > deadline:
                raise Failed(
                    f"not done after {timeout_s:g} s: {progress}{self._last_failure(which)}. The "
                    f"deployment {deployment} goes on; look again with `mezzo app show {which}`"
                )
            time.sleep(_POLL_S)
        app = self.find(which)
        # The app is removed, or at its target: the deployment did what it was for.
        if app is not None and app["tasksRunning"] < app["instances"] and which in self.queue():
            raise Failed(
                f"the deployment {deployment} is over, and not all of it runs: "
                f"{self.progress(which)}{self._last_failure(which)}. See `mezzo app show {which}`"
            )

    def progress(self, which: str) -> str:
        """`/web: 2/3 running, 1 healthy; waiting: InsufficientCpus on 3 agents (...)`."""
        app = self.find(which)
        if app is None:
            return f"{which}: gone"
        text = f"{which}: {counts(app)}"
        if reasons := why_waiting(self.queue().get(which)):
            text += f"; waiting: {', '.join(reasons)}"
        return text

    def _last_failure(self, which: str) -> str:
        """Why an app's instances don't run, if that is known: as the end of a sentence."""
        app = self.find(which)
        failure = None if app is None else app.get("lastTaskFailure")
        return f"; last failure: {failure_text(failure).rstrip('.')}" if failure else ""


def failure_text(failure: Failure) -> str:
    return f"{failure['state']} on {failure['host']}: {failure['message']}"


def _holders(body: Json) -> str:
    try:
        return f"deployment {', '.join(str(each['id']) for each in body['deployments'])}"
    except (KeyError, TypeError):
        return "another deployment"


def definition_of(app: Mapping[str, object]) -> Json:
    """The definition of an app, without what has become of it."""
    return {
        key: value
        for key, value in app.items()
        if key not in _BECOME and not key.startswith("tasks") and value is not None
    }


_BECOME: Final = (
    *("version", "versionInfo", "deployments", "readinessCheckResults", "lastTaskFailure"),
    "taskStats",
)


def counts(app: App) -> str:
    """`2/3 running, 1 healthy`; counts that are zero and not asked for are left out."""
    text = f"{app['tasksRunning']}/{app['instances']} running"
    if app.get("healthChecks"):
        text += f", {app['tasksHealthy']} healthy"
    if app["tasksUnhealthy"]:
        text += f", {app['tasksUnhealthy']} unhealthy"
    if app["tasksStaged"]:
        text += f", {app['tasksStaged']} staging"
    return text


def addresses(tasks: Iterable[AppTask]) -> list[str]:
    """`host:port` of every port of every running task."""
    return [
        f"{task.get('host') or '?'}:{port}"
        for task in tasks
        if task["state"] == "TASK_RUNNING"
        for port in task.get("ports") or ()
    ]
