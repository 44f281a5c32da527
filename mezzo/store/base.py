"""The contract of the state stores, to which test_store_contract.py holds them all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Protocol

from ..core import Put, Write, write_bytes
from ..errors import ValueTooLarge

_KIND: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_RESERVED_KINDS: Final = frozenset(
    {"epoch"}
)  # the ZooKeeper store keeps its epoch beside the kinds


class StateStore(Protocol):
    """Durable ``key -> bytes`` of one daemon, with one owner at a time.

    The owner is whoever opened the latest term. Terms are numbered by the epoch, which only grows.
    Every call blocks; a handle is used by one thread at a time, but for `close`. Use: `open_term`,
    `load`, then `commit` as often as needed, `close`.

    max_value_bytes: the largest value of one `Put`.
    max_commit_bytes: the largest sum of `write_bytes` over the writes of one commit.
    """

    max_value_bytes: int
    max_commit_bytes: int

    def open_term(self, token: str | None = None, *, at_least: int = 1) -> int:
        """Take ownership and return the new epoch, which is durable when this returns.

        The epoch is greater than any before of this store, and at least `at_least`.

        From then on every commit of an older owner raises Fenced. `token` is what `Elected`
        brought: if that candidate is gone meanwhile, Fenced is raised and nothing is changed, so
        that a leader that slept through its own deposition cannot depose its successor.
        Raises Fenced, StoreUnavailable.
        """
        ...

    def load(self) -> dict[str, bytes]:
        """All stored values, in the order of their keys. Raises StoreUnavailable."""
        ...

    def commit(self, writes: Sequence[Write]) -> None:
        """Apply all writes in their order or none; they are durable when this returns.

        Without writes this only makes sure that the handle still owns the store.

        Raises Fenced (nothing was applied, nothing ever will be), ValueTooLarge (nothing was
        applied) and StoreUnavailable: the store did not answer for so long that the outcome is
        left open. Then commit the same writes again, which is harmless, or end the process.
        """
        ...

    def close(self) -> None:
        """Let go of files and connections. Commits stay, and so does the epoch.

        From any thread: a call that waits for the store elsewhere is ended (StoreUnavailable), one
        that is being carried out may be awaited.
        """
        ...


def split_key(key: str) -> tuple[str, str]:
    """``kind/id`` -> (kind, id). Raises ValueError: a core that writes such a key has a bug."""
    kind, _, ident = key.partition("/")
    if not _KIND.fullmatch(kind) or kind in _RESERVED_KINDS:
        raise ValueError(f"the key {key!r} does not start with a kind (a word) and a slash")
    if not ident or _CONTROL.search(ident):
        raise ValueError(f"the key {key!r} has no id or one with control characters")
    return kind, ident


def check_writes(writes: Sequence[Write], max_value_bytes: int, max_commit_bytes: int) -> None:
    """Refuse, before anything is applied, writes that a store does not take.

    Raises ValueTooLarge for a value or for the whole, ValueError for a key that is none.
    """
    for write in writes:
        split_key(write.key)
        if isinstance(write, Put) and len(write.value) > max_value_bytes:
            raise ValueTooLarge(write.key, len(write.value), max_value_bytes)
    total = sum(map(write_bytes, writes))
    if total > max_commit_bytes:
        raise ValueTooLarge(f"one commit of {len(writes)} writes", total, max_commit_bytes)
