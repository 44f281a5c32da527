"""What the master's core is told at its start."""

from __future__ import annotations

from mezzo.cluster.model import (
    MasterInfo,
)
from mezzo.record import Record

from .allocator import AllocatorConfig


class MasterConfig(Record):
    """Flags that the core needs. Defaults are those of Mesos where it has the flag."""

    info: MasterInfo
    started_s: float | None = None  # wall; when this process began
    agent_ping_timeout_s: float = 15.0
    max_agent_ping_timeouts: int = 5
    agent_reregister_timeout_s: float = 600.0
    # No two agents are called unreachable within so many seconds (1/20mins: 1200); None: no limit.
    agent_removal_interval_s: float | None = None
    # More than this part of the agents missing after a failover: something else is wrong.
    recovery_agent_removal_limit: float = 1.0
    require_agent_domain: bool = False  # agents without one are ignored
    # How far the clocks of master and agents may differ in pace, and how long a kill may take.
    lease_drift: float = 0.01
    lease_margin_s: float = 5.0
    heartbeat_s: float = 15.0
    # Who uses nothing of an offer refuses it for at least so long, also with 0 seconds: Mesos'
    # allocation interval bounds how often one that declines everything is asked again, here this.
    refuse_min_s: float = 1.0
    offer_timeout_s: float | None = 300.0
    max_completed_frameworks: int = 50
    # Of those that are away and have nothing here: the others wait for their failover timeout.
    max_idle_frameworks_away: int = 1000
    max_completed_tasks_per_framework: int = 1000
    # Of those that have ended but whose end is not acknowledged.
    max_unacknowledged_tasks_per_framework: int = 10_000
    max_unreachable_tasks_per_framework: int = 1000
    # Agents that are unreachable, and those that are gone, are remembered for so long, so many.
    registry_gc_interval_s: float = 900.0
    registry_max_agent_age_s: float = 14 * 86400.0
    registry_max_agent_count: int = 102_400
    max_operator_event_stream_subscribers: int = 1000
    operator_event_buffer: int = 8192  # events that one who comes back may have missed
    # With any quota, a new leader offers nothing until this part of the agents is back.
    allocator_agent_recovery_factor: float = 0.8
    allocator_recovery_timeout_s: float = 600.0
    # A step's writes are one transaction, and that of ZooKeeper takes a megabyte.
    step_writes: int = 100
    step_bytes: int = 500_000
    roles: tuple[str, ...] | None = None  # besides `*` the only ones that may be used; None: all
    allocator: AllocatorConfig = AllocatorConfig()  # its region is that of `info`, if it has one
