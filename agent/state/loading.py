"""What earlier lives have stored, as far as it can be read; the rest is set aside."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from mezzo.errors import Corrupt
from mezzo.ids import FrameworkId
from mezzo.tables import Stored, Table

from .agent_task import AgentTask
from .checkpoint import Checkpoint
from .tables import (
    APPLIED,
    ENDED,
    EPOCH,
    FRAMEWORKS,
    IDENTITY,
    OPERATIONS,
    PROOF,
    REMAINS,
    RESOURCES,
    TASKS,
    VOLUMES,
)

# Who it is, whom it obeys, and what it has promised to keep.
_VITAL: Final[tuple[Table[Any], ...]] = (IDENTITY, EPOCH, RESOURCES)


def load(values: Mapping[str, bytes]) -> Checkpoint:
    """Read what the checkpoint's methods have written.

    One record that can't be read is set aside: it stays in the store, and all else works as if it
    were not there. Raises Corrupt for a record without which the agent is not itself.
    """
    stored = Stored(values)
    checkpoint = Checkpoint(
        identity=stored.one_of(IDENTITY),
        epoch=stored.one_of(EPOCH) or 0,
        converted=stored.one_of(RESOURCES),
        proof=stored.one_of(PROOF),
        frameworks={FrameworkId(info.id or ""): info for info in stored.all_of(FRAMEWORKS)},
        remains={each.container_id: each for each in stored.all_of(REMAINS)},
        operations={each.uuid: each for each in stored.all_of(OPERATIONS)},
        folders={each.path: each for each in stored.all_of(VOLUMES)},
        aside=stored.aside,
    )
    stored.read(TASKS, partial(_take_task, checkpoint))
    for ended in stored.all_of(ENDED):
        checkpoint.ended.recall(ended.number, (ended.framework_id, ended.task_id))
    for applied in stored.all_of(APPLIED):
        checkpoint.applied.recall(applied.number, applied.uuid)
    checkpoint.ended.sort()
    checkpoint.applied.sort()
    for key, why in stored.aside.items():
        if key.partition("/")[0] in [table.kind for table in _VITAL]:
            raise Corrupt(
                f"{key} in the agent's store is damaged ({why}): bring back a copy of "
                "meta/agent.db in its work directory, or remove the folder meta: then it joins as "
                "a new agent, and what it ran is ended"
            )
    return checkpoint


def _take_task(checkpoint: Checkpoint, task: AgentTask) -> None:
    # Only the master knows the framework of a task that never came here.
    if task.container_id is not None and task.framework_id not in checkpoint.frameworks:
        raise Corrupt(f"its framework {task.framework_id} is not there, or set aside itself")
    checkpoint.keep(task)
