"""What the store holds of agents and frameworks. Times are wall seconds."""

from __future__ import annotations

from typing import Literal

from mezzo.model import AgentCapability, AgentInfo, DrainInfo, FrameworkInfo
from mezzo.record import Record


class AgentRecord(Record):
    """`agent/<id>`: an agent that was admitted once."""

    info: AgentInfo
    version: str
    boot_id: str
    registered_s: float
    condition: Literal["ADMITTED", "UNREACHABLE", "GONE"] = "ADMITTED"
    since_s: float | None = None  # of UNREACHABLE and GONE
    capabilities: tuple[AgentCapability, ...] = ()
    deactivated: bool = False
    drain: DrainInfo | None = None
    drain_start_s: float | None = None


class FrameworkRecord(Record):
    """`framework/<id>`: a framework that subscribed. Unlike in Mesos the deadline of one that is
    away survives the master's failover."""

    info: FrameworkInfo
    registered_s: float
    deadline_s: float | None = None  # it is away, and is given up then
    unregistered_s: float | None = None  # completed, its id can't be used any more
