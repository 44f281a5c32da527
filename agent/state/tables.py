"""What an agent keeps in its store: see `mezzo.tables`."""

from __future__ import annotations

from typing import Final

from mezzo.cluster.model import FrameworkInfo
from mezzo.cluster.operations import OperationRecord
from mezzo.tables import Table

from .agent_task import AgentTask
from .facts import Converted, Identity, Proof, Remains
from .used_ids import APPLIED_MAX, ENDED_MAX, Applied, Ended
from .volumes import VolumeFolder

_ONE: Final = "agent"  # the id of records of which there is one

IDENTITY: Final = Table("identity", Identity, lambda _: _ONE)
EPOCH: Final = Table("obeyed", int, lambda _: _ONE)  # the newest epoch of a master
RESOURCES: Final = Table("resources", Converted, lambda _: _ONE)
PROOF: Final = Table("proof", Proof, lambda _: _ONE)
# Of every framework that has tasks here.
FRAMEWORKS: Final = Table("framework", FrameworkInfo, lambda info: info.id or "")
# From before its launch until its last acknowledgement.
TASKS: Final = Table("task", AgentTask, lambda task: "/".join(task.key))
# Rings: each has a slot, which it takes over from the oldest.
ENDED: Final = Table("ended", Ended, lambda ended: f"{ended.number % ENDED_MAX:05}")
APPLIED: Final = Table("applied", Applied, lambda applied: f"{applied.number % APPLIED_MAX:05}")
# Ended containers and sandboxes that are still to be removed.
REMAINS: Final = Table("remains", Remains, lambda remains: remains.container_id)
# Conversions whose outcome is not acknowledged.
OPERATIONS: Final = Table("operation", OperationRecord, lambda operation: operation.uuid.hex())
# From before it is made until it is removed.
VOLUMES: Final = Table("volume", VolumeFolder, lambda folder: folder.path)
