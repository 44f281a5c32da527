"""`mezzo app`: what Marathon runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import shorten
from typing import Any, Final, TypeVar

import click

from mezzo.json_types import Json

from ..clients.answers import App, AppTask
from ..clients.definitions import check_keys, read_definition, value_of
from ..clients.marathon_api import Marathon, addresses, app_id, counts, definition_of, failure_text
from ..clients.saved_contexts import marathon_option
from ..clients.why_waiting import why_waiting
from ..option_types import DURATION, Command, count
from ..words.errors import Wrong
from ..words.output import amount, echo, mib, output_option, print_json, print_table

F = TypeVar("F", bound=Callable[..., Any])

_RUNS_WIDTH_CHARS: Final = 60
_UNCHANGED: Final = "is unchanged"


@click.group("app")
def command() -> None:
    """Add, look at, scale, update and remove Marathon apps.

    Commands that change an app wait until the change is carried out, and say what they wait for.
    """


def changing(function: F) -> F:
    """The options of commands that start a deployment."""
    for option in (
        click.option("--detach", is_flag=True, help="Do not wait."),
        click.option(
            "--timeout",
            "timeout_s",
            type=DURATION,
            default="5mins",
            show_default=True,
            help="How long to wait; then the exit code is 1 and the deployment goes on.",
        ),
        marathon_option,
    ):
        function = option(function)
    return function


unknown_option: Final = click.option(
    "--allow-unknown", is_flag=True, help="Send keys that do not exist, too: Marathon drops them."
)
force_option: Final = click.option(
    "--force", is_flag=True, help="Also while another deployment holds the app: cancels that one."
)


@command.command("add")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@unknown_option
@changing
def add(file: Path, allow_unknown: bool, marathon: str, timeout_s: float, detach: bool) -> None:
    """Add the app that is defined in FILE, as Marathon's JSON. "-" reads the standard input."""
    definition = read_definition(file, allow_unknown=allow_unknown)
    server = Marathon(marathon)
    which = app_id(str(definition.get("id", "")))
    deployment = server.add(definition)
    _finish(server, deployment, which, timeout_s, detach, done="is deployed")


@command.command("list")
@marathon_option
@output_option
def list_(marathon: str, output: str) -> None:
    """List all apps."""
    apps = Marathon(marathon).apps()
    if output == "json":
        print_json(apps)
        return
    print_table(
        ["APP", "INSTANCES", "CPUS", "MEM", "DEPLOYING", "RUNS"],
        [
            [
                app["id"],
                counts(app),
                amount(app["cpus"]),
                mib(app["mem"]),
                "yes" if app.get("deployments") else "no",
                shorten(_what_runs(app), _RUNS_WIDTH_CHARS, placeholder=" …"),
            ]
            for app in apps
        ],
        empty="no apps: add one with `mezzo app add FILE`",
    )


@command.command("show")
@click.argument("app")
@marathon_option
@output_option
def show(app: str, marathon: str, output: str) -> None:
    """Show one app: what it is, its tasks, and why instances wait."""
    server = Marathon(marathon)
    which = app_id(app)
    found = server.app(which)
    item = server.queue().get(which)
    if output == "json":
        print_json({"app": found, "queue": item})
        return
    echo(f"{which}: {counts(found)}")
    echo(f"  runs       {_what_runs(found)}")
    echo(f"  resources  {amount(found['cpus'])} CPUs, {mib(found['mem'])} each")
    echo(f"  version    {found['version']}")
    for key in sorted(found.get("env") or ()):  # values may be secrets: names are enough
        echo(f"  env        {key}")
    for reason in why_waiting(item):
        echo(f"  waiting    {reason}")
    if failure := found.get("lastTaskFailure"):
        echo(f"  last failure  {failure['timestamp']} {failure_text(failure)}")
    echo()
    print_table(
        ["TASK", "STATE", "HEALTH", "ADDRESS", "STARTED"],
        [
            [
                task["id"],
                task["state"],
                _health(task),
                " ".join(addresses([task])) or task.get("host") or "-",
                task.get("startedAt") or "-",
            ]
            for task in found.get("tasks") or ()
        ],
        empty="no tasks",
    )


@command.command("scale", cls=Command)
@click.argument("app")
@click.argument("instances", type=count())
@force_option
@changing
def scale(
    app: str, instances: int, force: bool, marathon: str, timeout_s: float, detach: bool
) -> None:
    """Run INSTANCES instances of an app; 0 suspends it."""
    server, which = Marathon(marathon), app_id(app)
    _change(server, which, {"instances": instances}, force, timeout_s, detach, done="is scaled")


@command.command("update")
@click.argument("app")
@click.argument("changes", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "-f", "--file", type=click.Path(path_type=Path, allow_dash=True), help="JSON changes."
)
@unknown_option
@force_option
@changing
def update(
    app: str,
    changes: tuple[str, ...],
    file: Path | None,
    allow_unknown: bool,
    force: bool,
    marathon: str,
    timeout_s: float,
    detach: bool,
) -> None:
    """Change an app: what is not named stays.

    A VALUE is JSON, or else text: `mezzo app update /web cpus=0.5 'env={"DEBUG": "1"}'`.
    """
    if not changes and file is None:
        raise Wrong("nothing to change: give KEY=VALUE or --file FILE")
    wanted = read_definition(file, allow_unknown=allow_unknown) if file is not None else {}
    given: Json = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals or not key:
            raise Wrong(f"{change!r} is not KEY=VALUE: write e.g. instances=3")
        if key in given:
            raise Wrong(f"{key} is given more than once: give it once")
        given[key] = value_of(value)
    if not allow_unknown:
        check_keys("the change", given)
    wanted |= given
    server, which = Marathon(marathon), app_id(app)
    named = wanted.pop("id", which)  # the path names it
    if isinstance(named, str) and app_id(named) != which:
        raise Wrong(f"the change is of {named} and not of {which}: an app keeps its id")
    _change(server, which, wanted, force, timeout_s, detach, done="is updated")


@command.command("remove")
@click.argument("app")
@changing
def remove(app: str, marathon: str, timeout_s: float, detach: bool) -> None:
    """Stop all instances of an app and forget it."""
    server, which = Marathon(marathon), app_id(app)
    deployment = server.remove(which)
    _finish(server, deployment, which, timeout_s, detach, done="is removed")


@command.command("restart")
@click.argument("app")
@force_option
@changing
def restart(app: str, force: bool, marathon: str, timeout_s: float, detach: bool) -> None:
    """Replace all instances of an app by new ones, as its upgrade strategy says."""
    server, which = Marathon(marathon), app_id(app)
    deployment = server.restart(which, force=force)
    _finish(server, deployment, which, timeout_s, detach, done="is restarted")


def _change(
    server: Marathon,
    which: str,
    changes: Json,
    force: bool,
    timeout_s: float,
    detach: bool,
    *,
    done: str,
) -> None:
    before = definition_of(server.app(which))
    deployment = server.update(which, changes, force=force)
    app = server.find(which)
    if app is not None and definition_of(app) == before:
        done = _UNCHANGED
    _finish(server, deployment, which, timeout_s, detach, done=done)


def _finish(
    server: Marathon,
    deployment: str | None,
    which: str,
    timeout_s: float,
    detach: bool,
    *,
    done: str,
) -> None:
    if detach:
        begun = f": deployment {deployment}" if deployment else ": no change"
        echo(f"{which} {done}" if done == _UNCHANGED else f"{which}{begun}")
        return
    server.wait(deployment, which, timeout_s)
    app = server.find(which)
    echo(f"{which} {done}: {counts(app)}" if app else f"{which} {done}")
    for address in addresses(app.get("tasks") or ()) if app else []:
        echo(f"  {address}")


def _what_runs(app: App) -> str:
    container = app.get("container")
    docker = container.get("docker") if container else None
    image = docker.get("image") if docker else None
    what = app.get("cmd") or " ".join(app.get("args") or [])
    return ": ".join(part for part in (image, what) if part) or "-"


def _health(task: AppTask) -> str:
    results = task.get("healthCheckResults")
    if not results:
        return "-"
    return "healthy" if all(each.get("alive") for each in results) else "unhealthy"
