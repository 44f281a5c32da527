"""Bugs in what Marathon makes of health checks."""

from __future__ import annotations

from typing import Any

from mezzo.marathon.health import rules
from mezzo.record import replace

from ..mutant import mutant, never


@mutant(rules, "_publish_change")
def nobody_is_told_of_a_change_of_health(original: Any) -> Any:
    return never


@mutant(rules, "_failed")
def a_failed_check_within_its_grace_counts(original: Any) -> Any:
    def failed(step: Any, live: Any, check: Any, seen: Any, cause: Any) -> None:
        original(step, live, replace(check, grace_s=0.0), seen, cause)

    return failed


@mutant(rules, "probed")
def a_promise_of_an_answer_is_a_failure(original: Any) -> Any:
    def probed(state: Any, step: Any, result: Any) -> None:
        original(state, step, replace(result, alive=result.alive is True))

    return probed


@mutant(rules, "_kill")
def who_fails_its_checks_lives_on(original: Any) -> Any:
    return never
