"""`mezzo quarantine`: what the master has stored and can't read any more."""

from __future__ import annotations

import click

from ..clients.master_api import ask, order
from ..clients.saved_contexts import master_option
from ..option_types import Command
from ..words.output import echo, output_option, print_json, print_table


@click.group("quarantine")
def command() -> None:
    """Look at records of the master's store that are set aside, and delete them.

    A record that can't be read hurts only the agent, framework or role that it is about. It stays
    as it is until that comes back, or until it is deleted. (Marathon has its own: /v2/quarantine.)
    """


@command.command("list")
@master_option
@output_option
def list_(master: str, output: str) -> None:
    """List what was set aside when the leader was elected, and why."""
    from mezzo.messages.operator import GetSetAside, SetAside

    records = ask(master, GetSetAside(), SetAside).records
    if output == "json":
        print_json([{"key": each.key, "reason": each.reason} for each in records])
        return
    print_table(
        ["KEY", "REASON"],
        [[each.key, each.reason] for each in records],
        empty="all that is stored was read",
    )


@command.command("delete", cls=Command)
@click.argument("key")
@master_option
def delete(key: str, master: str) -> None:
    """Delete the record KEY for ever. What it was about is new to the cluster if it comes back."""
    from mezzo.messages.operator import DeleteSetAside

    order(master, DeleteSetAside(key))
    echo(f"{key} is deleted")
