"""`mezzo marathon`."""

from __future__ import annotations

from pathlib import Path

import click

from mezzo.process.users import current_user

from ..setting_options import (
    PORT,
    count,
    daemon_options,
    duration,
    host_name,
    http_allowed_hosts_option,
    ip_option,
    master_option,
    setting,
    zk_session_timeout_option,
    zookeeper,
)
from ..words.failures import Wrong
from .common import DIRECTORY, STATE_ROOT, made, reachable_name, serve


@click.command("marathon")
@master_option
@setting(
    "--zk",
    type=zookeeper,
    help="ZooKeeper: zk://[user:password@]host:port,host:port/path. All Marathons that stand by "
    "for each other name the same. Without it this one is alone and keeps its state in --work-dir.",
)
@setting(
    "--work-dir", type=DIRECTORY, default=STATE_ROOT / "marathon", help="Where its state is kept."
)
@ip_option
@setting("--http-port", type=PORT, default=8080, help="HTTP port.")
@setting("--hostname", type=host_name, help="Name that others reach it by.  [default: --ip]")
@setting("--framework-name", default="marathon", help="Its name at the master.")
@setting("--mesos-role", default="*", help="Role whose resources it is offered.")
@setting(
    "--mesos-user",
    help="User that tasks run as unless their app names one.  [default: who runs Marathon]",
)
@setting(
    "--failover-timeout",
    type=duration,
    default="1weeks",
    help="How long its tasks run on without any Marathon.",
)
@setting("--default-network-name", help="For container networks that an app does not name.")
@setting("--env-vars-prefix", help="Before the names of the variables that it sets for tasks.")
@setting(
    "--mesos-leader-ui-url", default="http://127.0.0.1:5050/", help="A gateway's page, for links."
)
@setting("--local-port-min", type=PORT, default=10000, help="Least service port that it assigns.")
@setting("--local-port-max", type=PORT, default=20000, help="Greatest one.")
@setting(
    "--max-instances-per-offer",
    type=count(1),
    default=5,
    help="How many instances it launches on one offer.",
)
@setting(
    "--launch-tokens",
    type=count(1),
    default=100,
    help="How many launches it begins before it sees the first ones run.",
)
@setting(
    "--max-running-deployments",
    type=count(1),
    default=100,
    help="More than so many at a time are refused.",
)
@http_allowed_hosts_option
@zk_session_timeout_option
@daemon_options
def command(
    master: str,
    zk: str | None,
    work_dir: Path,
    ip: str,
    http_port: int,
    hostname: str | None,
    framework_name: str,
    mesos_role: str,
    mesos_user: str | None,
    failover_timeout: float,
    default_network_name: str | None,
    env_vars_prefix: str | None,
    mesos_leader_ui_url: str,
    local_port_min: int,
    local_port_max: int,
    max_instances_per_offer: int,
    launch_tokens: int,
    max_running_deployments: int,
    http_allowed_hosts: tuple[str, ...],
    zk_session_timeout: float,
    log_level: str,
    log_json: bool,
) -> None:
    """Run Marathon, the framework for long-running services: its HTTP API is Marathon's v2."""
    from mezzo.marathon.process.shell import MarathonOptions, run_marathon

    if local_port_min > local_port_max:
        raise Wrong(
            f"--local-port-min {local_port_min} is more than --local-port-max {local_port_max}: "
            "no port is between them"
        )
    options = MarathonOptions(
        master=master,
        zk=zk,
        work_dir=made(work_dir),
        ip=ip,
        http_port=http_port,
        hostname=reachable_name(hostname, ip),
        framework_name=framework_name,
        mesos_role=mesos_role,
        mesos_user=mesos_user or current_user(),
        failover_timeout_s=failover_timeout,
        default_network_name=default_network_name,
        env_vars_prefix=env_vars_prefix,
        mesos_leader_ui_url=mesos_leader_ui_url,
        local_port_min=local_port_min,
        local_port_max=local_port_max,
        max_instances_per_offer=max_instances_per_offer,
        launch_tokens=launch_tokens,
        max_running_deployments=max_running_deployments,
        http_allowed_hosts=http_allowed_hosts,
        zk_session_timeout_s=zk_session_timeout,
    )
    serve("marathon", lambda: run_marathon(options), log_level=log_level, log_json=log_json)
