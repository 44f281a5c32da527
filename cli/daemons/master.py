"""`mezzo master`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import click

from mezzo.master.options import MasterOptions

from .common import made, reachable_name
from .declared import Main, daemon


@daemon("master", MasterOptions, click.Command)
def command(options: MasterOptions) -> Main:
    """Run a master: it collects the resources of agents and offers them to frameworks.

    Several masters with the same --zk elect a leader, the others stand by. One without --zk leads
    at once.
    """
    from mezzo.master.process.shell import run_master

    hostname = reachable_name(options.hostname, options.ip)
    return partial(run_master, replace(options, hostname=hostname, work_dir=made(options.work_dir)))
