"""What a health check's results mean. Pure; the rules are those of Mesos' health checker."""

from __future__ import annotations

from mezzo.cluster.model import HealthCheck
from mezzo.record import Record


class HealthVerdict(Record):
    """failures: consecutive ones so far. report: tell the framework; kill: the limit is reached."""

    failures: int
    report: bool
    kill: bool = False


def judge(
    check: HealthCheck, *, passed: bool, failures: int, reported: bool | None, running_for_s: float
) -> HealthVerdict:
    """Judge one result. failures: consecutive ones before it. reported: `healthy` as told last.

    - A pass is reported if it is news.
    - A failure is reported each time, and kills at `consecutive_failures`.
    - Before anything was reported, failures inside the grace period are ignored.
    """
    if passed:
        return HealthVerdict(failures=0, report=reported is not True)
    if reported is None and running_for_s <= check.grace_period_seconds:
        return HealthVerdict(failures=0, report=False)
    failures += 1
    return HealthVerdict(failures, report=True, kill=failures >= check.consecutive_failures)
