"""`mezzo agent`."""

from __future__ import annotations

from pathlib import Path

import click

from .daemons import DIRECTORY, STATE_ROOT, serve
from .settings import ADDRESS_HELP, PORT, daemon_options, setting


@click.command("agent")
@setting("--master", default="127.0.0.1:5055", help=f"Where the leading master is: {ADDRESS_HELP}.")
@setting(
    "--work-dir",
    type=DIRECTORY,
    default=STATE_ROOT / "agent",
    help="Where its state and the sandboxes of its tasks are kept.",
)
@setting("--ip", default="127.0.0.1", help="Address to listen on.")
@setting("--port", type=PORT, default=5051, help="HTTP port: state, metrics, logs of tasks.")
@setting("--hostname", help="Name that tasks are reached by.  [default: the address]")
@setting(
    "--resources",
    default="",
    help='What it offers, e.g. "cpus:4;mem:8192;ports:[31000-32000]". What is not named is '
    "what the machine has.",
)
@setting("--attributes", default="", help='For constraints, e.g. "rack:a;zone:eu-1".')
@setting(
    "--containerizers",
    default="docker,process",
    help="How it runs tasks: docker, process, or both. Process tasks are not isolated.",
)
@setting("--docker-host", help="Docker engine.  [default: DOCKER_HOST, else its own socket]")
@daemon_options
def command(
    master: str,
    work_dir: Path,
    ip: str,
    port: int,
    hostname: str | None,
    resources: str,
    attributes: str,
    containerizers: str,
    docker_host: str | None,
    log_level: str,
    log_json: bool,
) -> None:
    """Run an agent: it offers this machine's resources, runs tasks and reports on them.

    Tasks go on running when the agent stops or crashes; it finds them again when it is back.
    """
    from mezzo.agent.shell import AgentOptions, run_agent

    options = AgentOptions(
        master=master,
        work_dir=work_dir,
        ip=ip,
        port=port,
        hostname=hostname or ip,
        resources=resources,
        attributes=attributes,
        containerizers=containerizers,
        docker_host=docker_host,
    )
    serve("agent", lambda: run_agent(options), log_level=log_level, log_json=log_json)
