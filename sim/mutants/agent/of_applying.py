"""Bugs in how an agent carries operations out, which make volumes and reservations."""

from __future__ import annotations

from typing import Any

from mezzo.agent.resources import applying
from mezzo.errors import BadRequest

from ..mutant import mutant, never


@mutant(applying, "_tell")
def an_outcome_is_told_once_and_forgotten(original: Any) -> Any:
    def tell(state: Any, step: Any, operation: Any) -> None:
        original(state, step, operation)
        applying._forget(state, step, operation)

    return tell


@mutant(applying, "overdue")
def an_outcome_is_not_repeated(original: Any) -> Any:
    return never


@mutant(applying, "new_folder")
def an_agent_has_no_volumes_on_disks_of_their_own(original: Any) -> Any:
    def new_folder(kind: Any, created_by: Any, work_dir: Any) -> Any:
        if kind.disk.source is not None:
            raise BadRequest("no")
        return original(kind, created_by, work_dir)

    return new_folder


@mutant(applying, "started")
def a_folder_that_was_to_be_made_is_forgotten_with_a_crash(original: Any) -> Any:
    return never
