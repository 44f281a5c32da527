"""`mezzo context`: which clusters the commands know, and which one they mean."""

from __future__ import annotations

import click
import msgspec

from ..clients import saved_contexts as known
from ..words.errors import Failed
from ..words.output import echo, output_option, print_json, print_table


@click.group("context")
def command() -> None:
    """Look at the clusters of `mezzo up`, and choose which one the commands mean.

    That is the first of: --marathon, --gateway or --master; `mezzo --context NAME`; MEZZO_MARATHON,
    MEZZO_GATEWAY or MEZZO_MASTER; MEZZO_CONTEXT; the cluster that was started in this folder or in
    one above it; the one of `mezzo context use`.
    """


@command.command("list")
@click.pass_context
@output_option
def list_(ctx: click.Context, output: str) -> None:
    """List the contexts of this user."""
    found = list(known.contexts())
    if output == "json":
        print_json([msgspec.to_builtins(each) | {"running": each.runs} for each in found])
        return
    meant = known.current(ctx)
    print_table(
        ["", "CONTEXT", "STATE", "DIRECTORY", "MARATHON", "GATEWAY", "MASTER"],
        [
            [
                "*" if meant is not None and each == meant.context else "",
                each.name,
                "running" if each.runs else "gone",
                each.directory,
                each.marathon,
                each.gateway,
                each.master,
            ]
            for each in found
        ],
        empty="no contexts: `mezzo up` makes one",
    )


@command.command("show")
@click.pass_context
@output_option
def show(ctx: click.Context, output: str) -> None:
    """Show the context that commands given here mean, and why."""
    meant = known.current(ctx)
    if meant is None:
        raise Failed(
            "no context: commands look at the usual ports of this machine, unless --marathon, "
            "--gateway or --master says otherwise"
        )
    context, source = meant
    if output == "json":
        print_json(msgspec.to_builtins(context) | {"running": context.runs, "chosen_by": source})
        return
    echo(f"{context.name} ({'running' if context.runs else 'gone'}), chosen by {source}")
    for part in ("directory", "marathon", "gateway", "master"):
        echo(f"  {part:<10} {getattr(context, part)}")


@command.command("use")
@click.argument("name", required=False)
@click.option("--none", is_flag=True, help="No longer any.")
def use(name: str | None, none: bool) -> None:
    """Mean NAME where no folder, variable or option says otherwise."""
    if (name is None) == (not none):
        raise click.UsageError("give a NAME, or --none")
    known.choose(name)
    echo(f"context {name} is used" if name else "no context is used")
