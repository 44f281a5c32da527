"""What an agent's core is told once, at its start."""

from __future__ import annotations

from mezzo.cluster.model import AgentInfo
from mezzo.record import Record

from .container import Kind


class AgentConfig(Record):
    """info: as offered to the master, without id. ip: of this agent, what host network tasks have.

    publish_ip: where published ports of Docker tasks are reached. Times in seconds; the defaults
    are those of Mesos, except that an ended Docker container is removed sooner: its logs stay.
    """

    info: AgentInfo
    version: str
    ip: str
    work_dir: str
    containerizers: tuple[Kind, ...]
    publish_ip: str = "127.0.0.1"
    switch_user: bool = True
    ping_timeout_s: float = 75.0
    container_remove_delay_s: float = 600.0
    gc_delay_s: float = 7 * 86400.0
    gc_disk_headroom: float = 0.1
    disk_watch_interval_s: float = 60.0
