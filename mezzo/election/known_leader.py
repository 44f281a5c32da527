"""The leader that was last heard of: for the answers of a standby."""

from __future__ import annotations

from collections.abc import Callable

from .base import LeaderChanged, LeaderDetector


class KnownLeader:
    def __init__(self, detector: LeaderDetector, read: Callable[[bytes], str]) -> None:
        """`start` it. read: makes `address` of what a leader has published."""
        self.address: str | None = None  # None: nobody leads, or nobody was heard of yet
        self._read = read
        self._detector = detector

    def start(self) -> None:
        self._detector.start(self._changed)

    def _changed(self, change: LeaderChanged) -> None:
        self.address = None if change.leader is None else self._read(change.leader)

    def stop(self) -> None:
        self._detector.stop()
