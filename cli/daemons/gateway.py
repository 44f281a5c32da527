"""`mezzo gateway`."""

from __future__ import annotations

import click

from ..setting_options import (
    PORT,
    Whole,
    daemon_options,
    http_allowed_hosts_option,
    ip_option,
    master_option,
    setting,
    zk_session_timeout_option,
)
from .common import serve


@click.command("gateway")
@master_option
@ip_option
@setting("--port", type=PORT, default=5050, help="HTTP port.")
@setting(
    "--threads",
    type=Whole(4, 4096),
    default=16,
    help="Answers at the same time. An open page takes none.",
)
@http_allowed_hosts_option
@zk_session_timeout_option
@daemon_options
def command(
    master: str,
    ip: str,
    port: int,
    threads: int,
    http_allowed_hosts: tuple[str, ...],
    zk_session_timeout: float,
    log_level: str,
    log_json: bool,
) -> None:
    """Run a gateway: HTTP endpoints and the web page of a cluster.

    It reads one event stream from the leading master, whichever that is, and answers everybody from
    its own copy. `mezzo master` starts one by itself.
    """
    from mezzo.gateway.process.shell import GatewayOptions, run_gateway

    options = GatewayOptions(
        master,
        ip=ip,
        port=port,
        threads=threads,
        http_allowed_hosts=http_allowed_hosts,
        zk_session_timeout_s=zk_session_timeout,
    )
    serve("gateway", lambda: run_gateway(options), log_level=log_level, log_json=log_json)
