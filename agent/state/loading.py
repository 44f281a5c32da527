"""What earlier lives have stored, as far as it can be read; the rest is set aside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from mezzo.cluster.model import FrameworkInfo
from mezzo.cluster.operations import OperationRecord
from mezzo.ids import FrameworkId
from mezzo.record import Corrupt, decode

from .agent_task import AgentTask
from .checkpoint import (
    Checkpoint,
    Converted,
    Identity,
    Proof,
    Remains,
    operation_key,
    task_key,
)
from .used_ids import Applied, Ended
from .volumes import VolumeFolder

# Who it is, whom it obeys, and what it has promised to keep.
_VITAL: Final = ("agent/identity", "agent/epoch", "agent/resources")


def load(stored: Mapping[str, bytes]) -> Checkpoint:
    """Read what the checkpoint's methods have written.

    One record that can't be read is set aside: it stays in the store, and all else works as if it
    were not there. Raises Corrupt if it is one without which the agent is not itself.
    """
    checkpoint = Checkpoint()
    for key in sorted(stored):  # frameworks come before their tasks
        load_one = _LOADERS.get(key) or _LOADERS.get(key.partition("/")[0])
        if load_one is None:
            continue  # of a newer version
        try:
            load_one(checkpoint, key, stored[key])
        except Corrupt as error:
            if key in _VITAL:
                raise Corrupt(
                    f"{key} in the agent's store is damaged ({error}): bring back a copy of "
                    "meta/agent.db in its work directory, or remove the folder meta: then it "
                    "joins as a new agent, and what it ran is ended"
                ) from error
            checkpoint.aside[key] = str(error)
    checkpoint.ended.sort()
    checkpoint.applied.sort()
    return checkpoint


def _load_identity(checkpoint: Checkpoint, _key: str, value: bytes) -> None:
    checkpoint.identity = decode(Identity, value)


def _load_epoch(checkpoint: Checkpoint, _key: str, value: bytes) -> None:
    checkpoint.epoch = decode(int, value)


def _load_converted(checkpoint: Checkpoint, _key: str, value: bytes) -> None:
    checkpoint.converted = decode(Converted, value)


def _load_proof(checkpoint: Checkpoint, _key: str, value: bytes) -> None:
    checkpoint.proof = decode(Proof, value)


def _load_framework(checkpoint: Checkpoint, key: str, value: bytes) -> None:
    framework_id = FrameworkId(key.partition("/")[2])
    checkpoint.frameworks[framework_id] = decode(FrameworkInfo, value)


def _load_task(checkpoint: Checkpoint, key: str, value: bytes) -> None:
    task = decode(AgentTask, value)
    _check_key(key, task_key(task.key))
    # Of one that never came here only the master knows the framework.
    if task.container_id is not None and task.framework_id not in checkpoint.frameworks:
        raise Corrupt(f"its framework {task.framework_id} is not there, or set aside itself")
    checkpoint.keep(task)


def _load_ended(checkpoint: Checkpoint, _key: str, value: bytes) -> None:
    ended = decode(Ended, value)
    checkpoint.ended.recall(ended.number, (ended.framework_id, ended.task_id))


def _load_remains(checkpoint: Checkpoint, key: str, value: bytes) -> None:
    remains = decode(Remains, value)
    _check_key(key, f"remains/{remains.container_id}")
    checkpoint.remains[remains.container_id] = remains


def _load_operation(checkpoint: Checkpoint, key: str, value: bytes) -> None:
    operation = decode(OperationRecord, value)
    _check_key(key, operation_key(operation.uuid))
    checkpoint.operations[operation.uuid] = operation


def _load_applied(checkpoint: Checkpoint, _key: str, value: bytes) -> None:
    applied = decode(Applied, value)
    checkpoint.applied.recall(applied.number, applied.uuid)


def _load_folder(checkpoint: Checkpoint, key: str, value: bytes) -> None:
    folder = decode(VolumeFolder, value)
    _check_key(key, f"volume/{folder.path}")
    checkpoint.folders[folder.path] = folder


def _check_key(key: str, expected: str) -> None:
    if key != expected:
        raise Corrupt(f"it is the record of {expected}")


# By the key, or by what all keys of a kind begin with.
_LOADERS: Final[Mapping[str, Callable[[Checkpoint, str, bytes], None]]] = {
    "agent/identity": _load_identity,
    "agent/epoch": _load_epoch,
    "agent/resources": _load_converted,
    "agent/proof": _load_proof,
    "framework": _load_framework,
    "task": _load_task,
    "ended": _load_ended,
    "remains": _load_remains,
    "operation": _load_operation,
    "applied": _load_applied,
    "volume": _load_folder,
}
