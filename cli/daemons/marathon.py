"""`mezzo marathon`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import click

from mezzo.marathon.options import MarathonOptions

from ..words.errors import Wrong
from .common import made, reachable_name
from .declared import Main, daemon


@daemon("marathon", MarathonOptions, click.Command)
def command(options: MarathonOptions) -> Main:
    """Run Marathon, the framework for long-running services: its HTTP API is Marathon's v2."""
    from mezzo.marathon.process.shell import run_marathon

    core = options.core.completed()
    if core.local_port_min > core.local_port_max:
        raise Wrong(
            f"--local-port-min {core.local_port_min} is more than --local-port-max "
            f"{core.local_port_max}: no port is between them"
        )
    work_dir = made(options.work_dir)
    hostname = reachable_name(options.hostname, options.ip)
    return partial(run_marathon, replace(options, hostname=hostname, work_dir=work_dir))
