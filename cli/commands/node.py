"""`mezzo node`: the agents, as a gateway shows them."""

from __future__ import annotations

import click

from ..clients.answers import Agent, State
from ..clients.json_http import gateway_server
from ..clients.saved_contexts import gateway_option
from ..words.output import ago, amount, mib, output_option, print_json, print_table


@click.group("node")
def command() -> None:
    """Look at the cluster's agents."""


@command.command("list")
@gateway_option
@output_option
def list_(gateway: str, output: str) -> None:
    """List the agents and what of their resources is used."""
    agents = gateway_server(gateway).get("/state", State)["slaves"]
    if output == "json":
        print_json(agents)
        return
    print_table(
        ["AGENT", "ADDRESS", "STATE", "CPUS", "MEM", "DISK", "ATTRIBUTES", "SINCE"],
        [
            [
                agent["id"],
                f"{agent['hostname']}:{agent['port']}",
                _state(agent),
                f"{amount(used['cpus'])}/{amount(total['cpus'])}",
                f"{mib(used['mem'])}/{mib(total['mem'])}",
                f"{mib(used['disk'])}/{mib(total['disk'])}",
                " ".join(f"{key}:{value}" for key, value in agent["attributes"].items()) or "-",
                ago(agent["reregistered_time"] or agent["registered_time"]),
            ]
            for agent in agents
            for used, total in [(agent["used_resources"], agent["resources"])]
        ],
        empty="no agents: start one with `mezzo agent --master ADDRESS`",
    )


def _state(agent: Agent) -> str:
    if "drain_info" in agent:
        return agent["drain_info"]["state"].lower()
    if agent["deactivated"]:
        return "deactivated"
    return "active" if agent["active"] else "not connected"
