"""What the master's core is told at its start."""

from __future__ import annotations

from typing import Annotated

from mezzo.cluster.model import MasterInfo
from mezzo.core import STEP_BYTES
from mezzo.flags import (
    COUNT,
    DURATION,
    FRACTION,
    HAS_FLAGS,
    NAMES,
    PERCENTAGE,
    RATE,
    SWITCH,
    Flag,
    Whole,
    or_off,
)
from mezzo.record import Record

from .allocator.terms import AllocatorConfig


class MasterConfig(Record):
    """Fields with a Flag are settings. Defaults are those of Mesos where it has the flag."""

    info: MasterInfo
    started_s: float | None = None  # wall; when this process began
    agent_ping_timeout_s: Annotated[float, Flag("Wait for a pong.", DURATION)] = 15.0
    max_agent_ping_timeouts: Annotated[
        int, Flag("Missed pongs until an agent is unreachable.", Whole(1))
    ] = 5
    agent_reregister_timeout_s: Annotated[
        float, Flag("How long after a failover agents may take to come back.", DURATION)
    ] = 600.0
    # No two agents are called unreachable within so many seconds; None: no limit.
    agent_removal_interval_s: Annotated[
        float | None,
        Flag(
            "How fast agents may be called unreachable, as 1/20mins.",
            RATE,
            name="agent-removal-rate-limit",
            unset="no limit",
        ),
    ] = None
    # So many missing: something else is wrong.
    recovery_agent_removal_limit: Annotated[
        float,
        Flag(
            "With more of the agents missing after a failover the master gives up its term "
            "instead.",
            PERCENTAGE,
        ),
    ] = 1.0
    # Agents that are unreachable, and those that are gone, are remembered for so long, so many.
    registry_gc_interval_s: Annotated[
        float,
        Flag("How often agents that are unreachable or gone for too long are forgotten.", DURATION),
    ] = 900.0
    registry_max_agent_age_s: Annotated[
        float, Flag("How long such agents are remembered.", DURATION)
    ] = 14 * 86400.0
    registry_max_agent_count: Annotated[
        int,
        Flag("How many of each kind are remembered; the oldest are forgotten first.", COUNT),
    ] = 102_400
    lease_drift: Annotated[
        float,
        Flag(
            "By which part the clocks of agents may run slower, for the leases of unique tasks.",
            FRACTION,
        ),
    ] = 0.01
    lease_margin_s: Annotated[
        float,
        Flag("How long a unique task whose lease is over may take to be dead.", DURATION),
    ] = 5.0
    heartbeat_s: float = 15.0
    # An unused offer is refused for at least so long, also with 0 seconds: that bounds how often a
    # framework that declines everything is asked, as in Mesos the allocation interval does.
    refuse_min_s: float = 1.0
    offer_timeout_s: Annotated[
        float | None,
        Flag("Take offers back that are not answered for so long; 0 never does.", or_off(DURATION)),
    ] = 300.0
    # Its region is that of `info`, if it has one.
    allocator: Annotated[AllocatorConfig, HAS_FLAGS] = AllocatorConfig()
    roles: Annotated[
        tuple[str, ...] | None,
        Flag("The only roles that may be used besides *.", or_off(NAMES), unset="all"),
    ] = None
    require_agent_domain: Annotated[
        bool, Flag("Whether agents without a domain are left out.", SWITCH)
    ] = False
    max_completed_frameworks: int = 50
    # Of those that are away and have nothing here: the others wait for their failover timeout.
    max_idle_frameworks_away: int = 1000
    max_completed_tasks_per_framework: int = 1000
    # Of those that have ended but whose end is not acknowledged.
    max_unacknowledged_tasks_per_framework: int = 10_000
    max_unreachable_tasks_per_framework: int = 1000
    allocator_agent_recovery_factor: Annotated[
        float,
        Flag(
            "With quota, the part of the agents that a new leader waits for before it offers.",
            FRACTION,
        ),
    ] = 0.8
    allocator_recovery_timeout_s: Annotated[
        float, Flag("How long it waits for them.", DURATION)
    ] = 600.0
    max_operator_event_stream_subscribers: Annotated[
        int, Flag("Of more streams of operator events the oldest ends.", Whole(1))
    ] = 1000
    operator_event_buffer: Annotated[
        int, Flag("Events that are kept for operator streams that break.", COUNT)
    ] = 8192
    # After so much a step leaves the rest to another: it is one transaction.
    step_writes: int = 100
    step_bytes: int = STEP_BYTES
