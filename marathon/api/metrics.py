"""The numbers of section 14: counters that only grow, and gauges read when asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

from prometheus_client.core import UnknownMetricFamily
from prometheus_client.registry import Collector

COUNTERS: Final = (
    "marathon.deployments.counter",
    "marathon.deployments.dismissed.counter",
    "marathon.tasks.launched.counter",
    "marathon.mesos.offers.incoming.counter",
    "marathon.mesos.offers.used.counter",
    "marathon.mesos.offers.declined.counter",
    "marathon.apps.faults.counter",
    "marathon.events.unrenderable.counter",
    "marathon.mesos.calls.refused.counter",
    "marathon.mesos.calls.revive.counter",
    "marathon.mesos.calls.suppress.counter",
    "marathon.mesos.offer-operations.launch.counter",
    "marathon.http.responses.1xx.counter",
    "marathon.http.responses.2xx.counter",
    "marathon.http.responses.3xx.counter",
    "marathon.http.responses.4xx.counter",
    "marathon.http.responses.5xx.counter",
)


class Metrics(Collector):
    """Counters, for the loop's thread and those of HTTP."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counters = dict.fromkeys(COUNTERS, 0)
        self._gauges: dict[str, Callable[[], float]] = {}

    def count(self, name: str, by: int = 1) -> None:
        with self._lock:
            self._counters[name] = self._counters.get(name, 0) + by

    def gauge(self, name: str, read: Callable[[], float]) -> None:
        self._gauges[name] = read

    def values(self) -> tuple[dict[str, int], dict[str, float]]:
        """Counters and gauges, by name."""
        with self._lock:
            counters = dict(self._counters)
        return counters, {name: read() for name, read in self._gauges.items()}

    def as_json(self) -> dict[str, Any]:
        counters, gauges = self.values()
        return {
            "version": "4.0.0",
            "counters": {name: {"count": value} for name, value in counters.items()},
            "gauges": {name: {"value": value} for name, value in gauges.items()},
            "histograms": {},
            "meters": {},
            "timers": {},
        }

    def collect(self) -> Iterable[UnknownMetricFamily]:
        """For Prometheus, by its library. Untyped: a counter's name would have to end in _total,
        and these are Marathon's.
        """
        counters, gauges = self.values()
        for name, value in {**counters, **gauges}.items():
            yield UnknownMetricFamily(_prometheus(name), name, value=value)


def _prometheus(name: str) -> str:
    return name.replace(".", "_").replace("-", "_")
