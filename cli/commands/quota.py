"""`mezzo quota`: what roles are guaranteed and limited to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mezzo.guess import near

from ..clients.master_api import (
    amounts_json,
    amounts_text,
    ask,
    check_resources,
    order,
    tell_new_role,
)
from ..clients.saved_contexts import master_option
from ..words.errors import Wrong
from ..words.output import echo, output_option, print_json, print_table

if TYPE_CHECKING:
    from mezzo.messages.operator import QuotaConfig


@click.group("quota")
def command() -> None:
    """Look at, set and remove the quota of roles.

    Quota counts for a top-level role and the roles below it. What is guaranteed is kept free for
    it; beyond its limit it is offered nothing.
    """


@command.command("get")
@click.argument("role", required=False)
@master_option
@output_option
def get(role: str | None, master: str, output: str) -> None:
    """Show the quota of ROLE, or of all roles that have one."""
    from mezzo.messages.operator import GetQuota, Quotas

    configs = ask(master, GetQuota(), Quotas).status.configs
    shown = [config for config in configs if role in (None, config.role)]
    if output == "json":
        print_json([_json(config) for config in shown])
        return
    print_table(
        ["ROLE", "GUARANTEE", "LIMIT"],
        [[c.role, amounts_text(c.guarantees), amounts_text(c.limits)] for c in shown],
        empty="no role has quota"
        if role is None
        else f"role {role} has no quota{near(role, [config.role for config in configs])}",
    )


@command.command("set")
@click.argument("role")
@click.option("--guarantee", default="", help='What is kept for it: "cpus:4;mem:8192".')
@click.option("--limit", default="", help='The most that it gets: "cpus:8;mem:16384".')
@click.option(
    "--force",
    is_flag=True,
    help="Also below what it has, or beyond the cluster, or of what no agent has.",
)
@master_option
def set_(role: str, guarantee: str, limit: str, force: bool, master: str) -> None:
    """Set the quota of ROLE, in place of what it had. Resources that are not named have none."""
    from mezzo.messages.operator import QuotaConfig, UpdateQuota

    config = QuotaConfig(role, _amounts("--guarantee", guarantee), _amounts("--limit", limit))
    if not config.guarantees and not config.limits:
        raise Wrong(f"give --guarantee or --limit; `mezzo quota remove {role}` removes it")
    check_resources(master, [*config.guarantees, *config.limits], force=force)
    tell_new_role(master, role)
    order(master, UpdateQuota((config,), force))
    echo(f"quota of role {role} is set")


@command.command("remove")
@click.argument("role")
@master_option
def remove(role: str, master: str) -> None:
    """Remove the quota of ROLE."""
    from mezzo.messages.operator import GetQuota, Quotas, RemoveQuota

    known = [config.role for config in ask(master, GetQuota(), Quotas).status.configs]
    if role not in known:
        raise Wrong(f"role {role} has no quota{near(role, known)}")
    order(master, RemoveQuota(role))
    echo(f"quota of role {role} is removed")


def _amounts(option: str, text: str) -> dict[str, int]:
    """Thousandths by name. 0 counts: a limit of nothing is one."""
    from mezzo.cluster.resources import Resources
    from mezzo.errors import BadRequest

    found: dict[str, int] = {}
    for part in filter(None, map(str.strip, text.split(";"))):
        name = part.partition(":")[0].strip()
        try:
            milli = Resources.parse(part).quantities().get(name, 0)
        except BadRequest as error:
            raise Wrong(f"{option}: {error}") from None
        if "(" in name:
            raise Wrong(f"{option}: {part!r} names a role: write name:amount")
        if name in found:
            raise Wrong(f"{option} names {name} more than once: name it once")
        found[name] = milli
    return found


def _json(config: QuotaConfig) -> dict[str, object]:
    return {
        "role": config.role,
        "guarantees": amounts_json(config.guarantees),
        "limits": amounts_json(config.limits),
    }
