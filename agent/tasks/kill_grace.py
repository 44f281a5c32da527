"""How long a task has from SIGTERM to SIGKILL: as it says, or less when it must go. Pure."""

from __future__ import annotations

from typing import Final

from mezzo.cluster.model import DrainConfig, TaskInfo

KILL_GRACE_S: Final = 3.0


def own_grace_s(info: TaskInfo) -> float:
    """The grace that a task asks for, or the default."""
    own_s = info.kill_policy.grace_period if info.kill_policy is not None else None
    return KILL_GRACE_S if own_s is None else own_s


def drained_grace_s(info: TaskInfo, drain: DrainConfig) -> float:
    """The grace on a drained agent: at most what the operator allows."""
    own_s = own_grace_s(info)
    return own_s if drain.max_grace_period is None else min(own_s, drain.max_grace_period)


def leased_grace_s(info: TaskInfo) -> float:
    """The grace of a unique task: a part of its lease, and at most a quarter of that."""
    assert info.unique_lease is not None
    return min(own_grace_s(info), info.unique_lease / 4)
