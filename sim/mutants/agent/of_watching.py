"""Bugs in how an agent watches its tasks: their health, and the leases of unique ones."""

from __future__ import annotations

import math
from typing import Any

from mezzo.agent.effects import RenewLease
from mezzo.agent.tasks import unique_leases, watching
from mezzo.record import replace

from ..mutant import mutant, never


@mutant(watching, "lease_due")
def an_agent_heeds_no_leases(original: Any) -> Any:
    return never


@mutant(watching, "judge")
def a_health_check_knows_no_grace(original: Any) -> Any:
    def judge(check: Any, **facts: Any) -> Any:
        return original(check, **(facts | {"running_for_s": math.inf}))

    return judge


@mutant(watching, "judge")
def failures_of_a_check_need_not_be_in_a_row(original: Any) -> Any:
    def judge(check: Any, **facts: Any) -> Any:
        verdict = original(check, **facts)
        return replace(verdict, failures=max(verdict.failures, facts["failures"]))

    return judge


@mutant(watching, "judge")
def who_is_ill_is_killed_one_failure_late(original: Any) -> Any:
    def judge(check: Any, **facts: Any) -> Any:
        verdict = original(check, **facts)
        return replace(verdict, kill=verdict.failures > check.consecutive_failures)

    return judge


@mutant(watching, "judge")
def who_is_well_again_is_not_told_of(original: Any) -> Any:
    def judge(check: Any, **facts: Any) -> Any:
        verdict = original(check, **facts)
        again = facts["passed"] and facts["reported"] is False
        return replace(verdict, report=verdict.report and not again)

    return judge


@mutant(watching, "start")
def a_health_check_does_not_wait_for_its_delay(original: Any) -> Any:
    def start(state: Any, step: Any, task: Any, container_id: Any) -> None:
        check = task.info.health_check
        if check is not None:
            info = replace(task.info, health_check=replace(check, delay_seconds=0.0))
            task = replace(task, info=info)
        original(state, step, task, container_id)

    return start


@mutant(watching, "health_due")
def one_of_two_health_checks_is_never_made(original: Any) -> Any:
    def health_due(state: Any, step: Any, due: Any) -> None:
        if int(due.container_id[-1], 16) % 2:
            original(state, step, due)

    return health_due


@mutant(unique_leases, "_prove")
def a_lease_is_counted_from_when_the_master_spoke(original: Any) -> Any:
    def prove(state: Any, step: Any, at_s: float) -> None:
        original(state, step, at_s + 30.0)

    return prove


@mutant(unique_leases, "kill_at_s")
def unique_tasks_are_killed_long_before_their_lease_is_over(original: Any) -> Any:
    return lambda state, info: original(state, info) - 70.0


@mutant(unique_leases, "_pass_on")
def keepers_hear_of_no_renewal(original: Any) -> Any:
    def pass_on(state: Any, step: Any, unique: Any) -> None:
        original(state, step, unique)
        step.effects = [each for each in step.effects if not isinstance(each, RenewLease)]

    return pass_on
