"""`mezzo weight`: whose share is how large."""

from __future__ import annotations

import click

from ..clients.master_api import ask, order, tell_new_role
from ..clients.saved_contexts import master_option
from ..option_types import Command, Number
from ..words.output import echo, output_option, print_json, print_table


@click.group("weight")
def command() -> None:
    """Look at and set the weights of roles.

    Roles share the cluster in proportion to their weights; those that were never set have 1.
    """


@command.command("list")
@master_option
@output_option
def list_(master: str, output: str) -> None:
    """List the weights that were set."""
    from mezzo.messages.operator import GetWeights, Weights

    infos = ask(master, GetWeights(), Weights).weight_infos
    if output == "json":
        print_json([{"role": info.role, "weight": info.weight} for info in infos])
        return
    print_table(
        ["ROLE", "WEIGHT"],
        [[info.role, f"{info.weight:g}"] for info in infos],
        empty="no weight was set: all roles have 1",
    )


@command.command("set", cls=Command)
@click.argument("role")
@click.argument("weight", type=Number(0, 1e9, min_open=True, max_open=True))
@master_option
def set_(role: str, weight: float, master: str) -> None:
    """Set the weight of ROLE: a number above 0. Offers that are out are made anew."""
    from mezzo.messages.operator import UpdateWeights, WeightInfo

    tell_new_role(master, role)
    order(master, UpdateWeights((WeightInfo(weight, role),)))
    echo(f"role {role} has weight {weight:g}")
