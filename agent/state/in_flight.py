"""What a master was told and has not acknowledged. Rules: resending.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from mezzo.ids import ConnId

from ..timers import OperationOverdue, UpdateOverdue

K = TypeVar("K")


@dataclass(slots=True)
class InFlight(Generic[K]):
    """The store has all messages; this has only what this life has told of them.

    overdue: the timer of a key. conn: the stream on which a master has us registered.
    retry_s: by key, seconds until the message is repeated.
    """

    overdue: Callable[[K], UpdateOverdue | OperationOverdue]
    conn: ConnId | None = None
    retry_s: dict[K, float] = field(default_factory=dict)
