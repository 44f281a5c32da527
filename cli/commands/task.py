"""`mezzo task`: the tasks of all frameworks, and what they print."""

from __future__ import annotations

from urllib.parse import quote

import click

from mezzo.units import INT64_MAX

from ..clients.answers import Framework, State, Status, Task
from ..clients.json_http import Server, gateway_server
from ..clients.saved_contexts import gateway_option
from ..option_types import count
from ..words.errors import Failed, HttpError
from ..words.output import ago, amount, mib, output_option, print_json, print_table, writer_of_bytes


@click.group("task")
def command() -> None:
    """Look at tasks and read their logs."""


@command.command("list")
@click.option("-a", "--all", "everything", is_flag=True, help="Also tasks that are over.")
@gateway_option
@output_option
def list_(everything: bool, gateway: str, output: str) -> None:
    """List the tasks of all frameworks."""
    state = gateway_server(gateway).get("/state", State)
    tasks = _tasks(state, everything=everything)
    if output == "json":
        print_json(tasks)
        return
    agents = _agents(state)
    names = {each["id"]: each["name"] for each in _frameworks(state)}
    print_table(
        ["TASK", "STATE", "HEALTH", "AGENT", "FRAMEWORK", "CPUS", "MEM", "SINCE", "MESSAGE"],
        [
            [
                task["id"],
                task["state"].removeprefix("TASK_").lower(),
                {True: "healthy", False: "unhealthy", None: "-"}[last.get("healthy")],
                agents.get(task["slave_id"], task["slave_id"]),
                names.get(task["framework_id"], task["framework_id"]),
                amount(task["resources"]["cpus"]),
                mib(task["resources"]["mem"]),
                ago(last.get("timestamp")),
                last.get("message") or "-",
            ]
            for task in tasks
            for last in [_last_status(task)]
        ],
        empty="no tasks" if everything else "no tasks run; --all lists those that are over",
    )


@command.command("logs")
@click.argument("task")
@click.option("-f", "--follow", is_flag=True, help="Go on as the task prints; Ctrl-C ends it.")
@click.option("--stderr", "stream", flag_value="stderr", help="What it prints to stderr.")
@click.option("--stdout", "stream", flag_value="stdout", default="stdout", hidden=True)
@click.option("--offset", type=count(most=INT64_MAX), default=0, help="Start at this byte.")
@gateway_option
def logs(task: str, follow: bool, stream: str, offset: int, gateway: str) -> None:
    """Print what a task has printed.

    TASK is its id, the beginning of its id, or its name, if only one task fits.
    """
    server = gateway_server(gateway)
    state = server.get("/state", State)
    found = find_task(_tasks(state, everything=True), task)
    agent = _agents(state).get(found["slave_id"])
    if agent is None:
        raise Failed(
            f"the agent {found['slave_id']} of task {found['id']} is not connected: its logs can't "
            "be read until it is back"
        )
    path = f"/containers/{quote(found['id'], safe='')}/logs?stream={stream}&offset={offset}"
    write = writer_of_bytes()
    try:
        for piece in Server("the agent", f"http://{agent}").stream(
            f"{path}&follow=1" if follow else path
        ):
            write(piece)
    except HttpError as error:
        if error.status == 404:
            raise Failed(f"the agent {agent} has no logs of task {found['id']} any more") from None
        raise
    except KeyboardInterrupt:
        return


def find_task(tasks: list[Task], wanted: str) -> Task:
    """Find a task by id, else by a unique beginning of an id, else by name. Raises Failed."""
    for fits in (
        [task for task in tasks if task["id"] == wanted],
        [task for task in tasks if task["id"].startswith(wanted)],
        [task for task in tasks if task["name"] == wanted],
    ):
        # A task that lives is meant rather than its predecessors.
        live = [task for task in fits if not _over(task)] or fits
        if len(live) == 1:
            return live[0]
        if live:
            some = ", ".join(task["id"] for task in live[:5])
            raise Failed(f"{len(live)} tasks fit {wanted!r}: name one of {some}")
    raise Failed(f"there is no task {wanted!r}: `mezzo task list --all` names those that are known")


def _over(task: Task) -> bool:
    from mezzo.cluster.states import TaskState

    return task["state"] in {state for state in TaskState if state.terminal}


def _last_status(task: Task) -> Status:
    return task["statuses"][-1] if task["statuses"] else {}


def _frameworks(state: State) -> list[Framework]:
    return [*state["frameworks"], *state["completed_frameworks"]]


def _tasks(state: State, *, everything: bool) -> list[Task]:
    return [
        task
        for each in _frameworks(state)
        for tasks in (
            each["tasks"],
            each["unreachable_tasks"],
            each["completed_tasks"] if everything else [],
        )
        for task in tasks
    ]


def _agents(state: State) -> dict[str, str]:
    """The `host:port` of agents by id."""
    return {agent["id"]: f"{agent['hostname']}:{agent['port']}" for agent in state["slaves"]}
