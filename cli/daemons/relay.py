"""`mezzo relay`."""

from __future__ import annotations

from functools import partial

import click

from mezzo.relay.options import RelayOptions

from .declared import Main, daemon


@daemon("relay", RelayOptions, click.Command)
def command(options: RelayOptions) -> Main:
    """Run a relay: the agents of a rack reach the leading master over one stream.

    Give its agents the relay's address as --master. It keeps nothing: when it stops, its agents
    come back through it or another one. Their tasks run on.
    """
    from mezzo.relay.process import run_relay

    return partial(run_relay, options)
