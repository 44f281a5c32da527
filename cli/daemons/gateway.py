"""`mezzo gateway`."""

from __future__ import annotations

from functools import partial

import click

from mezzo.gateway.options import GatewayOptions

from .declared import Main, daemon


@daemon("gateway", GatewayOptions, click.Command)
def command(options: GatewayOptions) -> Main:
    """Run a gateway: HTTP endpoints and the web page of a cluster.

    It reads one event stream from the leading master, whichever that is, and answers everybody from
    its own copy. `mezzo master` starts one by itself.
    """
    from mezzo.gateway.process.shell import run_gateway

    return partial(run_gateway, options)
