"""Bugs in which tasks of an acceptance are launched, and with what."""

from __future__ import annotations

from typing import Any

from mezzo.master.offers import launching, task_validation
from mezzo.master.offers.launching import _Launcher
from mezzo.master.offers.task_validation import TaskValidation
from mezzo.record import replace

from ..mutant import mutant, never


@mutant(_Launcher, "_charge")
def a_launch_takes_nothing_from_its_offer(original: Any) -> Any:
    return never


@mutant(launching, "task_of")
def a_task_is_shown_with_the_user_of_its_framework(original: Any) -> Any:
    def task_of(info: Any, framework_id: Any, role: str, user: Any) -> Any:
        return replace(original(info, framework_id, role, user), user=user)

    return task_of


@mutant(_Launcher, "refuse")
def of_tasks_that_are_not_valid_only_the_first_is_answered(original: Any) -> Any:
    def refuse(self: Any, refused: Any, reason: Any, why: Any) -> None:
        original(self, refused[:1], reason, why)

    return refuse


@mutant(launching, "exclusive")
def what_is_shared_is_taken_from_the_next(original: Any) -> Any:
    return lambda resources: resources


@mutant(TaskValidation, "_check_identity")
def a_task_id_may_be_used_again(original: Any) -> Any:
    return never


@mutant(TaskValidation, "_check_resources")
def a_task_may_use_more_than_was_offered(original: Any) -> Any:
    return never


@mutant(task_validation, "_check_not_mixed")
def a_task_may_mix_what_is_revocable_with_what_is_not(original: Any) -> Any:
    return never
