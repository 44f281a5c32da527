"""What becomes of an agent's settings: the config of its core, and what its engine is told."""

from __future__ import annotations

import ipaddress
import socket
from typing import Final

from mezzo import MESOS_VERSION
from mezzo.cluster.model import AgentInfo

from ..config import AgentConfig
from ..containerizer.docker.body import DockerSettings
from ..options import AgentOptions
from ..resources.detect import attributes_of, containerizers_of, resources_of
from ..tasks.container_spec import ANY_ADDRESS

_DOCKER_HOST: Final = "unix:///var/run/docker.sock"


def check(options: AgentOptions) -> None:
    """Raises BadConfig for what can't work, before anything is touched."""
    containerizers_of(options.containerizers)
    attributes_of(options.attributes)


def publish_ip(options: AgentOptions) -> str:
    """Where published ports listen: if none is named everywhere, but on 127.0.0.1 if that is all
    that `--ip` is."""
    if options.docker_publish_ip is not None:
        return options.docker_publish_ip
    return "127.0.0.1" if ipaddress.ip_address(options.ip).is_loopback else "0.0.0.0"


def reachable_ip(options: AgentOptions) -> str | None:
    """The address at which others reach this machine: that of the hostname if we listen
    everywhere. None: the hostname has no address here, and is all that is known."""
    if options.ip not in ANY_ADDRESS:
        return options.ip
    try:
        return socket.gethostbyname(options.hostname or socket.gethostname())
    except OSError:
        return None


def core_config(options: AgentOptions) -> AgentConfig:
    """The work directory must exist. Raises BadConfig."""
    info = AgentInfo(
        hostname=options.hostname or options.ip,
        port=options.port,
        resources=resources_of(options.resources, options.work_dir),
        attributes=attributes_of(options.attributes),
        domain=options.domain,
        ip=reachable_ip(options),
    )
    return options.core.completed(
        info=info,
        version=MESOS_VERSION,  # what clients of Mesos compare: the behaviour is that of it
        ip=options.ip,
        work_dir=str(options.work_dir.resolve()),
        containerizers=containerizers_of(options.containerizers),
        publish_ip=publish_ip(options),
    )


def docker_settings(options: AgentOptions, environment_host: str | None) -> DockerSettings:
    """`environment_host`: DOCKER_HOST, which counts if no flag is given."""
    return DockerSettings(
        url=options.docker_host or environment_host or _DOCKER_HOST,
        ip=reachable_ip(options) or options.ip,
        publish_ip=publish_ip(options),
        cfs=options.docker_cfs,
    )
