"""`mezzo agent`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from ..commands import agents
from ..setting_options import (
    PORT,
    Number,
    Whole,
    daemon_options,
    duration,
    fault_domain,
    host_name,
    http_allowed_hosts_option,
    ip_option,
    master_option,
    own_ip,
    setting,
)
from ..words.failures import Wrong
from .common import DIRECTORY, STATE_ROOT, made, reachable_name, serve

if TYPE_CHECKING:
    from mezzo.cluster.model import FaultDomain


@click.group("agent", invoke_without_command=True)
@master_option
@setting(
    "--work-dir",
    type=DIRECTORY,
    default=STATE_ROOT / "agent",
    help="Where its state and the sandboxes of its tasks are kept.",
)
@ip_option
@setting("--port", type=PORT, default=5051, help="HTTP port: state, metrics, logs of tasks.")
@setting("--hostname", type=host_name, help="Name that tasks are reached by.  [default: --ip]")
@setting(
    "--resources",
    default="",
    show_default=False,
    help='What it offers, e.g. "cpus:4;mem:8192;ports:[31000-32000]". What is not named is '
    "what the machine has.",
)
@setting(
    "--attributes", default="", show_default=False, help='For constraints: "rack:a;zone:eu-1".'
)
@setting(
    "--domain",
    type=fault_domain,
    help="Where it is: region/zone. Needs masters with a --domain of their own.",
)
@setting(
    "--containerizers",
    default="docker,process",
    help="How it runs tasks: docker, process, or both. Process tasks are not isolated.",
)
@setting("--docker-host", help="Docker engine.  [default: DOCKER_HOST, else its own socket]")
@setting(
    "--docker-publish-ip",
    type=own_ip,
    help="Where published ports listen.  [default: everywhere, but 127.0.0.1 if that is --ip]",
)
@setting(
    "--docker-cfs/--no-docker-cfs",
    default=True,
    help="Whether the CPUs of Docker tasks are a limit too, not only a weight.",
)
@setting(
    "--docker-remove-delay",
    type=duration,
    default="10mins",
    help="How long the container of an ended task is kept, and its logs.",
)
@setting("--gc-delay", type=duration, default="1weeks", help="How long sandboxes are kept.")
@setting(
    "--gc-disk-headroom",
    type=Number(0, 1),
    default=0.1,
    help="Part of the disk to be kept free: the less there is, the sooner sandboxes go.",
)
@setting(
    "--disk-watch-interval",
    type=duration,
    default="1mins",
    help="How often it is looked how full the disk is.",
)
@setting(
    "--output-max-mib",
    type=Whole(0, 1 << 30),
    default=100,
    help="How much of each output of a process task is kept, the newest; 0: all.",
)
@setting(
    "--forget-set-aside",
    is_flag=True,
    default=False,
    help="Delete what is stored and can't be read; else it is kept, and shown in /state.",
)
@setting(
    "--switch-user/--no-switch-user",
    default=True,
    help="Whether process tasks run as the user that they name.",
)
@setting(
    "--launcher",
    type=click.Choice(["linux", "posix"]),
    help="What holds a process task together: a control group, or only its session.  "
    "[default: linux where control groups can be made]",
)
@setting(
    "--recover",
    type=click.Choice(["reconnect", "cleanup"]),
    default="reconnect",
    help="What becomes of the tasks of the last run: found again, or killed.",
)
@setting(
    "--reconfiguration-policy",
    type=click.Choice(["equal", "additive"]),
    default="equal",
    help="What may have changed since the last run: nothing, or there may be more of everything.",
)
@http_allowed_hosts_option
@daemon_options
@click.pass_context
def command(
    ctx: click.Context,
    master: str,
    work_dir: Path,
    ip: str,
    port: int,
    hostname: str | None,
    resources: str,
    attributes: str,
    domain: FaultDomain | None,
    containerizers: str,
    docker_host: str | None,
    docker_publish_ip: str | None,
    docker_cfs: bool,
    docker_remove_delay: float,
    gc_delay: float,
    gc_disk_headroom: float,
    disk_watch_interval: float,
    output_max_mib: int,
    forget_set_aside: bool,
    switch_user: bool,
    launcher: str | None,
    recover: str,
    reconfiguration_policy: str,
    http_allowed_hosts: tuple[str, ...],
    log_level: str,
    log_json: bool,
) -> None:
    """Run an agent: it offers this machine's resources, runs tasks and reports on them.

    Tasks go on running when the agent stops or crashes; it finds them again when it is back.

    The commands below are for operators, and talk to the master.
    """
    if ctx.invoked_subcommand is not None:
        _refuse_misplaced(ctx, ctx.invoked_subcommand)
        return
    from mezzo.agent.process.options import AgentOptions
    from mezzo.agent.process.shell import run_agent

    options = AgentOptions(
        master=master,
        work_dir=made(work_dir),
        ip=ip,
        port=port,
        hostname=reachable_name(hostname, ip),
        resources=resources,
        attributes=attributes,
        domain=domain,
        containerizers=containerizers,
        docker_host=docker_host,
        docker_publish_ip=docker_publish_ip,
        docker_cfs=docker_cfs,
        docker_remove_delay_s=docker_remove_delay,
        gc_delay_s=gc_delay,
        gc_disk_headroom=gc_disk_headroom,
        disk_watch_interval_s=disk_watch_interval,
        output_max_mib=output_max_mib,
        forget_set_aside=forget_set_aside,
        switch_user=switch_user,
        launcher=launcher,
        recover=recover,
        reconfiguration_policy=reconfiguration_policy,
        http_allowed_hosts=http_allowed_hosts,
    )
    serve("agent", lambda: run_agent(options), log_level=log_level, log_json=log_json)


def _refuse_misplaced(ctx: click.Context, subcommand: str) -> None:
    """Options before a subcommand are the agent's own: `--master` there would say nothing to it."""
    for option in ctx.command.params:
        if ctx.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE:
            flag = option.opts[0]
            raise Wrong(f"{flag} stands before {subcommand}: write mezzo agent {subcommand} {flag}")


for each in agents.COMMANDS:
    command.add_command(each)
