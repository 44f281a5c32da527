"""What an agent's core is told once, at its start."""

from __future__ import annotations

from typing import Annotated

from mezzo.cluster.model import AgentInfo
from mezzo.flags import DURATION, SWITCH, Flag, Number
from mezzo.record import Record

from .container import Kind


class AgentConfig(Record):
    """info: as offered to the master, without id. ip: of this agent, what host network tasks have.

    publish_ip: where published ports of Docker tasks are reached. Fields with a Flag are settings.
    Times in seconds; the defaults are those of Mesos, except that an ended Docker container is
    removed sooner: its logs stay.
    """

    info: AgentInfo
    version: str
    ip: str
    work_dir: str
    containerizers: tuple[Kind, ...]
    publish_ip: str = "127.0.0.1"
    ping_timeout_s: float = 75.0
    container_remove_delay_s: Annotated[
        float,
        Flag(
            "How long the container of an ended task is kept, and its logs.",
            DURATION,
            name="docker-remove-delay",
        ),
    ] = 600.0
    gc_delay_s: Annotated[float, Flag("How long sandboxes are kept.", DURATION)] = 7 * 86400.0
    gc_disk_headroom: Annotated[
        float,
        Flag(
            "Part of the disk to be kept free: the less there is, the sooner sandboxes go.",
            Number(0, 1),
        ),
    ] = 0.1
    disk_watch_interval_s: Annotated[
        float, Flag("How often it is looked how full the disk is.", DURATION)
    ] = 60.0
    switch_user: Annotated[
        bool, Flag("Whether process tasks run as the user that they name.", SWITCH)
    ] = True
