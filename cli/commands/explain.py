"""`mezzo explain`: why a framework is, or is not, offered an agent."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from ..clients.master_api import agents_called, ask, frameworks_called, resources_text
from ..clients.saved_contexts import master_option
from ..words.output import output_option, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mezzo.messages.operator import Explanation, Objection


@click.command("explain")
@click.option("--framework", help="Name or id.  [default: all]")
@click.option("--role", help="One of its roles.  [default: all]")
@click.option("--agent", help="Hostname, address or id.  [default: all]")
@master_option
@output_option
def command(
    framework: str | None, role: str | None, agent: str | None, master: str, output: str
) -> None:
    """Say why frameworks are, or are not, offered agents: every reason, with its numbers.

    The answer is computed when it is asked for; a large cluster wants to be asked about one
    framework or one agent at a time.
    """
    from mezzo.messages.operator import Explain, Explanations

    if framework is not None:
        frameworks_called(master, framework)
    if agent is not None:
        meant = agents_called(master, agent)
        agent = meant[0].id if len(meant) == 1 else agent
    found = ask(master, Explain(framework, role, agent), Explanations).explanations
    if output == "json":
        print_json([_json(each) for each in found])
        return
    print_table(
        ["FRAMEWORK", "ROLE", "AGENT", "OFFERED", "REASON", "WANTED", "BUT", "UNTIL", "CHANGE"],
        [row for each in found for row in _rows(each, _name(each, found))],
        empty="there is no framework or no agent",
    )


def _name(each: Explanation, found: Sequence[Explanation]) -> str:
    """The agent's hostname, or if several share one, as those of `mezzo up` do, its id."""
    same = {other.agent_id for other in found if other.hostname == each.hostname}
    return each.hostname if len(same) == 1 else each.agent_id


def _rows(each: Explanation, agent: str) -> list[list[str]]:
    """The first reason beside the names, the others below it."""
    first = [each.framework_name, each.role, agent, resources_text(each.offered)]
    reasons = [_reason(objection) for objection in each.objections]
    if not reasons:
        return [[*first, "-", "", "", "", ""]]
    names = [first] + [[""] * 4] * (len(reasons) - 1)
    return [[*who, *why] for who, why in zip(names, reasons, strict=True)]


def _reason(objection: Objection) -> list[str]:
    until = objection.until
    when = "-" if until is None else f"in {max(0.0, until - time.time()):.0f} s"
    return [objection.veto, objection.wanted, objection.have, when, objection.change]


def _json(each: Explanation) -> dict[str, object]:
    return {
        "framework": {"id": each.framework_id, "name": each.framework_name},
        "role": each.role,
        "agent": {"id": each.agent_id, "hostname": each.hostname},
        "offered": str(each.offered),
        "reasons": [
            {
                "reason": objection.veto,
                "wanted": objection.wanted,
                "but": objection.have,
                "change": objection.change,
                "until": objection.until,
            }
            for objection in each.objections
        ],
        "counters": each.counters,
    }
