"""All planted bugs."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Final

from .agent import of_applying, of_checkpoint, of_membership, of_task_lives, of_watching
from .allocator import of_books, of_turns, of_wishes
from .kernel import of_amounts, of_runtime, of_storage
from .marathon import of_apps, of_checks, of_deployments, of_instances, of_placement
from .master import (
    of_agents,
    of_claims,
    of_frameworks,
    of_launching,
    of_master_core,
    of_offers,
    of_operations,
    of_operators,
    of_tasks,
)
from .mutant import Mutant

_FILES: Final[tuple[ModuleType, ...]] = (
    of_amounts,
    of_runtime,
    of_storage,
    of_applying,
    of_checkpoint,
    of_membership,
    of_task_lives,
    of_watching,
    of_books,
    of_turns,
    of_wishes,
    of_agents,
    of_claims,
    of_frameworks,
    of_launching,
    of_master_core,
    of_offers,
    of_operations,
    of_operators,
    of_tasks,
    of_apps,
    of_checks,
    of_deployments,
    of_instances,
    of_placement,
)


def _all() -> Iterator[tuple[str, Mutant]]:
    for file in _FILES:
        yield from ((each.name, each) for each in vars(file).values() if isinstance(each, Mutant))


_NAMED: Final = tuple(_all())
ALL: Final = dict(_NAMED)
assert len(ALL) == len(_NAMED), "two planted bugs have one name"
