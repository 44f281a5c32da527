"""`mezzo agent list`, `drain`, ...: what operators do with agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from ..clients.master_api import agent_id, ask, order
from ..clients.saved_contexts import master_option
from ..option_types import DURATION
from ..words.output import ago, amount, confirm, echo, mib, output_option, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mezzo.cluster.model import AgentInfo
    from mezzo.messages.operator import Agents, AgentView

agent_argument = click.argument("agent")


@click.command("list")
@master_option
@output_option
def list_(master: str, output: str) -> None:
    """List the agents, whether they are offered, and what of their resources is used."""
    from mezzo.messages.operator import Agents, GetAgents

    answer = ask(master, GetAgents(), Agents)
    if output == "json":
        print_json(
            [_json(agent) for agent in answer.agents]
            + [{**_who(info), "state": state} for info, state, _ in _absent(answer)]
        )
        return
    rows = [
        [
            agent.agent_info.id,
            f"{agent.agent_info.hostname}:{agent.agent_info.port}",
            agent.condition,
            f"{amount(used.cpus)}/{amount(total.cpus)}",
            f"{mib(used.mem_mib)}/{mib(total.mem_mib)}",
            ago(agent.reregistered_time or agent.registered_time),
            agent.version,
        ]
        for agent in answer.agents
        for used, total in [(agent.allocated_resources, agent.total_resources)]
    ]
    rows += [
        [info.id, f"{info.hostname}:{info.port}", state, "-", "-", since, "-"]
        for info, state, since in _absent(answer)
    ]
    print_table(
        ["AGENT", "ADDRESS", "STATE", "CPUS", "MEM", "SINCE", "VERSION"],
        rows,
        empty="no agents: start one with `mezzo agent --master ADDRESS`",
    )


@click.command("drain")
@agent_argument
@click.option(
    "--max-grace-period",
    "grace_s",
    type=DURATION,
    help="No task gets longer to end.  [default: its own]",
)
@click.option("--mark-gone", is_flag=True, help="Once drained it may never come back.")
@master_option
def drain(agent: str, grace_s: float | None, mark_gone: bool, master: str) -> None:
    """Have all tasks of AGENT (hostname, address or id) killed, and offer it no more.

    It stays so, also across restarts, until it is reactivated.
    """
    from mezzo.messages.operator import DrainAgent

    found = agent_id(master, agent)
    order(master, DrainAgent(found, grace_s, mark_gone))
    then = "then it is gone" if mark_gone else "`mezzo agent list` shows when it is drained"
    echo(f"agent {found} drains; {then}")


@click.command("deactivate")
@agent_argument
@master_option
def deactivate(agent: str, master: str) -> None:
    """Offer AGENT (hostname, address or id) no more; its tasks run on."""
    from mezzo.messages.operator import DeactivateAgent

    found = agent_id(master, agent)
    order(master, DeactivateAgent(found))
    echo(f"agent {found} is not offered any more")


@click.command("reactivate")
@agent_argument
@master_option
def reactivate(agent: str, master: str) -> None:
    """Offer AGENT (hostname, address or id) again, after it was drained or deactivated."""
    from mezzo.messages.operator import ReactivateAgent

    found = agent_id(master, agent)
    order(master, ReactivateAgent(found))
    echo(f"agent {found} is offered again")


@click.command("gone")
@agent_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@master_option
def gone(agent: str, yes: bool, master: str) -> None:
    """Declare that AGENT (hostname, address or id) is gone for good: its tasks are over.

    It can't be undone: an agent that is gone is never let in again.
    """
    from mezzo.messages.operator import MarkAgentGone

    found = agent_id(master, agent)
    if not yes:
        confirm(f"agent {found} can never come back; go on?")
    order(master, MarkAgentGone(found))
    echo(f"agent {found} is gone")


COMMANDS: Final = (list_, drain, deactivate, reactivate, gone)


def _absent(answer: Agents) -> Iterator[tuple[AgentInfo, str, str]]:
    """Agents that may come back, in which state, and since when."""
    for info in answer.recovered_agents:
        yield info, "not back yet", "-"
    for lost in answer.unreachable_agents:
        yield lost.agent_info, "unreachable", ago(lost.unreachable_time)


def _who(info: AgentInfo) -> dict[str, object]:
    return {"id": info.id, "hostname": info.hostname, "port": info.port}


def _json(agent: AgentView) -> dict[str, object]:
    info = agent.agent_info
    return {
        **_who(info),
        "state": agent.condition,
        "active": agent.active,
        "deactivated": agent.deactivated,
        "version": agent.version,
        "capabilities": list(agent.capabilities),
        "attributes": {each.name: each.shown for each in info.attributes},
        "total": str(agent.total_resources),
        "used": str(agent.allocated_resources),
        "offered": str(agent.offered_resources),
        "registered": agent.registered_time,
        "reregistered": agent.reregistered_time,
    }
