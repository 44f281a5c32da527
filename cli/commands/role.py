"""`mezzo role`: who shares the cluster."""

from __future__ import annotations

import click

from ..clients.master_api import amounts_json, amounts_text, ask, resources_text
from ..clients.saved_contexts import master_option
from ..words.output import output_option, print_json, print_table


@click.group("role")
def command() -> None:
    """Look at roles: their weight, quota and share."""


@command.command("list")
@master_option
@output_option
def list_(master: str, output: str) -> None:
    """List all roles that a framework is in, or that have a weight, quota or reservation.

    What is below a role counts for it as well.
    """
    from mezzo.messages.operator import GetRoles, QuotaConfig, Roles

    roles = ask(master, GetRoles(), Roles).roles
    none = QuotaConfig("")
    if output == "json":
        print_json(
            [
                {
                    "role": role.name,
                    "weight": role.weight,
                    "frameworks": list(role.frameworks),
                    "allocated": amounts_json(role.allocated.quantities()),
                    "offered": amounts_json(role.offered.quantities()),
                    "reserved": amounts_json(role.reserved.quantities()),
                    "consumed": amounts_json(role.consumed),
                    "guarantees": amounts_json((role.quota or none).guarantees),
                    "limits": amounts_json((role.quota or none).limits),
                    "share": role.share,
                }
                for role in roles
            ]
        )
        return
    print_table(
        ["ROLE", "WEIGHT", "FRAMEWORKS", "SHARE", "ALLOCATED", "OFFERED", "GUARANTEE", "LIMIT"],
        [
            [
                role.name,
                f"{role.weight:g}",
                len(role.frameworks),
                f"{100 * role.share:.1f}%",
                resources_text(role.allocated),
                resources_text(role.offered),
                amounts_text((role.quota or none).guarantees),
                amounts_text((role.quota or none).limits),
            ]
            for role in roles
        ],
        empty="no role is in use",
    )
