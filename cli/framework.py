"""`mezzo framework`: who runs tasks, as a gateway shows it."""

from __future__ import annotations

import click

from .http import gateway_option, gateway_server
from .output import ago, amount, mib, output_option, print_json, print_table


@click.group("framework")
def command() -> None:
    """Look at the registered frameworks."""


@command.command("list")
@gateway_option
@output_option
def list_(gateway: str, output: str) -> None:
    """List the frameworks that are registered."""
    frameworks = gateway_server(gateway).get("/state")["frameworks"]
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
                " ".join(framework.get("roles") or [framework["role"]]),
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
