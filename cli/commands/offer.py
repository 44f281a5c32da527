"""`mezzo offer`: what is offered to whom."""

from __future__ import annotations

import click

from ..clients.master_api import ask, resources_text
from ..clients.saved_contexts import master_option
from ..words.output import output_option, print_json, print_table


@click.group("offer")
def command() -> None:
    """Look at what is offered and not answered yet."""


@command.command("list")
@master_option
@output_option
def list_(master: str, output: str) -> None:
    """List the offers that frameworks hold, and what they are asked to give back."""
    from mezzo.messages.operator import GetOffers, OutstandingOffers

    answer = ask(master, GetOffers(), OutstandingOffers)
    rows = [
        ((offer.id, offer.framework_id, offer.role, offer.hostname, "offer"), offer.resources)
        for offer in answer.offers
    ] + [
        ((asked.id, asked.framework_id, "-", asked.agent_id or "-", "give back"), asked.resources)
        for asked in answer.inverse_offers
    ]
    if output == "json":
        names = ("id", "framework_id", "role", "agent", "kind", "resources")
        print_json([dict(zip(names, [*who, str(what)], strict=True)) for who, what in rows])
        return
    print_table(
        ["OFFER", "FRAMEWORK", "ROLE", "AGENT", "KIND", "RESOURCES"],
        [[*who, resources_text(what)] for who, what in rows],
        empty="nothing is offered",
    )
