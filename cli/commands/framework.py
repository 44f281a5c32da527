"""`mezzo framework`: who runs tasks, as a gateway shows it; and its end."""

from __future__ import annotations

import click

from ..clients.answers import State
from ..clients.json_http import gateway_server
from ..clients.master_api import framework_id, order
from ..clients.saved_contexts import gateway_option, master_option
from ..words.output import ago, amount, confirm, echo, mib, output_option, print_json, print_table


@click.group("framework")
def command() -> None:
    """Look at the registered frameworks, and tear one down."""


@command.command("list")
@gateway_option
@output_option
def list_(gateway: str, output: str) -> None:
    """List the frameworks that are registered."""
    frameworks = gateway_server(gateway).get("/state", State)["frameworks"]
    if output == "json":
        print_json(frameworks)
        return
    print_table(
        ["FRAMEWORK", "NAME", "STATE", "ROLES", "TASKS", "CPUS", "MEM", "SINCE", "ADDRESS"],
        [
            [
                framework["id"],
                framework["name"],
                "connected" if framework["connected"] else "disconnected",
                " ".join(framework.get("roles") or [framework.get("role", "-")]),
                len(framework["tasks"]),
                amount(framework["used_resources"]["cpus"]),
                mib(framework["used_resources"]["mem"]),
                ago(framework["reregistered_time"] or framework["registered_time"]),
                framework["webui_url"] or "-",
            ]
            for framework in frameworks
        ],
        empty="no frameworks are registered",
    )


@command.command("teardown")
@click.argument("framework")
@click.option("--yes", is_flag=True, help="Do not ask.")
@master_option
def teardown(framework: str, yes: bool, master: str) -> None:
    """End FRAMEWORK (name or id): its tasks are killed, and its id can't be used again."""
    from mezzo.messages.operator import Teardown

    found = framework_id(master, framework)
    if not yes:
        confirm(f"all tasks of framework {framework} ({found}) will be killed; go on?")
    order(master, Teardown(found))
    echo(f"framework {found} is torn down")
