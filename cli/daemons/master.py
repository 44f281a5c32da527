"""`mezzo master`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mezzo.units import PORT_MAX

from ..setting_options import (
    PORT,
    Whole,
    count,
    daemon_options,
    duration,
    fault_domain,
    fraction,
    host_name,
    http_allowed_hosts_option,
    ip_option,
    names,
    percentage,
    quantity_sets,
    rate,
    setting,
    zk_session_timeout_option,
    zookeeper,
)
from .common import DIRECTORY, FILE, STATE_ROOT, made, reachable_name, serve

if TYPE_CHECKING:
    from mezzo.cluster.model import FaultDomain


@click.command("master")
@setting(
    "--zk",
    type=zookeeper,
    help="ZooKeeper: zk://[user:password@]host:port,host:port/path. All masters of a cluster name "
    "the same. Without it this master is the only one and keeps its state in --work-dir.",
)
@setting(
    "--work-dir", type=DIRECTORY, default=STATE_ROOT / "master", help="Where its state is kept."
)
@ip_option
@setting("--port", type=PORT, default=5055, help="gRPC port: for agents, frameworks and gateways.")
@setting("--hostname", type=host_name, help="Name that others reach it by.  [default: --ip]")
@setting(
    "--gateway-port",
    type=Whole(0, PORT_MAX),
    default=5050,
    help="HTTP port of its gateway; 0 runs none.",
)
@setting("--agent-ping-timeout", type=duration, default="15secs", help="Wait for a pong.")
@setting(
    "--max-agent-ping-timeouts",
    type=count(1),
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
    "--agent-removal-rate-limit",
    type=rate,
    help="How fast agents may be called unreachable, as 1/20mins.  [default: no limit]",
)
@setting(
    "--recovery-agent-removal-limit",
    type=percentage,
    default="100%",
    help="With more of the agents missing after a failover the master gives up its term instead.",
)
@setting(
    "--registry-gc-interval",
    type=duration,
    default="15mins",
    help="How often agents that are unreachable or gone for too long are forgotten.",
)
@setting(
    "--registry-max-agent-age",
    type=duration,
    default="2weeks",
    help="How long such agents are remembered.",
)
@setting(
    "--registry-max-agent-count",
    type=count(),
    default=102400,
    help="How many of each kind are remembered; the oldest are forgotten first.",
)
@setting(
    "--lease-drift",
    type=fraction,
    default="0.01",
    help="By which part the clocks of agents may run slower, for the leases of unique tasks.",
)
@setting(
    "--lease-margin",
    type=duration,
    default="5secs",
    help="How long a unique task whose lease is over may take to be dead.",
)
@setting(
    "--offer-timeout",
    type=duration,
    default="5mins",
    help="Take offers back that are not answered for so long; 0 never does.",
)
@setting(
    "--offer-patience",
    type=duration,
    default="1secs",
    help="How long a framework may think about offers beyond its fair part while another has "
    "nothing; 0: for ever.",
)
@setting(
    "--min-allocatable-resources",
    type=quantity_sets,
    default="cpus:0.01|mem:32",
    help="What an offer must hold to be worth making: one of the sets between the bars.",
)
@setting(
    "--filter-gpu-resources/--no-filter-gpu-resources",
    default=True,
    help="Whether agents with GPUs are kept for frameworks that say they use them.",
)
@setting(
    "--fair-sharing-excluded-resource-names",
    type=names,
    default="",
    show_default=False,
    help="Resources that don't count for fair shares: gpus,fpga.",
)
@setting("--roles", type=names, help="The only roles that may be used besides *.  [default: all]")
@setting(
    "--whitelist",
    type=FILE,
    help="File with a hostname a line: only those agents are offered. Read every 5 seconds.",
)
@setting("--domain", type=fault_domain, help="Where it is: region/zone.")
@setting(
    "--require-agent-domain/--no-require-agent-domain",
    default=False,
    help="Whether agents without a domain are left out.",
)
@setting(
    "--allocator-agent-recovery-factor",
    type=fraction,
    default="0.8",
    help="With quota, the part of the agents that a new leader waits for before it offers.",
)
@setting(
    "--allocator-recovery-timeout",
    type=duration,
    default="10mins",
    help="How long it waits for them.",
)
@setting(
    "--max-operator-event-stream-subscribers",
    type=count(1),
    default=1000,
    help="Of more streams of operator events the oldest ends.",
)
@setting(
    "--operator-event-buffer",
    type=count(),
    default=8192,
    help="Events that are kept for operator streams that break.",
)
@http_allowed_hosts_option
@zk_session_timeout_option
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
    agent_removal_rate_limit: float | None,
    recovery_agent_removal_limit: float,
    registry_gc_interval: float,
    registry_max_agent_age: float,
    registry_max_agent_count: int,
    lease_drift: float,
    lease_margin: float,
    offer_timeout: float,
    offer_patience: float,
    min_allocatable_resources: tuple[dict[str, int], ...],
    filter_gpu_resources: bool,
    fair_sharing_excluded_resource_names: tuple[str, ...],
    roles: tuple[str, ...] | None,
    whitelist: Path | None,
    domain: FaultDomain | None,
    require_agent_domain: bool,
    allocator_agent_recovery_factor: float,
    allocator_recovery_timeout: float,
    max_operator_event_stream_subscribers: int,
    operator_event_buffer: int,
    http_allowed_hosts: tuple[str, ...],
    zk_session_timeout: float,
    log_level: str,
    log_json: bool,
) -> None:
    """Run a master: it collects the resources of agents and offers them to frameworks.

    Several masters with the same --zk elect a leader, the others stand by. One without --zk leads
    at once.
    """
    from mezzo.master.allocator import AllocatorConfig
    from mezzo.master.process.shell import MasterOptions, run_master

    options = MasterOptions(
        ip=ip,
        port=port,
        hostname=reachable_name(hostname, ip),
        zk=zk,
        work_dir=made(work_dir),
        gateway_port=gateway_port or None,
        agent_ping_timeout_s=agent_ping_timeout,
        max_agent_ping_timeouts=max_agent_ping_timeouts,
        agent_reregister_timeout_s=agent_reregister_timeout,
        agent_removal_interval_s=agent_removal_rate_limit,
        recovery_agent_removal_limit=recovery_agent_removal_limit,
        registry_gc_interval_s=registry_gc_interval,
        registry_max_agent_age_s=registry_max_agent_age,
        registry_max_agent_count=registry_max_agent_count,
        lease_drift=lease_drift,
        lease_margin_s=lease_margin,
        offer_timeout_s=offer_timeout or None,
        allocator=AllocatorConfig(
            min_allocatable=min_allocatable_resources,
            filter_gpu_resources=filter_gpu_resources,
            fair_sharing_excluded=fair_sharing_excluded_resource_names,
            patience_s=offer_patience or None,
        ),
        allocator_agent_recovery_factor=allocator_agent_recovery_factor,
        allocator_recovery_timeout_s=allocator_recovery_timeout,
        roles=roles or None,
        whitelist=whitelist,
        domain=domain,
        require_agent_domain=require_agent_domain,
        max_operator_event_stream_subscribers=max_operator_event_stream_subscribers,
        operator_event_buffer=operator_event_buffer,
        http_allowed_hosts=http_allowed_hosts,
        zk_session_timeout_s=zk_session_timeout,
    )
    serve("master", lambda: run_master(options), log_level=log_level, log_json=log_json)
