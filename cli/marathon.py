"""`mezzo marathon`."""

from __future__ import annotations

from pathlib import Path

import click

from .daemons import DIRECTORY, STATE_ROOT, serve
from .settings import ADDRESS_HELP, PORT, daemon_options, setting


@click.command("marathon")
@setting("--master", default="127.0.0.1:5055", help=f"Where the leading master is: {ADDRESS_HELP}.")
@setting(
    "--zk",
    help="ZooKeeper: zk://[user:password@]host:port,host:port/path. All Marathons that stand by "
    "for each other name the same. Without it this one is alone and keeps its state in --work-dir.",
)
@setting(
    "--work-dir", type=DIRECTORY, default=STATE_ROOT / "marathon", help="Where its state is kept."
)
@setting("--ip", default="127.0.0.1", help="Address to listen on.")
@setting("--http-port", type=PORT, default=8080, help="HTTP port.")
@setting("--hostname", help="Name that others reach it by.  [default: the address]")
@setting("--framework-name", default="marathon", help="Its name at the master.")
@setting("--mesos-role", default="*", help="Role whose resources it is offered.")
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
    log_level: str,
    log_json: bool,
) -> None:
    """Run Marathon, the framework for long-running services: its HTTP API is Marathon's v2."""
    from mezzo.marathon.shell import MarathonOptions, run_marathon

    options = MarathonOptions(
        master=master,
        zk=zk,
        work_dir=work_dir,
        ip=ip,
        http_port=http_port,
        hostname=hostname or ip,
        framework_name=framework_name,
        mesos_role=mesos_role,
    )
    serve("marathon", lambda: run_marathon(options), log_level=log_level, log_json=log_json)
