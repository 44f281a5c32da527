"""Metrics that only the process can know: how long allocations and commits take, and the machine.

The core reads no clock, so its steps and its store are measured from outside, and what is found is
added to its answer to GET_METRICS.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import psutil

from mezzo.core import Instant, Output, TimerFired, Write
from mezzo.messages.operator import Metric, Metrics
from mezzo.store.base import StateStore

from ..core import MasterCore
from ..effects import MasterEffect
from ..events import MasterEvent
from ..metrics import RUN_TIMERS

_KEPT: Final = 1000
_PERCENTILES: Final = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}


class Series:
    """The latest durations of one thing, in milliseconds. One thread measures, another may read:
    copying a deque of numbers is one operation."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._latest_ms: deque[float] = deque(maxlen=_KEPT)
        self._count = 0

    def now_s(self) -> float:
        return self._clock()

    def stop(self, started_s: float) -> None:
        self._latest_ms.append(1000 * (self._clock() - started_s))
        self._count += 1

    def metrics(self, name: str) -> Iterator[Metric]:
        """As Mesos shows a timer: the last duration, and how all that are kept are spread."""
        if not self._latest_ms:
            return
        ordered = sorted(self._latest_ms)
        yield Metric(name, self._latest_ms[-1])
        yield Metric(f"{name}/count", float(self._count))
        yield Metric(f"{name}/min", ordered[0])
        yield Metric(f"{name}/max", ordered[-1])
        for word, part in _PERCENTILES.items():
            yield Metric(f"{name}/{word}", ordered[round(part * (len(ordered) - 1))])


class TimedCore:
    """The core; its allocations are timed."""

    def __init__(self, core: MasterCore, runs: Series) -> None:
        self._core = core
        self._runs = runs

    def step(self, event: MasterEvent, now: Instant) -> Output[MasterEffect]:
        if type(event) is not TimerFired or type(event.key) not in RUN_TIMERS:
            return self._core.step(event, now)
        started_s = self._runs.now_s()
        output = self._core.step(event, now)
        self._runs.stop(started_s)
        return output


class TimedStore:
    """A store whose term is open; its commits are timed."""

    def __init__(self, store: StateStore, commits: Series) -> None:
        self._store = store
        self._commits = commits
        self.max_value_bytes = store.max_value_bytes
        self.max_commit_bytes = store.max_commit_bytes

    def open_term(self, token: str | None = None, *, at_least: int = 1) -> int:
        return self._store.open_term(token, at_least=at_least)

    def load(self) -> dict[str, bytes]:
        return self._store.load()

    def commit(self, writes: Sequence[Write]) -> None:
        started_s = self._commits.now_s()
        self._store.commit(writes)
        self._commits.stop(started_s)

    def close(self) -> None:
        self._store.close()


def completed(metrics: Metrics, runs: Series, commits: Series, unsent: int) -> Metrics:
    """The core's metrics, with those that it can't know. `unsent`: how much could not be sent."""
    more = [
        Metric("master/messages_unsent", float(unsent)),
        *runs.metrics("allocator/mesos/allocation_run_ms"),
        *commits.metrics("registrar/state_store_ms"),
        *_system(),
    ]
    return Metrics(tuple(sorted((*metrics.metrics, *more), key=lambda metric: metric.name)))


def _system() -> Iterator[Metric]:
    memory = psutil.virtual_memory()
    yield Metric("system/cpus_total", float(os.cpu_count() or 1))
    for minutes, load in zip((1, 5, 15), os.getloadavg(), strict=True):
        yield Metric(f"system/load_{minutes}min", load)
    yield Metric("system/mem_total_bytes", float(memory.total))
    yield Metric("system/mem_free_bytes", float(memory.available))
