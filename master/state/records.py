"""What the store holds of agents and frameworks. Times are wall seconds."""

from __future__ import annotations

from typing import Literal

from mezzo.cluster.model import AgentFacts, AgentInfo, DrainInfo, FrameworkInfo
from mezzo.record import Record
from mezzo.units import WallSeconds


class AgentRecord(AgentFacts):
    """`agent/<id>`: an agent that was admitted once."""

    info: AgentInfo
    version: str
    boot_id: str
    registered_s: WallSeconds
    condition: Literal["ADMITTED", "UNREACHABLE", "GONE"] = "ADMITTED"
    since_s: WallSeconds | None = None  # of UNREACHABLE and GONE
    drain: DrainInfo | None = None
    drain_start_s: WallSeconds | None = None


class FrameworkRecord(Record):
    """`framework/<id>`: a framework that subscribed. Unlike in Mesos the deadline of one that is
    away survives the master's failover."""

    info: FrameworkInfo
    registered_s: WallSeconds
    deadline_s: WallSeconds | None = None  # it is away, and is given up then
    unregistered_s: WallSeconds | None = None  # completed, its id can't be used any more
