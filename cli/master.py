"""`mezzo master`."""

from __future__ import annotations

from pathlib import Path

import click

from .daemons import DIRECTORY, STATE_ROOT, reachable_name, serve
from .settings import PORT, daemon_options, duration, setting


@click.command("master")
@setting(
    "--zk",
    help="ZooKeeper: zk://[user:password@]host:port,host:port/path. All masters of a cluster name "
    "the same. Without it this master is the only one and keeps its state in --work-dir.",
)
@setting(
    "--work-dir", type=DIRECTORY, default=STATE_ROOT / "master", help="Where its state is kept."
)
@setting("--ip", default="127.0.0.1", help="Address to listen on.")
@setting("--port", type=PORT, default=5055, help="gRPC port: for agents, frameworks and gateways.")
@setting("--hostname", help="Name that others reach it by.  [default: --ip]")
@setting(
    "--gateway-port",
    type=click.IntRange(0, 65535),
    default=5050,
    help="HTTP port of its gateway; 0 runs none.",
)
@setting("--agent-ping-timeout", type=duration, default="15secs", help="Wait for a pong.")
@setting(
    "--max-agent-ping-timeouts",
    type=click.IntRange(min=1),
    default=5,
    help="Missed pongs until an agent is unreachable.",
)
@setting(
    "--agent-reregister-timeout",
    type=duration,
    default="10mins",
    help="How long after a failover agents may take to come back.",
)
@setting(
    "--offer-timeout",
    type=duration,
    default="5mins",
    help="Take offers back that are not answered for so long; 0 never does.",
)
@setting("--zk-session-timeout", type=duration, default="10secs", help="ZooKeeper session.")
@daemon_options
def command(
    zk: str | None,
    work_dir: Path,
    ip: str,
    port: int,
    hostname: str | None,
    gateway_port: int,
    agent_ping_timeout: float,
    max_agent_ping_timeouts: int,
    agent_reregister_timeout: float,
    offer_timeout: float,
    zk_session_timeout: float,
    log_level: str,
    log_json: bool,
) -> None:
    """Run a master: it collects the resources of agents and offers them to frameworks.

    Several masters with the same --zk elect a leader, the others stand by. One without --zk leads
    at once.
    """
    from mezzo.master.shell import MasterOptions, run_master

    options = MasterOptions(
        ip=ip,
        port=port,
        hostname=reachable_name(hostname, ip),
        zk=zk,
        work_dir=work_dir,
        gateway_port=gateway_port or None,
        agent_ping_timeout_s=agent_ping_timeout,
        max_agent_ping_timeouts=max_agent_ping_timeouts,
        agent_reregister_timeout_s=agent_reregister_timeout,
        offer_timeout_s=offer_timeout or None,
        zk_session_timeout_s=zk_session_timeout,
    )
    serve("master", lambda: run_master(options), log_level=log_level, log_json=log_json)
