"""`mezzo relay`."""

from __future__ import annotations

import click

from ..setting_options import daemon_options, master_option, setting, zk_session_timeout_option
from .common import serve


def host_and_port(text: str) -> str:
    """Option type: one `host:port`."""
    from mezzo.errors import BadConfig
    from mezzo.zk.address import parse_hosts

    try:
        address = parse_hosts(text)
    except BadConfig as error:
        raise click.BadParameter(str(error)) from error
    if "," in address:
        raise click.BadParameter(f"{text!r} is more than one host:port: give one")
    return address


@click.command("relay")
@master_option
@setting(
    "--listen",
    type=host_and_port,
    default="127.0.0.1:5056",
    help="host:port for agents: their --master.",
)
@zk_session_timeout_option
@daemon_options
def command(
    master: str, listen: str, zk_session_timeout: float, log_level: str, log_json: bool
) -> None:
    """Run a relay: the agents of a rack reach the leading master over one stream.

    Give its agents the relay's address as --master. It keeps nothing: when it stops, its agents
    come back through it or another one. Their tasks run on.
    """
    from mezzo.relay.process import RelayOptions, run_relay

    host, _, port = listen.rpartition(":")
    options = RelayOptions(master, ip=host, port=int(port), zk_session_timeout_s=zk_session_timeout)
    serve("relay", lambda: run_relay(options), log_level=log_level, log_json=log_json)
