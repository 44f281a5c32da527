"""The disk below a state store, with what can go wrong between a daemon and its store."""

from __future__ import annotations

from dataclasses import dataclass, field

from mezzo.store.memory import MemoryDisk


@dataclass(slots=True)
class DiskFaults:
    """Quiet by default. A commit takes between `min_s` and `max_s`; the rest are probabilities.

    read_fails: opening a term or loading. answer_lost: a commit is carried out, but its caller is
    told that the store does not answer. late: a commit that was under way when its process died is
    carried out all the same.
    """

    min_s: float = 0.0005
    max_s: float = 0.02
    read_fails: float = 0.0
    answer_lost: float = 0.0
    late: float = 0.5


@dataclass(slots=True)
class Disk(MemoryDisk):
    """Outlives the processes that use it."""

    faults: DiskFaults = field(default_factory=DiskFaults)
