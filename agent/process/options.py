"""The flags of `mezzo agent`, and what the core makes of them."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mezzo import MESOS_VERSION
from mezzo.cluster.model import AgentInfo, FaultDomain
from mezzo.errors import BadConfig

from ..config import AgentConfig
from ..containerizer.docker.body import DockerSettings
from ..resources.detect import attributes_of, containerizers_of, resources_of
from ..tasks.container_spec import ANY_ADDRESS

# What clients of Mesos compare: the behaviour is that of this version.
_DOCKER_HOST: Final = "unix:///var/run/docker.sock"
_POLICIES: Final = ("equal", "additive")
_LAUNCHERS: Final = ("linux", "posix")
_RECOVER: Final = ("reconnect", "cleanup")


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """Names as in Mesos; seconds end in `_s`; None: chosen at the start.

    master: `host:port`, `zk://...` or `solo:/path`: where the leading master is found.
    port: of HTTP; 0 picks a free one. hostname: by which others reach tasks here.
    resources, attributes, containerizers: see `mezzo.agent.resources.detect`.
    docker_publish_ip: where published ports listen; as a default everywhere, but on 127.0.0.1 if
    that is all that `ip` is.
    docker_cfs: cpus of Docker tasks are a limit, not only a weight.
    gc_delay_s: how long sandboxes are kept; the fuller the disk, the shorter (sandbox_gc.py).
    gc_disk_headroom: part of the disk that is kept free of them. output_max_mib: of each output of
    a process task so much is kept; 0: all. forget_set_aside: delete the
    stored records that can't be read, which are kept otherwise.
    launcher: `linux` holds each process task together by a control group, and is refused where none
    can be made; `posix` by its session alone; None: linux where that can be.
    """

    master: str
    work_dir: Path = Path(".mezzo/agent")
    ip: str = "127.0.0.1"
    port: int = 5051
    hostname: str | None = None
    resources: str = ""
    attributes: str = ""
    domain: FaultDomain | None = None
    containerizers: str = "docker,process"
    docker_host: str | None = None
    docker_publish_ip: str | None = None
    docker_cfs: bool = True
    docker_remove_delay_s: float = 600.0
    gc_delay_s: float = 7 * 86400.0
    gc_disk_headroom: float = 0.1
    disk_watch_interval_s: float = 60.0
    output_max_mib: int = 100
    forget_set_aside: bool = False
    switch_user: bool = True
    launcher: str | None = None
    recover: str = "reconnect"
    reconfiguration_policy: str = "equal"
    http_allowed_hosts: tuple[str, ...] = ()  # names that it is asked by, besides this machine's

    def check(self) -> None:
        """Raises BadConfig for what can't work, before anything is touched."""
        for flag, ip in (("--ip", self.ip), ("--docker-publish-ip", self.docker_publish_ip)):
            try:
                ipaddress.ip_address(ip or self.ip)
            except ValueError:
                raise BadConfig(f"{flag}={ip} is no IP address: give one of this machine") from None
        if self.reconfiguration_policy not in _POLICIES:
            raise BadConfig(
                f"--reconfiguration-policy={self.reconfiguration_policy}: use equal or additive"
            )
        if self.launcher not in (None, *_LAUNCHERS):
            raise BadConfig(f"--launcher={self.launcher}: use linux or posix")
        if self.recover not in _RECOVER:
            raise BadConfig(f"--recover={self.recover}: use reconnect or cleanup")
        containerizers_of(self.containerizers)
        attributes_of(self.attributes)

    @property
    def publish_ip(self) -> str:
        if self.docker_publish_ip is not None:
            return self.docker_publish_ip
        return "127.0.0.1" if ipaddress.ip_address(self.ip).is_loopback else "0.0.0.0"

    @property
    def reachable_ip(self) -> str | None:
        """Where others reach this machine: that of the hostname if we listen everywhere. None: the
        hostname has no address here, and says all that is known."""
        if self.ip not in ANY_ADDRESS:
            return self.ip
        try:
            return socket.gethostbyname(self.hostname or socket.gethostname())
        except OSError:
            return None

    def core_config(self) -> AgentConfig:
        """The work directory must exist. Raises BadConfig."""
        info = AgentInfo(
            hostname=self.hostname or self.ip,
            port=self.port,
            resources=resources_of(self.resources, self.work_dir),
            attributes=attributes_of(self.attributes),
            domain=self.domain,
            ip=self.reachable_ip,
        )
        return AgentConfig(
            info=info,
            version=MESOS_VERSION,
            ip=self.ip,
            work_dir=str(self.work_dir.resolve()),
            containerizers=containerizers_of(self.containerizers),
            publish_ip=self.publish_ip,
            switch_user=self.switch_user,
            container_remove_delay_s=self.docker_remove_delay_s,
            gc_delay_s=self.gc_delay_s,
            gc_disk_headroom=self.gc_disk_headroom,
            disk_watch_interval_s=self.disk_watch_interval_s,
        )

    def docker_settings(self, environment_host: str | None) -> DockerSettings:
        """`environment_host`: DOCKER_HOST, which counts if no flag is given."""
        return DockerSettings(
            url=self.docker_host or environment_host or _DOCKER_HOST,
            ip=self.reachable_ip or self.ip,
            publish_ip=self.publish_ip,
            cfs=self.docker_cfs,
        )
