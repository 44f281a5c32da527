"""`mezzo agent`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import click
from click.core import ParameterSource

from mezzo.agent.options import AgentOptions

from ..commands import agents
from ..words.errors import Wrong
from .common import made, reachable_name
from .declared import Main, daemon


@daemon("agent", AgentOptions, click.Group, invoke_without_command=True)
def command(options: AgentOptions) -> Main | None:
    """Run an agent: it offers this machine's resources, runs tasks and reports on them.

    Tasks go on running when the agent stops or crashes; it finds them again when it is back.

    The commands below are for operators, and talk to the master.
    """
    ctx = click.get_current_context()
    if ctx.invoked_subcommand is not None:
        _refuse_misplaced(ctx, ctx.invoked_subcommand)
        return None
    from mezzo.agent.process.shell import run_agent

    work_dir = made(options.work_dir)
    hostname = reachable_name(options.hostname, options.ip)
    return partial(run_agent, replace(options, hostname=hostname, work_dir=work_dir))


def _refuse_misplaced(ctx: click.Context, subcommand: str) -> None:
    """Options before a subcommand are the agent's: `--master` there would not reach the command."""
    for option in ctx.command.params:
        if ctx.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE:
            flag = option.opts[0]
            raise Wrong(f"{flag} stands before {subcommand}: write mezzo agent {subcommand} {flag}")


for each in agents.COMMANDS:
    command.add_command(each)
